// SPDX-License-Identifier: Apache-2.0
// TLB maintenance for stage 2: the operations the tables need from the CPU, their operands, and how many to use.
#pragma once

#include <concepts>
#include <cstdint>

#include "arm_vcpu/arch/bits.hpp"
#include "arm_vcpu/vm/stage2_layout.hpp"

namespace arm_vcpu::stage2 {

// ID_AA64ISAR0_EL1, AArch64 Instruction Set Attribute Register 0
struct IdAa64Isar0 : bits::Image<IdAa64Isar0> {
  using TLB = Field<59, 56, std::uint8_t>;  // 2 and up: range operations
};

// ID_AA64MMFR2_EL1, AArch64 Memory Model Feature Register 2
struct IdAa64Mmfr2 : bits::Image<IdAa64Mmfr2> {
  using TTL = Field<51, 48, std::uint8_t>;  // 1: level hints in TLBI operands
};

// Barriers and broadcast invalidation. The TLBI operations act on the VMID in VTTBR_EL2 of the CPU that executes them,
// so they stand between enter(), which installs `vttbr` where another is in place and returns what was there, and
// leave(). Both end with an ISB where they wrote the register.
template <class T>
concept TlbMaintenance = requires(T& tlb, std::uint64_t value) {
  { tlb.dsb_ishst() } noexcept;
  { tlb.dsb_ish() } noexcept;
  { tlb.isb() } noexcept;
  { tlb.has_range_ops() } noexcept -> std::same_as<bool>;   // FEAT_TLBIRANGE
  { tlb.has_level_hint() } noexcept -> std::same_as<bool>;  // FEAT_TTL: bits 47:44 of the operand are not RES0
  { tlb.tlbi_ipas2e1is(value) } noexcept;                   // operand: TlbiIpa
  { tlb.tlbi_ripas2e1is(value) } noexcept;                  // operand: TlbiIpaRange; only with has_range_ops()
  { tlb.tlbi_vmalle1is() } noexcept;                        // stage 1, and stages 1 and 2 combined, of this VMID
  { tlb.tlbi_vmalls12e1is() } noexcept;                     // stages 1 and 2 of this VMID
  { tlb.enter(value) } noexcept -> std::same_as<std::uint64_t>;
  { tlb.leave(value) } noexcept;
};

// [armarm] "TLBI IPAS2E1IS, TLB Invalidate by Intermediate Physical Address, Stage 2, EL1, Inner Shareable"
struct TlbiIpa : bits::Image<TlbiIpa> {
  using NS = Flag<63>;
  using TTL = Field<47, 44, std::uint8_t>;  // 0: any level; 0b01xx: 4 KiB granule, leaf at level xx
  using IPA = Field<39, 0>;                 // IPA bits 51:12
};

// [armarm] "TLBI RIPAS2E1IS, TLB Range Invalidate by Intermediate Physical Address, Stage 2, EL1, Inner Shareable"
struct TlbiIpaRange : bits::Image<TlbiIpaRange> {
  using NS = Flag<63>;
  using TG = Field<47, 46, std::uint8_t>;  // 0b01: 4 KiB
  using SCALE = Field<45, 44, std::uint8_t>;
  using NUM = Field<43, 39, std::uint8_t>;
  using TTL = Field<38, 37, std::uint8_t>;  // 0: any level
  using BaseADDR = Field<36, 0>;            // IPA bits 48:12

  // The range is (NUM + 1) << (5 * SCALE + 1) pages.
  [[nodiscard]] constexpr std::uint64_t pages() const noexcept {
    return (std::uint64_t{get<NUM>()} + 1) << (5U * get<SCALE>() + 1);
  }
};

// `level` is the level of all leaves to invalidate, 1 to 3, or 0 where they differ or tables went too.
[[nodiscard]] constexpr TlbiIpa tlbi_ipa_operand(std::uint64_t ipa, unsigned level) noexcept {
  return TlbiIpa{}
      .with<TlbiIpa::TTL>(static_cast<std::uint8_t>(level == 0 ? 0U : 0b0100U | level))
      .with<TlbiIpa::IPA>(ipa >> kPageShift);
}

// The operation that takes the most of the `pages` (2 at least) from `ipa` on without going beyond them.
[[nodiscard]] constexpr TlbiIpaRange tlbi_range_operand(std::uint64_t ipa, std::uint64_t pages,
                                                        unsigned level) noexcept {
  unsigned scale = 3;
  while (scale > 0 && (pages >> (5 * scale + 1)) == 0) --scale;
  const std::uint64_t units = pages >> (5 * scale + 1);
  return TlbiIpaRange{}
      .with<TlbiIpaRange::TG>(0b01)
      .with<TlbiIpaRange::SCALE>(static_cast<std::uint8_t>(scale))
      .with<TlbiIpaRange::NUM>(static_cast<std::uint8_t>((units > 32 ? 32 : units) - 1))
      .with<TlbiIpaRange::TTL>(static_cast<std::uint8_t>(level))
      .with<TlbiIpaRange::BaseADDR>(ipa >> kPageShift);
}

// What one batch of descriptor changes leaves to invalidate. The batch is one contiguous range of IPA.
class Invalidation {
 public:
  // Above this many operations one for the whole VMID is cheaper. Each is a broadcast that every CPU has to answer, and
  // the combined entries of the VMID go in any case.
  static constexpr std::uint64_t kMaxOperations = 64;
  // Beyond this, ranges too take more than a handful of operations: 32 << 16 pages is the largest.
  static constexpr std::uint64_t kMaxRangeBytes = kMaxOperations * (std::uint64_t{32} << 16) * kPageBytes;

  [[nodiscard]] constexpr bool empty() const noexcept { return begin_ == end_; }

  // A leaf of `level` somewhere in [begin, end), or all of that range, was valid before.
  constexpr void add_leaves(std::uint64_t begin, std::uint64_t end, unsigned level) noexcept {
    extend(begin, end);
    one_level_ = one_level_ && (finest_ == 0 || finest_ == level);
    if (level > finest_) finest_ = level;
  }
  // A table was unlinked too: the walk caches point to it, and an operation with a level hint would spare them. The
  // leaves it held, added as well, cover every address through which it can be reached.
  constexpr void add_table() noexcept { one_level_ = false; }
  constexpr void add_everything() noexcept { everything_ = true, begin_ = 0, end_ = 1; }

  // Makes the changes before it take effect: on return no CPU uses what was there, and tables that were unlinked may be
  // freed. Order, after [armarm] "TLB maintenance requirements" and "Ordering and completion of TLB maintenance
  // instructions":
  //   DSB ISHST  the descriptor writes are visible to every table walker, or one could refill the TLB with the old
  //   value; TLBI IPA   drops stage-2 entries and the walk caches of stage 2. It need not touch entries that combine
  //   both stages: DSB ISH    those may be refilled from stage-2 entries until these are gone everywhere; TLBI
  //   VMALLE1IS  drops the combined entries. They are tagged by VA, which nobody knows here, so all of the VMID go; DSB
  //   ISH    until complete on all CPUs; ISB        for what this CPU has fetched already.
  template <TlbMaintenance T>
  constexpr void complete(T& tlb, std::uint64_t vttbr) noexcept {
    if (empty()) return;
    tlb.dsb_ishst();
    const std::uint64_t previous = tlb.enter(vttbr);
    if (too_large(tlb.has_range_ops())) {
      tlb.tlbi_vmalls12e1is();
    } else {
      by_ipa(tlb);
      tlb.dsb_ish();
      tlb.tlbi_vmalle1is();
    }
    tlb.dsb_ish();
    tlb.isb();
    tlb.leave(previous);
    *this = Invalidation{};
  }

 private:
  constexpr void extend(std::uint64_t begin, std::uint64_t end) noexcept {
    if (empty()) {
      begin_ = begin, end_ = end;
    } else {
      begin_ = begin < begin_ ? begin : begin_;
      end_ = end > end_ ? end : end_;
    }
  }

  [[nodiscard]] constexpr bool too_large(bool range_ops) const noexcept {
    if (everything_) return true;
    if (range_ops) return end_ - begin_ > kMaxRangeBytes;
    return (end_ - begin_) >> level_shift(finest_) > kMaxOperations;
  }

  // One operation for each leaf of the finest size: an operation on any address of a block drops all of the block.
  template <TlbMaintenance T>
  constexpr void by_ipa(T& tlb) const noexcept {
    const unsigned level = one_level_ ? finest_ : 0;
    const unsigned hint = tlb.has_level_hint() ? level : 0;
    const std::uint64_t step = level_bytes(finest_);
    if (!tlb.has_range_ops() || end_ - begin_ <= step) {
      for (std::uint64_t ipa = begin_; ipa < end_; ipa += step) tlb.tlbi_ipas2e1is(tlbi_ipa_operand(ipa, hint).raw);
      return;
    }
    for (std::uint64_t ipa = begin_; ipa < end_;) {
      const std::uint64_t pages = (end_ - ipa) >> kPageShift;
      if (pages == 1) {
        tlb.tlbi_ipas2e1is(tlbi_ipa_operand(ipa, hint).raw);
        return;
      }
      const TlbiIpaRange operand = tlbi_range_operand(ipa, pages, level);
      tlb.tlbi_ripas2e1is(operand.raw);
      ipa += operand.pages() << kPageShift;
    }
  }

  std::uint64_t begin_{};
  std::uint64_t end_{};
  unsigned finest_{};  // level of the smallest leaf, 0 while nothing was added
  bool one_level_ = true;
  bool everything_{};
};

}  // namespace arm_vcpu::stage2
