// SPDX-License-Identifier: Apache-2.0
#include "features.hpp"

#include <array>

#include "arm_vcpu/arch/id_registers.hpp"
#include "opcode.hpp"

namespace arm_vcpu::diag {
namespace {

constexpr Feature kPmu{"performance monitors (FEAT_PMUv3)", sysreg::ID_AA64DFR0_EL1, "PMUVer", "MDCR_EL2.TPM"};
constexpr Feature kSpe{"statistical profiling (FEAT_SPE)", sysreg::ID_AA64DFR0_EL1, "PMSVer", "MDCR_EL2.TPMS"};
constexpr Feature kTrace{"trace unit", sysreg::ID_AA64DFR0_EL1, "TraceVer", "CPTR_EL2.TTA"};
constexpr Feature kTraceFilter{"trace filter (FEAT_TRF)", sysreg::ID_AA64DFR0_EL1, "TraceFilt", "MDCR_EL2.TTRF"};
constexpr Feature kTraceBuffer{"trace buffer (FEAT_TRBE)", sysreg::ID_AA64DFR0_EL1, "TraceBuffer", "MDCR_EL2.E2TB"};
constexpr Feature kDebug{"self-hosted debug", sysreg::ID_AA64DFR0_EL1, "DebugVer", "MDCR_EL2.TDA"};
constexpr Feature kRas{"RAS error records (FEAT_RAS)", sysreg::ID_AA64PFR0_EL1, "RAS", "HCR_EL2.TERR"};
constexpr Feature kSve{"SVE (FEAT_SVE)", sysreg::ID_AA64PFR0_EL1, "SVE", "CPTR_EL2.TZ"};
constexpr Feature kFp{"floating point", sysreg::ID_AA64PFR0_EL1, "FP", "CPTR_EL2.TFP"};
constexpr Feature kGic{"GIC system registers", sysreg::ID_AA64PFR0_EL1, "GIC", "ICC_SRE_EL2.Enable, ICH_HCR_EL2"};
constexpr Feature kAmu{"activity monitors (FEAT_AMU)", sysreg::ID_AA64PFR0_EL1, "AMU", "CPTR_EL2.TAM"};
constexpr Feature kMpam{"MPAM (FEAT_MPAM)", sysreg::ID_AA64PFR0_EL1, "MPAM", "MPAM2_EL2.TRAPMPAM1EL1"};
constexpr Feature kScxtnum{"SCXTNUM (FEAT_CSV2_2)", sysreg::ID_AA64PFR0_EL1, "CSV2", "HCR_EL2.EnSCXT"};
constexpr Feature kEl2{"virtualization (EL2)", sysreg::ID_AA64PFR0_EL1, "EL2", "EL1 has no EL2 registers"};
constexpr Feature kSme{"SME (FEAT_SME)", sysreg::ID_AA64PFR1_EL1, "SME", "CPTR_EL2.TSM"};
constexpr Feature kMte{"memory tagging (FEAT_MTE)", sysreg::ID_AA64PFR1_EL1, "MTE", "HCR_EL2.ATA, TID5"};
constexpr Feature kGcs{"guarded control stacks (FEAT_GCS)", sysreg::ID_AA64PFR1_EL1, "GCS", "HCRX_EL2.GCSEn"};
constexpr Feature kFpmr{"FP8 (FPMR)", sysreg::ID_AA64PFR2_EL1, "FPMR", "HCRX_EL2.EnFPM"};
constexpr Feature kRndr{"random numbers (FEAT_RNG)", sysreg::ID_AA64ISAR0_EL1, "RNDR", "SCR_EL3.TRNDR"};
constexpr Feature kTme{"transactions (FEAT_TME)", sysreg::ID_AA64ISAR0_EL1, "TME", "HCR_EL2.TME"};
constexpr Feature kPauth{"pointer authentication (FEAT_PAuth)", sysreg::ID_AA64ISAR1_EL1, "APA", "HCR_EL2.API, APK"};
constexpr Feature kLs64{"64-byte accesses (FEAT_LS64)", sysreg::ID_AA64ISAR1_EL1, "LS64", "HCRX_EL2.EnALS"};
constexpr Feature kWfxt{"WFIT and WFET (FEAT_WFxT)", sysreg::ID_AA64ISAR2_EL1, "WFxT", "HCR_EL2.TWI"};
constexpr Feature kMops{"memory copy instructions (FEAT_MOPS)", sysreg::ID_AA64ISAR2_EL1, "MOPS", "HCRX_EL2.MSCEn"};
constexpr Feature kLor{"limited ordering regions (FEAT_LOR)", sysreg::ID_AA64MMFR1_EL1, "LO", "HCR_EL2.TLOR"};
constexpr Feature kTcr2{"TCR2_EL1 (FEAT_TCR2)", sysreg::ID_AA64MMFR3_EL1, "TCRX", "HCRX_EL2.TCR2En"};
constexpr Feature kSctlr2{"SCTLR2_EL1 (FEAT_SCTLR2)", sysreg::ID_AA64MMFR3_EL1, "SCTLRX", "HCRX_EL2.SCTLR2En"};
constexpr Feature kPie{"permission indirection (FEAT_S1PIE)", sysreg::ID_AA64MMFR3_EL1, "S1PIE", "HFGRTR_EL2.nPIR_EL1"};
constexpr Feature kPoe{"permission overlays (FEAT_S1POE)", sysreg::ID_AA64MMFR3_EL1, "S1POE", "HFGRTR_EL2.nPOR_EL1"};

struct NamedField {
  std::uint8_t index{};
  std::string_view field;
  std::uint8_t hi{}, lo{};
};

constexpr NamedField kNamedFields[] = {
#define VCPU_ID_REGISTER(name)
#define VCPU_ID_FIELD(name, field, hi, lo, policy, value) \
  {static_cast<std::uint8_t>(id_register_index(sysreg::name)), #field, hi, lo},
#include "arm_vcpu/arch/id_policy.def"
#undef VCPU_ID_REGISTER
#undef VCPU_ID_FIELD
};

std::optional<std::uint64_t> hardware_value(SysRegId id, const CpuIdentity& cpu) noexcept {
  if (id == sysreg::ID_AA64PFR0_EL1) return cpu.id_aa64pfr0_el1;
  if (id == sysreg::ID_AA64PFR1_EL1) return cpu.id_aa64pfr1_el1;
  if (id == sysreg::ID_AA64MMFR0_EL1) return cpu.id_aa64mmfr0_el1;
  if (id == sysreg::ID_AA64MMFR1_EL1) return cpu.id_aa64mmfr1_el1;
  if (id == sysreg::ID_AA64ISAR1_EL1) return cpu.id_aa64isar1_el1;
  if (id == sysreg::ID_AA64ISAR2_EL1) return cpu.id_aa64isar2_el1;
  if (id == sysreg::ID_AA64DFR0_EL1) return cpu.id_aa64dfr0_el1;
  return std::nullopt;
}

constexpr bool between(unsigned value, unsigned low, unsigned high) noexcept {
  return value >= low && value <= high;
}

const Feature* feature_of_debug(SysRegId id) noexcept {
  if (id.op1() == 1) return &kTrace;
  return &kDebug;
}

// op0 3, op1 0: the registers of EL1.
const Feature* feature_of_el1(SysRegId id) noexcept {
  switch (id.crn()) {
    case 1:
      if (id == sysreg::ZCR_EL1) return &kSve;
      if (id == sysreg::SMCR_EL1 || id == sysreg::SMPRI_EL1) return &kSme;
      if (id == sysreg::TRFCR_EL1) return &kTraceFilter;
      if (id == sysreg::SCTLR2_EL1) return &kSctlr2;
      return id == sysreg::RGSR_EL1 || id == sysreg::GCR_EL1 ? &kMte : nullptr;
    case 2:
      if (id == sysreg::TCR2_EL1) return &kTcr2;
      if (between(id.crm(), 1, 3)) return &kPauth;
      return id.crm() == 5 ? &kGcs : nullptr;
    case 4: return id.crm() == 6 ? &kGic : nullptr;
    case 5:
      if (id.crm() == 3 || id.crm() == 4 || id.crm() == 5) return &kRas;
      return id.crm() == 6 ? &kMte : nullptr;
    case 9:
      if (id.crm() == 9 || id.crm() == 10) return &kSpe;
      if (id.crm() == 11) return &kTraceBuffer;
      return id.crm() == 14 ? &kPmu : nullptr;
    case 10:
      if (id == sysreg::PIR_EL1 || id == sysreg::PIRE0_EL1 || id == sysreg::MAIR2_EL1 || id == sysreg::AMAIR2_EL1) {
        return &kPie;
      }
      if (id == sysreg::POR_EL1 || id == sysreg::S2POR_EL1) return &kPoe;
      if (id.crm() == 5 || id == sysreg::MPAMIDR_EL1) return &kMpam;
      return id.crm() == 4 ? &kLor : nullptr;
    case 12:
      if (id.crm() == 8 || id.crm() >= 9) return &kGic;
      return id == sysreg::DISR_EL1 ? &kRas : nullptr;
    case 13:
      if (id == sysreg::ACCDATA_EL1) return &kLs64;
      return id == sysreg::SCXTNUM_EL1 ? &kScxtnum : nullptr;
    default: return nullptr;
  }
}

// op0 3, op1 3: the registers of EL0.
const Feature* feature_of_el0(SysRegId id) noexcept {
  switch (id.crn()) {
    case 2: return id.crm() == 4 ? &kRndr : id.crm() == 5 ? &kGcs : nullptr;
    case 4:
      if (id == sysreg::SVCR) return &kSme;
      if (id == sysreg::FPMR) return &kFpmr;
      return id == sysreg::FPCR || id == sysreg::FPSR ? &kFp : nullptr;
    case 9: return between(id.crm(), 12, 14) ? &kPmu : nullptr;
    case 10: return &kPoe;
    case 13:
      if (id == sysreg::TPIDR2_EL0) return &kSme;
      if (id == sysreg::SCXTNUM_EL0) return &kScxtnum;
      return between(id.crm(), 2, 7) || id.crm() >= 12 ? &kAmu : nullptr;
    case 14: return id.crm() >= 8 ? &kPmu : nullptr;
    default: return nullptr;
  }
}

}  // namespace

const Feature* feature_of(SysRegId id) noexcept {
  if (id.op0() == 2) return feature_of_debug(id);
  if (id.op0() != 3) return nullptr;
  switch (id.op1()) {
    case 0: return feature_of_el1(id);
    case 3: return feature_of_el0(id);
    case 4:
    case 5: return &kEl2;
    default: return nullptr;
  }
}

const Feature* feature_of(Ec ec) noexcept {
  switch (ec) {
    case Ec::fp_access: return &kFp;
    case Ec::sve: return &kSve;
    case Ec::sme: return &kSme;
    case Ec::ls64: return &kLs64;
    case Ec::pauth_use: return &kPauth;
    case Ec::tstart: return &kTme;
    case Ec::memory_operation: return &kMops;
    case Ec::gcs: return &kGcs;
    default: return nullptr;
  }
}

const Feature* feature_of_opcode(std::uint32_t opcode) noexcept {
  if ((opcode & 0xFFFF'FFE0) == 0xD503'1020 || (opcode & 0xFFFF'FFE0) == 0xD503'1000) return &kWfxt;
  switch (classify(opcode)) {
    case OpcodeClass::sve: return &kSve;
    case OpcodeClass::sme: return &kSme;
    case OpcodeClass::fp_simd:
    case OpcodeClass::load_store_simd: return &kFp;
    case OpcodeClass::load_store_tag: return &kMte;
    case OpcodeClass::load_store_pauth: return &kPauth;
    case OpcodeClass::memory_copy: return &kMops;
    case OpcodeClass::system_register: return feature_of(sysreg_of(opcode));
    default: return nullptr;
  }
}

Visibility visibility_of(const Feature& feature, const Capabilities* capabilities) noexcept {
  for (const NamedField& row : kNamedFields) {
    if (row.index != id_register_index(feature.id) || row.field != feature.field) continue;
    // What the guest reads if the CPU has everything: 0 is hidden, whatever the CPU has. PARange-like limits do not
    // matter for these fields.
    const bool is_hidden = bits::extract(sanitise(feature.id, ~std::uint64_t{0}), row.hi, row.lo) == 0;
    if (is_hidden) return Visibility::hidden;
    if (capabilities == nullptr) return Visibility::unknown;
    // A CPU tells of its algorithm in one of three fields.
    if (&feature == &kPauth) return capabilities->pauth() ? Visibility::advertised : Visibility::hidden;
    const auto hardware = hardware_value(feature.id, capabilities->id);
    if (!hardware) return Visibility::unknown;
    const std::uint64_t value = bits::extract(sanitise(feature.id, *hardware), row.hi, row.lo);
    // FP is signed: 0 is present, 0b1111 is not.
    const bool absent = feature.field == "FP" ? value == 0xF : value == 0;
    return absent ? Visibility::hidden : Visibility::advertised;
  }
  return Visibility::hidden;  // what the policy does not show reads as 0
}

}  // namespace arm_vcpu::diag
