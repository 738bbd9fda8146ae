# SPDX-License-Identifier: Apache-2.0
# A guest does everything that chance suggests, another one watches: guests/torture, guests/witness.
arm_vcpu_system_test(torture.max torture.py TIMEOUT 150 ARGS "max,pauth-impdef=on" 1500 1)
arm_vcpu_system_test(torture.cortex-a57 torture.py TIMEOUT 150 ARGS cortex-a57 600 2)
arm_vcpu_system_test(torture.mte torture.py TIMEOUT 150 ARGS "max,pauth-impdef=on" 600 4 --mte)
# The two on one physical CPU, which they share by time slices.
arm_vcpu_system_test(torture.shared torture.py TIMEOUT 150 ARGS "max,pauth-impdef=on" 200 3 --share)
