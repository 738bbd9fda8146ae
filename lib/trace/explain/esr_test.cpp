// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "arm_vcpu/text.hpp"
#include "arm_vcpu/trace/explain.hpp"

namespace arm_vcpu::explain {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string esr(std::uint64_t value, bool all = false) {
  std::array<char, 8192> storage{};
  TextBuffer out{storage};
  append_esr(out, value, all);
  EXPECT_FALSE(out.truncated());
  return std::string{out.view()};
}

constexpr std::uint64_t of(Ec ec, std::uint64_t iss) {
  return static_cast<std::uint64_t>(ec) << 26 | 1U << 25 | iss;
}

TEST(ExplainEsr, EveryClassHasItsSyndrome) {
  for (unsigned ec = 0; ec < 64; ++ec) {
    const std::string text = esr(std::uint64_t{ec} << 26 | 1U << 25);
    const bool known = !meaning_of(Ec{static_cast<std::uint8_t>(ec)}).empty();
    EXPECT_THAT(text, HasSubstr(known ? std::string{meaning_of(Ec{static_cast<std::uint8_t>(ec)})} : "reserved"));
    const Register iss = iss_encoding(Ec{static_cast<std::uint8_t>(ec)});
    EXPECT_EQ(iss.bits(), 25U) << iss.name();
    if (known && Ec{static_cast<std::uint8_t>(ec)} != Ec::profiling) {
      EXPECT_NE(iss.name(), "ISS_RAW") << ec;
    }
    if (!known) {
      EXPECT_EQ(iss.name(), "ISS_RAW") << ec;
    }
  }
}

TEST(ExplainEsr, NoSyndromeOverflowsOrIsEmpty) {
  for (unsigned ec = 0; ec < 64; ++ec) {
    for (std::uint64_t iss = 1; iss < 1U << 25; iss = iss * 3 + 1) {
      EXPECT_FALSE(esr(std::uint64_t{ec} << 26 | iss, true).empty());
    }
  }
}

TEST(ExplainEsr, AllFaultStatusCodes) {
  unsigned reserved = 0;
  for (unsigned fsc = 0; fsc < 64; ++fsc) {
    const std::string_view text = fault_status_text(static_cast<std::uint8_t>(fsc));
    EXPECT_FALSE(text.empty());
    if (text == "reserved") ++reserved;
    EXPECT_THAT(esr(of(Ec::data_abort_lower, fsc)), HasSubstr(std::string{text}));
  }
  // 0x19, 0x20, 0x2D-0x2F, 0x32, 0x33, 0x36-0x3C, 0x3F
  EXPECT_EQ(reserved, 15U);
  EXPECT_EQ(fault_status_text(0x07), "translation fault, level 3");
  EXPECT_EQ(fault_status_text(0x2B), "translation fault, level -1");
}

TEST(ExplainEsr, MmioStore) {
  // STR W3, [X1] to an unmapped IPA, as a PL011 write exits.
  const std::string text = esr(0x9383'0046);
  EXPECT_THAT(text, HasSubstr("ESR_EL2 = 0x93830046: EC 0x24, data abort from a lower Exception level\n"));
  EXPECT_THAT(text, HasSubstr("  ISV[24] = 1"));
  EXPECT_THAT(text, HasSubstr("  SAS[23:22] = 2: access size: 4 bytes\n"));
  EXPECT_THAT(text, HasSubstr("  SRT[20:16] = 3: register transferred: X3\n"));
  EXPECT_THAT(text, HasSubstr("  DFSC[5:0] = 6: translation fault, level 2\n"));
  EXPECT_THAT(text, HasSubstr("a store of 4 bytes from W3\n"));
  EXPECT_THAT(text, HasSubstr("HPFAR_EL2 is valid"));
  EXPECT_THAT(text, Not(HasSubstr("!")));
}

TEST(ExplainEsr, LoadsInAllForms) {
  EXPECT_THAT(esr(of(Ec::data_abort_lower, 0x1E0'8007 | 5U << 16)),
              HasSubstr("a load of 8 bytes to X5, sign-extended\n"));
  EXPECT_THAT(esr(of(Ec::data_abort_lower, 0x100'0007 | 31U << 16)), HasSubstr("a load of 1 byte to WZR\n"));
  EXPECT_THAT(esr(of(Ec::data_abort_lower, 0x100'4007)), HasSubstr("a load-acquire of 1 byte to W0\n"));
  EXPECT_THAT(esr(of(Ec::data_abort_lower, 0x47)), HasSubstr("does not describe (ISV is 0)"));
}

TEST(ExplainEsr, WhichAddressesHold) {
  EXPECT_THAT(esr(of(Ec::data_abort_lower, 0x0F)), HasSubstr("HPFAR_EL2 is UNKNOWN for a permission fault"));
  EXPECT_THAT(esr(of(Ec::data_abort_lower, 0x8F)), HasSubstr("the page of the stage-1 descriptor"));
  EXPECT_THAT(esr(of(Ec::data_abort_lower, 0x410)), HasSubstr("FAR_EL2 is not valid"));
  EXPECT_THAT(esr(of(Ec::data_abort_lower, 0x10)), HasSubstr("HPFAR_EL2 is not valid"));
  EXPECT_THAT(esr(of(Ec::data_abort_same, 0x07)), Not(HasSubstr("HPFAR")));
}

TEST(ExplainEsr, SystemRegisterTraps) {
  // MSR ICC_SGI1R_EL1, X2
  const std::string text = esr(of(Ec::sysreg, 0x3A'3016 | 2U << 5));
  EXPECT_THAT(text, HasSubstr("a write of ICC_SGI1R_EL1 from X2\n"));
  EXPECT_THAT(text, HasSubstr("trapped by HCR_EL2.IMO or HCR_EL2.FMO\n"));
  // MRS X0, ID_AA64MMFR0_EL1, and DC CISW, X4
  EXPECT_THAT(esr(of(Ec::sysreg, 3U << 20 | 7U << 1 | 1)), HasSubstr("a read of ID_AA64MMFR0_EL1 to X0\n"));
  EXPECT_THAT(esr(of(Ec::sysreg, 1U << 20 | 2U << 17 | 7U << 10 | 4U << 5 | 14U << 1)),
              HasSubstr("the instruction DC CISW with X4\n"));
}

TEST(ExplainEsr, Calls) {
  EXPECT_THAT(esr(of(Ec::hvc64, 0)), HasSubstr("behind the HVC"));
  EXPECT_THAT(esr(of(Ec::smc64, 0)), HasSubstr("address of the SMC: add 4"));
  EXPECT_THAT(esr(of(Ec::wfx, 0)), HasSubstr("HCR_EL2.TWI"));
  EXPECT_THAT(esr(of(Ec::wfx, 1)), HasSubstr("HCR_EL2.TWE"));
  EXPECT_THAT(esr(of(Ec::brk64, 0x3E8)), HasSubstr("BRK #0x3e8"));
}

TEST(ExplainEsr, SErrors) {
  EXPECT_THAT(esr(of(Ec::serror, 0x11 | 3U << 10)),
              HasSubstr("AET[12:10] = 3: error type, when DFSC is 0x11: recoverable"));
  EXPECT_THAT(esr(of(Ec::serror, 1U << 24 | 0x1234)), HasSubstr("IMPLEMENTATION DEFINED[23:0] = 0x1234"));
  EXPECT_THAT(esr(of(Ec::serror, 1U << 24 | 0x1234)), Not(HasSubstr("AET")));
}

TEST(ExplainEsr, SecondSyndromeOfDataAborts) {
  const std::string text = esr(std::uint64_t{1} << 38 | of(Ec::data_abort_lower, 0x0F));
  EXPECT_THAT(text, HasSubstr("Overlay[6] = 1"));
  EXPECT_THAT(esr(of(Ec::data_abort_lower, 0x0F)), Not(HasSubstr("ISS2")));
}

}  // namespace
}  // namespace arm_vcpu::explain
