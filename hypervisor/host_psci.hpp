// SPDX-License-Identifier: Apache-2.0
// The firmware below the hypervisor, called by PSCI. [psci] "Power State Coordination Interface"
#pragma once

#include <cstdint>

#include "board.hpp"

namespace arm_vcpu::hv::host_psci {

// From here on calls go through `conduit`. At EL2 that must be smc: an hvc would come back to EL2.
void init(PsciConduit conduit) noexcept;

[[nodiscard]] bool available() noexcept;

// Starts a CPU at `entry` (physical, MMU off) with `context` in x0. PSCI's status: 0 is SUCCESS, negative an error.
[[nodiscard]] std::int32_t cpu_on(std::uint64_t mpidr, std::uint64_t entry, std::uint64_t context) noexcept;

// Any other fast call of two 32-bit arguments, by SMC: what W0 answers. -1, NOT_SUPPORTED, where the conduit is not
// SMC.
[[nodiscard]] std::int32_t smc(std::uint32_t function, std::uint32_t argument) noexcept;

// Do not return; the CPU parks where there is no PSCI, or PSCI refuses.
[[noreturn]] void system_off() noexcept;
[[noreturn]] void system_reset() noexcept;

}  // namespace arm_vcpu::hv::host_psci
