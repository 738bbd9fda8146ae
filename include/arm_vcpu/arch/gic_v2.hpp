// SPDX-License-Identifier: Apache-2.0
// GICv2: offsets of its frames, and its virtual interface control registers as the images that the vGIC is written for,
// those of GICv3. Source: [gicv2] Arm Generic Interrupt Controller Architecture version 2.
#pragma once

#include <cstdint>

#include "arm_vcpu/arch/gic.hpp"

namespace arm_vcpu::gic {

inline constexpr unsigned kGicV2MaxCpus = 8;  // what a target list can name

// The frames. A device tree may give more room to each.
inline constexpr std::uint64_t kGicV2DistributorBytes = 0x1000;
inline constexpr std::uint64_t kGicV2CpuInterfaceBytes = 0x1000;  // GICC and GICV, but for the page of DIR that follows

// Offsets in the Distributor that GICv3 has not, or elsewhere. [gicv2] "Distributor register map"
inline constexpr std::uint32_t GICD_SGIR = 0xF00;
inline constexpr std::uint32_t GICD_CPENDSGIR = 0xF10;  // 16 bytes, one for each SGI
inline constexpr std::uint32_t GICD_SPENDSGIR = 0xF20;
inline constexpr std::uint32_t GICV2_PIDR4 = 0xFD0;  // PIDR4-7, PIDR0-3, CIDR0-3 follow each other up to 0xFFC
inline constexpr std::uint32_t GICV2_PIDR2 = 0xFE8;

// The CPU interface, and with the same layout the virtual one. [gicv2] "CPU interface register map"
inline constexpr std::uint32_t GICC_CTLR = 0x0000;
inline constexpr std::uint32_t GICC_PMR = 0x0004;
inline constexpr std::uint32_t GICC_BPR = 0x0008;
inline constexpr std::uint32_t GICC_IAR = 0x000C;
inline constexpr std::uint32_t GICC_EOIR = 0x0010;
inline constexpr std::uint32_t GICC_DIR = 0x1000;

// [gicv2] "Virtual interface control registers"
inline constexpr std::uint32_t GICH_HCR = 0x000;
inline constexpr std::uint32_t GICH_VTR = 0x004;
inline constexpr std::uint32_t GICH_VMCR = 0x008;
inline constexpr std::uint32_t GICH_MISR = 0x010;
inline constexpr std::uint32_t GICH_APR = 0x0F0;
inline constexpr std::uint32_t GICH_LR = 0x100;  // 4 bytes each

struct GicdTyperV2 : bits::Image<GicdTyperV2> {  // GICD_TYPER
  using LSPI = Field<15, 11>;
  using SecurityExtn = Flag<10>;
  using CPUNumber = Field<7, 5, unsigned>;      // CPU interfaces, less one
  using ITLinesNumber = Field<4, 0, unsigned>;  // 32 * (N + 1) INTIDs
};

enum class SgiTargets : std::uint8_t { listed, all_others, self, reserved };

struct GicdSgir : bits::Image<GicdSgir> {
  using TargetListFilter = Field<25, 24, SgiTargets>;
  using CPUTargetList = Field<23, 16, std::uint8_t>;
  using NSATT = Flag<15>;  // of the Security Extensions
  using SGIINTID = Field<3, 0, std::uint8_t>;
};

struct GiccCtlr : bits::Image<GiccCtlr> {  // without Security Extensions; Non-secure, bit 0 enables Group 1
  using EOImode = Flag<9>;                 // Non-secure: EOImodeNS. 1: GICC_EOIR drops the priority only
  using CBPR = Flag<4>;
  using FIQEn = Flag<3>;
  using AckCtl = Flag<2>;
  using EnableGrp1 = Flag<1>;
  using EnableGrp0 = Flag<0>;
};

struct GiccIar : bits::Image<GiccIar> {   // GICC_EOIR and GICC_DIR too
  using CPUID = Field<12, 10, unsigned>;  // of an SGI: who sent it
  using INTID = Field<9, 0, std::uint32_t>;
};

struct GichLr : bits::Image<GichLr> {  // GICH_LR<n>
  using HW = Flag<31>;
  using Grp1 = Flag<30>;
  using State = Field<29, 28, LrState>;
  using Priority = Field<27, 23, std::uint8_t>;     // bits 7:3 of the priority
  using PhysicalID = Field<19, 10, std::uint16_t>;  // HW == 1
  using EOI = Flag<19>;                             // HW == 0
  using CPUID = Field<12, 10, unsigned>;            // HW == 0: of an SGI, who sent it
  using VirtualID = Field<9, 0, std::uint32_t>;
};

struct GichVtr : bits::Image<GichVtr> {  // GICH_VTR
  using PRIbits = Field<31, 29, unsigned>;
  using PREbits = Field<28, 26, unsigned>;
  using ListRegs = Field<5, 0, unsigned>;
};

// PhysicalID and pINTID, EOI and CPUID are at the same place of one field each, so that it is moved as a whole.
static_assert(GichLr::EOI::kLo - GichLr::PhysicalID::kLo == IchLr::EOI::kLo - IchLr::pINTID::kLo);
static_assert(GichLr::CPUID::kLo - GichLr::PhysicalID::kLo == IchLr::CPUID::kLo - IchLr::pINTID::kLo);

// GICH_LR<n> of a list register, whose priority has five bits and whose INTIDs ten.
[[nodiscard]] constexpr std::uint32_t gich_lr(IchLr lr) noexcept {
  return static_cast<std::uint32_t>(GichLr{}
                                        .with<GichLr::HW>(lr.get<IchLr::HW>())
                                        .with<GichLr::Grp1>(lr.get<IchLr::Group>())
                                        .with<GichLr::State>(lr.get<IchLr::State>())
                                        .with<GichLr::Priority>(lr.get<IchLr::Priority>() >> 3)
                                        .with<GichLr::PhysicalID>(lr.get<IchLr::pINTID>())
                                        .with<GichLr::VirtualID>(lr.get<IchLr::vINTID>())
                                        .raw);
}
[[nodiscard]] constexpr IchLr ich_lr(std::uint32_t raw) noexcept {
  const auto lr = GichLr::from(raw);
  return IchLr{}
      .with<IchLr::HW>(lr.get<GichLr::HW>())
      .with<IchLr::Group>(lr.get<GichLr::Grp1>())
      .with<IchLr::State>(lr.get<GichLr::State>())
      .with<IchLr::Priority>(static_cast<std::uint8_t>(lr.get<GichLr::Priority>() << 3))
      .with<IchLr::pINTID>(lr.get<GichLr::PhysicalID>())
      .with<IchLr::vINTID>(lr.get<GichLr::VirtualID>());
}

// GICH_HCR: the traps are those of system registers, which a GICv2 has not.
inline constexpr std::uint64_t kGichHcrMask =
    IchHcr::EOIcount::kMask | IchHcr::VGrp1DIE::kMask | IchHcr::VGrp1EIE::kMask | IchHcr::VGrp0DIE::kMask |
    IchHcr::VGrp0EIE::kMask | IchHcr::NPIE::kMask | IchHcr::LRENPIE::kMask | IchHcr::UIE::kMask | IchHcr::En::kMask;
// GICH_VMCR: the priority mask has five bits.
inline constexpr std::uint64_t kGichVmcrMask = bits::mask(31, 27) | IchVmcr::VBPR0::kMask | IchVmcr::VBPR1::kMask |
                                               IchVmcr::VEOIM::kMask | IchVmcr::VCBPR::kMask | IchVmcr::VFIQEn::kMask |
                                               IchVmcr::VAckCtl::kMask | IchVmcr::VENG1::kMask | IchVmcr::VENG0::kMask;

[[nodiscard]] constexpr std::uint32_t gich_hcr(IchHcr hcr) noexcept {
  return static_cast<std::uint32_t>(hcr.raw & kGichHcrMask);
}
[[nodiscard]] constexpr IchHcr ich_hcr(std::uint32_t raw) noexcept {
  return IchHcr::from(raw & kGichHcrMask);
}
[[nodiscard]] constexpr std::uint32_t gich_vmcr(IchVmcr vmcr) noexcept {
  return static_cast<std::uint32_t>(vmcr.raw & kGichVmcrMask);
}
[[nodiscard]] constexpr IchVmcr ich_vmcr(std::uint32_t raw) noexcept {
  return IchVmcr::from(raw & kGichVmcrMask);
}

// More than the vGIC uses are not used. There is no ICH_HCR_EL2.TDIR: TDS is 0.
[[nodiscard]] constexpr IchVtr ich_vtr(std::uint32_t raw) noexcept {
  const auto vtr = GichVtr::from(raw);
  const unsigned list_registers = vtr.get<GichVtr::ListRegs>() + 1;
  return IchVtr{}
      .with<IchVtr::PRIbits>(vtr.get<GichVtr::PRIbits>())
      .with<IchVtr::PREbits>(vtr.get<GichVtr::PREbits>())
      .with<IchVtr::ListRegs>((list_registers < kMaxListRegisters ? list_registers : kMaxListRegisters) - 1);
}

}  // namespace arm_vcpu::gic
