// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/arch/bits.hpp"

#include <gtest/gtest.h>

namespace arm_vcpu::bits {
namespace {

struct Sample : Image<Sample> {
  using Low = Field<3, 0>;
  using Top = Field<63, 60, std::uint8_t>;
  using Bit = Flag<8>;
};
struct Other : Image<Other> {
  using Low = Field<3, 0>;
};

template <class I, class F>
concept can_get = requires(I image) { image.template get<F>(); };

// A field of one register cannot be read off another.
static_assert(can_get<Sample, Sample::Low>);
static_assert(!can_get<Sample, Other::Low>);

constexpr Sample kSample = Sample::from(0xF000'0000'0000'010A);
static_assert(kSample.get<Sample::Low>() == 0xA);
static_assert(kSample.get<Sample::Top>() == 0xF);
static_assert(kSample.get<Sample::Bit>());
static_assert(!kSample.with<Sample::Bit>(false).get<Sample::Bit>());
static_assert(kSample.with<Sample::Low>(0x15).raw == 0xF000'0000'0000'0105, "excess bits of a value are dropped");

TEST(Bits, MaskIncludesBothEnds) {
  EXPECT_EQ(mask(63, 0), ~std::uint64_t{0});
  EXPECT_EQ(mask(0, 0), 1U);
  EXPECT_EQ(mask(11, 4), 0xFF0U);
}

TEST(Bits, SignExtend) {
  EXPECT_EQ(sign_extend(0x80, 8), 0xFFFF'FFFF'FFFF'FF80U);
  EXPECT_EQ(sign_extend(0x7F, 8), 0x7FU);
  EXPECT_EQ(sign_extend(0x8000'0000'0000'0000, 64), 0x8000'0000'0000'0000U);
}

TEST(Bits, Align) {
  EXPECT_TRUE(aligned(0x2000, 0x1000));
  EXPECT_FALSE(aligned(0x2800, 0x1000));
  EXPECT_EQ(align_up(0x2001, 0x1000), 0x3000U);
  EXPECT_EQ(align_down(0x2FFF, 0x1000), 0x2000U);
}

}  // namespace
}  // namespace arm_vcpu::bits
