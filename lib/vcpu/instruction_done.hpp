// SPDX-License-Identifier: Apache-2.0
// The guest's state after an instruction that was executed in its place.
#pragma once

#include "arm_vcpu/exit_reason.hpp"
#include "arm_vcpu/trap_frame.hpp"

namespace arm_vcpu {

// SPSR_EL2 as taken from AArch32 state. [armarm] "SPSR_EL2, Saved Program Status Register (EL2)"
struct SpsrA32 : bits::Image<SpsrA32> {
  using T = Flag<5>;  // T32
  using IT_7_2 = Field<15, 10>;
  using IT_1_0 = Field<26, 25>;
};

// An IT block goes on with its next instruction, or ends. [armarm] "AArch32.ITAdvance()"
[[nodiscard]] constexpr Spsr after_it_instruction(Spsr spsr) noexcept {
  const SpsrA32 a32 = SpsrA32::from(spsr.raw);
  const std::uint64_t it = a32.get<SpsrA32::IT_7_2>() << 2 | a32.get<SpsrA32::IT_1_0>();
  const std::uint64_t next = (it & 7) == 0 ? 0 : (it & 0xE0) | (it << 1 & 0x1F);
  return Spsr::from(a32.with<SpsrA32::IT_7_2>(next >> 2).with<SpsrA32::IT_1_0>(next & 3).raw);
}

// `is_32bit`: ESR_EL2.IL, which is 0 for the short instructions of T32 alone.
constexpr void finish_instruction(TrapFrame& frame, bool is_32bit) noexcept {
  if (!frame.spsr.get<Spsr::nRW>()) [[likely]] {
    frame.complete_instruction();
    return;
  }
  frame.elr += is_32bit || !SpsrA32::from(frame.spsr.raw).get<SpsrA32::T>() ? 4 : 2;
  frame.spsr = after_it_instruction(frame.spsr.with<Spsr::SS>(false));
}

// What a load leaves in Xt. Sign-extended to Wt, it ends at bit 31: the upper half is 0.
[[nodiscard]] constexpr std::uint64_t extend_load(std::uint64_t value, AccessWidth width, bool is_signed,
                                                  bool to_xt) noexcept {
  value = truncate(value, width);
  if (is_signed) {
    value = bits::sign_extend(value, bits_of(width));
    value = to_xt ? value : truncate(value, AccessWidth::word);
  }
  return value;
}

}  // namespace arm_vcpu
