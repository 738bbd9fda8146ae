// SPDX-License-Identifier: Apache-2.0
// Which optional feature a system register, a trap or an instruction belongs to, and whether the guest was promised it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "arm_vcpu/arch/sysreg_id.hpp"
#include "arm_vcpu/capabilities.hpp"

namespace arm_vcpu::diag {

struct Feature {
  std::string_view name;   // "performance monitors (FEAT_PMUv3)"
  SysRegId id;             // the ID register that tells of it
  std::string_view field;  // its field: "PMUVer"
  std::string_view trap;   // what keeps the guest away: "MDCR_EL2.TPM"
};

// Null: no optional feature that is known here.
[[nodiscard]] const Feature* feature_of(SysRegId id) noexcept;
[[nodiscard]] const Feature* feature_of(Ec ec) noexcept;
[[nodiscard]] const Feature* feature_of_opcode(std::uint32_t opcode) noexcept;

enum class Visibility : std::uint8_t {
  unknown,     // shown as the CPU has it, and that is not known here
  hidden,      // the guest's ID register hides it, or the CPU lacks it
  advertised,  // the guest's ID register shows it
};
[[nodiscard]] Visibility visibility_of(const Feature& feature, const Capabilities* capabilities) noexcept;

}  // namespace arm_vcpu::diag
