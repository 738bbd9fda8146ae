# SPDX-License-Identifier: Apache-2.0
# The guests that test the hypervisor from inside: guests/exits, guests/reset.
foreach(cpu "max,pauth-impdef=on" cortex-a57)
  string(REGEX REPLACE ",.*" "" short "${cpu}")
  foreach(vcpus 1 2)
    arm_vcpu_system_test(guests.exits.${short}.${vcpus} guests_exits.py TIMEOUT 150 ARGS ${cpu} ${vcpus})
  endforeach()
  arm_vcpu_system_test(guests.bare.${short} guests_bare.py TIMEOUT 100 ARGS ${cpu} 2)
endforeach()
arm_vcpu_system_test(guests.exits.shared guests_exits.py TIMEOUT 150 ARGS cortex-a57 2 --pcpus 1)
arm_vcpu_system_test(guests.exits.no-pmu guests_exits.py TIMEOUT 150 ARGS cortex-a57 2 --pmu off)
foreach(vcpus 1 2)
  arm_vcpu_system_test(guests.reset.${vcpus} guests_reset.py TIMEOUT 150 ARGS ${vcpus})
endforeach()
arm_vcpu_system_test(guests.reset.mte guests_reset.py TIMEOUT 150 ARGS 2 --mte on)
arm_vcpu_system_test(guests.accesses.max guests_accesses.py TIMEOUT 200 ARGS "max,pauth-impdef=on" 750)
arm_vcpu_system_test(guests.accesses.cortex-a57 guests_accesses.py TIMEOUT 200 ARGS cortex-a57 600)
arm_vcpu_system_test(features.max features.py TIMEOUT 150 ARGS max,pauth-impdef=on --vcpus 2)
arm_vcpu_system_test(features.smc_allow features.py TIMEOUT 150
  ARGS cortex-a57 --smc-allow 0x95c1ba5e --smc-allow 0xc2000000-0xc200ffff)
foreach(sve off 384)
  arm_vcpu_system_test(features.sve_${sve} features.py TIMEOUT 150 ARGS max,pauth-impdef=on --vcpus 2 --sve ${sve})
endforeach()
arm_vcpu_system_test(features.mte features.py TIMEOUT 150 ARGS max,pauth-impdef=on --vcpus 2 --mte on)
arm_vcpu_system_test(features.mte_shared features.py TIMEOUT 150 ARGS max,pauth-impdef=on --vcpus 2 --pcpus 1 --mte on)
# The CPU has tags, the VM has not.
arm_vcpu_system_test(features.mte_hidden features.py TIMEOUT 150
  ARGS max,pauth-impdef=on --vcpus 2 --mte off --qemu-arg=-machine --qemu-arg=mte=on)
# Both vCPUs on one CPU: their vectors are switched.
arm_vcpu_system_test(features.shared_cpu features.py TIMEOUT 150 ARGS max,pauth-impdef=on --vcpus 2 --pcpus 1)
