// SPDX-License-Identifier: Apache-2.0
// What a vCPU needs of the CPU, and what is said when it is missing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "arm_vcpu/per_cpu.hpp"
#include "arm_vcpu/text.hpp"
#include "vcpu/fake_hw.hpp"

namespace arm_vcpu {
namespace {

using ::testing::ElementsAre;

struct SupportCase {
  const char* name;
  void (*change)(CpuIdentity&);
  Requirements wanted;
  Error expected;
};

class Support : public ::testing::TestWithParam<SupportCase> {};

TEST_P(Support, IsAnErrorThatSaysWhatIsMissing) {
  CpuIdentity id = fake::Cpu::supported_cpu();
  ASSERT_TRUE(check_hardware_support({id}, Requirements{.ipa_bits = 44}));
  GetParam().change(id);
  const Result<> result = check_hardware_support({id}, GetParam().wanted);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, GetParam().expected.code);
  EXPECT_EQ(result.error().asked, GetParam().expected.asked);
  EXPECT_EQ(result.error().has, GetParam().expected.has);
  char storage[512];
  TextBuffer line{storage};
  append(line, result.error());
  EXPECT_FALSE(line.truncated());
  EXPECT_NE(line.view().find(describe(result.error().code).fix), std::string_view::npos) << line.view();
}

INSTANTIATE_TEST_SUITE_P(
    All, Support,
    ::testing::Values(
        SupportCase{"at_el1", [](CpuIdentity& id) { id.current_el = 1; }, {}, {Errc::not_at_el2, 2, 1}},
        SupportCase{"vhe_only", [](CpuIdentity& id) { id.e2h_is_res1 = true; }, {}, {Errc::vhe_only, 0, 1ULL << 34}},
        SupportCase{"no_a64_el1",
                    [](CpuIdentity& id) { id.id_aa64pfr0_el1 = 0x0100'0002; },
                    {},
                    {Errc::no_el1_aarch64, 0, 0x0100'0002}},
        SupportCase{"ipa_beyond_pa",
                    [](CpuIdentity& id) { id.id_aa64mmfr0_el1 = 0x1122; },
                    {.ipa_bits = 48},
                    {Errc::unsupported_ipa_size, 48, 40}},
        SupportCase{"ipa_too_small", [](CpuIdentity&) {}, {.ipa_bits = 31}, {Errc::unsupported_ipa_size, 31, 44}},
        SupportCase{"reserved_parange",
                    [](CpuIdentity& id) { id.id_aa64mmfr0_el1 = 0x112F; },
                    {},
                    {Errc::unsupported_ipa_size, 32, 0}},
        SupportCase{"granule_asked", [](CpuIdentity&) {}, {.granule_kib = 64}, {Errc::unsupported_granule, 64, 0x1124}},
        SupportCase{"no_4k_granule",
                    [](CpuIdentity& id) { id.id_aa64mmfr0_el1 = 0xF000'1124; },
                    {},
                    {Errc::unsupported_granule, 4, 0xF000'1124}},
        SupportCase{"no_4k_at_stage2",
                    [](CpuIdentity& id) { id.id_aa64mmfr0_el1 = 0x0100'0000'1124; },
                    {},
                    {Errc::unsupported_granule, 4, 0x0100'0000'1124}},
        SupportCase{
            "no_gic", [](CpuIdentity& id) { id.id_aa64pfr0_el1 = 0x2222; }, {}, {Errc::no_gic_system_registers, 3, 0}},
        SupportCase{
            "gic_sre_denied", [](CpuIdentity& id) { id.icc_sre_el2 = 0; }, {}, {Errc::no_gic_system_registers, 3, 1}}),
    [](const auto& each) { return std::string{each.param.name}; });

TEST(Capabilities, AGicV2IsEnough) {
  // GICH_VTR of four list registers, on a CPU without system registers, and on one that has them turned off.
  for (const std::uint64_t pfr0 : {std::uint64_t{0x2222}, std::uint64_t{0x0100'2222}}) {
    const Capabilities caps{.id = {.current_el = 2,
                                   .id_aa64pfr0_el1 = pfr0,
                                   .id_aa64mmfr0_el1 = 0x1124,
                                   .ich_vtr_el2 = 0x9000'0003,
                                   .has_gich = true}};
    EXPECT_EQ(caps.gic_version(), 2U);
    EXPECT_EQ(caps.list_registers(), 4U);
    EXPECT_TRUE(check_hardware_support(caps, {}));
  }
}

TEST(Capabilities, PaBitsOfEveryParange) {
  constexpr unsigned kExpected[16] = {32, 36, 40, 42, 44, 48, 52, 56};
  for (std::uint8_t parange = 0; parange < 16; ++parange) {
    EXPECT_EQ((Capabilities{.id = {.id_aa64mmfr0_el1 = parange}}.pa_bits()), kExpected[parange]);
  }
}

TEST(Capabilities, HasHardwareSupportIsItsYesOrNo) {
  fake::reset();
  EXPECT_TRUE(has_hardware_support());
  fake::cpu().id.current_el = 1;
  EXPECT_FALSE(has_hardware_support());
}

TEST(PerCpu, EnableOnce) {
  fake::reset();
  Aarch64PerCpu cpu{3};
  EXPECT_EQ(cpu.hardware_disable().error().code, Errc::cpu_not_enabled);
  ASSERT_TRUE(cpu.hardware_enable());
  EXPECT_EQ(cpu.hardware_enable().error().code, Errc::cpu_already_enabled);
  ASSERT_TRUE(cpu.hardware_disable());
  EXPECT_THAT(fake::cpu().log, ElementsAre("take_el2", "restore_host vbar 4096"));
}

TEST(PerCpu, CannotEnableAtEl1) {
  fake::reset();
  fake::cpu().id.current_el = 1;
  Aarch64PerCpu cpu;
  EXPECT_EQ(cpu.hardware_enable().error(), (Error{Errc::not_at_el2, 2, 1}));
  EXPECT_FALSE(cpu.is_enabled());
}

}  // namespace
}  // namespace arm_vcpu
