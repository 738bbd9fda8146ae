// SPDX-License-Identifier: Apache-2.0
// Pointers of EL1 and EL0 with something in their upper bits.
#pragma once

#include <cstdint>

#include "arm_vcpu/arch/bits.hpp"

namespace arm_vcpu {

// What authentication makes of a pointer that it accepts: the bits of the authentication code become copies of bit 55;
// the top byte stays where TCR_EL1.TBI<n> has it ignored. [armarm] "Auth", "CalculateBottomPACBit"; "TCR_EL1,
// Translation Control Register (EL1)": T0SZ 5:0, T1SZ 21:16, TBI0 37, TBI1 38.
[[nodiscard]] constexpr std::uint64_t without_pac(std::uint64_t pointer, std::uint64_t tcr_el1) noexcept {
  const bool upper = (pointer >> 55 & 1) != 0;
  const bool ignores_top_byte = (tcr_el1 >> (upper ? 38 : 37) & 1) != 0;
  const auto bottom = static_cast<unsigned>(64 - bits::extract(tcr_el1, upper ? 21 : 5, upper ? 16 : 0));
  if (bottom > 55) return pointer;
  const std::uint64_t code = bits::mask(ignores_top_byte ? 55 : 63, bottom);
  return upper ? pointer | code : pointer & ~code;
}

}  // namespace arm_vcpu
