// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/services.hpp"

#include <gtest/gtest.h>

#include "arm_vcpu/smc_filter.hpp"

namespace arm_vcpu {
namespace {

constexpr std::uint64_t kMinusOne = ~std::uint64_t{0};

bool all_ones(EntropySource, unsigned bits, EntropyWords& words) noexcept {
  for (unsigned n = 0; n * 64 < bits; ++n) words[n] = ~std::uint64_t{0};
  return true;
}
bool counting(EntropySource, unsigned, EntropyWords& words) noexcept {
  words = {0x1111'1111'2222'2222, 0x3333'3333'4444'4444, 0x5555'5555'6666'6666};
  return true;
}
bool dry(EntropySource, unsigned, EntropyWords& words) noexcept {
  words = {1, 2, 3};
  return false;
}

constexpr ServiceConfig kAll{.entropy = EntropySource::rndrrs, .stolen_time_ipa = 0x90A'0040};

std::array<std::uint64_t, 4> call(std::uint64_t x0, std::uint64_t x1, EntropyReader reader = all_ones) {
  const auto answer = handle_service({x0, x1, 0, 0}, kAll, reader);
  EXPECT_TRUE(answer.has_value()) << std::hex << x0;
  return answer.value_or(ServiceAnswer{.x = {7, 7, 7, 7}}).x;
}

TEST(Services, NothingIsOfferedWithoutItsSource) {
  for (const std::uint64_t id : {0x8400'0050ULL, 0x8400'0051ULL, 0x8400'0052ULL, 0x8400'0053ULL, 0xC400'0053ULL,
                                 0xC500'0020ULL, 0xC500'0021ULL}) {
    EXPECT_FALSE(handle_service({.x0 = id}, {}, all_ones)) << std::hex << id;
    EXPECT_TRUE(handle_service({.x0 = id}, kAll, all_ones)) << std::hex << id;
    EXPECT_TRUE(handle_service({.x0 = id | 0xFFFF'FFFF'0001'0000}, kAll, all_ones))
        << "the SVE hint, " << std::hex << id;
  }
  for (const std::uint64_t id : {0x8400'0054ULL, 0xC400'0050ULL, 0xC400'0052ULL, 0x8500'0020ULL, 0xC500'0022ULL,
                                 0x8500'FF01ULL, 0x0400'0050ULL}) {
    EXPECT_FALSE(handle_service({.x0 = id}, kAll, all_ones)) << std::hex << id;
  }
}

TEST(Services, TrngDiscovery) {
  EXPECT_EQ(call(0x8400'0050, 0)[0], 0x1'0000U);
  for (const std::uint64_t id : {0x8400'0050ULL, 0x8400'0051ULL, 0x8400'0052ULL, 0x8400'0053ULL, 0xC400'0053ULL}) {
    EXPECT_EQ(call(0x8400'0051, id)[0], 0U) << std::hex << id;
  }
  EXPECT_EQ(call(0x8400'0051, 0xC400'0050)[0], kMinusOne);
  EXPECT_EQ(call(0x8400'0051, 0x8400'0000)[0], kMinusOne);
  const auto uuid = call(0x8400'0052, 0);
  EXPECT_EQ(uuid[0], 0x21AB'5A20U) << "byte 0 is in the low bits of W0";
  EXPECT_EQ(uuid[3], 0xC9D6'4450U);
}

TEST(Services, TrngGivesExactlyTheBitsThatWereAskedFor) {
  for (unsigned bits = 1; bits <= 192; ++bits) {
    const auto x = call(0xC400'0053, bits);
    EXPECT_EQ(x[0], 0U);
    unsigned ones = 0;
    for (unsigned n = 1; n < 4; ++n) ones += static_cast<unsigned>(__builtin_popcountll(x[n]));
    EXPECT_EQ(ones, bits);
    EXPECT_EQ(x[3] & 1, 1U) << "filled from the low end";
    EXPECT_EQ(x[2] != 0, bits > 64) << bits;
    EXPECT_EQ(x[1] != 0, bits > 128) << bits;
  }
  for (unsigned bits = 1; bits <= 96; ++bits) {
    const auto x = call(0x8400'0053, bits);
    unsigned ones = 0;
    for (unsigned n = 1; n < 4; ++n) {
      EXPECT_EQ(x[n] >> 32, 0U);
      ones += static_cast<unsigned>(__builtin_popcountll(x[n]));
    }
    EXPECT_EQ(ones, bits);
    EXPECT_EQ(x[2] != 0, bits > 32) << bits;
    EXPECT_EQ(x[1] != 0, bits > 64) << bits;
  }
}

TEST(Services, TrngOrderOfWords) {
  const auto x = call(0xC400'0053, 192, counting);
  EXPECT_EQ(x[3], 0x1111'1111'2222'2222U);
  EXPECT_EQ(x[2], 0x3333'3333'4444'4444U);
  EXPECT_EQ(x[1], 0x5555'5555'6666'6666U);
  const auto w = call(0x8400'0053, 96, counting);
  EXPECT_EQ(w[3], 0x2222'2222U);
  EXPECT_EQ(w[2], 0x1111'1111U);
  EXPECT_EQ(w[1], 0x4444'4444U);
}

TEST(Services, TrngErrors) {
  constexpr std::uint64_t kInvalid = static_cast<std::uint64_t>(-2);
  EXPECT_EQ(call(0xC400'0053, 0)[0], kInvalid);
  EXPECT_EQ(call(0xC400'0053, 193)[0], kInvalid);
  EXPECT_EQ(call(0xC400'0053, 0x1'0000'0001)[0], kInvalid);
  EXPECT_EQ(call(0x8400'0053, 0)[0], kInvalid);
  EXPECT_EQ(call(0x8400'0053, 97)[0], kInvalid);
  EXPECT_EQ(call(0x8400'0053, 0x1'0000'0001)[0], 0U) << "the argument is W1";
  const auto x = call(0xC400'0053, 192, dry);
  EXPECT_EQ(x, (std::array<std::uint64_t, 4>{static_cast<std::uint64_t>(-3), 0, 0, 0})) << "nothing leaks";
}

TEST(Services, StolenTime) {
  EXPECT_EQ(call(0xC500'0020, 0xC500'0021)[0], 0U);
  EXPECT_EQ(call(0xC500'0020, 0xC500'0020)[0], 0U);
  EXPECT_EQ(call(0xC500'0020, 0xC500'0022)[0], kMinusOne);
  EXPECT_EQ(call(0xC500'0021, 0)[0], 0x90A'0040U);
}

TEST(Services, HypervisorUid) {
  const auto uid = call(0x8600'FF01, 0);
  EXPECT_EQ(uid[0], 0x7F5F'2FF2U);
  EXPECT_EQ(uid[3], 0x3281'133AU);
  const auto revision = handle_service({.x0 = 0x8600'FF03}, {}, all_ones);
  ASSERT_TRUE(revision.has_value());
  EXPECT_EQ(revision->count, 2U);
  EXPECT_EQ(revision->x[0], 1U);
}

TEST(SmcFilter, DeniesByDefault) {
  constexpr SmcFilter kNone;
  for (const std::uint32_t id : {0U, 0x8200'0000U, 0xC200'FFFFU, 0xBF00'0000U, 0xFFFF'FFFFU}) {
    EXPECT_FALSE(kNone.allows(FunctionId::from(id)));
  }
}

TEST(SmcFilter, RangesAreInclusive) {
  static constexpr FunctionRange kRanges[] = {{0xC200'0010, 0xC200'0020}, {0x3200'0000, 0x3200'0000}};
  constexpr SmcFilter kFilter{kRanges};
  EXPECT_FALSE(kFilter.allows(FunctionId::from(0xC200'000F)));
  EXPECT_TRUE(kFilter.allows(FunctionId::from(0xC200'0010)));
  EXPECT_TRUE(kFilter.allows(FunctionId::from(0xC200'0020)));
  EXPECT_FALSE(kFilter.allows(FunctionId::from(0xC200'0021)));
  EXPECT_TRUE(kFilter.allows(FunctionId::from(0x3200'0000)));
  EXPECT_FALSE(kFilter.allows(FunctionId::from(0xB200'0000)));
}

TEST(SmcFilter, NeverPsciNorArchitectureCalls) {
  static constexpr FunctionRange kEverything[] = {{0, 0xFFFF'FFFF}};
  constexpr SmcFilter kFilter{kEverything};
  for (const std::uint32_t id : {0x8400'0008U, 0x8400'0009U, 0xC400'0003U, 0x8400'001FU, 0x8000'8000U, 0xC000'0000U}) {
    EXPECT_FALSE(kFilter.allows(FunctionId::from(id))) << std::hex << id;
    EXPECT_FALSE(is_forwardable({id, id})) << std::hex << id;
    EXPECT_FALSE(is_forwardable({id - 1, id + 1})) << std::hex << id;
  }
  EXPECT_TRUE(kFilter.allows(FunctionId::from(0x8400'0020)));
  EXPECT_TRUE(is_forwardable({0x8400'0020, 0x8400'FFFF}));
  EXPECT_TRUE(is_forwardable({0xC200'0000, 0xC3FF'FFFF}));
  EXPECT_TRUE(is_forwardable({0x8100'0000, 0x83FF'FFFF}));
  EXPECT_FALSE(is_forwardable({0x8400'0020, 0x8401'0008})) << "SYSTEM_OFF with the SVE hint";
  EXPECT_FALSE(is_forwardable({2, 1}));
  EXPECT_FALSE(is_forwardable({0, 0xFFFF'FFFF}));
}

}  // namespace
}  // namespace arm_vcpu
