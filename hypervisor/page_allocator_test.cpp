// SPDX-License-Identifier: Apache-2.0
#include "page_allocator.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace arm_vcpu::hv {
namespace {

constexpr std::uint64_t kPage = 4096;

TEST(PageAllocator, GivesWholePagesAlignedAndTakesThemBack) {
  PageAllocator<8> pages;
  ASSERT_TRUE(pages.add({0x1000 + 1, 0x10'0000}));
  EXPECT_EQ(pages.bytes_free(), 0xFF000U) << "whole pages only";
  const auto a = pages.allocate(1, kPage);
  const auto b = pages.allocate(kPage + 1, 0x1'0000);
  ASSERT_TRUE(a && b);
  EXPECT_EQ(*a, (Range{0x2000, kPage}));
  EXPECT_EQ(*b, (Range{0x1'0000, 2 * kPage}));
  EXPECT_EQ(pages.taken(), 2U);
  EXPECT_TRUE(pages.free(*b));
  EXPECT_FALSE(pages.free(*b)) << "twice";
  EXPECT_FALSE(pages.free({0x1000 * 3, kPage})) << "never given";
  EXPECT_TRUE(pages.free(*a));
  EXPECT_FALSE(pages.free(*a));
  EXPECT_EQ(pages.view().size(), 1U) << "in one piece again";
  EXPECT_EQ(pages.bytes_free(), 0xFF000U);
}

TEST(PageAllocator, Refusals) {
  PageAllocator<4> pages;
  ASSERT_TRUE(pages.add({0, 64 * kPage}));
  EXPECT_EQ(pages.allocate(65 * kPage, kPage).error().code, Errc::out_of_memory);
  EXPECT_EQ(pages.allocate(0, kPage).error().code, Errc::out_of_memory);
  EXPECT_EQ(pages.allocate(~std::uint64_t{0}, kPage).error().code, Errc::out_of_memory);
  std::vector<Range> held;
  for (int i = 0; i < 3; ++i) held.push_back(*pages.allocate(kPage, kPage));
  EXPECT_EQ(pages.allocate(kPage, kPage).error().code, Errc::out_of_slots) << "its return could not be noted";
  EXPECT_EQ(pages.bytes_free(), 61 * kPage) << "nothing was taken";
  for (const Range& range : held) EXPECT_TRUE(pages.free(range));
}

TEST(PageAllocator, RandomModel) {
  for (unsigned seed = 1; seed <= 30; ++seed) {
    std::mt19937_64 random{seed};
    PageAllocator<16> pages;
    std::vector<bool> usable(512, true), taken(512, false);
    ASSERT_TRUE(pages.add({0, 512 * kPage}));
    for (int hole = 0; hole < 3; ++hole) {
      const std::uint64_t at = random() % 512;
      ASSERT_TRUE(pages.keep_out({at * kPage + 17, 5}));
      usable[at] = false;
    }
    const std::uint64_t all = pages.bytes_free();
    std::vector<Range> held;
    for (int step = 0; step < 3000; ++step) {
      if (random() % 2 == 0) {
        const std::uint64_t count = 1 + random() % 40;
        const std::uint64_t alignment = kPage << random() % 5;
        if (const auto range = pages.allocate(count * kPage - random() % kPage, alignment)) {
          ASSERT_EQ(range->base % alignment, 0U);
          ASSERT_EQ(range->bytes, count * kPage);
          for (std::uint64_t page = range->base / kPage; page < range->end() / kPage; ++page) {
            ASSERT_TRUE(usable[page] && !taken[page]);
            taken[page] = true;
          }
          held.push_back(*range);
        }
      } else if (!held.empty()) {
        const std::size_t which = random() % held.size();
        ASSERT_TRUE(pages.free(held[which])) << "taking back never fails";
        for (std::uint64_t page = held[which].base / kPage; page < held[which].end() / kPage; ++page) {
          taken[page] = false;
        }
        held.erase(held.begin() + static_cast<std::ptrdiff_t>(which));
      }
      std::uint64_t given = 0;
      for (const Range& range : held) given += range.bytes;
      ASSERT_EQ(pages.bytes_free() + given, all);
      ASSERT_EQ(pages.taken(), held.size());
    }
    for (const Range& range : held) ASSERT_TRUE(pages.free(range));
    EXPECT_EQ(pages.bytes_free(), all);
  }
}

}  // namespace
}  // namespace arm_vcpu::hv
