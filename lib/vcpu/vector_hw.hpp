// SPDX-License-Identifier: Apache-2.0
// The registers that the vector reads and writes to answer an exit. On A64 each is one instruction, inline: a call
// would cost more than the answer. On the host they are the fake's.
#pragma once

#include <cstdint>

#include "vcpu/hw.hpp"

namespace arm_vcpu::hw {

#ifdef __aarch64__
#define VCPU_VECTOR_READ(function, reg)                    \
  [[nodiscard]] inline std::uint64_t function() noexcept { \
    std::uint64_t value;                                   \
    __asm__ volatile("mrs %0, " reg : "=r"(value));        \
    return value;                                          \
  }
#define VCPU_VECTOR_WRITE(function, reg)                           \
  inline void function(std::uint64_t value) noexcept {             \
    __asm__ volatile("msr " reg ", %0" : : "r"(value) : "memory"); \
  }
#else
#define VCPU_VECTOR_READ(function, reg) [[nodiscard]] std::uint64_t function() noexcept;
#define VCPU_VECTOR_WRITE(function, reg) void function(std::uint64_t value) noexcept;
#endif

VCPU_VECTOR_READ(read_elr, "elr_el2")
VCPU_VECTOR_READ(read_spsr, "spsr_el2")
VCPU_VECTOR_READ(read_far, "far_el2")
VCPU_VECTOR_READ(live_sctlr_el1, "sctlr_el1")
VCPU_VECTOR_READ(read_hpfar, "hpfar_el2")
VCPU_VECTOR_WRITE(write_elr, "elr_el2")
VCPU_VECTOR_READ(read_ich_elrsr, "S3_4_C12_C11_5")
VCPU_VECTOR_WRITE(write_ich_lr0, "S3_4_C12_C12_0")
VCPU_VECTOR_READ(read_icc_iar1, "S3_0_C12_C12_0")
VCPU_VECTOR_WRITE(write_icc_eoir1, "S3_0_C12_C12_1")
VCPU_VECTOR_WRITE(write_icc_dir, "S3_0_C12_C11_1")
VCPU_VECTOR_WRITE(write_icc_sgi1r, "S3_0_C12_C11_5")

#undef VCPU_VECTOR_READ
#undef VCPU_VECTOR_WRITE

// What an acknowledge, or an SGI, has to be ordered with. [gicv3] "Observability of the effects of accesses to the GIC
// registers": the acknowledge is complete before the source is looked at; what was posted is visible before the SGI.
inline void complete_acknowledge() noexcept {
#ifdef __aarch64__
  __asm__ volatile("dsb sy" : : : "memory");
#endif
}
inline void order_posts_before_sgi() noexcept {
#ifdef __aarch64__
  __asm__ volatile("dsb ishst" : : : "memory");
#endif
}

}  // namespace arm_vcpu::hw
