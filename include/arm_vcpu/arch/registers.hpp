// SPDX-License-Identifier: Apache-2.0
// Images of the registers that a hypervisor programs. Field names as in [armarm], each under the register's title
// there.
#pragma once

#include <cstdint>

#include "arm_vcpu/arch/bits.hpp"

namespace arm_vcpu {

// HCR_EL2, Hypervisor Configuration Register
struct Hcr : bits::Image<Hcr> {
  using VM = Flag<0>;
  using SWIO = Flag<1>;
  using PTW = Flag<2>;
  using FMO = Flag<3>;
  using IMO = Flag<4>;
  using AMO = Flag<5>;
  using VF = Flag<6>;
  using VI = Flag<7>;
  using VSE = Flag<8>;
  using FB = Flag<9>;
  using BSU = Field<11, 10>;
  using DC = Flag<12>;
  using TWI = Flag<13>;
  using TWE = Flag<14>;
  using TID0 = Flag<15>;
  using TID1 = Flag<16>;
  using TID2 = Flag<17>;
  using TID3 = Flag<18>;
  using TSC = Flag<19>;
  using TIDCP = Flag<20>;
  using TACR = Flag<21>;
  using TSW = Flag<22>;
  using TPCP = Flag<23>;
  using TPU = Flag<24>;
  using TTLB = Flag<25>;
  using TVM = Flag<26>;
  using TGE = Flag<27>;
  using TDZ = Flag<28>;
  using HCD = Flag<29>;
  using TRVM = Flag<30>;
  using RW = Flag<31>;
  using CD = Flag<32>;
  using ID = Flag<33>;
  using E2H = Flag<34>;
  using TLOR = Flag<35>;
  using TERR = Flag<36>;
  using TEA = Flag<37>;
  using APK = Flag<40>;
  using API = Flag<41>;
  using FIEN = Flag<47>;
  using EnSCXT = Flag<53>;
  using ATA = Flag<56>;
  using TID5 = Flag<58>;
};

// SPSR_EL2, Saved Program Status Register, as taken from AArch64 state
struct Spsr : bits::Image<Spsr> {
  using M = Field<3, 0, std::uint8_t>;  // 0b0000 EL0t, 0b0100 EL1t, 0b0101 EL1h, 0b1000 EL2t, 0b1001 EL2h
  using nRW = Flag<4>;                  // M[4]: AArch32 state
  using F = Flag<6>;
  using I = Flag<7>;
  using A = Flag<8>;
  using D = Flag<9>;
  using BTYPE = Field<11, 10, std::uint8_t>;
  using SSBS = Flag<12>;
  using ALLINT = Flag<13>;
  using IL = Flag<20>;
  using SS = Flag<21>;
  using PAN = Flag<22>;
  using UAO = Flag<23>;
  using DIT = Flag<24>;
  using TCO = Flag<25>;
  using NZCV = Field<31, 28, std::uint8_t>;
};

inline constexpr std::uint8_t kModeEl0t = 0b0000;
inline constexpr std::uint8_t kModeEl1t = 0b0100;
inline constexpr std::uint8_t kModeEl1h = 0b0101;

// SCTLR_EL1, System Control Register
struct SctlrEl1 : bits::Image<SctlrEl1> {
  using M = Flag<0>;
  using A = Flag<1>;
  using C = Flag<2>;
  using SA = Flag<3>;
  using I = Flag<12>;
  using WXN = Flag<19>;
  using SPAN = Flag<23>;
  using E0E = Flag<24>;
  using EE = Flag<25>;
  using DSSBS = Flag<44>;

  // RES1 where the features that define the bits are absent; the MMU and the caches are off.
  static constexpr std::uint64_t kReset = 0x30D0'0800;
};

// CPTR_EL2, Architectural Feature Trap Register, with HCR_EL2.E2H == 0
struct Cptr : bits::Image<Cptr> {
  using TZ = Flag<8>;
  using TFP = Flag<10>;
  using TSM = Flag<12>;
  using TTA = Flag<20>;
  using TAM = Flag<30>;
  using TCPAC = Flag<31>;

  static constexpr std::uint64_t kRes1 = 0x22FF;  // TZ, TSM included: RES1 without SVE and SME, traps with them
};

// MDCR_EL2, Monitor Debug Configuration Register
struct Mdcr : bits::Image<Mdcr> {
  using HPMN = Field<4, 0>;
  using TPMCR = Flag<5>;
  using TPM = Flag<6>;
  using HPME = Flag<7>;
  using TDE = Flag<8>;
  using TDA = Flag<9>;
  using TDOSA = Flag<10>;
  using TDRA = Flag<11>;
  using E2PB = Field<13, 12>;
  using TPMS = Flag<14>;
  using HPMD = Flag<17>;
  using TTRF = Flag<19>;
  using HCCD = Flag<23>;
  using E2TB = Field<25, 24>;
};

// CNTHCTL_EL2, Counter-timer Hypervisor Control Register, with HCR_EL2.E2H == 0
struct Cnthctl : bits::Image<Cnthctl> {
  using EL1PCTEN = Flag<0>;  // 1: CNTPCT_EL0 is not trapped
  using EL1PCEN = Flag<1>;   // 1: CNTP_{CTL,CVAL,TVAL}_EL0 are not trapped
};

// ID_AA64MMFR0_EL1, AArch64 Memory Model Feature Register 0
struct IdAa64Mmfr0 : bits::Image<IdAa64Mmfr0> {
  using PARange = Field<3, 0, std::uint8_t>;
  using ASIDBits = Field<7, 4, std::uint8_t>;
  using TGran16 = Field<23, 20, std::uint8_t>;
  using TGran64 = Field<27, 24, std::uint8_t>;
  using TGran4 = Field<31, 28, std::uint8_t>;
  using TGran16_2 = Field<35, 32, std::uint8_t>;
  using TGran64_2 = Field<39, 36, std::uint8_t>;
  using TGran4_2 = Field<43, 40, std::uint8_t>;
  using FGT = Field<59, 56, std::uint8_t>;
};

// ID_AA64MMFR1_EL1, AArch64 Memory Model Feature Register 1
struct IdAa64Mmfr1 : bits::Image<IdAa64Mmfr1> {
  using VMIDBits = Field<7, 4, std::uint8_t>;
  using VH = Field<11, 8, std::uint8_t>;
  using PAN = Field<23, 20, std::uint8_t>;
};

// ID_AA64PFR0_EL1, AArch64 Processor Feature Register 0
struct IdAa64Pfr0 : bits::Image<IdAa64Pfr0> {
  using EL0 = Field<3, 0, std::uint8_t>;
  using EL1 = Field<7, 4, std::uint8_t>;
  using EL2 = Field<11, 8, std::uint8_t>;
  using EL3 = Field<15, 12, std::uint8_t>;
  using FP = Field<19, 16, std::uint8_t>;
  using AdvSIMD = Field<23, 20, std::uint8_t>;
  using GIC = Field<27, 24, std::uint8_t>;
  using RAS = Field<31, 28, std::uint8_t>;
  using SVE = Field<35, 32, std::uint8_t>;
  using CSV2 = Field<59, 56, std::uint8_t>;
};

// ID_AA64PFR1_EL1, AArch64 Processor Feature Register 1
struct IdAa64Pfr1 : bits::Image<IdAa64Pfr1> {
  using BT = Field<3, 0, std::uint8_t>;
  using SSBS = Field<7, 4, std::uint8_t>;
  using MTE = Field<11, 8, std::uint8_t>;
  using SME = Field<27, 24, std::uint8_t>;
  using CSV2_frac = Field<35, 32, std::uint8_t>;
};

// ID_AA64ISAR1_EL1, AArch64 Instruction Set Attribute Register 1
struct IdAa64Isar1 : bits::Image<IdAa64Isar1> {
  using APA = Field<7, 4, std::uint8_t>;
  using API = Field<11, 8, std::uint8_t>;
  using GPA = Field<27, 24, std::uint8_t>;
  using GPI = Field<31, 28, std::uint8_t>;
};

// ID_AA64ISAR2_EL1, AArch64 Instruction Set Attribute Register 2
struct IdAa64Isar2 : bits::Image<IdAa64Isar2> {
  using GPA3 = Field<11, 8, std::uint8_t>;
  using APA3 = Field<15, 12, std::uint8_t>;
};

// ID_AA64DFR0_EL1, AArch64 Debug Feature Register 0
struct IdAa64Dfr0 : bits::Image<IdAa64Dfr0> {
  using PMUVer = Field<11, 8, std::uint8_t>;
  using BRPs = Field<15, 12, std::uint8_t>;
  using WRPs = Field<23, 20, std::uint8_t>;
  using PMSVer = Field<35, 32, std::uint8_t>;
  using DoubleLock = Field<39, 36, std::uint8_t>;
  using TraceFilt = Field<43, 40, std::uint8_t>;
};

// ICH_VTR_EL2, Interrupt Controller VGIC Type Register. [gicv3]
struct IchVtr : bits::Image<IchVtr> {
  using ListRegs = Field<4, 0, std::uint8_t>;  // number of list registers, minus one
  using SEIS = Flag<22>;
  using IDbits = Field<25, 23, std::uint8_t>;
  using PREbits = Field<28, 26, std::uint8_t>;  // minus one
  using PRIbits = Field<31, 29, std::uint8_t>;  // minus one
};

// MPIDR_EL1: what names a CPU. Bits 31 (RES1), 30 (U) and 24 (MT) are not part of the affinity.
inline constexpr std::uint64_t kMpidrAffinityMask = 0xFF'00FF'FFFF;
inline constexpr std::uint64_t kMpidrRes1 = std::uint64_t{1} << 31;

// Physical address bits that ID_AA64MMFR0_EL1.PARange stands for; 0 for a reserved value.
[[nodiscard]] constexpr unsigned pa_bits_of(std::uint8_t parange) noexcept {
  constexpr unsigned kBits[] = {32, 36, 40, 42, 44, 48, 52, 56};
  return parange < sizeof kBits / sizeof kBits[0] ? kBits[parange] : 0;
}

}  // namespace arm_vcpu
