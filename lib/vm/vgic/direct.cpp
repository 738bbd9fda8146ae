// SPDX-License-Identifier: Apache-2.0
// Private interrupts that the vector delivers without asking: what it is told, and how what it did comes back.
#include "arm_vcpu/vm/vgic.hpp"
#include "vm/vgic/register_block.hpp"

namespace arm_vcpu {
namespace {

using gic::IchLr;

void give_up(DirectInterrupts& direct) noexcept {
  direct.armed.store(0, std::memory_order_relaxed);
  direct.timer.store(0, std::memory_order_relaxed);
}

}  // namespace

// List register 0 was empty when the vector wrote it, so what it held before is over.
VgicCpuMask Vgic::adopt(unsigned cpu) noexcept {
  VgicCpu& c = cpus_[cpu];
  const unsigned intid = c.direct.delivered.load(std::memory_order_relaxed) - 1;
  c.direct.delivered.store(0, std::memory_order_relaxed);
  VgicCpuMask kick = 0;
  if ((c.lr_used & 1) != 0) {
    c.lr[0] = c.lr[0].with<IchLr::State>(gic::LrState::invalid);
    kick = fold_slot(cpu, 0);
  }
  VgicIrq& i = irq(cpu, intid);
  if (i.queued_at != kVgicNoCpu) {
    cpus_[i.queued_at].waiting.erase(intid);
    cpus_[i.queued_at].releases.erase(intid);
    i.queued_at = kVgicNoCpu;
  }
  i.in_lr = i.lr_latch = true;
  // Its physical interrupt was not active when the vector delivered: a linked one that is has no value to deliver. If
  // it is now, it has come again since, and the list register will turn out to be empty: `physical_active` stays.
  i.lr_physical = i.linked;
  i.holder = static_cast<std::uint8_t>(cpu);
  i.slot = 0;
  c.lr[0] = IchLr{}.with<IchLr::vINTID>(intid).with<IchLr::State>(gic::LrState::pending);
  c.lr_used |= 1;
  c.lr_written |= 1;
  c.lrs_live = true;
  return kick & ~bit(cpu);
}

// Whose list registers, or mailbox, may know more of the interrupt than the model.
VgicCpuMask Vgic::unknown_at(const VgicIrq& irq, unsigned intid, unsigned reader) const noexcept {
  if (irq.in_lr) return irq.holder != reader ? bit(irq.holder) : 0;
  if (intid >= gic::kPrivateCount || irq.target == reader || irq.target == kVgicNoCpu) return 0;
  const DirectInterrupts& direct = cpus_[irq.target].direct;
  const bool known =
      direct.delivered.load(std::memory_order_relaxed) == 0 && direct.posted.load(std::memory_order_relaxed) == 0;
  return known ? 0 : bit(irq.target);
}

VgicCpuMask Vgic::accept_posted(unsigned cpu) noexcept {
  VgicCpuMask kick = 0;
  for (std::uint32_t posted = cpus_[cpu].direct.posted.exchange(0, std::memory_order_acquire); posted != 0;
       posted &= posted - 1) {
    const auto intid = static_cast<unsigned>(__builtin_ctz(posted));
    kick |= set_pending(irq(cpu, intid), intid);
  }
  return kick & ~bit(cpu);
}

unsigned Vgic::the_only_one(unsigned cpu) const noexcept {
  const unsigned intid = cpus_[cpu].waiting.single();
  if (intid == kVgicNoIntid) return kVgicNoIntid;
  const VgicIrq& i = irq(cpu, intid);
  return !i.active && deliverable_at(i, cpu) ? intid : kVgicNoIntid;
}

// At the end of flush(): nothing waits for a list register, and at most the first is in use.
void Vgic::arm(unsigned cpu) noexcept {
  VgicCpu& c = cpus_[cpu];
  if (c.direct_stale) refresh_direct(cpu);
  const bool quiet = c.waiting.empty() && (c.lr_used & ~1U) == 0 && c.hcr == idle_hcr();
  c.direct.armed.store(quiet, std::memory_order_relaxed);
  c.direct.timer.store(quiet ? c.direct_timer : 0, std::memory_order_relaxed);
}

void Vgic::refresh_direct(unsigned cpu) noexcept {
  VgicCpu& c = cpus_[cpu];
  const bool listens = !(honours_sleep_ && c.asleep);
  const auto list_register = [&](unsigned intid) noexcept -> std::uint64_t {
    const VgicIrq& i = c.irqs[intid];
    // One that carries its sender has no value that is known beforehand.
    if (!i.enabled || i.by_source || !listens || !group_enabled(i)) return 0;
    const IchLr lr = IchLr{}
                         .with<IchLr::vINTID>(intid)
                         .with<IchLr::Priority>(i.priority)
                         .with<IchLr::Group>(i.group1)
                         .with<IchLr::HW>(i.linked)
                         .with<IchLr::State>(gic::LrState::pending);
    return i.linked ? lr.with<IchLr::pINTID>(i.physical_intid).raw : lr.raw;
  };
  c.direct_stale = false;
  // ICC_SGI1R_EL1 generates SGIs of either group. [gicv3] "Forwarding an SGI to a target PE"
  for (unsigned intid = 0; intid < gic::kSgiCount; ++intid) {
    c.direct.sgi[intid].store(list_register(intid), std::memory_order_relaxed);
  }
  const VgicIrq& timer = c.irqs[gic::kVirtualTimerIntid];
  c.direct_timer = timer.linked ? list_register(gic::kVirtualTimerIntid) : 0;
  c.direct.timer_intid = timer.linked ? timer.physical_intid : ~0U;
}

// Enable, group or priority of one of its private interrupts changes: the vector must not go by the old ones.
VgicCpuMask Vgic::disarm(unsigned cpu) noexcept {
  VgicCpu& c = cpus_[cpu];
  c.direct_stale = true;
  if (c.direct.armed.load(std::memory_order_relaxed) == 0) return 0;
  give_up(c.direct);
  mark_dirty(cpu);
  return bit(cpu);
}

void Vgic::publish(PublishedRegisters& registers) const noexcept {
  const auto frame = [&](std::uint64_t base, std::uint32_t offset, auto read) {
    (void)registers.publish(base + offset, AccessWidth::word, read(offset));
  };
  VgicCpuMask unused = 0;
  auto& self = const_cast<Vgic&>(*this);  // reads of these change nothing
  if (is_v2()) {
    for (const std::uint32_t offset : {gic::GICD_TYPER, gic::GICD_IIDR, gic::GICV2_PIDR2}) {
      frame(gicd_base_, offset, [&](std::uint32_t at) { return self.read_gicd_v2(at, AccessWidth::word, 0, unused); });
    }
    return;
  }
  for (const std::uint32_t offset : {gic::GICD_TYPER, gic::GICD_IIDR, gic::GIC_PIDR2}) {
    frame(gicd_base_, offset, [&](std::uint32_t at) { return self.read_gicd(at, AccessWidth::word, 0, unused); });
  }
  for (unsigned cpu = 0; cpu < cpu_count(); ++cpu) {
    const std::uint64_t base = gicr_base_ + cpu * gic::kRedistributorBytes;
    for (const std::uint32_t offset : {gic::GICR_TYPER, gic::GICR_TYPER + 4, gic::GICR_IIDR}) {
      frame(base, offset, [&](std::uint32_t at) { return read_rd(cpu, at, AccessWidth::word); });
    }
    (void)registers.publish(base + gic::GICR_TYPER, AccessWidth::doubleword, gicr_typer(cpu).raw);
  }
}

}  // namespace arm_vcpu
