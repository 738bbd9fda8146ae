# SPDX-License-Identifier: Apache-2.0
# More vCPUs than CPUs, and VMs that come and go.
foreach(cpus 1 2)
  arm_vcpu_system_test(scheduler.shares.${cpus} shares.py TIMEOUT 200 ARGS ${cpus})
  arm_vcpu_system_test(scheduler.linux.${cpus} shared_cpus.py TIMEOUT 480 PROCESSORS 2 LABELS long ARGS ${cpus})
endforeach()
arm_vcpu_system_test(scheduler.one_cpu linux_boot.py ARGS "max,pauth-impdef=on" 4 --pcpus 1)
arm_vcpu_system_test(scheduler.lives lives.py TIMEOUT 150)
arm_vcpu_system_test(scheduler.lives_mte lives.py TIMEOUT 200 ARGS --mte)
