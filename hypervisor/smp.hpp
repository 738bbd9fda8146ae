// SPDX-License-Identifier: Apache-2.0
// The machine's CPUs. CPU 0 runs hypervisor_main(); the others wait for work.
#pragma once

#include <cstdint>

#include "board.hpp"
#include "per_cpu.hpp"

namespace arm_vcpu::hv::smp {

// Names the CPUs: the calling one becomes CPU 0, the rest keep the device tree's order.
void init(const CpuList& cpus) noexcept;

// Starts all others by PSCI and waits for them. The ones that fail are reported and left out.
void start_secondaries() noexcept;

// CPUs that init() knows; index below this.
[[nodiscard]] unsigned count() noexcept;
[[nodiscard]] unsigned online_count() noexcept;
[[nodiscard]] PerCpu& cpu(unsigned index) noexcept;

// Makes another CPU call `work(argument)`, once, on its own stack. What was written before is visible there; what the
// work wrote is visible here once is_idle() is true again. False: the CPU is not online, busy, or CPU 0.
[[nodiscard]] bool run_on(unsigned index, WorkFunction work, void* argument) noexcept;
[[nodiscard]] bool is_idle(unsigned index) noexcept;

}  // namespace arm_vcpu::hv::smp
