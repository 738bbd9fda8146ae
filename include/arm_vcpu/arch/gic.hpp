// SPDX-License-Identifier: Apache-2.0
// GICv3 register layouts: the memory-mapped registers of the Distributor and the Redistributors, and the hypervisor's
// view of the virtual CPU interface. Source: [gicv3] Arm Generic Interrupt Controller Architecture Specification.
#pragma once

#include <cstdint>

#include "arm_vcpu/arch/bits.hpp"

namespace arm_vcpu::gic {

// [gicv3] "INTIDs"
inline constexpr unsigned kSgiCount = 16;
inline constexpr unsigned kPrivateCount = 32;  // SGIs and PPIs
// The virtual timer's PPI of a virtual GIC, as a device tree names it by convention. Linked, the vector delivers it.
inline constexpr unsigned kVirtualTimerIntid = 27;
inline constexpr unsigned kSpiEnd = 1020;  // the first INTID that is not an SPI
inline constexpr unsigned kSpurious = 1023;
inline constexpr unsigned kFirstLpi = 8192;

inline constexpr std::uint64_t kFrameBytes = 0x1'0000;  // GICD, RD_base and SGI_base are one frame each
inline constexpr std::uint64_t kRedistributorBytes = 2 * kFrameBytes;
inline constexpr unsigned kMaxListRegisters = 16;
inline constexpr unsigned kMaxActivePriorityRegisters = 4;
inline constexpr std::uint8_t kIdlePriority = 0xFF;

// An affinity in 32 bits, Aff3.Aff2.Aff1.Aff0 with Aff3 on top, as GICR_TYPER.Affinity_Value has it.
constexpr std::uint32_t affinity_of_mpidr(std::uint64_t mpidr) noexcept {
  return static_cast<std::uint32_t>(((mpidr >> 8) & 0xFF00'0000U) | (mpidr & 0x00FF'FFFFU));
}
constexpr std::uint64_t mpidr_of_affinity(std::uint32_t affinity) noexcept {
  return ((affinity & 0xFF00'0000ULL) << 8) | (affinity & 0x00FF'FFFFU);
}

// Offsets in the Distributor's frame. [gicv3] "The GIC Distributor register map"
inline constexpr std::uint32_t GICD_CTLR = 0x0000;
inline constexpr std::uint32_t GICD_TYPER = 0x0004;
inline constexpr std::uint32_t GICD_IIDR = 0x0008;
inline constexpr std::uint32_t GICD_TYPER2 = 0x000C;
inline constexpr std::uint32_t GICD_STATUSR = 0x0010;
inline constexpr std::uint32_t GICD_IROUTER = 0x6000;  // 8 bytes per INTID, from INTID 32 on

// Offsets shared by the Distributor (SPIs) and the Redistributor's SGI_base frame (SGIs and PPIs): register n of a
// kind holds the INTIDs that follow those of register n - 1.
inline constexpr std::uint32_t GIC_IGROUPR = 0x0080;
inline constexpr std::uint32_t GIC_ISENABLER = 0x0100;
inline constexpr std::uint32_t GIC_ICENABLER = 0x0180;
inline constexpr std::uint32_t GIC_ISPENDR = 0x0200;
inline constexpr std::uint32_t GIC_ICPENDR = 0x0280;
inline constexpr std::uint32_t GIC_ISACTIVER = 0x0300;
inline constexpr std::uint32_t GIC_ICACTIVER = 0x0380;
inline constexpr std::uint32_t GIC_IPRIORITYR = 0x0400;
inline constexpr std::uint32_t GIC_ITARGETSR = 0x0800;
inline constexpr std::uint32_t GIC_ICFGR = 0x0C00;
inline constexpr std::uint32_t GIC_IGRPMODR = 0x0D00;
inline constexpr std::uint32_t GIC_NSACR = 0x0E00;

// Offsets in the Redistributor's RD_base frame. [gicv3] "The GIC Redistributor register map"
inline constexpr std::uint32_t GICR_CTLR = 0x0000;
inline constexpr std::uint32_t GICR_IIDR = 0x0004;
inline constexpr std::uint32_t GICR_TYPER = 0x0008;  // 64 bits
inline constexpr std::uint32_t GICR_STATUSR = 0x0010;
inline constexpr std::uint32_t GICR_WAKER = 0x0014;
inline constexpr std::uint32_t GICR_PROPBASER = 0x0070;  // 64 bits
inline constexpr std::uint32_t GICR_PENDBASER = 0x0078;  // 64 bits

// Offsets shared by every frame. [gicv3] "Identification registers"
inline constexpr std::uint32_t GIC_PIDR4 = 0xFFD0;  // PIDR4-7, PIDR0-3, CIDR0-3 follow each other up to 0xFFFC
inline constexpr std::uint32_t GIC_PIDR2 = 0xFFE8;

struct GicdCtlr : bits::Image<GicdCtlr> {  // the layout for one Security state
  using RWP = Flag<31>;
  using nASSGIreq = Flag<8>;
  using E1NWF = Flag<7>;
  using DS = Flag<6>;
  using ARE = Flag<4>;
  using EnableGrp1 = Flag<1>;
  using EnableGrp0 = Flag<0>;
};

struct GicdTyper : bits::Image<GicdTyper> {
  using ESPI_range = Field<31, 27>;
  using RSS = Flag<26>;
  using No1N = Flag<25>;
  using A3V = Flag<24>;
  using IDbits = Field<23, 19, unsigned>;  // bits of an INTID, less one
  using DVIS = Flag<18>;
  using LPIS = Flag<17>;
  using MBIS = Flag<16>;
  using num_LPIs = Field<15, 11>;
  using SecurityExtn = Flag<10>;
  using ESPI = Flag<8>;
  using CPUNumber = Field<7, 5>;
  using ITLinesNumber = Field<4, 0, unsigned>;  // 32 * (N + 1) INTIDs
};

struct GicIidr : bits::Image<GicIidr> {  // GICD_IIDR and GICR_IIDR
  using ProductID = Field<31, 24>;
  using Variant = Field<19, 16>;
  using Revision = Field<15, 12>;
  using Implementer = Field<11, 0>;
};

struct GicPidr2 : bits::Image<GicPidr2> {
  using ArchRev = Field<7, 4, unsigned>;  // 3: GICv3, 4: GICv4
  using JEDEC = Flag<3>;
  using DES_1 = Field<2, 0>;
};

struct GicdIrouter : bits::Image<GicdIrouter> {
  using Aff3 = Field<39, 32, std::uint32_t>;
  using Interrupt_Routing_Mode = Flag<31>;
  using Aff2_0 = Field<23, 0, std::uint32_t>;  // Aff2, Aff1 and Aff0

  [[nodiscard]] constexpr std::uint32_t affinity() const noexcept { return get<Aff3>() << 24 | get<Aff2_0>(); }
  static constexpr GicdIrouter to(std::uint32_t affinity, bool any) noexcept {
    return GicdIrouter{}.with<Aff3>(affinity >> 24).with<Aff2_0>(affinity).with<Interrupt_Routing_Mode>(any);
  }
};

struct GicrCtlr : bits::Image<GicrCtlr> {
  using UWP = Flag<31>;
  using RWP = Flag<3>;
  using EnableLPIs = Flag<0>;
};

struct GicrTyper : bits::Image<GicrTyper> {
  using Affinity_Value = Field<63, 32, std::uint32_t>;
  using PPInum = Field<31, 27>;
  using CommonLPIAff = Field<25, 24>;
  using Processor_Number = Field<23, 8, unsigned>;
  using DPGS = Flag<5>;
  using Last = Flag<4>;
  using VLPIS = Flag<1>;
  using PLPIS = Flag<0>;
};

struct GicrWaker : bits::Image<GicrWaker> {
  using ChildrenAsleep = Flag<2>;
  using ProcessorSleep = Flag<1>;
};

enum class LrState : std::uint8_t { invalid, pending, active, pending_and_active };

struct IchLr : bits::Image<IchLr> {  // ICH_LR<n>_EL2
  using State = Field<63, 62, LrState>;
  using Pending = Flag<62>;
  using Active = Flag<63>;
  using HW = Flag<61>;  // deactivating the virtual interrupt deactivates pINTID too
  using Group = Flag<60>;
  using Priority = Field<55, 48, std::uint8_t>;
  using pINTID = Field<44, 32, std::uint16_t>;  // when HW == 1
  using EOI = Flag<41>;                         // when HW == 0: a maintenance interrupt on deactivation
  using CPUID = Field<34, 32, unsigned>;        // when HW == 0, for a GICv2 only (GICH_LR<n>): who sent the SGI
  using vINTID = Field<31, 0, std::uint32_t>;

  // As ICH_ELRSR_EL2 sees it: no interrupt, and no maintenance interrupt of one.
  [[nodiscard]] constexpr bool empty() const noexcept {
    return get<State>() == LrState::invalid && (get<HW>() || !get<EOI>());
  }
};

struct IchHcr : bits::Image<IchHcr> {  // ICH_HCR_EL2
  using EOIcount = Field<31, 27, unsigned>;
  using TDIR = Flag<14>;
  using TSEI = Flag<13>;
  using TALL1 = Flag<12>;
  using TALL0 = Flag<11>;
  using TC = Flag<10>;
  using VGrp1DIE = Flag<7>;
  using VGrp1EIE = Flag<6>;
  using VGrp0DIE = Flag<5>;
  using VGrp0EIE = Flag<4>;
  using NPIE = Flag<3>;
  using LRENPIE = Flag<2>;
  using UIE = Flag<1>;
  using En = Flag<0>;
};

struct IchMisr : bits::Image<IchMisr> {  // ICH_MISR_EL2
  using VGrp1D = Flag<7>;
  using VGrp1E = Flag<6>;
  using VGrp0D = Flag<5>;
  using VGrp0E = Flag<4>;
  using NP = Flag<3>;
  using LRENP = Flag<2>;
  using U = Flag<1>;
  using EOI = Flag<0>;
};

struct IchVmcr : bits::Image<IchVmcr> {  // ICH_VMCR_EL2
  using VPMR = Field<31, 24, std::uint8_t>;
  using VBPR0 = Field<23, 21, unsigned>;
  using VBPR1 = Field<20, 18, unsigned>;
  using VEOIM = Flag<9>;
  using VCBPR = Flag<4>;
  using VFIQEn = Flag<3>;
  using VAckCtl = Flag<2>;
  using VENG1 = Flag<1>;
  using VENG0 = Flag<0>;

  // The bits of a priority that preemption compares. [gicv3] "Priority grouping"
  [[nodiscard]] constexpr std::uint8_t group_priority_mask(bool group1) const noexcept {
    const unsigned low = group1 && !get<VCBPR>() ? get<VBPR1>() : get<VBPR0>() + 1;
    return static_cast<std::uint8_t>(0xFFU << low);
  }
};

struct IchVtr : bits::Image<IchVtr> {  // ICH_VTR_EL2
  using PRIbits = Field<31, 29, unsigned>;
  using PREbits = Field<28, 26, unsigned>;
  using IDbits = Field<25, 23>;
  using SEIS = Flag<22>;
  using A3V = Flag<21>;
  using nV4 = Flag<20>;
  using TDS = Flag<19>;  // ICH_HCR_EL2.TDIR is there
  using DVIM = Flag<18>;
  using ListRegs = Field<4, 0, unsigned>;

  [[nodiscard]] constexpr unsigned list_registers() const noexcept {
    const unsigned count = get<ListRegs>() + 1;
    return count < kMaxListRegisters ? count : kMaxListRegisters;
  }
  [[nodiscard]] constexpr unsigned priority_bits() const noexcept { return get<PRIbits>() + 1; }
  [[nodiscard]] constexpr unsigned preemption_bits() const noexcept { return get<PREbits>() + 1; }
  // How many ICH_AP0R<n>_EL2, and how many ICH_AP1R<n>_EL2: one bit per group priority. The others are UNDEFINED.
  [[nodiscard]] constexpr unsigned active_priority_registers() const noexcept {
    return preemption_bits() <= 5 ? 1U : 1U << (preemption_bits() - 5);
  }
};

}  // namespace arm_vcpu::gic
