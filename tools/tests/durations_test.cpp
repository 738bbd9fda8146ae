// SPDX-License-Identifier: Apache-2.0
#include "durations.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace arm_vcpu::scope {
namespace {

TEST(Durations, OfNothing) {
  const Durations none;
  EXPECT_EQ(none.least(), 0U);
  EXPECT_EQ(none.quantile(0.5), 0U);
}

TEST(Durations, AFewAreExact) {
  Durations d;
  for (const std::uint32_t ticks : {70'001U, 5U, 900U}) d.add(ticks);
  EXPECT_EQ(d.least(), 5U);
  EXPECT_EQ(d.quantile(0.5), 900U);
  EXPECT_EQ(d.quantile(0.99), 70'001U);
  EXPECT_EQ(d.greatest(), 70'001U);
  EXPECT_EQ(d.sum(), 70'906U);
}

TEST(Durations, SmallOnesAreExactHoweverMany) {
  Durations d;
  for (std::uint32_t i = 0; i < 100'000; ++i) d.add(i % 128);
  EXPECT_EQ(d.quantile(0.5), 63U);
  EXPECT_EQ(d.quantile(0.99), 126U);
}

TEST(Durations, LargeOnesAreWithinTheStatedError) {
  std::vector<std::uint32_t> all;
  Durations d;
  std::uint64_t state = 1;
  for (int i = 0; i < 50'000; ++i) {
    state = state * 6364136223846793005 + 1;
    const auto ticks = static_cast<std::uint32_t>(state >> 32) >> (state >> 20 & 31);
    all.push_back(ticks);
    d.add(ticks);
  }
  std::sort(all.begin(), all.end());
  for (const double share : {0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const double exact = all[static_cast<std::size_t>(std::ceil(share * 50'000)) - 1];
    EXPECT_NEAR(d.quantile(share), exact, exact / 128 + 0.5) << share;
  }
  std::uint64_t counted = 0;
  d.for_each([&](std::uint32_t, std::uint32_t count) { counted += count; });
  EXPECT_EQ(counted, 50'000U);
}

TEST(Durations, TheWholeRangeHasABucket) {
  Durations d;
  for (int i = 0; i < 100; ++i) d.add(~0U);
  EXPECT_EQ(d.quantile(0.5), ~0U);
}

}  // namespace
}  // namespace arm_vcpu::scope
