// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/arch/sysreg_id.hpp"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string>

#include "arm_vcpu/text.hpp"

namespace arm_vcpu {
namespace {

std::string text_of(SysRegId id) {
  std::array<char, 64> storage{};
  TextBuffer out{storage};
  append(out, id);
  return std::string{out.view()};
}

static_assert(SysRegId{3, 0, 12, 11, 5}.iss() == 0x003A'3016);
static_assert(sysreg::ICC_SGI1R_EL1 == SysRegId{3, 0, 12, 11, 5});
static_assert(SysRegId{3, 7, 15, 15, 7}.iss() == 0x003F'FC1E, "every field at its place and no bit outside");
static_assert(SysRegId{}.iss() == 0);
static_assert(SysRegId{3, 3, 14, 2, 1} != SysRegId{3, 3, 14, 3, 1});
static_assert(SysRegId{2, 0, 0, 0, 0} < SysRegId{3, 0, 0, 0, 0});
static_assert(SysRegId{4, 8, 16, 16, 8} == SysRegId{}, "excess bits are dropped");

TEST(SysRegId, FromIssDropsEverythingButTheEncoding) {
  const auto iss =
      SysRegIss::from(sysreg::CNTP_CVAL_EL0.iss()).with<SysRegIss::Rt>(31).with<SysRegIss::Direction>(true);
  EXPECT_EQ(SysRegId::from_iss(iss), sysreg::CNTP_CVAL_EL0);
  EXPECT_EQ(SysRegId::from_iss(SysRegIss::from(iss.raw | 0xFFFF'FFFF'FFC0'0000)), sysreg::CNTP_CVAL_EL0);
}

TEST(SysRegId, EveryEncodingRoundTrips) {
  for (unsigned op0 = 0; op0 < 4; ++op0) {
    for (unsigned op1 = 0; op1 < 8; ++op1) {
      for (unsigned crn = 0; crn < 16; ++crn) {
        for (unsigned crm = 0; crm < 16; ++crm) {
          for (unsigned op2 = 0; op2 < 8; ++op2) {
            const SysRegId id{op0, op1, crn, crm, op2};
            ASSERT_TRUE(id.op0() == op0 && id.op1() == op1 && id.crn() == crn && id.crm() == crm && id.op2() == op2);
            ASSERT_EQ(SysRegId::from_iss(SysRegIss::from(id.iss())), id);
          }
        }
      }
    }
  }
}

struct Row {
  std::string_view name;
  SysRegId id;
};
constexpr Row kTable[] = {
#define VCPU_SYSREG(name, ...) {#name, SysRegId{__VA_ARGS__}},
#define VCPU_SYSINSN(mnemonic, operand, ...) {#mnemonic " " #operand, SysRegId{__VA_ARGS__}},
#include "arm_vcpu/arch/sysreg_names.def"
#undef VCPU_SYSREG
#undef VCPU_SYSINSN
};

TEST(SysRegId, TableNamesAndEncodingsAreUnique) {
  std::set<std::string_view> names;
  std::set<SysRegId> ids;
  for (const Row& row : kTable) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_TRUE(ids.insert(row.id).second) << row.name;
    EXPECT_EQ(name_of(row.id), row.name);
    EXPECT_EQ(text_of(row.id), row.name);
    // MRS and MSR (register) reach op0 2 and 3 only; SYS is op0 1.
    EXPECT_EQ(row.id.op0() == 1, row.name.find(' ') != std::string_view::npos) << row.name;
  }
}

TEST(SysRegId, NamesThatTheManualGives) {
  EXPECT_EQ(name_of(SysRegId(3, 0, 12, 12, 7)), "ICC_IGRPEN1_EL1");
  EXPECT_EQ(name_of(SysRegId(3, 3, 14, 2, 1)), "CNTP_CTL_EL0");
  EXPECT_EQ(name_of(SysRegId(2, 0, 1, 0, 4)), "OSLAR_EL1");
  EXPECT_EQ(name_of(SysRegId(2, 0, 0, 15, 6)), "DBGWVR15_EL1");
  EXPECT_EQ(name_of(SysRegId(3, 3, 14, 11, 6)), "PMEVCNTR30_EL0");
  EXPECT_EQ(name_of(SysRegId(1, 0, 7, 14, 2)), "DC CISW");
  EXPECT_EQ(name_of(SysRegId(3, 0, 0, 7, 2)), "ID_AA64MMFR2_EL1");
}

TEST(SysRegId, UnnamedOnesPrintInTheAssemblersForm) {
  EXPECT_EQ(name_of(SysRegId(3, 0, 0, 6, 7)), "");
  EXPECT_EQ(text_of(SysRegId(3, 0, 0, 6, 7)), "S3_0_C0_C6_7");
  EXPECT_EQ(text_of(SysRegId(3, 1, 15, 2, 0)), "S3_1_C15_C2_0");
  EXPECT_EQ(text_of(SysRegId(1, 7, 11, 15, 7)), "S1_7_C11_C15_7");
}

TEST(SysRegId, WholeSyndromeIdentifiesTheRegister) {
  // ESR_EL2 of "msr icc_sgi1r_el1, x5".
  EXPECT_EQ(SysRegId::from_iss(SysRegIss::from(0x623A'30B6)), sysreg::ICC_SGI1R_EL1);
}

}  // namespace
}  // namespace arm_vcpu
