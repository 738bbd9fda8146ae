// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/vm/stage2_layout.hpp"

#include <gtest/gtest.h>

namespace arm_vcpu::stage2 {
namespace {

// What the manual's tables give for the 4 KiB granule with the fewest levels: start level, SL0, root tables, by IPA
// bits.
struct Expected {
  unsigned ipa_bits;
  unsigned start_level;
  unsigned sl0;
  unsigned root_tables;
};
constexpr Expected kExpected[] = {
    {32, 1, 1, 1}, {33, 1, 1, 1}, {34, 1, 1, 1}, {35, 1, 1, 1}, {36, 1, 1, 1}, {37, 1, 1, 1},
    {38, 1, 1, 1}, {39, 1, 1, 1}, {40, 1, 1, 2}, {41, 1, 1, 4}, {42, 1, 1, 8}, {43, 1, 1, 16},
    {44, 0, 2, 1}, {45, 0, 2, 1}, {46, 0, 2, 1}, {47, 0, 2, 1}, {48, 0, 2, 1},
};
struct PaRange {
  unsigned field;  // ID_AA64MMFR0_EL1.PARange
  unsigned usable_bits;
  unsigned ps;
};
constexpr PaRange kPaRanges[] = {{0, 32, 0}, {1, 36, 1}, {2, 40, 2}, {3, 42, 3}, {4, 44, 4},
                                 {5, 48, 5}, {6, 48, 5}, {7, 48, 5}, {8, 48, 5}, {15, 48, 5}};

IdAa64Mmfr0 mmfr0_of(unsigned parange) {
  return IdAa64Mmfr0{}.with<IdAa64Mmfr0::PARange>(static_cast<std::uint8_t>(parange));
}

TEST(Stage2Layout, EveryIpaSizeOnEveryPaRange) {
  for (const PaRange& range : kPaRanges) {
    for (unsigned ipa_bits = 0; ipa_bits <= 64; ++ipa_bits) {
      SCOPED_TRACE(testing::Message() << "PARange " << range.field << ", IPA bits " << ipa_bits);
      const auto layout = layout_for(ipa_bits, mmfr0_of(range.field), {});
      if (ipa_bits < 32 || ipa_bits > range.usable_bits) {
        ASSERT_FALSE(layout);
        EXPECT_EQ(layout.error(), (Error{Errc::unsupported_ipa_size, ipa_bits, range.usable_bits}));
        continue;
      }
      ASSERT_TRUE(layout);
      const Expected& expected = kExpected[ipa_bits - 32];
      EXPECT_EQ(layout->start_level, expected.start_level);
      EXPECT_EQ(layout->root_tables, expected.root_tables);
      EXPECT_EQ(layout->root_bytes(), expected.root_tables * 4096);
      EXPECT_EQ(layout->root_alignment(), expected.root_tables * 4096);
      const Vtcr vtcr = layout->vtcr();
      EXPECT_EQ(vtcr.get<Vtcr::T0SZ>(), 64 - ipa_bits);
      EXPECT_EQ(vtcr.get<Vtcr::SL0>(), expected.sl0);
      EXPECT_EQ(vtcr.get<Vtcr::PS>(), range.ps);
      EXPECT_EQ(layout_of(vtcr), *layout);
    }
  }
}

TEST(Stage2Layout, FourLevelsOnRequest) {
  for (unsigned pa_bits : {32U, 36U, 40U, 42U, 44U, 48U}) {
    for (unsigned ipa_bits = 32; ipa_bits <= pa_bits; ++ipa_bits) {
      SCOPED_TRACE(testing::Message() << "PA bits " << pa_bits << ", IPA bits " << ipa_bits);
      const auto four = make_layout({.ipa_bits = ipa_bits, .pa_bits = pa_bits, .levels = 4});
      // Level 0 resolves at least IPA[39], and needs more than 42 bits of physical address.
      ASSERT_EQ(four.has_value(), ipa_bits >= 40 && pa_bits >= 44);
      if (four) {
        EXPECT_EQ(four->start_level, 0);
        EXPECT_EQ(four->root_tables, 1);
        EXPECT_EQ(four->levels(), 4U);
      } else {
        EXPECT_EQ(four.error(), (Error{Errc::unsupported_table_levels, 4, 3}));
      }
      const auto three = make_layout({.ipa_bits = ipa_bits, .pa_bits = pa_bits, .levels = 3});
      ASSERT_EQ(three.has_value(), ipa_bits <= 43);
      if (!three) {
        EXPECT_EQ(three.error(), (Error{Errc::unsupported_table_levels, 3, 4}));
      }
    }
  }
  EXPECT_EQ(make_layout({.levels = 2}).error().code, Errc::unsupported_table_levels);
  EXPECT_EQ(make_layout({.levels = 5}).error().code, Errc::unsupported_table_levels);
}

TEST(Stage2Layout, WholeVtcrImages) {
  // RES1, PS 40 bits, 4 KiB, Inner Shareable, Write-Back walks, level 1, T0SZ 24.
  static_assert(make_layout({.ipa_bits = 40, .pa_bits = 40})->vtcr().raw == 0x8002'3558);
  // PS 48 bits, VS, level 0, T0SZ 16.
  static_assert(make_layout({.ipa_bits = 48, .pa_bits = 52, .vmid_bits = 16})->vtcr().raw == 0x800D'3590);
  static_assert(make_layout({.ipa_bits = 32, .pa_bits = 32})->vtcr().raw == 0x8000'3560);
}

TEST(Stage2Layout, VmidWidthFollowsTheCpu) {
  const auto mmfr1 = [](unsigned bits) {
    return IdAa64Mmfr1{}.with<IdAa64Mmfr1::VMIDBits>(static_cast<std::uint8_t>(bits));
  };
  EXPECT_FALSE(layout_for(40, mmfr0_of(2), mmfr1(0))->vmid16);
  EXPECT_TRUE(layout_for(40, mmfr0_of(2), mmfr1(2))->vmid16);
  EXPECT_TRUE(layout_for(40, mmfr0_of(2), mmfr1(2))->vtcr().get<Vtcr::VS>());
}

TEST(Stage2Layout, Vttbr) {
  const auto narrow = *make_layout({.ipa_bits = 43, .pa_bits = 48});
  EXPECT_EQ(narrow.vttbr(0x8765'4321'0000, 0x1FF).raw, 0x00FF'8765'4321'0000U);
  const auto wide = *make_layout({.ipa_bits = 43, .pa_bits = 48, .vmid_bits = 16});
  const Vttbr vttbr = wide.vttbr(0x8765'4321'0000, 0xABCD);
  EXPECT_EQ(vttbr.raw, 0xABCD'8765'4321'0000U);
  EXPECT_EQ(vttbr.root(), 0x8765'4321'0000U);
  EXPECT_EQ(vttbr.get<Vttbr::VMID>(), 0xABCD);
  EXPECT_FALSE(vttbr.get<Vttbr::CnP>());
}

TEST(Stage2Layout, Granule) {
  const auto cpu = [](unsigned stage1, unsigned stage2) {
    return mmfr0_of(2)
        .with<IdAa64Mmfr0::TGran4>(static_cast<std::uint8_t>(stage1))
        .with<IdAa64Mmfr0::TGran4_2>(static_cast<std::uint8_t>(stage2));
  };
  EXPECT_TRUE(granule_4k_supported(cpu(0, 0)));
  EXPECT_TRUE(granule_4k_supported(cpu(1, 0)));     // with 52-bit addresses
  EXPECT_FALSE(granule_4k_supported(cpu(0xF, 0)));  // as stage 1: not
  EXPECT_FALSE(granule_4k_supported(cpu(0, 1)));
  EXPECT_TRUE(granule_4k_supported(cpu(0xF, 2)));
  EXPECT_TRUE(granule_4k_supported(cpu(0, 3)));
  EXPECT_EQ(layout_for(40, cpu(0, 1), {}).error(), (Error{Errc::unsupported_granule, 4, cpu(0, 1).raw}));
}

TEST(Stage2Layout, FromForeignVtcr) {
  const Vtcr ours = make_layout({.ipa_bits = 40, .pa_bits = 40})->vtcr();
  EXPECT_EQ(layout_of(ours.with<Vtcr::TG0>(1)).error(),
            (Error{Errc::unsupported_granule, 64, ours.with<Vtcr::TG0>(1).raw}));
  EXPECT_EQ(layout_of(ours.with<Vtcr::TG0>(2)).error().asked, 16U);
  EXPECT_EQ(layout_of(ours.with<Vtcr::SL0>(2)).value().start_level, 0);
  EXPECT_EQ(layout_of(ours.with<Vtcr::SL0>(0)).error().code, Errc::unsupported_table_levels);  // 2^10 root tables
  EXPECT_EQ(layout_of(ours.with<Vtcr::SL0>(3)).error().code, Errc::unsupported_table_levels);
  EXPECT_EQ(layout_of(ours.with<Vtcr::DS>(true)).error().code, Errc::unsupported_ipa_size);
  EXPECT_EQ(layout_of(ours.with<Vtcr::T0SZ>(12)).error().code, Errc::unsupported_ipa_size);
  EXPECT_EQ(layout_of(ours.with<Vtcr::T0SZ>(0)).error().code, Errc::unsupported_ipa_size);
  EXPECT_EQ(layout_of(ours.with<Vtcr::PS>(6)).value().pa_bits, 48);
  const auto two_levels = layout_of(ours.with<Vtcr::SL0>(0).with<Vtcr::T0SZ>(64 - 34));
  ASSERT_TRUE(two_levels);
  EXPECT_EQ(two_levels->start_level, 2);
  EXPECT_EQ(two_levels->root_tables, 16);
}

}  // namespace
}  // namespace arm_vcpu::stage2
