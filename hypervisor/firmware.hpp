// SPDX-License-Identifier: Apache-2.0
// What the firmware below the hypervisor can do for guests: workarounds, random numbers.
#pragma once

#include "arm_vcpu/psci.hpp"
#include "arm_vcpu/services.hpp"

namespace arm_vcpu::hv {

struct FirmwareServices {
  FirmwareWorkarounds workarounds;
  bool trng{};  // TRNG_RND64
};

// Asks the firmware, by SMC; empty answers where PSCI is not called that way, or has no SMCCC 1.1. The answers are
// those of this CPU, and taken for all.
[[nodiscard]] FirmwareServices ask_firmware() noexcept;

// Where guests' random numbers come from: this CPU's own instructions, else the firmware.
[[nodiscard]] EntropySource entropy_source(const FirmwareServices& firmware) noexcept;

}  // namespace arm_vcpu::hv
