// SPDX-License-Identifier: Apache-2.0
// Constants that boot.S shares with C++; the C++ side checks them (per_cpu.hpp, mmu.hpp).
#pragma once

// One slot per CPU, from low to high: guard page, emergency stack, guard page, stack.
#define HV_STACK_SLOT_BYTES 0x10000
#define HV_EMERGENCY_STACK_TOP 0x3000

// struct PerCpu
#define HV_PERCPU_EMERGENCY_TOP 296
#define HV_PERCPU_STACK_TOP 304

// struct Regime
#define HV_REGIME_MAIR 0
#define HV_REGIME_TCR 8
#define HV_REGIME_TTBR0 16
#define HV_REGIME_SCTLR 24
