// SPDX-License-Identifier: Apache-2.0
// Which SMCs of a VM reach the firmware: those of a list, and no others. [smccc] "SMC Calling Convention"
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "arm_vcpu/arch/smccc.hpp"

namespace arm_vcpu {

// Function IDs first to last, both included.
struct FunctionRange {
  std::uint32_t first{};
  std::uint32_t last{};

  friend constexpr bool operator==(const FunctionRange&, const FunctionRange&) noexcept = default;
};

// The vCPU answers these itself, whatever a filter says: PSCI would stop the machine, not the VM.
[[nodiscard]] constexpr bool is_never_forwarded(FunctionId id) noexcept {
  return is_arch_call(id) || is_psci_call(id);
}

// A range that may stand in a filter: in order, and without a call that is never forwarded.
[[nodiscard]] constexpr bool is_forwardable(FunctionRange range) noexcept {
  if (range.first > range.last) return false;
  const auto meets = [range](std::uint32_t first, std::uint32_t last) {
    return range.first <= last && first <= range.last;
  };
  return !meets(0x8000'0000, 0x80FF'FFFF) && !meets(0xC000'0000, 0xC0FF'FFFF) && !meets(0x8400'0000, 0x8400'001F) &&
         !meets(0xC400'0000, 0xC400'001F) &&
         // The same with the SVE hint, which is not part of what a function ID names.
         !meets(0x8401'0000, 0x8401'001F) && !meets(0xC401'0000, 0xC401'001F);
}

// A view of a list that the VM keeps. Empty: no SMC is forwarded.
class SmcFilter {
 public:
  constexpr SmcFilter() noexcept = default;
  constexpr explicit SmcFilter(std::span<const FunctionRange> ranges) noexcept : ranges_{ranges} {}

  // `id` without the SVE hint.
  [[nodiscard]] constexpr bool allows(FunctionId id) const noexcept {
    const auto has_it = [id](const FunctionRange& range) { return id.raw >= range.first && id.raw <= range.last; };
    return !is_never_forwarded(id) && std::ranges::any_of(ranges_, has_it);
  }

 private:
  std::span<const FunctionRange> ranges_;
};

}  // namespace arm_vcpu
