// SPDX-License-Identifier: Apache-2.0
#include "stage1.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace arm_vcpu::hv {
namespace {

using D = Stage1Descriptor;

struct alignas(4096) AlignedTable {
  Stage1Map::Table table{};
};
static_assert(sizeof(AlignedTable) == 4096);

class Stage1Test : public ::testing::Test {
 protected:
  std::span<Stage1Map::Table> pool(std::size_t tables) {
    storage_ = std::make_unique<AlignedTable[]>(tables);
    return {&storage_[0].table, tables};
  }
  static D leaf(const Stage1Map& map, std::uint64_t address) { return D::from(map.lookup(address)); }

  std::unique_ptr<AlignedTable[]> storage_;
};

TEST_F(Stage1Test, UsesTheLargestBlocksThatFit) {
  Stage1Map map{pool(8), {}};
  // One page, one 2 MiB block, one GiB.
  ASSERT_TRUE(map.map(Range::from_to(0x3FDF'F000, 0x8000'0000), kData, Occupied::is_an_error));
  EXPECT_TRUE(leaf(map, 0x3FDF'F000).get<D::table_or_page>());   // page
  EXPECT_FALSE(leaf(map, 0x3FE0'0000).get<D::table_or_page>());  // 2 MiB block
  EXPECT_FALSE(leaf(map, 0x4000'0000).get<D::table_or_page>());  // 1 GiB block
  EXPECT_EQ(leaf(map, 0x7FFF'FFFF).get<D::output>(), 0x4000'0000ULL >> 12);
  EXPECT_EQ(map.lookup(0x3FDF'EFFF), 0U);
  EXPECT_EQ(map.lookup(0x8000'0000), 0U);
  EXPECT_EQ(map.tables_used(), 4U);  // levels 0, 1, 2 and 3, one each
}

TEST_F(Stage1Test, TaggedMemoryDiffersInItsAttributeAlone) {
  Stage1Map map{pool(8), {}};
  ASSERT_TRUE(map.map({0x1000, 0x1000}, kData, Occupied::is_an_error));
  ASSERT_TRUE(map.map({0x2000, 0x1000}, kTaggedData, Occupied::is_an_error));
  const D plain = leaf(map, 0x1000);
  const D tagged = leaf(map, 0x2000);
  const auto attribute = [](std::uint64_t mair, D entry) { return mair >> (8 * entry.get<D::AttrIndx>()) & 0xFF; };
  EXPECT_EQ(attribute(kStage1MairTagged, tagged), 0xF0U);
  EXPECT_EQ(attribute(kStage1MairTagged, plain), 0xFFU);
  EXPECT_EQ(attribute(kStage1Mair, tagged), 0U) << "not encoded on a CPU without FEAT_MTE2";
  EXPECT_EQ(tagged.raw & ~(D::AttrIndx::kMask | D::output::kMask),
            plain.raw & ~(D::AttrIndx::kMask | D::output::kMask));
}

TEST_F(Stage1Test, NothingIsWritableAndExecutable) {
  Stage1Map map{pool(8), {.guarded_pages = true}};
  ASSERT_TRUE(map.map({0x0000, 0x1000}, kText, Occupied::is_an_error));
  ASSERT_TRUE(map.map({0x1000, 0x1000}, kConstants, Occupied::is_an_error));
  ASSERT_TRUE(map.map({0x2000, 0x1000}, kData, Occupied::is_an_error));
  ASSERT_TRUE(map.map({0x3000, 0x1000}, kDevice, Occupied::is_an_error));
  struct Expected {
    bool read_only, never_executes, guarded;
    std::uint8_t attribute;
  };
  const Expected expected[] = {
      {true, false, true, 0}, {true, true, false, 0}, {false, true, false, 0}, {false, true, false, 1}};
  for (unsigned page = 0; page < 4; ++page) {
    const D entry = leaf(map, page * kPageBytes);
    EXPECT_EQ(entry.get<D::AP2>(), expected[page].read_only) << page;
    EXPECT_EQ(entry.get<D::XN>(), expected[page].never_executes) << page;
    EXPECT_EQ(entry.get<D::GP>(), expected[page].guarded) << page;
    EXPECT_EQ(entry.get<D::AttrIndx>(), expected[page].attribute) << page;
    EXPECT_TRUE(entry.get<D::AF>()) << page;
    EXPECT_TRUE(entry.get<D::AP1>()) << page;
  }
}

TEST_F(Stage1Test, TextIsNotGuardedWithoutBtiAndEl0HasNoAccess) {
  Stage1Map map{pool(8), {.two_privilege_levels = true}};
  ASSERT_TRUE(map.map({0, 0x1000}, kText, Occupied::is_an_error));
  EXPECT_FALSE(leaf(map, 0).get<D::GP>());
  EXPECT_FALSE(leaf(map, 0).get<D::AP1>());
}

TEST_F(Stage1Test, FillingKeepsWhatIsThere) {
  Stage1Map map{pool(8), {}};
  ASSERT_TRUE(map.map({0x20'1000, 0x1000}, kText, Occupied::is_an_error));
  ASSERT_TRUE(map.guard(0x20'3000));
  ASSERT_TRUE(map.map({0x40'0000, 0x20'0000}, kDevice, Occupied::is_an_error));
  ASSERT_TRUE(map.map({0, 0x80'0000}, kData, Occupied::keeps));
  EXPECT_TRUE(leaf(map, 0x20'1000).get<D::AP2>());
  EXPECT_FALSE(leaf(map, 0x20'2000).get<D::AP2>());
  EXPECT_EQ(map.lookup(0x20'3000), 0U);
  EXPECT_NE(map.lookup(0x20'4000), 0U);
  EXPECT_EQ(leaf(map, 0x40'0000).get<D::AttrIndx>(), 1);
  EXPECT_EQ(leaf(map, 0x60'0000).get<D::AttrIndx>(), 0);
}

TEST_F(Stage1Test, RefusesWhatItCannotDo) {
  Stage1Map map{pool(4), {}};
  ASSERT_TRUE(map.map({0x1000, 0x1000}, kData, Occupied::is_an_error));
  EXPECT_EQ(map.map({0x1000, 0x1000}, kText, Occupied::is_an_error).error().code, Errc::already_mapped);
  EXPECT_EQ(map.guard(0x1000).error().code, Errc::already_mapped);
  EXPECT_EQ(map.map({0x1001, 0x1000}, kData, Occupied::keeps).error().code, Errc::unaligned_address);
  EXPECT_EQ(map.map({0x1000, 0x1}, kData, Occupied::keeps).error().code, Errc::unaligned_address);
  EXPECT_EQ(map.map({0xFFFF'FFFF'F000, 0x2000}, kData, Occupied::keeps).error().code, Errc::address_out_of_range);
  EXPECT_EQ(map.map({~0xFFFULL, 0x2000}, kData, Occupied::keeps).error().code, Errc::address_out_of_range);
  EXPECT_EQ(map.map({0x80'0000'0000, 0x1000}, kData, Occupied::keeps).error().code, Errc::out_of_table_memory);
}

TEST_F(Stage1Test, TheLastPageOfTheAddressSpaceIsReachable) {
  Stage1Map map{pool(4), {}};
  ASSERT_TRUE(map.map({0xFFFF'FFFF'F000, 0x1000}, kDevice, Occupied::is_an_error));
  EXPECT_NE(map.lookup(0xFFFF'FFFF'FFFF), 0U);
  EXPECT_EQ(map.lookup(0x1'0000'0000'0000), 0U);
}

}  // namespace
}  // namespace arm_vcpu::hv
