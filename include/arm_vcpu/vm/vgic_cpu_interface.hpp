// SPDX-License-Identifier: Apache-2.0
// The virtual GIC's hardware half: which ICH_* registers are touched, and when. Included where H is known.
#pragma once

#include <utility>

#include "arm_vcpu/vm/vgic.hpp"

namespace arm_vcpu {

template <GicHypInterface H>
void Vgic::clear_list_registers(unsigned count, H& h) noexcept {
  for (unsigned n = 0; n < count; ++n) h.write_ich_lr(n, {});
}

template <GicHypInterface H>
void Vgic::load(unsigned cpu, H& h) noexcept {
  VgicCpu& c = cpus_[cpu];
  restore_interface(c, h);
  c.lr_used = c.lr_written = 0;
  c.direct.delivered.store(0, std::memory_order_relaxed);
  c.hcr = idle_hcr();
  h.write_ich_hcr(c.hcr);
  mark_dirty(cpu);
}

template <GicHypInterface H>
VgicCpuMask Vgic::save(unsigned cpu, H& h) noexcept {
  VgicCpu& c = cpus_[cpu];
  // A vCPU that waits was parked, and the guest has not run since: flush() would have come before it. But something may
  // have been delivered to it meanwhile.
  const VgicCpuMask kick = !c.is_parked || has_news(cpu) ? park(cpu, h) : 0;
  // For the next one, and because one that is left invalid with EOI set asks for attention.
  empty_list_registers(c, h);
  c.hcr = {};
  c.lr_used = c.lr_written = 0;
  c.is_parked = false;
  h.write_ich_hcr(c.hcr);
  return kick;
}

// The first pair of active priorities is all that most CPUs have.
template <GicHypInterface H>
[[gnu::always_inline]] inline void Vgic::keep_interface(VgicCpu& c, H& h) noexcept {
  c.vmcr = h.read_ich_vmcr();
  c.ap0r[0] = h.read_ich_ap0r(0);
  c.ap1r[0] = h.read_ich_ap1r(0);
  for (unsigned n = 1; n < active_priority_registers_; ++n) {
    c.ap0r[n] = h.read_ich_ap0r(n);
    c.ap1r[n] = h.read_ich_ap1r(n);
  }
}

template <GicHypInterface H>
[[gnu::always_inline]] inline void Vgic::restore_interface(const VgicCpu& c, H& h) noexcept {
  h.write_ich_vmcr(c.vmcr);
  h.write_ich_ap0r(0, c.ap0r[0]);
  h.write_ich_ap1r(0, c.ap1r[0]);
  for (unsigned n = 1; n < active_priority_registers_; ++n) {
    h.write_ich_ap0r(n, c.ap0r[n]);
    h.write_ich_ap1r(n, c.ap1r[n]);
  }
}

template <GicHypInterface H>
[[gnu::always_inline]] inline bool Vgic::save_quiet(VgicCpu& c, H& h, VgicCpuMask& kick) noexcept {
  if (c.hcr != idle_hcr()) return false;
  // The usual end: what the vector delivered is over. Nothing of it is in the interrupt's state.
  if (c.lr_used == 0 && h.read_ich_lr(0).empty()) [[likely]] {
    store_relaxed(c.direct.delivered, 0);
    c.lrs_live = false;
  } else {
    kick |= sync(static_cast<unsigned>(&c - cpus_.data()), h);
    if (c.lr_used != 0) return false;
  }
  // What others have posted and nobody has accepted is in no set; nor is what waits for a deactivation elsewhere.
  if (!c.waiting.empty() || !c.releases.empty() || c.has_active_ppis || load_relaxed(c.direct.posted) != 0) {
    return false;
  }
  store_relaxed(c.direct.doorbell, 0);
  keep_interface(c, h);
  if (c.lr_written > 1) empty_list_registers(c, h);  // the first one is empty
  c.lr_written = 0;
  c.is_parked = false;
  return true;
}

template <GicHypInterface H>
[[gnu::noinline]] void Vgic::empty_list_registers(const VgicCpu& c, H& h) noexcept {
  for (std::uint32_t rest = c.lr_written; rest != 0; rest &= rest - 1) {
    h.write_ich_lr(static_cast<unsigned>(__builtin_ctz(rest)), {});
  }
}

// ICH_HCR_EL2 of the one before was left on: nothing was in its list registers. Nothing has been in this one's since it
// was saved.
template <GicHypInterface H>
[[gnu::always_inline]] inline std::uint64_t Vgic::resume(VgicCpu& c, H& h, std::uint64_t doorbell) noexcept {
  store_relaxed(c.direct.doorbell, doorbell);
  restore_interface(c, h);
  c.hcr = idle_hcr();
  h.write_ich_hcr(c.hcr);
  if (load_relaxed(c.direct.posted) == 0 && c.releases.empty()) {
    if (const std::uint64_t lr = deliver_lone_sgi(c, h); lr != 0) {
      // As arm() does when nothing else waits, and nothing is stale.
      store_relaxed(c.dirty, false);
      store_relaxed(c.direct.armed, 1);
      store_relaxed(c.direct.timer, c.direct_timer);
      return lr;
    }
  }
  c.dirty.store(true, std::memory_order_release);
  return 0;
}

// As the vector does it: what is in the list register is `direct.delivered`, and no state of the interrupt. An SGI is
// an edge without a link, so that what waits and is not active is `latch`. Precondition: every list register is empty.
template <GicHypInterface H>
[[gnu::always_inline]] inline std::uint64_t Vgic::deliver_lone_sgi(VgicCpu& c, H& h) noexcept {
  const unsigned intid = c.waiting.single_below_64();
  if (intid >= gic::kSgiCount || c.direct_stale) return 0;
  const std::uint64_t lr = load_relaxed(c.direct.sgi[intid]);
  VgicIrq& i = c.irqs[intid];
  if (lr == 0 || i.active || !i.latch) return 0;
  c.waiting.clear_below_64();  // it was alone
  i.queued_at = kVgicNoCpu;
  i.latch = false;
  c.lr_written |= 1;
  store_relaxed(c.direct.delivered, intid + 1);
  h.write_ich_lr(0, gic::IchLr::from(lr));
  return lr;
}

// Nothing else is in a list register.
template <GicHypInterface H>
[[gnu::always_inline]] inline void Vgic::put_first(VgicCpu& c, H& h, gic::IchLr lr) noexcept {
  h.write_ich_lr(0, lr);
  c.lr[0] = lr;
  c.lr_used = 1;
  c.lr_written |= 1;
  c.lrs_live = true;
}

template <GicHypInterface H>
VgicCpuMask Vgic::park(unsigned cpu, H& h) noexcept {
  const VgicCpuMask kick = sync(cpu, h);
  VgicCpu& c = cpus_[cpu];
  keep_interface(c, h);
  c.is_parked = true;
  mark_dirty(cpu);  // flush() comes before the guest runs, and ends it
  return kick;
}

template <GicHypInterface H>
bool Vgic::deliver(unsigned cpu, H& h, std::uint64_t lr) noexcept {
  DirectInterrupts& direct = cpus_[cpu].direct;
  if (lr == 0 || direct.armed.load(std::memory_order_relaxed) == 0 || !h.read_ich_lr(0).empty()) return false;
  const gic::IchLr value = gic::IchLr::from(lr);
  h.write_ich_lr(0, value);
  cpus_[cpu].lr_written |= 1;
  direct.delivered.store(value.get<gic::IchLr::vINTID>() + 1, std::memory_order_relaxed);
  return true;
}

template <GicHypInterface H>
bool Vgic::deliver_timer(unsigned cpu, H& h) noexcept {
  return deliver(cpu, h, cpus_[cpu].direct.timer.load(std::memory_order_relaxed));
}

template <GicHypInterface H>
bool Vgic::deliver_posted(unsigned cpu, H& h) noexcept {
  DirectInterrupts& direct = cpus_[cpu].direct;
  const std::uint32_t posted = direct.posted.load(std::memory_order_relaxed);
  if (posted == 0 || (posted & (posted - 1)) != 0) return false;
  if (!deliver(cpu, h, direct.sgi[static_cast<unsigned>(__builtin_ctz(posted))].load(std::memory_order_relaxed))) {
    return false;
  }
  direct.posted.fetch_and(~posted, std::memory_order_acquire);
  return true;
}

template <GicHypInterface H>
VgicCpuMask Vgic::sync(unsigned cpu, H& h) noexcept {
  VgicCpu& c = cpus_[cpu];
  VgicCpuMask kick = 0;
  if (c.direct.delivered.load(std::memory_order_relaxed) != 0) kick |= adopt(cpu);
  if (c.direct.posted.load(std::memory_order_relaxed) != 0) kick |= accept_posted(cpu);
  if (c.lrs_live) {
    c.lrs_live = false;
    if (c.hcr.get<gic::IchHcr::LRENPIE>()) {
      c.hcr = h.read_ich_hcr();  // with EOIcount; flush() writes it back as 0
      kick |= retire_outside(cpu, c.hcr.get<gic::IchHcr::EOIcount>());
    }
    for (std::uint32_t used = c.lr_used; used != 0; used &= used - 1) {
      const auto n = static_cast<unsigned>(__builtin_ctz(used));
      c.lr[n] = h.read_ich_lr(n);
    }
    kick |= fold(cpu);
    mark_dirty(cpu);
  }
  if (!c.releases.empty()) release_physical(cpu, h);
  return kick;
}

template <GicHypInterface H>
VgicCpuMask Vgic::flush(unsigned cpu, H& h) noexcept {
  VgicCpu& c = cpus_[cpu];
  const VgicCpuMask kick = sync(cpu, h);
  c.is_parked = false;
  c.dirty.store(false, std::memory_order_relaxed);
  if (c.waiting.empty() && c.lr_used == 0 && c.hcr == idle_hcr()) {
    arm(cpu);
    return kick;
  }

  if (c.lr_used == 0 && c.hcr == idle_hcr()) {
    if (deliver_lone_sgi(c, h) != 0) {
      arm(cpu);
      return kick;
    }
    if (const unsigned only = the_only_one(cpu); only != kVgicNoIntid) {
      put_first(c, h, pack(irq(cpu, only), only, cpu, 0));
      arm(cpu);
      return kick;
    }
  }
  flush_by_plan(cpu, h);
  return kick;
}

// Its frame has the plan, which the common cases do without.
template <GicHypInterface H>
[[gnu::noinline]] void Vgic::flush_by_plan(unsigned cpu, H& h) noexcept {
  VgicCpu& c = cpus_[cpu];
  const LrPlan next = plan(cpu, h.read_ich_vmcr());
  for (std::uint32_t any = c.lr_used | next.used; any != 0; any &= any - 1) {
    const auto n = static_cast<unsigned>(__builtin_ctz(any));
    const bool was_used = (c.lr_used >> n & 1) != 0;
    if (!was_used || c.lr[n] != next.lr[n]) h.write_ich_lr(n, next.lr[n]);
    c.lr[n] = next.lr[n];
  }
  c.lr_used = next.used;
  c.lr_written |= next.used;
  if (c.hcr != next.hcr) h.write_ich_hcr(next.hcr);
  c.hcr = next.hcr;
  c.lrs_live = next.used != 0 || next.hcr.get<gic::IchHcr::LRENPIE>();
  arm(cpu);
}

template <GicHypInterface H>
VgicCpuMask Vgic::deactivate(unsigned cpu, H& h, std::uint32_t intid) noexcept {
  VgicCpuMask kick = sync(cpu, h);
  // [gicv3] "ICC_DIR_EL1": with EOImode 0 the effect is UNPREDICTABLE. Here it has none.
  if (h.read_ich_vmcr().template get<gic::IchVmcr::VEOIM>()) kick |= deactivate_model(cpu, intid);
  release_physical(cpu, h);
  return kick;
}

template <GicHypInterface H>
void Vgic::release_physical(unsigned cpu, H& h) noexcept {
  VgicCpu& c = cpus_[cpu];
  c.releases.for_each([&](unsigned intid) noexcept {
    VgicIrq& i = irq(cpu, intid);
    i.physical_active = false;
    i.queued_at = kVgicNoCpu;
    c.releases.erase(intid);
    h.deactivate(i.physical_intid);
  });
}

}  // namespace arm_vcpu
