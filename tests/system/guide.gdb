# SPDX-License-Identifier: Apache-2.0
# The session that the troubleshooting guide shows: a breakpoint at a call, what the vCPU is doing there, an access to
# a device, and the exit that an access became.
python
for command in ["break handle_smc64_exception", "continue", "why", "gbt", "delete",
                "break handle_data_abort", "continue", "print vcpu.esr", "exits 1", "s2 0x9000018", "delete",
                "break arm_vcpu::Aarch64VCpu::complete_mmio_write", "continue", "print exit_"]:
    print("(gdb) " + command)
    gdb.execute(command)
end
