// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/trace/record.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <set>
#include <vector>

#include "arm_vcpu/trace/ring.hpp"

namespace arm_vcpu::trace {
namespace {

// The format is what old files hold: these offsets never change.
static_assert(offsetof(Record, esr) == 16 && offsetof(Record, spsr) == 48 && offsetof(Record, kind) == 62);
static_assert(offsetof(Header, counter_hz) == 24 && offsetof(Header, build_id) == 72 && offsetof(Header, vms) == 3072);
static_assert(offsetof(RingHeader, capacity) == 8 && offsetof(RingHeader, written) == 16);

TEST(Record, CrcOfTheCheckString) {
  EXPECT_EQ(crc32("123456789", 9), 0xCBF4'3926U);
}

TEST(Record, CrcGoesOnFromASeed) {
  EXPECT_EQ(crc32("6789", 4, crc32("12345", 5)), crc32("123456789", 9));
}

TEST(Record, KindsHaveDistinctNames) {
  std::set<std::string_view> names;
  unsigned named = 0;
  for (unsigned kind = 0; kind < 256; ++kind) {
    const auto name = name_of(static_cast<Kind>(kind));
    EXPECT_EQ(name.empty(), meaning_of(static_cast<Kind>(kind)).empty());
    if (!name.empty()) {
      ++named;
      EXPECT_TRUE(names.insert(name).second) << name;
    }
  }
  EXPECT_GE(named, 16U);
}

struct RingTest : ::testing::Test {
  static constexpr std::uint64_t kCapacity = 8;
  alignas(64) std::byte memory[sizeof(RingHeader) + kCapacity * sizeof(Record)]{};
  Ring& ring = *Ring::create(memory, 3, kCapacity);
};

TEST_F(RingTest, StartsEmpty) {
  EXPECT_EQ(ring.header().magic, kRingMagic);
  EXPECT_EQ(ring.header().cpu, 3U);
  EXPECT_EQ(ring.first(), 0U);
  EXPECT_EQ(ring.end(), 0U);
}

TEST_F(RingTest, OverwritesTheOldestAndCountsExactly) {
  for (std::uint64_t i = 0; i < 21; ++i) {
    ring.append({.data = i});
  }
  EXPECT_EQ(ring.end(), 21U);
  EXPECT_EQ(ring.first(), 13U) << "21 written, 8 kept";
  for (std::uint64_t n = ring.first(); n < ring.end(); ++n) {
    EXPECT_EQ(ring.at(n).data, n);
    EXPECT_EQ(ring.at(n).sequence, n);
  }
}

TEST_F(RingTest, ARecordIsNotVisibleBeforeItIsPublished) {
  ring.place_of(ring.next_number()).data = 5;
  EXPECT_EQ(ring.end(), 0U);
  ring.publish(ring.next_number());
  EXPECT_EQ(ring.end(), 1U);
}

}  // namespace
}  // namespace arm_vcpu::trace
