// SPDX-License-Identifier: Apache-2.0
// Software-generated interrupts. [gicv3] "Software Generated Interrupts", "Forwarding an SGI to a target PE"
#include "arm_vcpu/vm/vgic.hpp"

namespace arm_vcpu {

VgicCpuMask Vgic::send_sgi(unsigned sender, const AxVCpuExitReason::SendIPI& ipi) noexcept {
  if (is_v2() || sender >= cpu_count() || ipi.vector >= gic::kSgiCount) return 0;  // a GICv2 has GICD_SGIR
  const std::uint32_t cluster = gic::affinity_of_mpidr(ipi.target_cpu) >> 8;
  VgicCpuMask kick = 0;
  for (unsigned cpu = 0; cpu < cpu_count(); ++cpu) {
    const VgicCpu& c = cpus_[cpu];
    bool targeted = false;
    if (ipi.send_to_self) {
      targeted = cpu == sender;
    } else if (ipi.send_to_all) {
      targeted = cpu != sender;  // IRM == 1: the affinity fields are RES0
    } else {
      const unsigned in_range = (c.affinity & 0xFF) - ipi.range_base;  // wraps below the range
      targeted = c.affinity >> 8 == cluster && in_range < 16 && (ipi.target_cpu_aux >> in_range & 1) != 0;
    }
    if (!targeted) continue;
    // With one Security state ICC_SGI1R_EL1 generates SGIs of either group; the other two Group 0 only.
    VgicIrq& i = irq(cpu, ipi.vector);
    if (!i.group1 || ipi.group1) kick |= set_pending(i, ipi.vector);
  }
  return kick;
}

}  // namespace arm_vcpu
