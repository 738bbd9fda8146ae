// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/arch/smccc.hpp"

#include <gtest/gtest.h>

namespace arm_vcpu {
namespace {

static_assert(psci_id(PsciFunction::CPU_ON).raw == 0x8400'0003);
static_assert(psci_id(PsciFunction::CPU_ON, true).raw == 0xC400'0003);
static_assert(FunctionId::from_x0(0xDEAD'BEEF'8400'0000) == psci_id(PsciFunction::PSCI_VERSION));
static_assert(interface_version(1, 1) == 0x10001);
static_assert(smccc::SMCCC_VERSION.get<FunctionId::Owner>() == CallOwner::arm_architecture);

TEST(FunctionId, PsciRangeIsThirtyTwoNumbersInBothConventions) {
  for (const std::uint64_t base : {0x8400'0000ULL, 0xC400'0000ULL}) {
    EXPECT_TRUE(is_psci_call(FunctionId::from(base)));
    EXPECT_TRUE(is_psci_call(FunctionId::from(base + 0x1F)));
    EXPECT_FALSE(is_psci_call(FunctionId::from(base + 0x20)));  // SDEI
    EXPECT_FALSE(is_psci_call(FunctionId::from(base + 0x50)));  // TRNG
    EXPECT_FALSE(is_psci_call(FunctionId::from(base + 0x1'0000))) << "bits 23:16 must be zero";
  }
  EXPECT_FALSE(is_psci_call(FunctionId::from(0x0400'0000))) << "a yielding call";
  EXPECT_FALSE(is_psci_call(FunctionId::from(0x8500'0000)));
  EXPECT_FALSE(is_psci_call(FunctionId::from(0x8600'0000)));
}

TEST(FunctionId, ArchRange) {
  EXPECT_TRUE(is_arch_call(FunctionId::from(0x8000'0000)));
  EXPECT_TRUE(is_arch_call(FunctionId::from(0x8000'FFFF)));
  EXPECT_TRUE(is_arch_call(FunctionId::from(0xC000'0002)));
  EXPECT_FALSE(is_arch_call(FunctionId::from(0)));
  EXPECT_FALSE(is_arch_call(FunctionId::from(0x4000'0000)));
  EXPECT_FALSE(is_arch_call(FunctionId::from(0x8100'0000)));
}

struct PsciRow {
  std::string_view name;
  unsigned number;
  bool smc32;
  bool smc64;
  unsigned major;
  unsigned minor;
};
constexpr PsciRow kPsciTable[] = {
#define VCPU_PSCI(name, number, smc32, smc64, major, minor, arguments) {#name, number, smc32, smc64, major, minor},
#include "arm_vcpu/arch/psci.def"
#undef VCPU_PSCI
};

TEST(PsciTable, NumbersAscendWithoutGaps) {
  unsigned next = 0;
  for (const PsciRow& row : kPsciTable) EXPECT_EQ(row.number, next++) << row.name;
}

TEST(PsciTable, ExistenceFollowsConventionAndVersion) {
  for (const PsciRow& row : kPsciTable) {
    for (const bool smc64 : {false, true}) {
      const FunctionId id = psci_id(static_cast<PsciFunction>(row.number), smc64);
      const bool exists = smc64 ? row.smc64 : row.smc32;
      EXPECT_EQ(is_psci_function(id, row.major, row.minor), exists) << row.name;
      EXPECT_EQ(is_psci_function(id, 2, 0), exists) << row.name;
      EXPECT_FALSE(is_psci_function(id, 0, 1)) << row.name;
      EXPECT_EQ(name_of(id), exists ? row.name : "") << row.name;
    }
  }
  EXPECT_FALSE(is_psci_function(psci_id(PsciFunction::SYSTEM_OFF2), 1, 1));
  EXPECT_TRUE(is_psci_function(psci_id(PsciFunction::SYSTEM_OFF2), 1, 3));
  EXPECT_FALSE(is_psci_function(FunctionId::from(0x8400'001F), 1, 3));
}

TEST(FunctionId, Names) {
  EXPECT_EQ(name_of(FunctionId::from(0x8400'0008)), "SYSTEM_OFF");
  EXPECT_EQ(name_of(FunctionId::from(0xC400'0008)), "") << "SYSTEM_OFF has no SMC64 form";
  EXPECT_EQ(name_of(FunctionId::from(0x8000'0001)), "SMCCC_ARCH_FEATURES");
  EXPECT_EQ(name_of(FunctionId::from(0xC000'0002)), "SMCCC_ARCH_SOC_ID");
  EXPECT_EQ(name_of(FunctionId::from(0x8000'8000)), "SMCCC_ARCH_WORKAROUND_1");
  EXPECT_EQ(name_of(FunctionId::from(0x8000'7FFF)), "SMCCC_ARCH_WORKAROUND_2");
  EXPECT_EQ(name_of(FunctionId::from(0x8000'3FFF)), "SMCCC_ARCH_WORKAROUND_3");
  EXPECT_EQ(name_of(FunctionId::from(0x8000'1234)), "");
  EXPECT_EQ(name_of(FunctionId::from(0)), "");
}

TEST(FunctionId, OwnersAndStatusNames) {
  EXPECT_EQ(name_of(CallOwner::standard_secure_service), "standard secure service");
  EXPECT_EQ(name_of(CallOwner{48}), "trusted application");
  EXPECT_EQ(name_of(CallOwner{63}), "trusted OS");
  EXPECT_EQ(name_of(CallOwner{7}), "");
  EXPECT_EQ(name_of(CallOwner{47}), "");
  EXPECT_EQ(name_of(PsciStatus::INVALID_ADDRESS), "INVALID_ADDRESS");
  EXPECT_EQ(static_cast<int>(PsciStatus::INVALID_ADDRESS), -9);
  EXPECT_EQ(name_of(PsciStatus{-10}), "");
}

}  // namespace
}  // namespace arm_vcpu
