// SPDX-License-Identifier: Apache-2.0
// What the boot code hands to the part of the hypervisor that knows about guests.
#pragma once

#include "board.hpp"

namespace arm_vcpu::hv {

struct Platform {
  Board board;
  unsigned pa_bits{};
  unsigned list_registers{};
};

// Runs on CPU 0, EL2, MMU on, DAIF masked, with all other CPUs waiting for smp::run_on(). Returning ends the machine
// with the verdict ok.
void hypervisor_main(Platform& platform) noexcept;

}  // namespace arm_vcpu::hv
