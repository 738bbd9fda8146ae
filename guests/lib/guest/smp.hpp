// SPDX-License-Identifier: Apache-2.0
// Other CPUs, and the guest's own entry point.
#pragma once

#include "guest/cpu.hpp"
#include "guest/psci.hpp"

// Every guest defines it. CPU 0, MMU on, interrupts masked, console ready. `tree`: the device tree's address.
void guest_main(guest::u64 tree) noexcept;

namespace guest {

// MPIDR_EL1's affinity of the machine's CPU `index`, below 16.
constexpr u64 affinity_of(unsigned index) noexcept {
  return index;
}

// False on QEMU's `virt` without EL2: SMC is undefined there.
[[nodiscard]] bool has_hypervisor() noexcept;

[[nodiscard]] u64 secondary_entry() noexcept;

// CPU_ON: `task` runs on it with the MMU on and interrupts masked; when it returns the CPU turns itself off. CPU_ON's
// answer.
u64 start_cpu(unsigned index, void (*task)(u64 argument), u64 argument = 0) noexcept;
[[nodiscard]] bool wait_until_off(unsigned index) noexcept;

}  // namespace guest
