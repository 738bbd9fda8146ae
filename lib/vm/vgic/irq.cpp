// SPDX-License-Identifier: Apache-2.0
// The state of one interrupt, and where it waits. [gicv3] "Interrupt handling state machine"
#include "arm_vcpu/vm/vgic.hpp"

namespace arm_vcpu {

bool Vgic::group_enabled(const VgicIrq& irq) const noexcept {
  return irq.group1 ? ctlr_.get<gic::GicdCtlr::EnableGrp1>() : ctlr_.get<gic::GicdCtlr::EnableGrp0>();
}

bool Vgic::deliverable_at(const VgicIrq& irq, unsigned cpu) const noexcept {
  return irq.pending() && irq.enabled && irq.target == cpu && group_enabled(irq) &&
         !(honours_sleep_ && cpus_[cpu].asleep);
}

// What the guest may be told; of a list register, what it held when last read or written.
bool Vgic::pending_now(const VgicIrq& irq) const noexcept {
  if (irq.pending()) return true;
  return irq.in_lr && irq.lr_latch && !irq.drop_pending && cpus_[irq.holder].lr[irq.slot].get<gic::IchLr::Pending>();
}

bool Vgic::active_now(const VgicIrq& irq) const noexcept {
  if (irq.active) return true;
  return irq.in_lr && !irq.drop_active && cpus_[irq.holder].lr[irq.slot].get<gic::IchLr::Active>();
}

VgicCpuMask Vgic::requeue(VgicIrq& irq, unsigned intid) noexcept {
  if (irq.in_lr) {  // that vCPU has to fold first; fold() comes back here
    mark_dirty(irq.holder);
    return bit(irq.holder);
  }
  if (irq.queued_at != kVgicNoCpu) {
    cpus_[irq.queued_at].waiting.erase(intid);
    cpus_[irq.queued_at].releases.erase(intid);
    irq.queued_at = kVgicNoCpu;
  }
  const bool release = irq.physical_active && !irq.active && !irq.pending();
  if (!release && !irq.active && !(irq.enabled && irq.pending())) return 0;

  // An active interrupt is the affair of the vCPU that took it, wherever it is routed meanwhile.
  std::uint8_t home = irq.active && irq.holder != kVgicNoCpu ? irq.holder : irq.target;
  if (release && home == kVgicNoCpu) home = 0;  // an SPI: any CPU can deactivate it
  if (home == kVgicNoCpu) return 0;
  irq.queued_at = home;
  (release ? cpus_[home].releases : cpus_[home].waiting).insert(intid);
  mark_dirty(home);
  return bit(home);
}

VgicCpuMask Vgic::set_pending(VgicIrq& irq, unsigned intid) noexcept {
  if (irq.latch) return 0;  // it merges with the one not yet taken
  irq.latch = true;
  return requeue(irq, intid);
}

VgicCpuMask Vgic::clear_pending(VgicIrq& irq, unsigned intid) noexcept {
  if (!pending_now(irq)) return 0;
  irq.latch = false;
  irq.drop_pending = irq.in_lr;
  return requeue(irq, intid);
}

VgicCpuMask Vgic::set_active(VgicIrq& irq, unsigned intid) noexcept {
  if (active_now(irq)) return 0;
  irq.active = true;
  if (!irq.in_lr) irq.holder = irq.target;
  return requeue(irq, intid);
}

VgicCpuMask Vgic::clear_active(VgicIrq& irq, unsigned intid) noexcept {
  // In a list register it may be active by now, whatever was there before: whoever clears it may have seen that.
  if (!irq.in_lr && !irq.active) return 0;
  irq.active = false;
  irq.drop_active = irq.in_lr;
  return requeue(irq, intid);
}

VgicCpuMask Vgic::set_enabled(VgicIrq& irq, unsigned intid, bool enabled) noexcept {
  if (irq.enabled == enabled) return 0;
  irq.enabled = enabled;
  if (!enabled && irq.in_lr) {
    VgicCpu& c = cpus_[irq.holder];
    (intid < gic::kPrivateCount ? c.waits_gicr : c.waits_gicd) = true;
  }
  return requeue(irq, intid);
}

VgicCpuMask Vgic::set_line(VgicIrq& irq, unsigned intid, bool level) noexcept {
  if (irq.linked) {
    irq.line = level;
    if (!level) return clear_pending(irq, intid);
    irq.latch = true;
    irq.physical_active = true;
    if (intid < gic::kPrivateCount) cpus_[irq.target].has_active_ppis = true;
    return requeue(irq, intid);
  }
  if (irq.line == level) return 0;
  irq.line = level;
  if (irq.edge) return level ? set_pending(irq, intid) : 0;
  if (!level && irq.in_lr && !cpus_[irq.holder].lr[irq.slot].get<gic::IchLr::Pending>()) {
    // Already taken. There is nothing to correct; a flush on the way saves the maintenance interrupt.
    mark_dirty(irq.holder);
    return 0;
  }
  return requeue(irq, intid);
}

Result<VgicCpuMask> Vgic::set_spi_level(unsigned intid, bool level) noexcept {
  if (intid < gic::kPrivateCount || intid >= intid_end()) return fail(Errc::bad_interrupt_id, intid, intid_end() - 1);
  return set_line(irq(0, intid), intid, level);
}

Result<VgicCpuMask> Vgic::set_ppi_level(unsigned cpu, unsigned intid, bool level) noexcept {
  if (cpu >= cpu_count() || intid < gic::kSgiCount || intid >= gic::kPrivateCount) {
    return fail(Errc::bad_interrupt_id, intid, gic::kPrivateCount - 1);
  }
  return set_line(irq(cpu, intid), intid, level);
}

Result<VgicCpuMask> Vgic::pulse(unsigned cpu, unsigned intid) noexcept {
  if (cpu >= cpu_count() || intid < gic::kSgiCount || intid >= intid_end()) {
    return fail(Errc::bad_interrupt_id, intid, intid_end() - 1);
  }
  VgicIrq& i = irq(cpu, intid);
  if (i.linked) return set_line(i, intid, true);  // the physical interrupt stays active until the guest has taken it
  return i.edge ? set_pending(i, intid) : VgicCpuMask{0};
}

Result<VgicCpuMask> Vgic::inject(unsigned cpu, unsigned intid) noexcept {
  if (cpu >= cpu_count() || intid >= intid_end()) return fail(Errc::bad_interrupt_id, intid, intid_end() - 1);
  VgicIrq& i = irq(cpu, intid);
  if (i.by_source) return set_pending_from(i, intid, 1);
  return i.linked ? set_line(i, intid, true) : set_pending(i, intid);
}

Result<> Vgic::link_physical(unsigned cpu, unsigned intid, std::uint16_t physical_intid) noexcept {
  if (cpu >= cpu_count() || intid < gic::kSgiCount || intid >= intid_end()) {
    return fail(Errc::bad_interrupt_id, intid, intid_end() - 1);
  }
  if (physical_intid < gic::kSgiCount || physical_intid >= gic::kSpiEnd) {
    return fail(Errc::bad_interrupt_id, physical_intid, gic::kSpiEnd - 1);
  }
  VgicIrq& i = irq(cpu, intid);
  i.linked = true;
  i.physical_intid = physical_intid;
  if (intid < gic::kPrivateCount) cpus_[cpu].linked_ppis |= 1U << intid;
  return {};
}

std::uint32_t Vgic::take_physical_ppis(unsigned cpu) noexcept {
  VgicCpu& c = cpus_[cpu];
  std::uint32_t active = 0;
  if (!c.has_active_ppis) return active;
  for (std::uint32_t rest = c.linked_ppis; rest != 0; rest &= rest - 1) {
    const auto intid = static_cast<unsigned>(__builtin_ctz(rest));
    VgicIrq& i = c.irqs[intid];
    if (!i.physical_active) continue;
    if (c.releases.contains(intid)) {
      c.releases.erase(intid);
      i.queued_at = kVgicNoCpu;
      i.physical_active = false;
    } else if (i.physical_intid < gic::kPrivateCount) {
      active |= 1U << i.physical_intid;
    }
  }
  c.has_active_ppis = active != 0;
  return active;
}

}  // namespace arm_vcpu
