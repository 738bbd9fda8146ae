// SPDX-License-Identifier: Apache-2.0
// The parts of this guest, in the order in which they run.
#pragma once

#include "guest/machine.hpp"

namespace exits {

using guest::u32;
using guest::u64;

struct Machine {
  unsigned cpus;
  bool is_virtual;  // false: QEMU's `virt` without EL2, where SMC is undefined and no ID register is hidden
  u64 tree;         // address of the device tree
};

void test_fresh_fp() noexcept;  // before anything else
void test_boot(const Machine& machine) noexcept;
void test_mmio(const Machine& machine) noexcept;
void test_registers(const Machine& machine) noexcept;
void test_holes(const Machine& machine) noexcept;
void test_calls(const Machine& machine) noexcept;
void test_system_registers(const Machine& machine) noexcept;
void test_timers(const Machine& machine) noexcept;
void test_sgis(const Machine& machine) noexcept;
void test_spis(const Machine& machine) noexcept;
void test_fp(const Machine& machine) noexcept;
void test_pauth(const Machine& machine) noexcept;
void test_debug(const Machine& machine) noexcept;
void test_pmu(const Machine& machine) noexcept;
void test_power(const Machine& machine) noexcept;

}  // namespace exits
