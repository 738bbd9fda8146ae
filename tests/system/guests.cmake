# SPDX-License-Identifier: Apache-2.0
# The guests that test the hypervisor from inside: guests/exits, guests/reset.
foreach(cpu "max,pauth-impdef=on" cortex-a57)
  string(REGEX REPLACE ",.*" "" short "${cpu}")
  foreach(vcpus 1 2)
    arm_vcpu_system_test(guests.exits.${short}.${vcpus} guests_exits.py TIMEOUT 150 ARGS ${cpu} ${vcpus})
  endforeach()
  arm_vcpu_system_test(guests.bare.${short} guests_bare.py TIMEOUT 100 ARGS ${cpu} 2)
endforeach()
arm_vcpu_system_test(guests.exits.no-pmu guests_exits.py TIMEOUT 150 ARGS cortex-a57 2 --pmu off)
foreach(vcpus 1 2)
  arm_vcpu_system_test(guests.reset.${vcpus} guests_reset.py TIMEOUT 150 ARGS ${vcpus})
endforeach()
