// SPDX-License-Identifier: Apache-2.0
// This CPU's GIC hypervisor registers, for Vgic. A64 at EL2 with ICC_SRE_EL2.SRE == 1 only.
#pragma once

#include <cstdint>

#include "arm_vcpu/arch/gic.hpp"
#include "arm_vcpu/vm/vgic_hyp_interface.hpp"

namespace arm_vcpu::el2 {

// The registers are named by their encoding: assemblers know the names only with the GICv3 extension enabled.
class GicHw {
 public:
  // The encoding is part of the instruction, so each number is an instruction of its own.
#define VCPU_GIC_READ(reg)                                   \
  [] {                                                       \
    std::uint64_t value;                                     \
    asm volatile("mrs %0, " reg : "=r"(value) : : "memory"); \
    return value;                                            \
  }()
#define VCPU_GIC_WRITE(reg, value) asm volatile("msr " reg ", %0" : : "r"(static_cast<std::uint64_t>(value)) : "memory")

  // ICH_LR<n>_EL2: S3_4_C12_C12_<n>, and S3_4_C12_C13_<n - 8>
  // clang-format off
#define VCPU_GIC_LRS(X)                                                                          \
  X(0, "S3_4_C12_C12_0")  X(1, "S3_4_C12_C12_1")  X(2, "S3_4_C12_C12_2")  X(3, "S3_4_C12_C12_3")  \
  X(4, "S3_4_C12_C12_4")  X(5, "S3_4_C12_C12_5")  X(6, "S3_4_C12_C12_6")  X(7, "S3_4_C12_C12_7")  \
  X(8, "S3_4_C12_C13_0")  X(9, "S3_4_C12_C13_1")  X(10, "S3_4_C12_C13_2") X(11, "S3_4_C12_C13_3") \
  X(12, "S3_4_C12_C13_4") X(13, "S3_4_C12_C13_5") X(14, "S3_4_C12_C13_6") X(15, "S3_4_C12_C13_7")
  // clang-format on
  // ICH_AP0R<n>_EL2, ICH_AP1R<n>_EL2
#define VCPU_GIC_AP0RS(X) X(0, "S3_4_C12_C8_0") X(1, "S3_4_C12_C8_1") X(2, "S3_4_C12_C8_2") X(3, "S3_4_C12_C8_3")
#define VCPU_GIC_AP1RS(X) X(0, "S3_4_C12_C9_0") X(1, "S3_4_C12_C9_1") X(2, "S3_4_C12_C9_2") X(3, "S3_4_C12_C9_3")
#define VCPU_GIC_CASE_READ(n, reg) \
  case n: return VCPU_GIC_READ(reg);
#define VCPU_GIC_CASE_WRITE(n, reg) \
  case n: VCPU_GIC_WRITE(reg, value); return;

  [[nodiscard]] static gic::IchLr read_ich_lr(unsigned n) noexcept { return gic::IchLr::from(read_lr(n)); }
  static void write_ich_lr(unsigned n, gic::IchLr lr) noexcept { write_lr(n, lr.raw); }

  [[nodiscard]] static std::uint64_t read_ich_ap0r(unsigned n) noexcept {
    switch (n) {
      VCPU_GIC_AP0RS(VCPU_GIC_CASE_READ)
      default: return 0;
    }
  }
  static void write_ich_ap0r(unsigned n, std::uint64_t value) noexcept {
    switch (n) {
      VCPU_GIC_AP0RS(VCPU_GIC_CASE_WRITE)
      default: return;
    }
  }
  [[nodiscard]] static std::uint64_t read_ich_ap1r(unsigned n) noexcept {
    switch (n) {
      VCPU_GIC_AP1RS(VCPU_GIC_CASE_READ)
      default: return 0;
    }
  }
  static void write_ich_ap1r(unsigned n, std::uint64_t value) noexcept {
    switch (n) {
      VCPU_GIC_AP1RS(VCPU_GIC_CASE_WRITE)
      default: return;
    }
  }

  [[nodiscard]] static gic::IchHcr read_ich_hcr() noexcept {
    return gic::IchHcr::from(VCPU_GIC_READ("S3_4_C12_C11_0"));
  }
  static void write_ich_hcr(gic::IchHcr hcr) noexcept { VCPU_GIC_WRITE("S3_4_C12_C11_0", hcr.raw); }
  [[nodiscard]] static gic::IchVtr read_ich_vtr() noexcept {
    return gic::IchVtr::from(VCPU_GIC_READ("S3_4_C12_C11_1"));
  }
  [[nodiscard]] static gic::IchMisr read_ich_misr() noexcept {
    return gic::IchMisr::from(VCPU_GIC_READ("S3_4_C12_C11_2"));
  }
  [[nodiscard]] static gic::IchVmcr read_ich_vmcr() noexcept {
    return gic::IchVmcr::from(VCPU_GIC_READ("S3_4_C12_C11_7"));
  }
  static void write_ich_vmcr(gic::IchVmcr vmcr) noexcept { VCPU_GIC_WRITE("S3_4_C12_C11_7", vmcr.raw); }

  static void deactivate(std::uint32_t intid) noexcept { VCPU_GIC_WRITE("S3_0_C12_C11_1", intid); }  // ICC_DIR_EL1

 private:
  [[nodiscard]] static std::uint64_t read_lr(unsigned n) noexcept {
    switch (n) {
      VCPU_GIC_LRS(VCPU_GIC_CASE_READ)
      default: return 0;
    }
  }
  static void write_lr(unsigned n, std::uint64_t value) noexcept {
    switch (n) {
      VCPU_GIC_LRS(VCPU_GIC_CASE_WRITE)
      default: return;
    }
  }

#undef VCPU_GIC_READ
#undef VCPU_GIC_WRITE
#undef VCPU_GIC_LRS
#undef VCPU_GIC_AP0RS
#undef VCPU_GIC_AP1RS
#undef VCPU_GIC_CASE_READ
#undef VCPU_GIC_CASE_WRITE
};

static_assert(GicHypInterface<GicHw>);

}  // namespace arm_vcpu::el2
