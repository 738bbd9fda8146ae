// SPDX-License-Identifier: Apache-2.0
// Exception syndromes: ESR_EL2 and its ISS encodings. [armarm] "ESR_EL2, Exception Syndrome Register (EL2)".
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "arm_vcpu/arch/bits.hpp"

namespace arm_vcpu {

// Exception class. Values that the architecture reserves are representable and named by nobody.
enum class Ec : std::uint8_t {
#define VCPU_EC(value, name, meaning) name = value,
#include "arm_vcpu/arch/ec.def"
#undef VCPU_EC
};

enum class FaultKind : std::uint8_t {
  reserved,
  address_size,
  translation,
  access_flag,
  permission,
  external_abort,
  tag_check,
  parity,
  alignment,
  granule_protection,
  tlb_conflict,
  unsupported_hw_update,
  implementation_defined,
};

// Fault status code: IFSC or DFSC.
enum class Fsc : std::uint8_t {
#define VCPU_FSC(value, name, kind, level, meaning) name = value,
#include "arm_vcpu/arch/fsc.def"
#undef VCPU_FSC
};

// Empty for a reserved value.
[[nodiscard]] std::string_view name_of(Ec ec) noexcept;
[[nodiscard]] std::string_view meaning_of(Ec ec) noexcept;
[[nodiscard]] std::string_view meaning_of(Fsc fsc) noexcept;

struct FaultStatus {
  FaultKind kind{};
  std::optional<int> level;  // of the table walk, -1 to 3
};

[[nodiscard]] constexpr FaultStatus fault_status(Fsc fsc) noexcept {
  switch (fsc) {
#define VCPU_FSC(value, name, kind, level, meaning) \
  case Fsc::name: return {FaultKind::kind, (level) == 9 ? std::nullopt : std::optional<int>{level}};
#include "arm_vcpu/arch/fsc.def"
#undef VCPU_FSC
  }
  return {};
}

// The kind alone is one load: the exit path wants no more.
inline constexpr std::array<FaultKind, 64> kFaultKinds = [] {
  std::array<FaultKind, 64> kinds{};
#define VCPU_FSC(value, name, kind, level, meaning) kinds[value] = FaultKind::kind;
#include "arm_vcpu/arch/fsc.def"
#undef VCPU_FSC
  return kinds;
}();
[[nodiscard]] constexpr FaultKind fault_kind(Fsc fsc) noexcept {
  return kFaultKinds[static_cast<unsigned>(fsc) % kFaultKinds.size()];
}

struct Esr : bits::Image<Esr> {
  using ISS2 = Field<55, 32>;
  using EC = Field<31, 26, Ec>;
  using IL = Flag<25>;  // 1: the trapped instruction is 32 bits long
  using ISS = Field<24, 0, std::uint32_t>;
};

// [armarm] "ISS encoding for an exception from a Data Abort"
struct DataAbortIss : bits::Image<DataAbortIss> {
  using ISV = Flag<24>;  // 1: SAS, SSE, SRT, SF and AR describe the access
  using SAS = Field<23, 22, std::uint8_t>;
  using SSE = Flag<21>;
  using SRT = Field<20, 16, std::uint8_t>;
  using SF = Flag<15>;
  using AR = Flag<14>;
  using VNCR = Flag<13>;
  using SET = Field<12, 11, std::uint8_t>;
  using FnV = Flag<10>;  // 1: FAR is not valid
  using EA = Flag<9>;
  using CM = Flag<8>;
  using S1PTW = Flag<7>;
  using WnR = Flag<6>;
  using DFSC = Field<5, 0, Fsc>;
};

// [armarm] "ISS encoding for an exception from an Instruction Abort"
struct InstructionAbortIss : bits::Image<InstructionAbortIss> {
  using SET = Field<12, 11, std::uint8_t>;
  using FnV = Flag<10>;
  using EA = Flag<9>;
  using S1PTW = Flag<7>;
  using IFSC = Field<5, 0, Fsc>;
};

// [armarm] "ISS encoding for an exception from HVC or SVC instruction execution" and "... SMC instruction execution in
// AArch64 state"
struct CallIss : bits::Image<CallIss> {
  using imm16 = Field<15, 0, std::uint16_t>;
};

// [armarm] "ISS encoding for an exception from a WF* instruction"
struct WfxIss : bits::Image<WfxIss> {
  using CV = Flag<24>;
  using COND = Field<23, 20, std::uint8_t>;
  using RN = Field<9, 5, std::uint8_t>;
  using RV = Flag<2>;
  using TI = Field<1, 0, std::uint8_t>;  // 0 WFI, 1 WFE, 2 WFIT, 3 WFET
};

// [armarm] "ISS encoding for an exception from an MCR or MRC access", of EC 0x03
struct Cp15Iss : bits::Image<Cp15Iss> {
  using CV = Flag<24>;
  using COND = Field<23, 20, std::uint8_t>;
  using Opc2 = Field<19, 17, std::uint8_t>;
  using Opc1 = Field<16, 14, std::uint8_t>;
  using CRn = Field<13, 10, std::uint8_t>;
  using Rt = Field<9, 5, std::uint8_t>;
  using CRm = Field<4, 1, std::uint8_t>;
  using Direction = Flag<0>;  // 1: read (MRC)
};

// [armarm] "ISS encoding for an exception from an MCRR or MRRC access", of EC 0x04
struct Cp15PairIss : bits::Image<Cp15PairIss> {
  using CV = Flag<24>;
  using COND = Field<23, 20, std::uint8_t>;
  using Opc1 = Field<19, 16, std::uint8_t>;
  using Rt2 = Field<14, 10, std::uint8_t>;
  using Rt = Field<9, 5, std::uint8_t>;
  using CRm = Field<4, 1, std::uint8_t>;
  using Direction = Flag<0>;  // 1: read (MRRC)
};

// [armarm] "ISS encoding for an exception from MSR, MRS, or System instruction execution in AArch64 state"
struct SysRegIss : bits::Image<SysRegIss> {
  using Op0 = Field<21, 20, std::uint8_t>;
  using Op2 = Field<19, 17, std::uint8_t>;
  using Op1 = Field<16, 14, std::uint8_t>;
  using CRn = Field<13, 10, std::uint8_t>;
  using Rt = Field<9, 5, std::uint8_t>;
  using CRm = Field<4, 1, std::uint8_t>;
  using Direction = Flag<0>;  // 1: read (MRS)
};

// HPFAR_EL2. [armarm] "HPFAR_EL2, Hypervisor IPA Fault Address Register"
struct Hpfar : bits::Image<Hpfar> {
  using NS = Flag<63>;
  using FIPA = Field<47, 4>;  // bits 55:12 of the IPA
};

// The IPA of a stage-2 fault: the page from HPFAR_EL2, the offset in the page from FAR_EL2. On a stage-1 table walk FAR
// holds the address being translated, not the descriptor's, so only the page is known.
[[nodiscard]] constexpr std::uint64_t fault_ipa(Hpfar hpfar, std::uint64_t far, bool on_table_walk) noexcept {
  const std::uint64_t page = (hpfar.raw & Hpfar::FIPA::kMask) << (12 - Hpfar::FIPA::kLo);
  return on_table_walk ? page : page | (far & 0xFFF);
}

}  // namespace arm_vcpu
