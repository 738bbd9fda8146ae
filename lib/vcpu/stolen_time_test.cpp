// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/stolen_time.hpp"

#include <gtest/gtest.h>

namespace arm_vcpu {
namespace {

constexpr std::uint64_t kHz = 62'500'000;  // 16 ns a tick

TEST(StolenTime, CountsWhatLiesBetween) {
  StolenTimeRecord record;
  StolenTime time{&record, kHz};
  time.on_scheduled(100);
  EXPECT_EQ(record.stolen_time, 0U) << "it had not waited";
  time.on_descheduled(1000);
  EXPECT_EQ(record.stolen_time, 0U);
  time.on_scheduled(1010);
  EXPECT_EQ(record.stolen_time, 160U);
  time.on_descheduled(2000);
  time.on_descheduled(2005);
  time.on_scheduled(2010);
  EXPECT_EQ(record.stolen_time, 320U) << "the first of two counts";
  time.on_scheduled(9999);
  EXPECT_EQ(record.stolen_time, 320U);
}

TEST(StolenTime, NeverGoesBack) {
  StolenTimeRecord record;
  StolenTime time{&record, kHz};
  time.on_descheduled(1000);
  time.on_scheduled(900);
  EXPECT_EQ(record.stolen_time, 0U);
}

TEST(StolenTime, IsExactForYears) {
  StolenTimeRecord record;
  StolenTime time{&record, 24'000'000};
  constexpr std::uint64_t kYears = std::uint64_t{24'000'000} * 3600 * 24 * 365 * 10;
  time.on_descheduled(7);
  time.on_scheduled(7 + kYears + 12);
  EXPECT_EQ(record.stolen_time, std::uint64_t{3600} * 24 * 365 * 10 * 1'000'000'000 + 500);
  // Fractions of nanoseconds add up: three times a third.
  StolenTime thirds{&record, 3'000'000'000};
  for (std::uint64_t i = 0; i < 3; ++i) {
    thirds.on_descheduled(10 * i);
    thirds.on_scheduled(10 * i + 1);
  }
  EXPECT_EQ(record.stolen_time, 1U);
}

TEST(StolenTime, Reset) {
  StolenTimeRecord record{.revision = 9, .attributes = 9, .stolen_time = 9};
  StolenTime time{&record, kHz};
  time.on_descheduled(0);
  time.reset();
  EXPECT_EQ(record.revision | record.attributes | record.stolen_time, 0U);
  time.on_scheduled(1000);
  EXPECT_EQ(record.stolen_time, 0U) << "what it waited was of the life before";
}

}  // namespace
}  // namespace arm_vcpu
