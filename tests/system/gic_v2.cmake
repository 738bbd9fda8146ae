# SPDX-License-Identifier: Apache-2.0
# A machine with a GICv2, which its guests get too.
foreach(vcpus 1 4)
  arm_vcpu_system_test(gic_v2.linux.cortex-a57.${vcpus} linux_boot.py ARGS cortex-a57 ${vcpus} --gic 2)
endforeach()
arm_vcpu_system_test(gic_v2.linux.max.4 linux_boot.py ARGS "max,pauth-impdef=on" 4 --gic 2)
arm_vcpu_system_test(gic_v2.linux.one_cpu linux_boot.py ARGS "max,pauth-impdef=on" 2 --gic 2 --pcpus 1)
arm_vcpu_system_test(gic_v2.uboot uboot.py ARGS --gic 2)
