// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/capabilities.hpp"
#include "arm_vcpu/el2/gic_v2.hpp"
#include "arm_vcpu/el2/sysreg.hpp"

namespace arm_vcpu {
namespace {

// ICC_SRE_EL2: SRE enables the system registers for EL2, Enable lets EL1 set its own. Reads back 0 where firmware or
// hardware denies it. [gicv3] "ICC_SRE_EL2, Interrupt Controller System Register Enable register (EL2)"
std::uint64_t enable_gic_system_registers() noexcept {
  constexpr std::uint64_t kSre = 1U << 0;
  constexpr std::uint64_t kEnable = 1U << 3;
  VCPU_WRITE_SYSREG(S3_4_C12_C9_5, VCPU_READ_SYSREG(S3_4_C12_C9_5) | kSre | kEnable);
  el2::isb();
  return VCPU_READ_SYSREG(S3_4_C12_C9_5);
}

}  // namespace

Capabilities probe() noexcept {
  CpuIdentity id{
      .current_el = el2::current_el(),
      .midr_el1 = VCPU_READ_SYSREG(midr_el1),
      .mpidr_el1 = VCPU_READ_SYSREG(mpidr_el1),
      .ctr_el0 = VCPU_READ_SYSREG(ctr_el0),
      .cntfrq_el0 = VCPU_READ_SYSREG(cntfrq_el0),
      .id_aa64pfr0_el1 = VCPU_READ_SYSREG(id_aa64pfr0_el1),
      .id_aa64pfr1_el1 = VCPU_READ_SYSREG(id_aa64pfr1_el1),
      .id_aa64mmfr0_el1 = VCPU_READ_SYSREG(id_aa64mmfr0_el1),
      .id_aa64mmfr1_el1 = VCPU_READ_SYSREG(id_aa64mmfr1_el1),
      .id_aa64isar1_el1 = VCPU_READ_SYSREG(id_aa64isar1_el1),
      .id_aa64isar2_el1 = VCPU_READ_SYSREG(S3_0_C0_C6_2),
      .id_aa64dfr0_el1 = VCPU_READ_SYSREG(id_aa64dfr0_el1),
  };
  if (id.current_el == 2) {
    id.e2h_is_res1 = Hcr::from(VCPU_READ_SYSREG(hcr_el2)).get<Hcr::E2H>();
    if (el2::gic_v2().is_present()) {
      id.has_gich = true;
      id.ich_vtr_el2 = el2::GicV2Hw::read_ich_vtr().raw;
    } else if (IdAa64Pfr0::from(id.id_aa64pfr0_el1).get<IdAa64Pfr0::GIC>() != 0) {
      id.icc_sre_el2 = enable_gic_system_registers();
      if ((id.icc_sre_el2 & 1) != 0) {
        id.ich_vtr_el2 = VCPU_READ_SYSREG(S3_4_C12_C11_1);
      }
    }
  }
  return {id};
}

}  // namespace arm_vcpu
