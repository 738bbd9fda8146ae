// SPDX-License-Identifier: Apache-2.0
// What the hardware would do on an exception to EL1: pure. [armarm] "AArch64.TakeException"
#pragma once

#include <cstdint>

#include "arm_vcpu/capabilities.hpp"
#include "arm_vcpu/trap_frame.hpp"

namespace arm_vcpu {

// The EL1 registers that decide where the exception goes.
struct El1State {
  std::uint64_t vbar_el1{};
  SctlrEl1 sctlr_el1{};
};

// The state after the exception.
struct El1Entry {
  std::uint64_t pc{};
  Spsr pstate{};
  std::uint64_t elr_el1{};
  std::uint64_t spsr_el1{};
};

// A synchronous exception taken to EL1 at the frame's PC. `frame` must come from EL1 or EL0.
[[nodiscard]] El1Entry take_exception_to_el1(const TrapFrame& frame, const El1State& el1,
                                             const Capabilities& caps) noexcept;

// The syndrome with the class for the Exception level that `frame` comes from.
[[nodiscard]] Esr data_abort_syndrome(const TrapFrame& frame, Fsc fsc, bool is_write) noexcept;
[[nodiscard]] Esr instruction_abort_syndrome(const TrapFrame& frame, Fsc fsc) noexcept;
[[nodiscard]] Esr undefined_syndrome() noexcept;

}  // namespace arm_vcpu
