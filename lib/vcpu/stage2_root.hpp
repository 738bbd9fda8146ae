// SPDX-License-Identifier: Apache-2.0
// Checks of VTCR_EL2 and VTTBR_EL2 before a vCPU uses them. [armarm] "VTCR_EL2, Virtualization Translation Control
// Register", "VTTBR_EL2, Virtualization Translation Table Base Register"
#pragma once

#include <cstdint>

#include "arm_vcpu/capabilities.hpp"
#include "arm_vcpu/vcpu.hpp"

namespace arm_vcpu {

// The highest IPA that the stage-2 translation reaches.
[[nodiscard]] constexpr std::uint64_t stage2_limit(std::uint64_t vtcr) noexcept {
  const auto t0sz = static_cast<unsigned>(bits::extract(vtcr, 5, 0));
  return bits::mask(63U - t0sz, 0);
}

// Bytes, and so alignment, of the root table or tables (4 KiB granule): one descriptor for each block of the start
// level that the IPA range has, and never under one cache line's worth of alignment.
[[nodiscard]] constexpr std::uint64_t stage2_root_bytes(std::uint64_t vtcr) noexcept {
  const auto ipa_bits = 64U - static_cast<unsigned>(bits::extract(vtcr, 5, 0));
  const auto start_level =
      2U - static_cast<unsigned>(bits::extract(vtcr, 7, 6));  // SL0: 0 level 2, 1 level 1, 2 level 0
  const unsigned shift = 39U - 9U * start_level;
  const unsigned entry_bits = ipa_bits > shift ? ipa_bits - shift : 0;
  const std::uint64_t bytes = std::uint64_t{8} << entry_bits;
  return bytes < 64 ? 64 : bytes;
}

[[nodiscard]] inline Result<> check_stage2_root(Stage2Root root, const Capabilities& caps) noexcept {
  const auto ipa_bits = 64U - static_cast<unsigned>(bits::extract(root.vtcr_el2, 5, 0));
  if (bits::extract(root.vtcr_el2, 15, 14) != 0) {  // TG0
    return fail(Errc::unsupported_granule, bits::extract(root.vtcr_el2, 15, 14) == 1 ? 64 : 16,
                caps.id.id_aa64mmfr0_el1);
  }
  if (ipa_bits > caps.pa_bits() || ipa_bits > 48 || bits::extract(root.vtcr_el2, 7, 6) == 3) {
    return fail(Errc::unsupported_ipa_size, ipa_bits, caps.pa_bits());
  }
  const std::uint64_t bytes = stage2_root_bytes(root.vtcr_el2);
  const std::uint64_t base = bits::extract(root.vttbr_el2, 47, 1) << 1;
  if (base == 0 || !bits::aligned(base, bytes)) {
    return fail(Errc::unaligned_stage2_root, base, bytes);
  }
  return {};
}

}  // namespace arm_vcpu
