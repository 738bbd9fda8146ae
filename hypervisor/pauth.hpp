// SPDX-License-Identifier: Apache-2.0
// Randomness for the hypervisor's own hardening, and pointer authentication where it is built in.
#pragma once

#include <cstdint>

#include "arm_vcpu/el2/sysreg.hpp"
#include "mmu.hpp"

#ifndef VCPU_EL2_PAUTH
#define VCPU_EL2_PAUTH 0
#endif

namespace arm_vcpu::hv {

// RNDR where the CPU has it (FEAT_RNG), else what the counter's value scatters to: better than a constant, no secret.
[[nodiscard]] inline std::uint64_t boot_random() noexcept {
  std::uint64_t value = VCPU_READ_SYSREG(cntpct_el0) * 0x9E37'79B9'7F4A'7C15ULL ^ el2::mpidr_affinity() << 40;
  if ((VCPU_READ_SYSREG(id_aa64isar0_el1) >> 60) != 0) value ^= VCPU_READ_SYSREG(S3_3_C2_C4_0);
  value ^= value >> 31;
  return value * 0xBF58'476D'1CE4'E5B9ULL;
}

// Call it from a function that never returns. The key is this CPU's own.
[[gnu::always_inline]] inline void enable_pauth_if_built_in() noexcept {
  if constexpr (VCPU_EL2_PAUTH != 0) mmu::hv_pauth_enable(boot_random(), boot_random());
}

}  // namespace arm_vcpu::hv
