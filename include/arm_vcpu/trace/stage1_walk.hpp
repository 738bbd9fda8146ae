// SPDX-License-Identifier: Apache-2.0
// Stage 1 of the EL1&0 translation regime as the hardware walks it, over whatever can read a descriptor; and whether an
// access is then allowed. Granules of 4, 16 and 64 KiB, 48 and 52 bits. [armarm] "The AArch64 Virtual Memory System
// Architecture". Not modelled: permission indirection and overlays (FEAT_S1PIE, FEAT_S1POE), 128-bit descriptors.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "arm_vcpu/arch/bits.hpp"
#include "arm_vcpu/arch/esr.hpp"
#include "arm_vcpu/arch/registers.hpp"

namespace arm_vcpu {

class TextBuffer;

// TCR_EL1, Translation Control Register (EL1)
struct TcrEl1 : bits::Image<TcrEl1> {
  using T0SZ = Field<5, 0, unsigned>;
  using EPD0 = Flag<7>;
  using TG0 = Field<15, 14, unsigned>;
  using T1SZ = Field<21, 16, unsigned>;
  using EPD1 = Flag<23>;
  using TG1 = Field<31, 30, unsigned>;
  using IPS = Field<34, 32, std::uint8_t>;
  using TBI0 = Flag<37>;
  using TBI1 = Flag<38>;
  using HA = Flag<39>;
  using HD = Flag<40>;
  using HPD0 = Flag<41>;
  using HPD1 = Flag<42>;
  using TBID0 = Flag<51>;
  using TBID1 = Flag<52>;
  using E0PD0 = Flag<55>;
  using E0PD1 = Flag<56>;
  using DS = Flag<59>;
};

namespace stage1 {

struct Registers {
  std::uint64_t tcr_el1{};
  std::uint64_t ttbr0_el1{};
  std::uint64_t ttbr1_el1{};
  std::uint64_t mair_el1{};
  std::uint64_t sctlr_el1{};
};

enum class Access : std::uint8_t { read, write, fetch };

struct Request {
  std::uint64_t va{};
  Access access = Access::read;
  std::uint8_t el = 1;  // 0 or 1
  bool pan{};           // PSTATE.PAN
};

// Reads the 64 bits at an IPA, as a little-endian CPU would; empty where nothing can be read.
template <class R>
concept DescriptorReader = requires(R& reader, std::uint64_t ipa) {
  { reader(ipa) } -> std::convertible_to<std::optional<std::uint64_t>>;
};

struct Descriptor : bits::Image<Descriptor> {
  using NSTable = Flag<63>;
  using APTable = Field<62, 61, std::uint8_t>;
  using UXNTable = Flag<60>;
  using PXNTable = Flag<59>;
  using UXN = Flag<54>;
  using PXN = Flag<53>;
  using Contiguous = Flag<52>;
  using DBM = Flag<51>;
  using GP = Flag<50>;
  using nG = Flag<11>;
  using AF = Flag<10>;
  using SH = Field<9, 8, std::uint8_t>;
  using AP = Field<7, 6, std::uint8_t>;  // AP[2:1]
  using NS = Flag<5>;
  using AttrIndx = Field<4, 2, std::uint8_t>;
  using Table = Flag<1>;
  using Valid = Flag<0>;
};

enum class StepKind : std::uint8_t { table, block, page, invalid, reserved };

struct Step {
  std::int8_t level{};
  StepKind kind{};
  std::uint64_t at{};  // IPA of the descriptor
  Descriptor descriptor{};
};

enum class Outcome : std::uint8_t {
  translated,
  mmu_off,  // SCTLR_EL1.M is 0: the output is the input
  translation_fault,
  address_size_fault,
  access_flag_fault,
  unreadable,        // the reader has no such descriptor
  reserved_granule,  // TCR_EL1.TGn holds a reserved value: the CPU takes one that it has
};

// Why there was no walk, or none to the end, beyond what the descriptor itself shows.
enum class Reason : std::uint8_t {
  none,
  not_canonical,   // the bits above the VA size differ from bit 55
  walks_disabled,  // EPDn
  e0pd,            // EL0, and E0PDn
  size_reserved,   // TnSZ asks for more than the granule can translate
  base_too_large,  // TTBRn
  beyond_pa,       // MMU off: the address has more bits than IPS
};

// What EL1 and EL0 may do, all controls but PAN applied.
struct Permissions {
  bool el1_read{}, el1_write{}, el1_execute{};
  bool el0_read{}, el0_write{}, el0_execute{};

  friend constexpr bool operator==(const Permissions&, const Permissions&) noexcept = default;
};

struct Walk {
  Outcome outcome{};
  Reason reason{};
  std::int8_t level{};  // of the leaf or the fault, as ESR_EL1 has it
  bool ttbr1{};
  std::uint8_t va_bits{};
  std::uint8_t granule_shift{};  // 12, 14, 16
  std::int8_t start_level{};
  std::uint8_t output_bits{};
  std::uint64_t table{};           // the root
  std::uint64_t output_address{};  // translated, mmu_off and access_flag_fault
  std::uint64_t region_bytes{};    // what the last descriptor covers
  Permissions permissions{};
  Descriptor leaf{};
  std::uint8_t ap_table{};  // OR of all APTable, which can only take away
  bool uxn_table{}, pxn_table{};
  std::uint8_t mair_attr{};
  bool hardware_sets_af{};  // AF is 0 and TCR_EL1.HA 1
  bool writable_clean{};    // read-only with DBM and TCR_EL1.HD: a write makes it writable
  std::array<Step, 5> storage{};
  std::uint8_t step_count{};

  [[nodiscard]] constexpr bool translated() const noexcept {
    return outcome == Outcome::translated || outcome == Outcome::mmu_off;
  }
  [[nodiscard]] constexpr std::span<const Step> steps() const noexcept { return {storage.data(), step_count}; }
};

namespace detail {

// 12, 14 or 16; 0 for a reserved value.
constexpr unsigned granule_shift(TcrEl1 tcr, bool ttbr1) noexcept {
  constexpr std::uint8_t kTg0[] = {12, 16, 14, 0};
  constexpr std::uint8_t kTg1[] = {0, 14, 12, 16};
  return ttbr1 ? kTg1[tcr.get<TcrEl1::TG1>()] : kTg0[tcr.get<TcrEl1::TG0>()];
}

struct Shape {
  unsigned granule{};
  unsigned va_bits{};
  unsigned output_bits{};
  bool ds{};      // FEAT_LPA2 descriptors
  bool wide64{};  // 64 KiB granule, 52-bit outputs
  int start_level{};

  [[nodiscard]] constexpr unsigned stride() const noexcept { return granule - 3; }
  [[nodiscard]] constexpr unsigned level_shift(int level) const noexcept {
    return granule + stride() * static_cast<unsigned>(3 - level);
  }
  [[nodiscard]] constexpr std::uint64_t output_limit() const noexcept { return std::uint64_t{1} << output_bits; }
  // Levels at which a block may stand. [armarm] "VMSAv8-64 Block descriptor and Page descriptor formats"
  [[nodiscard]] constexpr bool block_allowed(int level) const noexcept {
    switch (granule) {
      case 12: return level == 1 || level == 2 || (level == 0 && ds);
      case 14: return level == 2 || (level == 1 && ds);
      default: return level == 2 || (level == 1 && wide64);
    }
  }
  [[nodiscard]] constexpr std::uint64_t address(Descriptor descriptor) const noexcept {
    const std::uint64_t raw = descriptor.raw;
    if (ds) return (raw & bits::mask(49, granule)) | (raw >> 8 & 3) << 50;
    if (wide64) return (raw & bits::mask(47, 16)) | (raw >> 12 & 0xF) << 48;
    return raw & bits::mask(47, granule);
  }
  // The root is aligned to its size, 64 bytes at least where TTBR holds address bits 51:48 in bits 5:2.
  [[nodiscard]] constexpr std::uint64_t root(std::uint64_t ttbr) const noexcept {
    const unsigned size_log2 = 3 + va_bits - level_shift(start_level);
    const bool wide = ds || wide64;
    const unsigned least = wide ? 6U : 1U;
    const std::uint64_t low = ttbr & bits::mask(47, size_log2 > least ? size_log2 : least);
    return wide ? low | (ttbr >> 2 & 0xF) << 48 : low;
  }
};

constexpr std::uint64_t swap(std::uint64_t value) noexcept {
  return __builtin_bswap64(value);
}

constexpr Permissions permissions_of(const Walk& walk, bool wxn) noexcept {
  const unsigned ap = walk.leaf.get<Descriptor::AP>();
  const bool read_only = ((ap & 2) != 0 && !walk.writable_clean) || (walk.ap_table & 2) != 0;
  const bool el0 = (ap & 1) != 0 && (walk.ap_table & 1) == 0;
  const bool uxn = walk.leaf.get<Descriptor::UXN>() || walk.uxn_table;
  const bool pxn = walk.leaf.get<Descriptor::PXN>() || walk.pxn_table;
  Permissions result{};
  result.el1_read = true;
  result.el1_write = !read_only;
  result.el0_read = el0;
  result.el0_write = el0 && !read_only;
  // EL1 never executes what EL0 can write, with or without PXN.
  result.el1_execute = !pxn && !result.el0_write && !(wxn && result.el1_write);
  result.el0_execute = !uxn && !(wxn && result.el0_write);
  return result;
}

}  // namespace detail

// Translates `request.va`. Permissions are worked out and not checked: judge() does.
template <DescriptorReader R>
[[nodiscard]] constexpr Walk walk(const Registers& registers, const Request& request, R&& reader) noexcept {
  const TcrEl1 tcr = TcrEl1::from(registers.tcr_el1);
  const SctlrEl1 sctlr = SctlrEl1::from(registers.sctlr_el1);
  const std::uint64_t va = request.va;
  Walk result{.outcome = Outcome::translation_fault};
  const auto stop = [&result](Outcome outcome, Reason reason) constexpr noexcept {
    result.outcome = outcome;
    result.reason = reason;
    return result;
  };

  const unsigned ips_bits = pa_bits_of(tcr.get<TcrEl1::IPS>());
  if (!sctlr.get<SctlrEl1::M>()) {
    // Bits above the implemented output size fault; here no more is known than that there are 52 at most.
    const bool tagged = (va >> 55 & 1) != 0 ? tcr.get<TcrEl1::TBI1>() : tcr.get<TcrEl1::TBI0>();
    const std::uint64_t address = tagged ? va & bits::mask(55, 0) : va;
    if (address >> 52 != 0) return stop(Outcome::address_size_fault, Reason::beyond_pa);
    result.output_address = address;
    result.permissions = {true, true, true, true, true, true};
    result.region_bytes = std::uint64_t{1} << 12;
    return stop(Outcome::mmu_off, Reason::none);
  }

  const bool ttbr1 = (va >> 55 & 1) != 0;
  result.ttbr1 = ttbr1;
  detail::Shape shape{};
  shape.granule = detail::granule_shift(tcr, ttbr1);
  if (shape.granule == 0) return stop(Outcome::reserved_granule, Reason::none);
  shape.ds = tcr.get<TcrEl1::DS>() && shape.granule != 16;
  shape.wide64 = shape.granule == 16 && ips_bits >= 52;
  shape.output_bits = ips_bits > 48 && !shape.ds && !shape.wide64 ? 48U : ips_bits > 52 ? 52U : ips_bits;
  shape.va_bits = 64 - (ttbr1 ? tcr.get<TcrEl1::T1SZ>() : tcr.get<TcrEl1::T0SZ>());
  result.va_bits = static_cast<std::uint8_t>(shape.va_bits);
  result.granule_shift = static_cast<std::uint8_t>(shape.granule);
  result.output_bits = static_cast<std::uint8_t>(shape.output_bits);
  const unsigned most = shape.ds || shape.granule == 16 ? 52 : 48;
  if (shape.va_bits > most || shape.va_bits <= shape.granule) {
    return stop(Outcome::translation_fault, Reason::size_reserved);
  }

  const bool tbi = ttbr1 ? tcr.get<TcrEl1::TBI1>() : tcr.get<TcrEl1::TBI0>();
  const bool data_only = ttbr1 ? tcr.get<TcrEl1::TBID1>() : tcr.get<TcrEl1::TBID0>();
  const bool ignore_top = tbi && !(data_only && request.access == Access::fetch);
  const std::uint64_t above = va & bits::mask(ignore_top ? 55 : 63, shape.va_bits < 56 ? shape.va_bits : 55);
  const std::uint64_t wanted = ttbr1 ? bits::mask(ignore_top ? 55 : 63, shape.va_bits) : 0;
  if (above != wanted) return stop(Outcome::translation_fault, Reason::not_canonical);
  if (ttbr1 ? tcr.get<TcrEl1::EPD1>() : tcr.get<TcrEl1::EPD0>()) {
    return stop(Outcome::translation_fault, Reason::walks_disabled);
  }
  if (request.el == 0 && (ttbr1 ? tcr.get<TcrEl1::E0PD1>() : tcr.get<TcrEl1::E0PD0>())) {
    return stop(Outcome::translation_fault, Reason::e0pd);
  }

  shape.start_level = 3 - static_cast<int>((shape.va_bits - shape.granule - 1) / shape.stride());
  result.start_level = static_cast<std::int8_t>(shape.start_level);
  std::uint64_t table = shape.root(ttbr1 ? registers.ttbr1_el1 : registers.ttbr0_el1);
  result.table = table;
  if (table >= shape.output_limit()) return stop(Outcome::address_size_fault, Reason::base_too_large);

  const bool hierarchical = !(ttbr1 ? tcr.get<TcrEl1::HPD1>() : tcr.get<TcrEl1::HPD0>());
  for (int level = shape.start_level;; ++level) {
    const unsigned shift = shape.level_shift(level);
    const unsigned top = level == shape.start_level ? shape.va_bits - 1 : shift + shape.stride() - 1;
    const std::uint64_t at = table + 8 * bits::extract(va, top, shift);
    result.level = static_cast<std::int8_t>(level);
    result.region_bytes = std::uint64_t{1} << shift;
    std::optional<std::uint64_t> raw = reader(at);
    if (!raw) {
      result.storage[result.step_count++] = {result.level, StepKind::invalid, at, {}};
      return stop(Outcome::unreadable, Reason::none);
    }
    const Descriptor descriptor = Descriptor::from(sctlr.get<SctlrEl1::EE>() ? detail::swap(*raw) : *raw);
    const bool valid = descriptor.get<Descriptor::Valid>();
    const bool is_table = valid && descriptor.get<Descriptor::Table>() && level < 3;
    const bool is_page = valid && descriptor.get<Descriptor::Table>() && level == 3;
    const bool is_block = valid && !descriptor.get<Descriptor::Table>() && shape.block_allowed(level);
    result.storage[result.step_count++] = {result.level,
                                           !valid     ? StepKind::invalid
                                           : is_table ? StepKind::table
                                           : is_page  ? StepKind::page
                                           : is_block ? StepKind::block
                                                      : StepKind::reserved,
                                           at, descriptor};
    if (!is_table && !is_page && !is_block) return stop(Outcome::translation_fault, Reason::none);
    const std::uint64_t next = shape.address(descriptor);
    if (next >= shape.output_limit()) return stop(Outcome::address_size_fault, Reason::none);
    if (is_table) {
      if (hierarchical) {
        result.ap_table = static_cast<std::uint8_t>(result.ap_table | descriptor.get<Descriptor::APTable>());
        result.uxn_table = result.uxn_table || descriptor.get<Descriptor::UXNTable>();
        result.pxn_table = result.pxn_table || descriptor.get<Descriptor::PXNTable>();
      }
      table = next;
      continue;
    }
    result.leaf = descriptor;
    result.mair_attr = static_cast<std::uint8_t>(registers.mair_el1 >> (8 * descriptor.get<Descriptor::AttrIndx>()));
    result.writable_clean =
        tcr.get<TcrEl1::HD>() && descriptor.get<Descriptor::DBM>() && (descriptor.get<Descriptor::AP>() & 2) != 0;
    result.permissions = detail::permissions_of(result, sctlr.get<SctlrEl1::WXN>());
    result.output_address = bits::align_down(next, result.region_bytes) | (va & (result.region_bytes - 1));
    const bool af = descriptor.get<Descriptor::AF>();
    result.hardware_sets_af = !af && tcr.get<TcrEl1::HA>();
    return stop(af || result.hardware_sets_af ? Outcome::translated : Outcome::access_flag_fault, Reason::none);
  }
}

// Whether the access is allowed, and if it is not, what ESR_EL1 would say and why.
struct Verdict {
  bool allowed{};
  std::optional<Fsc> fsc;  // empty when allowed, and when the walk could not be made
  std::string_view why;    // one sentence
};

[[nodiscard]] Verdict judge(const Registers& registers, const Request& request, const Walk& walk) noexcept;

[[nodiscard]] std::string_view name_of(Outcome outcome) noexcept;
[[nodiscard]] std::string_view name_of(Access access) noexcept;
[[nodiscard]] std::string_view meaning_of(Reason reason) noexcept;

// "EL1 rw-, EL0 ---, Normal, Inner and Outer Write-Back RW-allocate (Attr0), Inner Shareable, global".
void append_attributes(TextBuffer& out, const Registers& registers, const Walk& walk) noexcept;
// The range, then one line per step, then the result.
void append(TextBuffer& out, const Registers& registers, const Walk& walk) noexcept;

}  // namespace stage1
}  // namespace arm_vcpu
