// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/vm/stage2_tlb.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace arm_vcpu::stage2 {
namespace {

using testing::ElementsAre;

struct RecordingTlb {
  bool range{};
  bool hint{};
  std::vector<std::string> calls{};
  std::vector<std::uint64_t> operands{};

  void dsb_ishst() noexcept { calls.emplace_back("dsb ishst"); }
  void dsb_ish() noexcept { calls.emplace_back("dsb ish"); }
  void isb() noexcept { calls.emplace_back("isb"); }
  bool has_range_ops() noexcept { return range; }
  bool has_level_hint() noexcept { return hint; }
  void tlbi_ipas2e1is(std::uint64_t operand) noexcept { calls.emplace_back("ipas2e1is"), operands.push_back(operand); }
  void tlbi_ripas2e1is(std::uint64_t operand) noexcept {
    calls.emplace_back("ripas2e1is"), operands.push_back(operand);
  }
  void tlbi_vmalle1is() noexcept { calls.emplace_back("vmalle1is"); }
  void tlbi_vmalls12e1is() noexcept { calls.emplace_back("vmalls12e1is"); }
  std::uint64_t enter(std::uint64_t) noexcept { return calls.emplace_back("enter"), std::uint64_t{9}; }
  void leave(std::uint64_t previous) noexcept { calls.emplace_back("leave " + std::to_string(previous)); }
};

TEST(Stage2Tlb, IpaOperand) {
  static_assert(tlbi_ipa_operand(0x0000'1234'5678'9000, 0).raw == 0x1'2345'6789);
  static_assert(tlbi_ipa_operand(0x4000'0000, 1).raw == (0x5ULL << 44 | 0x4'0000));
  static_assert(tlbi_ipa_operand(0x4000'0000, 2).raw == (0x6ULL << 44 | 0x4'0000));
  static_assert(tlbi_ipa_operand(0x4000'0000, 3).raw == (0x7ULL << 44 | 0x4'0000));
  SUCCEED();
}

TEST(Stage2Tlb, RangeOperand) {
  // Two pages: NUM 0, SCALE 0, TG 4 KiB.
  static_assert(tlbi_range_operand(0x4000'0000, 2, 0).raw == (1ULL << 46 | 0x4'0000));
  static_assert(tlbi_range_operand(0x4000'0000, 2, 3).raw == (1ULL << 46 | 3ULL << 37 | 0x4'0000));
  // 2 MiB: 512 pages are 8 units of 64, SCALE 1, NUM 7.
  static_assert(tlbi_range_operand(0, 512, 0).raw == (1ULL << 46 | 1ULL << 44 | 7ULL << 39));
  for (std::uint64_t pages = 2; pages < 5'000'000; pages = pages * 5 / 4 + 1) {
    const TlbiIpaRange operand = tlbi_range_operand(0, pages, 0);
    EXPECT_LE(operand.pages(), pages);
    EXPECT_GE(operand.pages() * 2, pages < (32U << 16) ? pages : (64U << 16)) << pages;
  }
  EXPECT_EQ(tlbi_range_operand(0, ~std::uint64_t{0} >> 12, 0).pages(), 32U << 16);
}

TEST(Stage2Tlb, RangesOfAnySizeAreCoveredExactly) {
  for (std::uint64_t pages = 1; pages < 3'000'000; pages = pages * 3 / 2 + 1) {
    RecordingTlb tlb{.range = true};
    Invalidation stale;
    const std::uint64_t begin = 0x12345000;
    stale.add_leaves(begin, begin + pages * kPageBytes, 3);
    stale.complete(tlb, 0);
    std::uint64_t at = begin;
    unsigned next = 0;
    for (const auto& call : tlb.calls) {
      if (call == "ipas2e1is") {
        EXPECT_EQ(TlbiIpa::from(tlb.operands[next++]).get<TlbiIpa::IPA>() << 12, at);
        at += kPageBytes;
      } else if (call == "ripas2e1is") {
        const auto operand = TlbiIpaRange::from(tlb.operands[next++]);
        EXPECT_EQ(operand.get<TlbiIpaRange::BaseADDR>() << 12, at);
        at += operand.pages() * kPageBytes;
      }
    }
    EXPECT_EQ(at, begin + pages * kPageBytes);
    EXPECT_LE(next, 8U);
  }
}

TEST(Stage2Tlb, OrderOfTheSequence) {
  RecordingTlb tlb;
  Invalidation stale;
  stale.complete(tlb, 0);
  EXPECT_TRUE(tlb.calls.empty());
  stale.add_leaves(0x1000, 0x2000, 3);
  stale.complete(tlb, 0);
  EXPECT_THAT(tlb.calls,
              ElementsAre("dsb ishst", "enter", "ipas2e1is", "dsb ish", "vmalle1is", "dsb ish", "isb", "leave 9"));
  EXPECT_TRUE(stale.empty());

  tlb.calls.clear();
  stale.add_everything();
  stale.complete(tlb, 0);
  EXPECT_THAT(tlb.calls, ElementsAre("dsb ishst", "enter", "vmalls12e1is", "dsb ish", "isb", "leave 9"));
}

TEST(Stage2Tlb, ThresholdCountsOperationsNotBytes) {
  const auto calls_for = [](std::uint64_t count, unsigned level, bool range) {
    RecordingTlb tlb{.range = range};
    Invalidation stale;
    stale.add_leaves(0, count * level_bytes(level), level);
    stale.complete(tlb, 0);
    return tlb;
  };
  EXPECT_EQ(calls_for(64, 3, false).operands.size(), 64U);
  EXPECT_EQ(calls_for(64, 1, false).operands.size(), 64U);
  EXPECT_THAT(calls_for(65, 3, false).calls, testing::Contains("vmalls12e1is"));
  EXPECT_THAT(calls_for(65, 3, true).calls, testing::Not(testing::Contains("vmalls12e1is")));
  EXPECT_EQ(calls_for(512, 1, true).operands.size(), 64U);
  EXPECT_THAT(calls_for(513, 1, true).calls, testing::Contains("vmalls12e1is"));
  EXPECT_EQ(calls_for(1, 2, true).calls[2], "ipas2e1is");  // one block: no range needed
}

TEST(Stage2Tlb, LevelHintOnlyWhereAllLeavesHaveOneLevel) {
  const auto first_operand = [](bool hint, auto add) {
    RecordingTlb tlb{.hint = hint};
    Invalidation stale;
    add(stale);
    stale.complete(tlb, 0);
    return TlbiIpa::from(tlb.operands.front()).get<TlbiIpa::TTL>();
  };
  const auto pages = [](Invalidation& stale) { stale.add_leaves(0, 0x2000, 3), stale.add_leaves(0x2000, 0x3000, 3); };
  const auto mixed = [](Invalidation& stale) {
    stale.add_leaves(0x20'0000 - 0x1000, 0x20'0000, 3), stale.add_leaves(0x20'0000, 0x20'1000, 2);
  };
  const auto table = [](Invalidation& stale) { stale.add_leaves(0, 0x1000, 3), stale.add_table(); };
  EXPECT_EQ(first_operand(true, pages), 0b0111);
  EXPECT_EQ(first_operand(false, pages), 0);
  EXPECT_EQ(first_operand(true, mixed), 0);
  EXPECT_EQ(first_operand(true, table), 0);
}

}  // namespace
}  // namespace arm_vcpu::stage2
