// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/trace/explain_walk.hpp"

#include <gtest/gtest.h>

#include <map>

namespace arm_vcpu::explain {
namespace {

using stage1::Access;

// 39 bits of VA at stage 1, 32 bits of IPA at stage 2; the guest's RAM, IPA 0x4000'0000, is at PA 0x8000'0000 in 2 MiB.
class TwoStages : public testing::Test {
 protected:
  TwoStages() {
    memory[kRoot2 + 8] = 0x9000'2003;                            // IPA 1 GiB: a table
    memory[0x9000'2000] = 0x8000'07FD;                           // 2 MiB, rwx, Normal
    memory[0x9000'2008] = 0x8020'077D | std::uint64_t{1} << 54;  // 2 MiB, r--
    memory[0x8000'0000 + 0x1000] = 0x4000'2003;                  // stage 1, level 1: a table
    memory[0x8000'0000 + 0x2000] = 0x4000'0705;                  // VA 0: 2 MiB of RAM
    memory[0x8000'0000 + 0x2008] = 0x4020'0705;                  // VA 2 MiB: the read-only RAM
    memory[0x8000'0000 + 0x2010] = 0x0900'0705;                  // VA 4 MiB: no RAM
    memory[0x8000'0000 + 0x1008] = 0x0A00'0003;                  // VA 1 GiB: its table is no RAM
  }
  Translation at(std::uint64_t va, Access access = Access::read) {
    return translate(registers, tables, {.va = va, .access = access},
                     [this](std::uint64_t pa) -> std::optional<std::uint64_t> {
                       const auto found = memory.find(pa);
                       return found == memory.end() ? std::optional<std::uint64_t>{0} : std::optional{found->second};
                     });
  }

  static constexpr std::uint64_t kRoot2 = 0x9000'0000;
  std::map<std::uint64_t, std::uint64_t> memory;
  stage1::Registers registers{
      .tcr_el1 = 25 | std::uint64_t{2} << 32, .ttbr0_el1 = 0x4000'1000, .mair_el1 = 0xFF04, .sctlr_el1 = 0x30D0'0801};
  std::optional<Stage2Tables> tables{{*stage2::make_layout({.ipa_bits = 32}), kRoot2}};
};

TEST_F(TwoStages, Translates) {
  const Translation result = at(0x1234, Access::write);
  EXPECT_EQ(result.failure, Failure::none);
  EXPECT_TRUE(result.allowed());
  EXPECT_EQ(result.ipa, 0x4000'1234U);
  EXPECT_EQ(result.pa, 0x8000'1234U);
}

TEST_F(TwoStages, FirstStageFails) {
  const Translation result = at(0x60'0000);
  EXPECT_EQ(result.failure, Failure::stage1);
  EXPECT_EQ(result.verdict.fsc, Fsc::translation_l2);
}

TEST_F(TwoStages, SecondStageFails) {
  const Translation hole = at(0x40'0000);
  EXPECT_EQ(hole.failure, Failure::stage2);
  EXPECT_EQ(hole.ipa, 0x0900'0000U & ~0x1F'FFFFU);
  EXPECT_EQ(hole.verdict.fsc, Fsc::translation_l1);
  EXPECT_TRUE(at(0x20'0000).allowed());
  EXPECT_EQ(at(0x20'0000, Access::write).verdict.fsc, Fsc::permission_l2);
  EXPECT_EQ(at(0x20'0000, Access::fetch).verdict.fsc, Fsc::permission_l2);
}

TEST_F(TwoStages, SecondStageFailsOnTheWalk) {
  const Translation result = at(0x4000'0000);
  EXPECT_EQ(result.failure, Failure::stage2_on_walk);
  EXPECT_EQ(result.ipa, 0x0A00'0000U) << "the descriptor's IPA, not the access's";
  EXPECT_EQ(result.first.level, 2);
  EXPECT_FALSE(result.allowed());
}

TEST_F(TwoStages, WithoutASecondStage) {
  tables.reset();
  registers.sctlr_el1 = 0x30D0'0800;
  const Translation result = at(0x4008'0000, Access::fetch);
  EXPECT_TRUE(result.allowed());
  EXPECT_EQ(result.pa, 0x4008'0000U);
  EXPECT_FALSE(result.has_second);
}

TEST(Stage2Permissions, ExecuteNeverInFourForms) {
  for (unsigned xn = 0; xn < 4; ++xn) {
    stage2::Walk walk{.outcome = stage2::WalkOutcome::translated, .level = 3};
    walk.descriptor.raw = std::uint64_t{xn} << 53;
    EXPECT_EQ(judge_stage2(walk, Access::fetch, 1).allowed, xn == 0 || xn == 3) << xn;
    EXPECT_EQ(judge_stage2(walk, Access::fetch, 0).allowed, xn == 0 || xn == 1) << xn;
  }
}

}  // namespace
}  // namespace arm_vcpu::explain
