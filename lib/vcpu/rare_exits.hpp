// SPDX-License-Identifier: Apache-2.0
// Exits that are rare; what is common is in exception.cpp. True: the guest goes on; false: run() returns.
#pragma once

#include <optional>

#include "arm_vcpu/vcpu.hpp"

namespace arm_vcpu {

// EC 0x18. Empty: not one of them.
[[nodiscard]] std::optional<bool> handle_rare_system_register(Aarch64VCpu& vcpu, SysRegId id, std::uint8_t rt,
                                                              bool is_read) noexcept;

// EC 0x01 of AArch32 code, whose instructions are conditional; and of all other code (dispatch.cpp).
bool handle_aarch32_wait(Aarch64VCpu& vcpu) noexcept;
bool leave_with_wait(Aarch64VCpu& vcpu) noexcept;

// A class that has no function of its own: AArch32's registers, SVE; UNDEFINED.
bool handle_other_class(Aarch64VCpu& vcpu, Ec ec) noexcept;

// The instruction is UNDEFINED.
bool refuse(Aarch64VCpu& vcpu) noexcept;

}  // namespace arm_vcpu
