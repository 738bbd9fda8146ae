// SPDX-License-Identifier: Apache-2.0
// What this CPU offers to a hypervisor, read once, and what stands in the way of a vCPU.
#pragma once

#include <cstdint>

#include "arm_vcpu/arch/registers.hpp"
#include "arm_vcpu/result.hpp"

namespace arm_vcpu {

// Raw values of the registers that describe a CPU. `probe()` reads them; tests and tools fill them in by hand.
struct CpuIdentity {
  std::uint64_t current_el{};  // CurrentEL.EL, 0 to 3
  std::uint64_t midr_el1{};
  std::uint64_t mpidr_el1{};
  std::uint64_t ctr_el0{};
  std::uint64_t cntfrq_el0{};  // Hz
  std::uint64_t id_aa64pfr0_el1{};
  std::uint64_t id_aa64pfr1_el1{};
  std::uint64_t id_aa64mmfr0_el1{};
  std::uint64_t id_aa64mmfr1_el1{};
  std::uint64_t id_aa64isar1_el1{};
  std::uint64_t id_aa64isar2_el1{};
  std::uint64_t id_aa64dfr0_el1{};
  std::uint64_t icc_sre_el2{};  // 0 where ID_AA64PFR0_EL1.GIC is 0
  std::uint64_t ich_vtr_el2{};  // 0 where ICC_SRE_EL2.SRE cannot be set; with a GICv2, what GICH_VTR makes of it
  bool has_gich{};              // a GICv2 with virtualization extensions is in use (el2::use_gic_v2())
  bool e2h_is_res1{};           // HCR_EL2.E2H cannot be cleared
};

struct Capabilities {
  CpuIdentity id;

  [[nodiscard]] unsigned exception_level() const noexcept { return static_cast<unsigned>(id.current_el); }
  [[nodiscard]] unsigned pa_bits() const noexcept;
  [[nodiscard]] bool stage2_4k() const noexcept;
  [[nodiscard]] bool stage2_16k() const noexcept;
  [[nodiscard]] bool stage2_64k() const noexcept;
  [[nodiscard]] unsigned vmid_bits() const noexcept;
  [[nodiscard]] bool vhe() const noexcept;
  // 3 or 4 with system registers, 2 with virtualization extensions in use, else 0.
  [[nodiscard]] unsigned gic_version() const noexcept;
  [[nodiscard]] unsigned list_registers() const noexcept;
  [[nodiscard]] bool fp() const noexcept;
  [[nodiscard]] bool sve() const noexcept;
  [[nodiscard]] bool sme() const noexcept;
  [[nodiscard]] bool pauth() const noexcept;
  [[nodiscard]] bool bti() const noexcept;
  [[nodiscard]] bool scxtnum() const noexcept;  // SCXTNUM_EL0 and SCXTNUM_EL1
  [[nodiscard]] bool fgt() const noexcept;      // fine-grained traps
  [[nodiscard]] bool mte() const noexcept;      // FEAT_MTE2: allocation tags in memory
  [[nodiscard]] bool pan() const noexcept;
  [[nodiscard]] bool ssbs() const noexcept;
  [[nodiscard]] bool ras() const noexcept;
  [[nodiscard]] bool pmu() const noexcept;
  [[nodiscard]] bool el0_aarch32() const noexcept;
};

// What a vCPU is to have. 4 KiB is the granule of this library's stage 2.
struct Requirements {
  unsigned ipa_bits = 32;
  unsigned granule_kib = 4;
  bool virtual_gic = true;  // list registers, of a GICv3 or v4 with system registers or of a GICv2
};

// Reads this CPU's registers. Any Exception level from EL1 up; registers that the current one cannot read stay 0.
[[nodiscard]] Capabilities probe() noexcept;

// The first thing that keeps a vCPU with `wanted` from running on a CPU with `caps`: not_at_el2, vhe_only,
// no_el1_aarch64, unsupported_granule, unsupported_ipa_size, no_gic_system_registers, no_list_registers.
[[nodiscard]] Result<> check_hardware_support(const Capabilities& caps, const Requirements& wanted) noexcept;

// The yes or no of check_hardware_support() for this CPU and the default requirements.
[[nodiscard]] bool has_hardware_support() noexcept;

}  // namespace arm_vcpu
