// SPDX-License-Identifier: Apache-2.0
// What ends a WFI. [gicv3] "Interrupt prioritization"; [armarm] "WFI wake-up events"
#include "arm_vcpu/vm/vgic.hpp"

namespace arm_vcpu {
namespace {

// The highest active priority, kIdlePriority if there is none: bit n of the registers is group priority n.
std::uint8_t running_priority(const VgicCpu& c, gic::IchVtr vtr) noexcept {
  for (unsigned n = 0; n < vtr.active_priority_registers(); ++n) {
    // The upper halves hold nothing but the priority of NMIs, which the model does not offer.
    const auto active = static_cast<std::uint32_t>(c.ap0r[n] | c.ap1r[n]);
    if (active == 0) continue;
    const unsigned level = n * 32 + static_cast<unsigned>(__builtin_ctz(active));
    return static_cast<std::uint8_t>(level << (8 - vtr.preemption_bits()));
  }
  return gic::kIdlePriority;
}

}  // namespace

bool Vgic::has_deliverable(unsigned cpu) const noexcept {
  const VgicCpu& c = cpus_[cpu];
  if (c.waiting.empty()) return false;
  const std::uint8_t running = running_priority(c, vtr_);
  bool found = false;
  c.waiting.for_each([&](unsigned intid) noexcept {
    const VgicIrq& i = irq(cpu, intid);
    if (i.active || !deliverable_at(i, cpu)) return;
    if (!(i.group1 ? c.vmcr.get<gic::IchVmcr::VENG1>() : c.vmcr.get<gic::IchVmcr::VENG0>())) return;
    if (i.priority >= c.vmcr.get<gic::IchVmcr::VPMR>()) return;
    const std::uint8_t mask = c.vmcr.group_priority_mask(i.group1);
    found |= running == gic::kIdlePriority || (i.priority & mask) < (running & mask);
  });
  return found;
}

}  // namespace arm_vcpu
