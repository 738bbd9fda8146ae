// SPDX-License-Identifier: Apache-2.0
#include "ranges.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bitset>
#include <random>

namespace arm_vcpu::hv {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(RangeSet, NeighboursBecomeOne) {
  RangeSet<4> set;
  ASSERT_TRUE(set.add({10, 10}));
  ASSERT_TRUE(set.add({30, 10}));
  EXPECT_THAT(set.view(), ElementsAre(Range{10, 10}, Range{30, 10}));
  ASSERT_TRUE(set.add({20, 10}));
  EXPECT_THAT(set.view(), ElementsAre(Range{10, 30}));
  ASSERT_TRUE(set.add({0, 100}));
  EXPECT_THAT(set.view(), ElementsAre(Range{0, 100}));
}

TEST(RangeSet, RemovingSplitsAndTrims) {
  RangeSet<4> set;
  ASSERT_TRUE(set.add({0, 100}));
  ASSERT_TRUE(set.remove({40, 20}));
  EXPECT_THAT(set.view(), ElementsAre(Range{0, 40}, Range{60, 40}));
  ASSERT_TRUE(set.remove({30, 40}));
  EXPECT_THAT(set.view(), ElementsAre(Range{0, 30}, Range{70, 30}));
  ASSERT_TRUE(set.remove({0, 1000}));
  EXPECT_THAT(set.view(), IsEmpty());
}

TEST(RangeSet, AFullSetStaysAsItIs) {
  RangeSet<2> set;
  ASSERT_TRUE(set.add({0, 10}));
  ASSERT_TRUE(set.add({20, 10}));
  EXPECT_FALSE(set.add({40, 10}));
  EXPECT_FALSE(set.remove({2, 2}));
  EXPECT_THAT(set.view(), ElementsAre(Range{0, 10}, Range{20, 10}));
  EXPECT_TRUE(set.add({10, 10}));  // joins both: needs no place
  EXPECT_THAT(set.view(), ElementsAre(Range{0, 30}));
}

TEST(RangeSet, RefusesARangeThatWraps) {
  RangeSet<2> set;
  EXPECT_FALSE(set.add({~std::uint64_t{0}, 2}));
  EXPECT_THAT(set.view(), IsEmpty());
}

TEST(RangeSet, FindsTheLowestAlignedPlace) {
  RangeSet<4> set;
  ASSERT_TRUE(set.add({0x1800, 0x1800}));
  ASSERT_TRUE(set.add({0x10800, 0x3000}));
  EXPECT_EQ(set.find(0x1000, 0x1000), (Range{0x2000, 0x1000}));
  EXPECT_EQ(set.find(0x2000, 0x1000), (Range{0x11000, 0x2000}));
  EXPECT_EQ(set.find(0x3000, 0x1000), std::nullopt);
  EXPECT_EQ(set.find(0x1800, 0x800), (Range{0x1800, 0x1800}));
  RangeSet<1> top;
  ASSERT_TRUE(top.add({~std::uint64_t{0} - 0x1800, 0x1800}));
  EXPECT_EQ(top.find(0x1000, 0x10000), std::nullopt);  // rounding up wraps
}

TEST(RangeSet, AgreesWithASetOfBits) {
  std::mt19937 random{7};
  for (int round = 0; round < 200; ++round) {
    RangeSet<40> set;
    std::bitset<64> model;
    for (int step = 0; step < 20; ++step) {
      const Range range{random() % 60, random() % 6};
      const bool adds = random() % 2 != 0;
      ASSERT_TRUE(adds ? set.add(range) : set.remove(range));
      for (std::uint64_t bit = range.base; bit < range.end() && bit < 64; ++bit) model.set(bit, adds);
      std::bitset<64> seen;
      std::uint64_t after_last = 0;
      for (const Range& member : set.view()) {
        ASSERT_TRUE(!member.empty() && (member.base > after_last || member.base == 0));
        after_last = member.end();
        for (std::uint64_t bit = member.base; bit < member.end() && bit < 64; ++bit) seen.set(bit);
      }
      ASSERT_EQ(seen, model);
    }
  }
}

}  // namespace
}  // namespace arm_vcpu::hv
