// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/vm/stage2_pool.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <set>

namespace arm_vcpu::stage2 {
namespace {

struct Area {
  explicit Area(std::size_t pages)
      : memory{static_cast<char*>(std::aligned_alloc(65536, (pages * 4096 + 65535) / 65536 * 65536)), &std::free} {
    std::memset(memory.get(), 0xA5, pages * 4096);
  }
  [[nodiscard]] std::uint64_t base() const { return reinterpret_cast<std::uint64_t>(memory.get()); }
  std::unique_ptr<char, void (*)(void*)> memory;
};

TEST(Stage2Pool, TablesAreZeroedDistinctAndReturned) {
  Area area{8};
  TablePool<64> pool{area.base(), 8 * 4096};
  std::set<std::uint64_t> tables;
  for (int round = 0; round < 2; ++round) {
    for (unsigned i = 0; i < 8; ++i) {
      const auto table = pool.allocate_tables(1, 4096);
      ASSERT_TRUE(table);
      EXPECT_TRUE(bits::aligned(*table, 4096));
      EXPECT_GE(*table, area.base());
      EXPECT_LT(*table, area.base() + 8 * 4096);
      for (unsigned at = 0; at < 4096; at += 8) ASSERT_EQ(pool.read(*table + at), 0U);
      pool.write(*table + 4088, ~std::uint64_t{0});
      EXPECT_TRUE(tables.insert(*table).second);
    }
    EXPECT_EQ(pool.free_tables(), 0U);
    EXPECT_EQ(pool.allocate_tables(1, 4096).error(), (Error{Errc::out_of_table_memory, 1, 0}));
    for (const std::uint64_t table : tables) pool.free_table(table);
    tables.clear();
    EXPECT_EQ(pool.free_tables(), 8U);
  }
}

TEST(Stage2Pool, RunsAreAlignedAndFoundAgain) {
  Area area{64};
  TablePool<64> pool{area.base() + 8, 64 * 4096 - 8};  // the first page is not whole
  EXPECT_EQ(pool.capacity(), 63U);
  const auto single = pool.allocate_tables(1, 4096);
  const auto run = pool.allocate_tables(16, 65536);
  ASSERT_TRUE(single && run);
  EXPECT_TRUE(bits::aligned(*run, 65536));
  for (unsigned i = 0; i < 16; ++i) pool.free_table(*run + i * 4096);
  EXPECT_EQ(pool.allocate_tables(16, 65536), *run);
  // A hole of one page serves single tables only.
  pool.free_table(*single);
  const auto pair = pool.allocate_tables(2, 8192);
  ASSERT_TRUE(pair);
  EXPECT_NE(*pair, *single);
  EXPECT_EQ(pool.allocate_tables(1, 4096), *single);
}

TEST(Stage2Pool, CapacityIsTheSmallerOfAreaAndMap) {
  Area area{8};
  EXPECT_EQ((TablePool<4>{area.base(), 8 * 4096}.capacity()), 4U);
  EXPECT_EQ((TablePool<64>{area.base(), 4095}.capacity()), 0U);
  EXPECT_EQ((TablePool<64>{area.base() + 1, 4096}.capacity()), 0U);
  TablePool<64> pool{area.base(), 8 * 4096};
  EXPECT_EQ(pool.allocate_tables(16, 65536).error(), (Error{Errc::out_of_table_memory, 16, 8}));
}

}  // namespace
}  // namespace arm_vcpu::stage2
