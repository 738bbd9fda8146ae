// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "arm_vcpu/text.hpp"
#include "arm_vcpu/trace/explain_calls.hpp"

namespace arm_vcpu::explain {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string call(std::uint64_t id) {
  std::array<char, 4096> storage{};
  TextBuffer out{storage};
  append_call(out, FunctionId::from_x0(id));
  EXPECT_FALSE(out.truncated());
  return std::string{out.view()};
}

void expect_explained(PsciFunction function, const char* name, bool smc32, unsigned arguments) {
  EXPECT_FALSE(purpose_of(function).empty()) << name;
  for (unsigned i = 0; i < arguments; ++i) EXPECT_FALSE(argument_of(function, i).meaning.empty()) << name;
  EXPECT_TRUE(argument_of(function, arguments).name.empty()) << name;
  const std::string text = call(psci_id(function, !smc32).raw);
  EXPECT_THAT(text, HasSubstr(name));
  EXPECT_THAT(text, Not(HasSubstr("!")));
}

// psci.def and psci_meaning.def tell of the same functions and arguments.
TEST(Calls, EveryPsciFunctionIsExplained) {
#define VCPU_PSCI(name, number, smc32, smc64, major, minor, arguments) \
  expect_explained(PsciFunction::name, #name, smc32, arguments);
#include "arm_vcpu/arch/psci.def"
#undef VCPU_PSCI
}

TEST(Calls, CpuOn) {
  const std::string text = call(0x8400'0003);
  EXPECT_THAT(text, HasSubstr("0x84000003: CPU_ON\n"));
  EXPECT_THAT(text, HasSubstr("range: PSCI\n"));
  EXPECT_THAT(text, HasSubstr("PSCI 0.2 and later; as SMC32 and SMC64\n"));
  EXPECT_THAT(text, HasSubstr("W1 target_cpu: MPIDR affinity"));
  EXPECT_THAT(text, HasSubstr("answers -4: ALREADY_ON\n"));
  EXPECT_THAT(text, HasSubstr("conduit: HVC or SMC"));
  EXPECT_THAT(call(0xC400'0003), HasSubstr("X2 entry_point_address"));
}

TEST(Calls, WithValues) {
  std::array<char, 4096> storage{};
  TextBuffer out{storage};
  append_call(out, FunctionId::from(0xC400'0003), 1, 0x4008'0000, 7);
  EXPECT_THAT(std::string{out.view()}, HasSubstr("X2 entry_point_address = 0x40080000: where it starts"));
  out.clear();
  append_call(out, FunctionId::from(0x8400'0003), 0xFFFF'FFFF'0000'0001, 0, 0);
  EXPECT_THAT(std::string{out.view()}, HasSubstr("W1 target_cpu = 0x1:")) << "SMC32 arguments are 32 bits";
}

TEST(Calls, WrongConvention) {
  EXPECT_THAT(call(0xC400'0000), HasSubstr("! it does not exist as SMC64"));
  EXPECT_THAT(call(0x8400'001F), HasSubstr("no function has this number"));
}

TEST(Calls, RangesOfUnknownIds) {
  const std::pair<std::uint32_t, const char*> rows[] = {
      {0x0000'0000, "from before the convention"},
      {0x3200'0000, "Trusted OS yielding"},
      {0x8000'0001, "Arm Architecture"},
      {0x8100'0000, "CPU service"},
      {0x8200'0000, "SiP"},
      {0x8300'0000, "OEM"},
      {0x8400'0000, "PSCI"},
      {0x8400'0020, "SDEI"},
      {0x8400'0041, "MM"},
      {0x8400'0050, "TRNG"},
      {0x8400'0063, "FF-A"},
      {0x8400'00F0, "errata"},
      {0xC400'0150, "RMI and RSI"},
      {0xC500'0020, "PV time"},
      {0x8600'FF01, "vendor-specific hypervisor"},
      {0xB000'0000, "Trusted Application"},
      {0xB200'0000, "Trusted OS"},
      {0x9000'0000, "reserved"},
  };
  for (const auto& [id, range] : rows) {
    EXPECT_THAT(std::string{range_of(FunctionId::from(id))}, HasSubstr(range)) << std::hex << id;
    EXPECT_FALSE(call(id).empty());
  }
  EXPECT_THAT(call(0x8602'0000), HasSubstr("! bits 23:17 must be 0"));
}

TEST(Calls, Answers) {
  EXPECT_THAT(std::string{answer_of(PsciFunction::AFFINITY_INFO, 1)}, HasSubstr("OFF"));
  EXPECT_EQ(answer_of(PsciFunction::SYSTEM_OFF, -3), "DENIED");
  EXPECT_EQ(answer_of(PsciFunction::CPU_ON, 99), "");
}

}  // namespace
}  // namespace arm_vcpu::explain
