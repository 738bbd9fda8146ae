// SPDX-License-Identifier: Apache-2.0
// Exits that are rare; what is common is in exception.cpp. True: the guest goes on; false: run() returns.
#pragma once

#include <optional>

#include "arm_vcpu/vcpu.hpp"

namespace arm_vcpu {

// EC 0x18. Empty: not one of them.
[[nodiscard]] std::optional<bool> handle_rare_system_register(Aarch64VCpu& vcpu, SysRegId id, std::uint8_t rt,
                                                              bool is_read) noexcept;

// EC 0x03 and 0x04, from AArch32 code at EL0: the exit is that of the AArch64 register that is the same.
bool handle_aarch32_register(Aarch64VCpu& vcpu) noexcept;

// EC 0x01.
bool handle_wfx(Aarch64VCpu& vcpu) noexcept;

// EC 0x07, and 0x19 where the vCPU has SVE: the registers are its own from now on.
bool handle_fp_access(Aarch64VCpu& vcpu) noexcept;

// The instruction is UNDEFINED.
bool refuse(Aarch64VCpu& vcpu) noexcept;

}  // namespace arm_vcpu
