# SPDX-License-Identifier: Apache-2.0
# The session that the troubleshooting guide shows: a breakpoint at a call, what the vCPU is doing there, and one at an
# access to a device.
set trace-commands on
break handle_smc64_exception
continue
why
gbt
delete
break handle_data_abort
continue
print vcpu.frame.exception_pc()
exits 3
s2 0x9000018
