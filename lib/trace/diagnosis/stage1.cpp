// SPDX-License-Identifier: Apache-2.0
#include "stage1.hpp"

#include "arm_vcpu/text.hpp"

namespace arm_vcpu::diag {
namespace {

// [armarm] "TCR_EL1, Translation Control Register (EL1)"
struct TcrEl1 : bits::Image<TcrEl1> {
  using T0SZ = Field<5, 0, unsigned>;
  using EPD0 = Flag<7>;
  using TG0 = Field<15, 14, unsigned>;
  using T1SZ = Field<21, 16, unsigned>;
  using EPD1 = Flag<23>;
  using TG1 = Field<31, 30, unsigned>;
  using TBI0 = Flag<37>;
  using TBI1 = Flag<38>;
  using DS = Flag<59>;
};

struct Regime {
  unsigned va_bits{};
  unsigned granule_shift{};  // 0: reserved
  std::uint64_t table{};
  bool disabled{};
  bool top_byte_ignored{};
};

Regime regime_of(const GuestSystemRegisters& registers, bool upper) noexcept {
  const TcrEl1 tcr = TcrEl1::from(registers.tcr_el1);
  // TG0 and TG1 number the granules differently.
  constexpr unsigned kShift0[] = {12, 16, 14, 0};
  constexpr unsigned kShift1[] = {0, 14, 12, 16};
  constexpr std::uint64_t kBaddr = bits::mask(47, 1);
  if (upper) {
    return {64 - tcr.get<TcrEl1::T1SZ>(), kShift1[tcr.get<TcrEl1::TG1>()], registers.ttbr1_el1 & kBaddr,
            tcr.get<TcrEl1::EPD1>(), tcr.get<TcrEl1::TBI1>()};
  }
  return {64 - tcr.get<TcrEl1::T0SZ>(), kShift0[tcr.get<TcrEl1::TG0>()], registers.ttbr0_el1 & kBaddr,
          tcr.get<TcrEl1::EPD0>(), tcr.get<TcrEl1::TBI0>()};
}

constexpr std::uint64_t kValid = 1;
constexpr std::uint64_t kTable = 2;
constexpr std::uint64_t kAccessFlag = 1U << 10;

}  // namespace

Stage1Walk walk_stage1(const CapturedState& state, std::uint64_t va) noexcept {
  using Outcome = Stage1Walk::Outcome;
  Stage1Walk walk{};
  if (state.registers == nullptr || state.registers_are_sampled) return walk;
  if (!SctlrEl1::from(state.registers->sctlr_el1).get<SctlrEl1::M>()) {
    walk.outcome = Outcome::mmu_off;
    walk.ipa = va;
    return walk;
  }
  const bool upper = bits::extract(va, 55, 55) != 0;
  const Regime regime = regime_of(*state.registers, upper);
  const unsigned stride = regime.granule_shift - 3;
  if (state.memory == nullptr || regime.granule_shift == 0 || regime.va_bits > 48 ||
      regime.va_bits <= regime.granule_shift || TcrEl1::from(state.registers->tcr_el1).get<TcrEl1::DS>()) {
    return walk;
  }
  if (regime.disabled) {
    walk.outcome = Outcome::disabled;
    return walk;
  }
  const std::uint64_t top = bits::mask(regime.top_byte_ignored ? 55 : 63, regime.va_bits);
  if ((va & top) != (upper ? top : 0)) {
    walk.outcome = Outcome::out_of_range;
    return walk;
  }
  const unsigned levels = (regime.va_bits - regime.granule_shift + stride - 1) / stride;
  const std::uint64_t input = va & bits::mask(regime.va_bits - 1, 0);
  std::uint64_t table = regime.table;
  for (unsigned level = 4 - levels;; ++level) {
    const unsigned shift = regime.granule_shift + (3 - level) * stride;
    const bool is_first = level == 4 - levels;
    const std::uint64_t index = is_first ? input >> shift : input >> shift & bits::mask(stride - 1, 0);
    const std::uint64_t at = table + 8 * index;
    walk.level = static_cast<std::uint8_t>(level);
    const auto descriptor = state.memory->read(at, 8);
    if (!descriptor) {
      walk.outcome = Outcome::table_unreadable;
      walk.ipa = at;
      return walk;
    }
    walk.descriptor = *descriptor;
    walk.steps[walk.step_count++] = {static_cast<std::uint8_t>(level), at, *descriptor};
    const bool is_table = level < 3 && (*descriptor & 3) == (kTable | kValid);
    const unsigned first_block = regime.granule_shift == 12 ? 1 : 2;
    const bool is_leaf = level == 3 ? (*descriptor & 3) == (kTable | kValid)
                                    : level >= first_block && (*descriptor & 3) == kValid;
    if (is_leaf) {
      walk.outcome = (*descriptor & kAccessFlag) != 0 ? Outcome::translated : Outcome::access_flag_fault;
      walk.ipa = (*descriptor & bits::mask(47, shift)) | (input & bits::mask(shift - 1, 0));
      return walk;
    }
    if (!is_table) {
      walk.outcome = Outcome::translation_fault;
      return walk;
    }
    table = *descriptor & bits::mask(47, regime.granule_shift);
  }
}

void append(TextBuffer& out, const Stage1Walk& walk) noexcept {
  using Outcome = Stage1Walk::Outcome;
  switch (walk.outcome) {
    case Outcome::unknown: out.put("not known"); return;
    case Outcome::mmu_off: out.put("MMU off: IPA = VA"); return;
    case Outcome::translated:
      format_to(out, "IPA {:x}, level {} descriptor {:x}", walk.ipa, walk.level, walk.descriptor);
      return;
    case Outcome::out_of_range: out.put("VA beyond TCR_EL1.T0SZ and T1SZ"); return;
    case Outcome::disabled: out.put("walks are disabled (TCR_EL1.EPD)"); return;
    case Outcome::translation_fault:
    case Outcome::access_flag_fault:
      format_to(out, "{} fault at level {}, descriptor {:x}",
                walk.outcome == Outcome::translation_fault ? "translation" : "access flag", walk.level, walk.descriptor);
      if (walk.step_count != 0) format_to(out, " @IPA {:x}", walk.steps[walk.step_count - 1U].descriptor_ipa);
      return;
    case Outcome::table_unreadable:
      format_to(out, "level {} table at IPA {:x} is not in the guest's memory", walk.level, walk.ipa);
      return;
  }
}

namespace {

std::optional<std::uint64_t> read_va(const CapturedState& state, std::uint64_t va, unsigned bytes) noexcept {
  if (state.memory == nullptr || va % bytes != 0) return std::nullopt;
  const Stage1Walk walk = walk_stage1(state, va);
  if (!walk.has_ipa()) return std::nullopt;
  return state.memory->read(walk.ipa, bytes);
}

}  // namespace

std::optional<std::uint32_t> instruction_at(const CapturedState& state, std::uint64_t va) noexcept {
  const auto opcode = read_va(state, va, 4);
  if (!opcode) return std::nullopt;
  return static_cast<std::uint32_t>(*opcode);
}

std::optional<std::uint64_t> word_at(const CapturedState& state, std::uint64_t va) noexcept {
  return read_va(state, va, 8);
}

}  // namespace arm_vcpu::diag
