// SPDX-License-Identifier: Apache-2.0
// Which interrupts go into the list registers, how they are packed, and what comes back.
// [gicv3] "Usage model for the List registers"
#include <algorithm>

#include "arm_vcpu/vm/vgic.hpp"

namespace arm_vcpu {
namespace {

using gic::IchHcr;
using gic::IchLr;
using gic::IchVmcr;

// What decides who gets a list register; less goes first. Interrupts of a group that the CPU interface masks come
// last, or they would starve the other group.
struct Rank {
  std::uint32_t key{~0U};

  static constexpr Rank of(const VgicIrq& irq, unsigned intid, bool masked) noexcept {
    return {std::uint32_t{masked} << 24 | std::uint32_t{irq.priority} << 16 | std::uint32_t{!irq.active} << 15 | intid};
  }
  [[nodiscard]] constexpr unsigned intid() const noexcept { return key & 0x3FF; }
  [[nodiscard]] constexpr bool is_pending() const noexcept { return (key >> 15 & 1) != 0; }
  [[nodiscard]] constexpr bool is_masked() const noexcept { return (key >> 24 & 1) != 0; }
};

// The best of what was offered, in order.
class Ranking {
 public:
  constexpr explicit Ranking(unsigned places) noexcept : places_{places} {}

  constexpr void offer(Rank rank) noexcept {
    unsigned at = count_ < places_ ? count_++ : places_;
    for (; at > 0 && ranks_[at - 1].key > rank.key; --at) {
      if (at < places_) ranks_[at] = ranks_[at - 1];
    }
    if (at < places_) ranks_[at] = rank;
  }
  constexpr void replace_last(Rank rank) noexcept { ranks_[count_ - 1] = rank; }

  [[nodiscard]] constexpr std::span<const Rank> ranks() const noexcept { return {ranks_.data(), count_}; }

 private:
  std::array<Rank, gic::kMaxListRegisters> ranks_{};
  unsigned places_;
  unsigned count_{};
};

struct Census {
  unsigned active{};
  unsigned pending{};    // not active, and the CPU interface lets its group through
  unsigned masked[2]{};  // not active, and it does not, by group

  constexpr void count(Rank rank, bool group1) noexcept {
    if (!rank.is_pending()) {
      ++active;
    } else if (rank.is_masked()) {
      ++masked[group1];
    } else {
      ++pending;
    }
  }
};

}  // namespace

Vgic::LrPlan Vgic::plan(unsigned cpu, IchVmcr vmcr) noexcept {
  VgicCpu& c = cpus_[cpu];
  const bool lets_through[2] = {vmcr.get<IchVmcr::VENG0>(), vmcr.get<IchVmcr::VENG1>()};

  Ranking best{vtr_.list_registers()};
  Census all{};
  Rank best_pending{};
  c.waiting.for_each([&](unsigned intid) noexcept {
    const VgicIrq& i = irq(cpu, intid);
    if (!i.active && !deliverable_at(i, cpu)) return;
    const Rank rank = Rank::of(i, intid, !i.active && !lets_through[i.group1]);
    all.count(rank, i.group1);
    if (rank.is_pending() && rank.key < best_pending.key) best_pending = rank;
    best.offer(rank);
  });
  // Active interrupts must not take every list register: the pending one may be due before they are deactivated, and
  // the "no pending" maintenance interrupt would never cease.
  const auto takes_pending = [](Rank rank) { return rank.is_pending() && !rank.is_masked(); };
  if (all.pending != 0 && std::ranges::none_of(best.ranks(), takes_pending)) best.replace_last(best_pending);

  // An interrupt that was in a list register stays in it, so that an unchanged one is not written again.
  LrPlan next{};
  Census placed{};
  std::array<std::uint8_t, gic::kMaxListRegisters> slot_of{};
  for (std::size_t n = 0; n < best.ranks().size(); ++n) {
    const unsigned intid = best.ranks()[n].intid();
    const unsigned slot = irq(cpu, intid).slot;
    const bool stays = (c.lr_used >> slot & 1) != 0 && c.lr[slot].get<IchLr::vINTID>() == intid;
    slot_of[n] = static_cast<std::uint8_t>(stays ? slot : gic::kMaxListRegisters);
    if (stays) next.used |= 1U << slot;
  }
  for (std::size_t n = 0; n < best.ranks().size(); ++n) {
    const Rank rank = best.ranks()[n];
    const unsigned intid = rank.intid();
    VgicIrq& i = irq(cpu, intid);
    const unsigned slot =
        slot_of[n] < gic::kMaxListRegisters ? slot_of[n] : static_cast<unsigned>(__builtin_ctz(~next.used));
    next.used |= 1U << slot;
    placed.count(rank, i.group1);
    next.lr[slot] = pack(i, intid, cpu, slot);
  }

  // More than fits: ask for the maintenance interrupt that comes when a list register can be put to better use. Those
  // outside rank below those inside, so "underflow" would only come earlier than "no pending", and more often.
  const bool active_outside = placed.active < all.active;
  const bool masked_outside[2] = {placed.masked[0] < all.masked[0], placed.masked[1] < all.masked[1]};
  const bool pending_outside = placed.pending < all.pending;
  const bool any_pending_outside = pending_outside || masked_outside[0] || masked_outside[1];
  // Group 0's end is asked for only while Group 1 is on: when it is off, the end of Group 0 makes nothing deliverable
  // that was not, and the next beginning of either is asked for. QEMU 7.2 needs it so: its VGrp0D looks at VENG1.
  next.hcr = idle_hcr()
                 .with<IchHcr::NPIE>(pending_outside)
                 .with<IchHcr::LRENPIE>(active_outside)
                 .with<IchHcr::VGrp0EIE>(masked_outside[0])
                 .with<IchHcr::VGrp1EIE>(masked_outside[1])
                 .with<IchHcr::VGrp0DIE>(any_pending_outside && lets_through[0] && lets_through[1])
                 .with<IchHcr::VGrp1DIE>(any_pending_outside && lets_through[1]);
  if (active_outside && vtr_.get<gic::IchVtr::TDS>()) next.hcr = next.hcr.with<IchHcr::TDIR>(true);
  return next;
}

IchLr Vgic::pack(VgicIrq& irq, unsigned intid, unsigned cpu, unsigned slot) noexcept {
  const bool deliverable = deliverable_at(irq, cpu);
  IchLr lr = IchLr{}.with<IchLr::vINTID>(intid).with<IchLr::Priority>(irq.priority).with<IchLr::Group>(irq.group1);

  // With HW == 1 there is no room for "pending and active", nor for EOI: then the link is kept here, and the physical
  // interrupt deactivated by release_physical() in the end.
  const bool physical = irq.physical_active && !(irq.active && irq.latch);
  // A pending state on top of an active one waits in the list register if it is an edge. A level is looked at again
  // after the deactivation; so is what must go elsewhere, or to the physical GIC.
  // So is an SGI of another sender: a list register names one.
  const bool pends = deliverable && (!irq.active || (!irq.follows_line() && !irq.physical_active && !irq.by_source));
  const bool latch_moves = pends && irq.latch;
  bool sender_waits = false;

  lr = lr.with<IchLr::Pending>(pends).with<IchLr::Active>(irq.active);
  if (physical) {
    lr = lr.with<IchLr::HW>(true).with<IchLr::pINTID>(irq.physical_intid);
  } else {
    const bool line_recurs = irq.follows_line() && irq.line && irq.enabled;
    const bool latch_remains = irq.latch && !latch_moves && irq.enabled;
    if (irq.by_source) {
      if (latch_moves) {
        irq.source = static_cast<std::uint8_t>(__builtin_ctz(irq.sources));
        irq.sources = static_cast<std::uint8_t>(irq.sources & (irq.sources - 1));
        sender_waits = irq.sources != 0;
      }
      lr = lr.with<IchLr::CPUID>(irq.source);
    }
    lr = lr.with<IchLr::EOI>(line_recurs || latch_remains || sender_waits);
  }

  cpus_[cpu].waiting.erase(intid);
  irq.queued_at = kVgicNoCpu;
  irq.in_lr = true;
  irq.holder = static_cast<std::uint8_t>(cpu);
  irq.slot = static_cast<std::uint8_t>(slot);
  irq.lr_latch = latch_moves;
  irq.lr_physical = physical;
  if (latch_moves) irq.latch = sender_waits;
  if (physical) irq.physical_active = false;
  irq.active = false;
  return lr;
}

VgicCpuMask Vgic::fold_slot(unsigned cpu, unsigned slot) noexcept {
  VgicCpu& c = cpus_[cpu];
  const IchLr lr = c.lr[slot];
  const unsigned intid = lr.get<IchLr::vINTID>();
  VgicIrq& i = irq(cpu, intid);
  // Invalid with HW == 1: the guest's deactivation reached the physical interrupt, which may even be back already.
  if (i.lr_physical && lr.get<IchLr::State>() != gic::LrState::invalid) {
    i.physical_active = true;
    c.has_active_ppis = true;
  }
  if (i.lr_latch && lr.get<IchLr::Pending>() && !i.drop_pending) {
    i.latch = true;
    if (i.by_source) i.sources = static_cast<std::uint8_t>(i.sources | 1U << i.source);
  }
  if (lr.get<IchLr::Active>() && !i.drop_active) i.active = true;
  i.holder = i.active ? static_cast<std::uint8_t>(cpu) : kVgicNoCpu;
  i.in_lr = i.lr_latch = i.lr_physical = i.drop_pending = i.drop_active = false;
  if (lr.empty()) {
    c.lr_used &= ~(1U << slot);
    // Over, and nothing came meanwhile: requeue() would find nothing to do.
    if (!i.active && !i.pending() && !i.physical_active && i.queued_at == kVgicNoCpu) return 0;
  }
  return requeue(i, intid);
}

VgicCpuMask Vgic::fold(unsigned cpu) noexcept {
  VgicCpu& c = cpus_[cpu];
  VgicCpuMask kick = 0;
  for (std::uint32_t used = c.lr_used; used != 0; used &= used - 1) {
    kick |= fold_slot(cpu, static_cast<unsigned>(__builtin_ctz(used)));
  }
  c.waits_gicd = c.waits_gicr = false;
  return kick & ~bit(cpu);  // this one flushes anyway
}

// The guest deactivated `count` interrupts that were in no list register. With EOImode 0 it can only have been the
// running priority each time, so those of the highest priority.
VgicCpuMask Vgic::retire_outside(unsigned cpu, unsigned count) noexcept {
  VgicCpuMask kick = 0;
  for (; count != 0; --count) {
    Rank highest{};
    cpus_[cpu].waiting.for_each([&](unsigned intid) noexcept {
      const VgicIrq& i = irq(cpu, intid);
      if (i.active) highest.key = std::min(highest.key, Rank::of(i, intid, false).key);
    });
    if (highest.key == Rank{}.key) break;
    kick |= clear_active(irq(cpu, highest.intid()), highest.intid());
  }
  return kick & ~bit(cpu);
}

VgicCpuMask Vgic::deactivate_model(unsigned cpu, std::uint32_t intid) noexcept {
  if (intid >= intid_end()) return 0;
  return clear_active(irq(cpu, intid), intid);
}

}  // namespace arm_vcpu
