// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string>

#include "arm_vcpu/text.hpp"
#include "arm_vcpu/trace/explain_sysreg.hpp"

namespace arm_vcpu::explain {
namespace {

using testing::HasSubstr;

unsigned key(SysRegId id) {
  return id.op0() << 14 | id.op1() << 11 | id.crn() << 7 | id.crm() << 3 | id.op2();
}

std::string described(SysRegId id) {
  std::array<char, 2048> storage{};
  TextBuffer out{storage};
  append_sysreg(out, id);
  EXPECT_FALSE(out.truncated());
  return std::string{out.view()};
}

TEST(Encodings, TableIsSortedAndNamesAreUnique) {
  std::set<std::string_view> names;
  unsigned last = 0;
  for (const Encoding& row : encodings()) {
    EXPECT_GE(key(row.id), last) << row.name;
    last = key(row.id);
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_TRUE(row.readable || row.writable) << row.name;
  }
  EXPECT_GT(names.size(), 1400U);
}

void expect_name(SysRegId id, std::string_view name) {
  const Encoding* read = find_encoding(id, true);
  const Encoding* write = find_encoding(id, false);
  ASSERT_NE(read, nullptr) << name;
  EXPECT_TRUE(read->name == name || write->name == name) << name << " is " << read->name;
}

// The library's own names and LLVM's are the same, for every encoding that the library names.
TEST(Encodings, AgreeWithTheLibrarysNames) {
#define VCPU_SYSREG(name, op0, op1, crn, crm, op2) expect_name(SysRegId{op0, op1, crn, crm, op2}, #name);
#define VCPU_SYSINSN(mnemonic, operand, op0, op1, crn, crm, op2) \
  expect_name(SysRegId{op0, op1, crn, crm, op2}, #mnemonic " " #operand);
#include "arm_vcpu/arch/sysreg_names.def"
#undef VCPU_SYSREG
#undef VCPU_SYSINSN
}

TEST(Encodings, ReadsAndWritesMayDiffer) {
  const SysRegId dtr{2, 3, 0, 5, 0};
  EXPECT_EQ(find_encoding(dtr, true)->name, "DBGDTRRX_EL0");
  EXPECT_EQ(find_encoding(dtr, false)->name, "DBGDTRTX_EL0");
  EXPECT_EQ(find_encoding(sysreg::ICC_IAR1_EL1, false)->name, "ICC_IAR1_EL1") << "the only name there is";
  EXPECT_EQ(find_encoding(SysRegId(3, 7, 15, 15, 7), true), nullptr);
  EXPECT_EQ(find_encoding(SysRegId(0, 0, 0, 0, 0), true), nullptr);
}

TEST(Encodings, FoundByNameAndByForm) {
  EXPECT_EQ(find_encoding("sctlr_el1")->id, sysreg::SCTLR_EL1);
  EXPECT_EQ(find_encoding("dc cisw")->id, sysreg::DC_CISW);
  EXPECT_EQ(find_encoding("DC_CISW")->id, sysreg::DC_CISW);
  EXPECT_EQ(find_encoding("nothing"), nullptr);
  EXPECT_EQ(parse_generic("S3_0_C12_C11_5"), sysreg::ICC_SGI1R_EL1);
  EXPECT_EQ(parse_generic("s3_0_c12_c11_5"), sysreg::ICC_SGI1R_EL1);
  for (const char* bad : {"", "S3_0_C12_C11", "S3_0_C12_C11_8", "S3_0_C16_C0_0", "S4_0_C0_C0_0", "S3_8_C0_C0_0",
                          "S3_0_C12_C11_5x", "T3_0_C12_C11_5", "S3_0_C_C11_5"}) {
    EXPECT_FALSE(parse_generic(bad)) << bad;
  }
}

TEST(Encodings, EveryEncodingSurvivesItsGenericForm) {
  for (const Encoding& row : encodings()) {
    std::array<char, 32> storage{};
    TextBuffer out{storage};
    append_generic(out, row.id);
    EXPECT_EQ(parse_generic(out.view()), row.id) << out.view();
  }
}

TEST(Encodings, Described) {
  const std::string text = described(sysreg::ICC_SGI1R_EL1);
  EXPECT_THAT(text, HasSubstr("S3_0_C12_C11_5: op0 3, op1 0, CRn 12, CRm 11, op2 5"));
  EXPECT_THAT(text, HasSubstr("ICC_SGI1R_EL1: register, write only"));
  EXPECT_THAT(text, HasSubstr("writes are trapped by HCR_EL2.IMO or HCR_EL2.FMO"));
  EXPECT_THAT(described(sysreg::SCTLR_EL1), HasSubstr("writes are trapped by HCR_EL2.TVM"));
  EXPECT_THAT(described(sysreg::SCTLR_EL1), HasSubstr("reads are trapped by HCR_EL2.TRVM"));
  EXPECT_THAT(described(sysreg::DC_CISW), HasSubstr("executions are trapped by HCR_EL2.TSW"));
  EXPECT_THAT(described(SysRegId(3, 0, 15, 1, 0)), HasSubstr("IMPLEMENTATION DEFINED"));
  EXPECT_THAT(described(SysRegId(3, 0, 15, 1, 0)), HasSubstr("HCR_EL2.TIDCP"));
  EXPECT_THAT(described(SysRegId(3, 4, 1, 1, 0)), HasSubstr("HCR_EL2: register, read and write"));
  EXPECT_THAT(described(SysRegId(3, 4, 1, 1, 0)), HasSubstr("HCR_EL2.NV"));
}

// Every row of the traps covers something that exists, and goes the way that the register can be accessed.
TEST(Traps, RowsNameRealRegisters) {
  for (const Trap& trap : traps()) {
    EXPECT_LE(trap.crm_first, trap.crm_last) << trap.control;
    EXPECT_LE(trap.op2_first, trap.op2_last) << trap.control;
    EXPECT_TRUE(trap.reads || trap.writes) << trap.control;
    if (trap.control == "HCR_EL2.TIDCP") continue;
    bool any = false;
    for (const Encoding& row : encodings()) {
      any = any || (trap.covers(row.id, true) && row.readable) || (trap.covers(row.id, false) && row.writable);
    }
    EXPECT_TRUE(any) << trap.control << " " << unsigned{trap.op0} << unsigned{trap.op1} << " c" << unsigned{trap.crn}
                     << " c" << unsigned{trap.crm_first};
  }
}

}  // namespace
}  // namespace arm_vcpu::explain
