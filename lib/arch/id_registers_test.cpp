// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/arch/id_registers.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "arm_vcpu/text.hpp"

namespace arm_vcpu {
namespace {

constexpr std::uint64_t kOnes = ~std::uint64_t{0};

static_assert(is_id_register(sysreg::ID_PFR0_EL1));
static_assert(is_id_register(SysRegId{3, 0, 0, 7, 7}), "reserved encodings are in the group");
static_assert(!is_id_register(sysreg::MIDR_EL1) && !is_id_register(sysreg::MPIDR_EL1));
static_assert(!is_id_register(SysRegId{3, 0, 0, 8, 0}) && !is_id_register(SysRegId{3, 1, 0, 1, 0}));
static_assert(!is_id_register(SysRegId{2, 0, 0, 4, 0}) && !is_id_register(SysRegId{3, 0, 1, 4, 0}));
static_assert(sanitise(sysreg::ID_AA64PFR0_EL1, 0x1201'0011'2111'0222) == 0x1201'0000'0111'0012);

TEST(IdRegisters, IndexIsABijection) {
  for (unsigned i = 0; i < kIdRegisterCount; ++i) {
    EXPECT_TRUE(is_id_register(id_register_at(i)));
    EXPECT_EQ(id_register_index(id_register_at(i)), i);
  }
  EXPECT_EQ(id_register_at(0), sysreg::ID_PFR0_EL1);
  EXPECT_EQ(id_register_at(48), sysreg::ID_AA64MMFR0_EL1);
}

// Each row alone: every value of the field in, the policy's value out, and no other bit.
TEST(IdRegisters, EveryRowFollowsItsPolicy) {
  for (const IdField& field : kIdFields) {
    const SysRegId id = id_register_at(field.index);
    for (std::uint64_t in = 0; in <= bits::extract(kOnes, field.hi, field.lo); ++in) {
      std::uint64_t out = 0;
      switch (field.policy) {
        case IdPolicy::keep: out = in; break;
        case IdPolicy::hide: break;
        case IdPolicy::cap:
        case IdPolicy::cap_gic: out = std::min<std::uint64_t>(in, field.value); break;
        case IdPolicy::cap_pa_range: out = std::min<std::uint64_t>(in, 5); break;
        case IdPolicy::cap_pmu: break;  // a VM without performance monitors
        case IdPolicy::keep_with_sve: break;
        case IdPolicy::cap_mte: break;
      }
      EXPECT_EQ(sanitise(id, in << field.lo), out << field.lo) << name_of(id) << " bit " << int{field.lo};
      if (field.policy == IdPolicy::keep_with_sve) out = in;
      EXPECT_EQ(sanitise(id, in << field.lo, {.sve = true}), out << field.lo)
          << name_of(id) << " bit " << int{field.lo};
      if (field.policy == IdPolicy::cap_mte) out = std::min<std::uint64_t>(in, field.value);
      if (field.policy == IdPolicy::keep_with_sve) out = 0;
      EXPECT_EQ(sanitise(id, in << field.lo, {.mte = true}), out << field.lo)
          << name_of(id) << " bit " << int{field.lo};
    }
  }
}

TEST(IdRegisters, TagsAreShownWhereTheVmHasThem) {
  // MTE_frac 15 says of MTE 2 that no fault is asynchronous.
  EXPECT_EQ(sanitise(sysreg::ID_AA64PFR1_EL1, 0xF00'0000'0221, {.mte = true}), 0xF00'0000'0221U);
  EXPECT_EQ(sanitise(sysreg::ID_AA64PFR1_EL1, 0xF00'0000'0221), 0x21U);
  EXPECT_EQ(sanitise(sysreg::ID_AA64PFR1_EL1, 0x0010'0000'0000'0421, {.mte = true}), 0x321U)
      << "what comes after MTE3 has state that is not switched";
}

TEST(IdRegisters, SveIsShownWhereTheVmHasIt) {
  EXPECT_EQ(sanitise(sysreg::ID_AA64PFR0_EL1, 0x1'0011'0012, {.sve = true}), 0x1'0011'0012U);
  EXPECT_EQ(sanitise(sysreg::ID_AA64ZFR0_EL1, 0x0110'1101'0011'0021, {.sve = true}), 0x0110'1101'0011'0021U);
  EXPECT_EQ(sanitise(sysreg::ID_AA64PFR0_EL1, 0x0'0011'0012, {.sve = true}), 0x11'0012U)
      << "not where the CPU lacks it";
}

TEST(IdRegisters, AGicV2ShowsNoSystemRegisters) {
  EXPECT_EQ(sanitise(sysreg::ID_AA64PFR0_EL1, 0x0300'0011, {.gic_system_registers = false}), 0x11U);
  EXPECT_EQ(sanitise(sysreg::ID_PFR1_EL1, 0x3001'0000, {.gic_system_registers = false}), 0x1'0000U);
  EXPECT_EQ(sanitise(sysreg::ID_AA64PFR0_EL1, 0x0300'0011), 0x0100'0011U);
}

TEST(IdRegisters, BitsWithoutARowAreHidden) {
  for (unsigned i = 0; i < kIdRegisterCount; ++i) {
    std::uint64_t described = 0;
    for (const IdField& field : kIdFields) {
      if (field.index == i) described |= bits::mask(field.hi, field.lo);
    }
    const SysRegId id = id_register_at(i);
    EXPECT_EQ(sanitise(id, ~described), 0U) << name_of(id);
    EXPECT_EQ(sanitise(id, kOnes) & ~described, 0U) << name_of(id);
    EXPECT_EQ(sanitise(id, 0), 0U) << "nothing is invented";
    if (i < 24) {
      EXPECT_EQ(sanitise(id, kOnes) >> 32, 0U) << "AArch32 registers have 32 bits";
    }
    if (name_of(id).empty()) {
      EXPECT_EQ(sanitise(id, kOnes), 0U) << "reserved encodings read as 0";
    }
  }
}

TEST(IdRegisters, OutsideTheGroupNothingShows) {
  EXPECT_EQ(sanitise(sysreg::MIDR_EL1, kOnes), 0U);
  EXPECT_EQ(sanitise(sysreg::CTR_EL0, kOnes), 0U);
  EXPECT_EQ(sanitise(SysRegId(3, 1, 0, 4, 0), kOnes), 0U);
}

// Written down apart from the table: what must never show, whatever the CPU has.
TEST(IdRegisters, HiddenFeatures) {
  struct {
    SysRegId id;
    unsigned lo;
    const char* name;
  } const rows[] = {
      {sysreg::ID_AA64PFR0_EL1, 8, "EL2"},
      {sysreg::ID_AA64PFR0_EL1, 12, "EL3"},
      {sysreg::ID_AA64PFR0_EL1, 28, "RAS"},
      {sysreg::ID_AA64PFR0_EL1, 32, "SVE"},
      {sysreg::ID_AA64PFR0_EL1, 36, "SEL2"},
      {sysreg::ID_AA64PFR0_EL1, 40, "MPAM"},
      {sysreg::ID_AA64PFR0_EL1, 44, "AMU"},
      {sysreg::ID_AA64PFR0_EL1, 52, "RME"},
      {sysreg::ID_AA64PFR1_EL1, 8, "MTE"},
      {sysreg::ID_AA64PFR1_EL1, 12, "RAS_frac"},
      {sysreg::ID_AA64PFR1_EL1, 24, "SME"},
      {sysreg::ID_AA64PFR1_EL1, 36, "NMI"},
      {sysreg::ID_AA64PFR1_EL1, 44, "GCS"},
      {sysreg::ID_AA64PFR1_EL1, 48, "THE"},
      {sysreg::ID_AA64DFR0_EL1, 4, "TraceVer"},
      {sysreg::ID_AA64DFR0_EL1, 8, "PMUVer"},
      {sysreg::ID_AA64DFR0_EL1, 32, "PMSVer"},
      {sysreg::ID_AA64DFR0_EL1, 40, "TraceFilt"},
      {sysreg::ID_AA64DFR0_EL1, 44, "TraceBuffer"},
      {sysreg::ID_AA64DFR0_EL1, 52, "BRBE"},
      {sysreg::ID_AA64ISAR0_EL1, 24, "TME"},
      {sysreg::ID_AA64ISAR1_EL1, 60, "LS64"},
      {sysreg::ID_AA64ISAR2_EL1, 16, "MOPS"},
      {sysreg::ID_AA64ISAR2_EL1, 32, "SYSREG_128"},
      {sysreg::ID_AA64ISAR2_EL1, 36, "SYSINSTR_128"},
      {sysreg::ID_AA64MMFR0_EL1, 32, "TGran16_2"},
      {sysreg::ID_AA64MMFR0_EL1, 36, "TGran64_2"},
      {sysreg::ID_AA64MMFR0_EL1, 40, "TGran4_2"},
      {sysreg::ID_AA64MMFR0_EL1, 56, "FGT"},
      {sysreg::ID_AA64MMFR1_EL1, 8, "VH"},
      {sysreg::ID_AA64MMFR1_EL1, 16, "LO"},
      {sysreg::ID_AA64MMFR1_EL1, 24, "SpecSEI"},
      {sysreg::ID_AA64MMFR1_EL1, 32, "TWED"},
      {sysreg::ID_AA64MMFR1_EL1, 40, "HCX"},
      {sysreg::ID_AA64MMFR2_EL1, 12, "IESB"},
      {sysreg::ID_AA64MMFR2_EL1, 24, "NV"},
      {sysreg::ID_AA64MMFR2_EL1, 40, "FWB"},
      {sysreg::ID_AA64MMFR2_EL1, 56, "EVT"},
      {sysreg::ID_PFR0_EL1, 20, "AMU"},
      {sysreg::ID_PFR0_EL1, 28, "RAS"},
      {sysreg::ID_PFR1_EL1, 12, "Virtualization"},
      {sysreg::ID_DFR0_EL1, 24, "PerfMon"},
      {sysreg::ID_DFR0_EL1, 28, "TraceFilt"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(bits::extract(sanitise(row.id, kOnes), row.lo + 3, row.lo), 0U) << row.name;
  }
  for (const SysRegId id :
       {sysreg::ID_AA64ZFR0_EL1, sysreg::ID_AA64SMFR0_EL1, sysreg::ID_AA64FPFR0_EL1, sysreg::ID_AA64PFR2_EL1,
        sysreg::ID_AA64DFR1_EL1, sysreg::ID_AA64DFR2_EL1, sysreg::ID_AA64AFR0_EL1, sysreg::ID_AA64AFR1_EL1,
        sysreg::ID_AA64MMFR3_EL1, sysreg::ID_AA64MMFR4_EL1, sysreg::ID_AFR0_EL1, sysreg::ID_DFR1_EL1}) {
    EXPECT_EQ(sanitise(id, kOnes), 0U) << name_of(id);
  }
}

TEST(IdRegisters, NotImplementedStaysSoInSignedFields) {
  // FP and AdvSIMD, TGran4 and TGran64, DoubleLock: 0xF stands for "not implemented".
  EXPECT_EQ(sanitise(sysreg::ID_AA64PFR0_EL1, 0xFF'0000), 0xFF'0000U);
  EXPECT_EQ(sanitise(sysreg::ID_AA64MMFR0_EL1, 0xFF00'0000), 0xFF00'0000U);
  EXPECT_EQ(sanitise(sysreg::ID_AA64DFR0_EL1, 0xF0'0000'0000), 0xF0'0000'0000U);
}

TEST(IdRegisters, PaRangeFollowsTheVm) {
  struct {
    unsigned ipa_bits;
    std::uint64_t expected;
  } const rows[] = {{0, 0},  {31, 0}, {32, 0}, {35, 0}, {36, 1}, {39, 1}, {40, 2},
                    {42, 3}, {43, 3}, {44, 4}, {47, 4}, {48, 5}, {52, 5}, {56, 5}};
  for (const auto& row : rows) {
    EXPECT_EQ(pa_range_within(row.ipa_bits), row.expected) << row.ipa_bits;
    EXPECT_EQ(sanitise(sysreg::ID_AA64MMFR0_EL1, 0x7, {.ipa_bits = row.ipa_bits}), row.expected);
  }
  EXPECT_EQ(sanitise(sysreg::ID_AA64MMFR0_EL1, 0x2, {.ipa_bits = 48}), 2U) << "not more than the CPU has";
}

// Registers of real models (QEMU 7.2), as the CPU has them and as a guest sees them. Not listed: 0 in both.
struct Golden {
  SysRegId id;
  std::uint64_t hardware;
  std::uint64_t guest;
};

constexpr Golden kMax[] = {
    {sysreg::ID_PFR0_EL1, 0x1102'0131, 0x0102'0131},
    {sysreg::ID_PFR1_EL1, 0x1001'1001, 0x1001'0001},
    {sysreg::ID_DFR0_EL1, 0x0601'0009, 0x0000'0009},
    {sysreg::ID_MMFR0_EL1, 0x1010'1105, 0x1010'1105},
    {sysreg::ID_MMFR1_EL1, 0x4000'0000, 0x4000'0000},
    {sysreg::ID_MMFR2_EL1, 0x0126'0000, 0x0126'0000},
    {sysreg::ID_MMFR3_EL1, 0x0212'2211, 0x0212'2211},
    {sysreg::ID_ISAR0_EL1, 0x0210'1110, 0x0210'1110},
    {sysreg::ID_ISAR1_EL1, 0x1311'2111, 0x1311'2111},
    {sysreg::ID_ISAR2_EL1, 0x2123'2042, 0x2123'2042},
    {sysreg::ID_ISAR3_EL1, 0x0111'2131, 0x0111'2131},
    {sysreg::ID_ISAR4_EL1, 0x0001'1142, 0x0001'1142},
    {sysreg::ID_ISAR5_EL1, 0x1101'1121, 0x1101'1121},
    {sysreg::ID_MMFR4_EL1, 0x0001'1110, 0x0001'1110},
    {sysreg::ID_ISAR6_EL1, 0x0111'1111, 0x0111'1111},
    {sysreg::MVFR0_EL1, 0x1011'0222, 0x1011'0222},
    {sysreg::MVFR1_EL1, 0x1321'1111, 0x1321'1111},
    {sysreg::MVFR2_EL1, 0x0000'0043, 0x0000'0043},
    {sysreg::ID_PFR2_EL1, 0x0000'0011, 0x0000'0011},
    {sysreg::ID_MMFR5_EL1, 0x0000'0001, 0x0000'0001},
    {sysreg::ID_AA64PFR0_EL1, 0x1201'0011'2111'0222, 0x1201'0000'0111'0012},
    {sysreg::ID_AA64PFR1_EL1, 0x0000'0000'0100'0021, 0x0000'0000'0000'0021},
    {sysreg::ID_AA64ZFR0_EL1, 0x0110'1101'0011'0021, 0},
    {sysreg::ID_AA64SMFR0_EL1, 0x80F1'00FD'0000'0000, 0},
    {sysreg::ID_AA64DFR0_EL1, 0x0000'0000'1030'5609, 0x0000'0000'1030'5009},
    {sysreg::ID_AA64ISAR0_EL1, 0x1221'1111'1021'2120, 0x1221'1111'1021'2120},
    {sysreg::ID_AA64ISAR1_EL1, 0x0011'1111'1021'1102, 0x0011'1111'1021'1102},
    {sysreg::ID_AA64MMFR0_EL1, 0x0000'0323'1020'1126, 0x0000'0000'1020'0125},
    {sysreg::ID_AA64MMFR1_EL1, 0x0000'0110'1021'1122, 0x0000'0010'1020'1022},
    {sysreg::ID_AA64MMFR2_EL1, 0x1021'0110'1001'1011, 0x1021'0010'1001'0011},
};
constexpr Golden kCortexA57[] = {
    {sysreg::ID_PFR0_EL1, 0x0000'0131, 0x0000'0131},      {sysreg::ID_PFR1_EL1, 0x1001'1001, 0x1001'0001},
    {sysreg::ID_DFR0_EL1, 0x0301'0006, 0x0000'0006},      {sysreg::ID_AA64PFR0_EL1, 0x0100'0222, 0x0100'0012},
    {sysreg::ID_AA64DFR0_EL1, 0x1030'5106, 0x1030'5006},  {sysreg::ID_AA64ISAR0_EL1, 0x0001'1120, 0x0001'1120},
    {sysreg::ID_AA64MMFR0_EL1, 0x0000'1124, 0x0000'0124},
};
constexpr Golden kNeoverseN1[] = {
    {sysreg::ID_PFR0_EL1, 0x1001'0131, 0x0001'0131},
    {sysreg::ID_PFR1_EL1, 0x1001'0000, 0x1001'0000},
    {sysreg::ID_DFR0_EL1, 0x0401'0008, 0x0000'0008},
    {sysreg::ID_MMFR4_EL1, 0x0002'1110, 0x0002'1110},
    {sysreg::ID_AA64PFR0_EL1, 0x1100'0000'1111'0112, 0x1100'0000'0111'0012},
    {sysreg::ID_AA64PFR1_EL1, 0x0000'0020, 0x0000'0020},
    {sysreg::ID_AA64DFR0_EL1, 0x1030'5408, 0x1030'5008},
    {sysreg::ID_AA64ISAR0_EL1, 0x0000'1000'1021'1120, 0x0000'1000'1021'1120},
    {sysreg::ID_AA64ISAR1_EL1, 0x0010'0001, 0x0010'0001},
    {sysreg::ID_AA64MMFR0_EL1, 0x0010'1125, 0x0010'0125},
    {sysreg::ID_AA64MMFR1_EL1, 0x1021'2122, 0x1020'2022},
    {sysreg::ID_AA64MMFR2_EL1, 0x0000'1011, 0x0000'0011},
};

template <std::size_t N>
void check(const Golden (&rows)[N]) {
  for (const Golden& row : rows) {
    EXPECT_EQ(sanitise(row.id, row.hardware), row.guest) << name_of(row.id);
    EXPECT_EQ(sanitise(row.id, row.guest), row.guest) << name_of(row.id) << ": a second pass changes nothing";
  }
}

TEST(IdRegisters, PerformanceMonitorsWhereTheVmHasThem) {
  struct Case {
    std::uint64_t cpu, shown;
  };
  constexpr GuestIdLimits kWithPmu{.pmu = true};
  // 15 is IMPLEMENTATION DEFINED: nothing that could be switched. 9 has registers that are not.
  for (const Case& c : {Case{0, 0}, Case{1, 1}, Case{6, 6}, Case{8, 8}, Case{9, 8}, Case{15, 0}}) {
    EXPECT_EQ(bits::extract(sanitise(sysreg::ID_AA64DFR0_EL1, c.cpu << 8, kWithPmu), 11, 8), c.shown) << c.cpu;
    EXPECT_EQ(bits::extract(sanitise(sysreg::ID_DFR0_EL1, c.cpu << 24, kWithPmu), 27, 24), c.shown) << c.cpu;
    EXPECT_EQ(sanitise(sysreg::ID_AA64DFR0_EL1, c.cpu << 8), 0U) << c.cpu;
  }
}

TEST(IdRegisters, GoldenMax) {
  check(kMax);
}
TEST(IdRegisters, GoldenCortexA57) {
  check(kCortexA57);
}
TEST(IdRegisters, GoldenNeoverseN1) {
  check(kNeoverseN1);
}

std::string fields_of(SysRegId id, std::uint64_t value) {
  std::array<char, 256> storage{};
  TextBuffer out{storage};
  append_id_fields(out, id, value);
  return std::string{out.view()};
}

TEST(IdRegisters, FieldsAsText) {
  EXPECT_EQ(fields_of(sysreg::ID_AA64PFR0_EL1, 0x1101'0000'0111'0012),
            "EL0=2 EL1=1 FP=1 AdvSIMD=1 GIC=1 DIT=1 CSV2=1 CSV3=1");
  EXPECT_EQ(fields_of(sysreg::ID_AA64PFR0_EL1, 0), "");
  EXPECT_EQ(fields_of(sysreg::ID_AA64ISAR0_EL1, 0x12), "AES=1 other=0x2");
  EXPECT_EQ(fields_of(sysreg::MIDR_EL1, 0x410F'D0C0), "other=0x410fd0c0");
}

}  // namespace
}  // namespace arm_vcpu
