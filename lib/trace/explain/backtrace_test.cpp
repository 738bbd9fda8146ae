// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/trace/backtrace.hpp"

#include <gtest/gtest.h>

#include <map>

namespace arm_vcpu::trace {
namespace {

using Memory = std::map<std::uint64_t, std::uint64_t>;

auto reader(const Memory& memory) {
  return [&memory](std::uint64_t va) {
    const auto at = memory.find(va);
    return at == memory.end() ? std::nullopt : std::optional{at->second};
  };
}

void frame(Memory& memory, std::uint64_t record, std::uint64_t caller, std::uint64_t address) {
  memory[record] = caller;
  memory[record + 8] = address;
}

constexpr std::uint64_t kStack = 0xFFFF'8000'1000'0000;

Memory three() {
  Memory memory;
  frame(memory, kStack, kStack + 0x20, 0xFFFF'8000'0800'1000);
  frame(memory, kStack + 0x20, kStack + 0x80, 0xFFFF'8000'0800'2000);
  frame(memory, kStack + 0x80, 0, 0xFFFF'8000'0800'3000);
  return memory;
}

TEST(Backtrace, FollowsTheChain) {
  const Memory memory = three();
  const Backtrace trace = backtrace(0xFFFF'8000'0800'0000, kStack, std::nullopt, {}, reader(memory));
  ASSERT_EQ(trace.count, 4U);
  for (unsigned i = 0; i < 4; ++i) EXPECT_EQ(trace.frames()[i].pc, 0xFFFF'8000'0800'0000 + i * 0x1000);
  EXPECT_EQ(trace.frames()[1].record, kStack);
  EXPECT_EQ(trace.end, BacktraceEnd::complete);
}

TEST(Backtrace, LinkRegisterComesOnce) {
  const Memory memory = three();
  const Backtrace same = backtrace(0x1000, kStack, 0xFFFF'8000'0800'1000, {}, reader(memory));
  EXPECT_EQ(same.count, 4U);
  EXPECT_EQ(same.frames()[1].record, kStack);
  const Backtrace leaf = backtrace(0x1000, kStack, 0xFFFF'8000'0800'9000, {}, reader(memory));
  ASSERT_EQ(leaf.count, 5U);
  EXPECT_EQ(leaf.frames()[1].pc, 0xFFFF'8000'0800'9000U);
}

TEST(Backtrace, AuthenticationCodesAreStripped) {
  static_assert(strip_pac(0x00AB'8000'0800'1000, 48) == 0xFFFF'8000'0800'1000);
  static_assert(strip_pac(0xFFAB'8000'0800'1000, 48) == 0xFFFF'8000'0800'1000);
  static_assert(strip_pac(0x3F21'0000'4008'1000, 48) == 0x0000'0000'4008'1000);
  static_assert(strip_pac(0x0025'FFC0'0800'1000, 39) == 0x0000'0040'0800'1000);
  static_assert(strip_pac(0xAAAA'AAC0'0800'1000, 39) == 0xFFFF'FFC0'0800'1000);
  static_assert(strip_pac(~std::uint64_t{0}, 64) == ~std::uint64_t{0});
  Memory memory = three();
  memory[kStack + 8] = 0xB5DE'8000'0800'1000;
  EXPECT_EQ(backtrace(0, kStack, std::nullopt, {}, reader(memory)).frames()[1].pc, 0xFFFF'8000'0800'1000U);
}

TEST(Backtrace, EndsWhereTheChainIsBroken) {
  Memory memory = three();
  EXPECT_EQ(backtrace(1, 0, std::nullopt, {}, reader(memory)).end, BacktraceEnd::complete);
  EXPECT_EQ(backtrace(1, 8, std::nullopt, {}, reader(memory)).end, BacktraceEnd::misaligned);
  EXPECT_EQ(backtrace(1, 0x10, std::nullopt, {}, reader(memory)).end, BacktraceEnd::unreadable);
  EXPECT_EQ(backtrace(1, kStack, std::nullopt, {.lowest = kStack + 0x10}, reader(memory)).end,
            BacktraceEnd::out_of_bounds);
  EXPECT_EQ(backtrace(1, kStack, std::nullopt, {.highest = kStack + 0x2E}, reader(memory)).count, 2U);
  EXPECT_EQ(backtrace(1, kStack, std::nullopt, {.highest = kStack + 0x2F}, reader(memory)).count, 3U);
  EXPECT_EQ(backtrace(1, kStack, std::nullopt, {.frame_bytes = 0x20}, reader(memory)).count, 3U);

  memory[kStack + 0x20] = kStack;  // a loop
  const Backtrace loop = backtrace(1, kStack, std::nullopt, {}, reader(memory));
  EXPECT_EQ(loop.end, BacktraceEnd::not_above);
  EXPECT_EQ(loop.count, 3U);

  memory[kStack + 0x28] = 0;
  EXPECT_EQ(backtrace(1, kStack, std::nullopt, {}, reader(memory)).end, BacktraceEnd::complete);
}

TEST(Backtrace, HasALimit) {
  Memory memory;
  for (std::uint64_t i = 0; i < 200; ++i) frame(memory, kStack + i * 16, kStack + i * 16 + 16, 0x1000 + i * 4);
  const Backtrace all = backtrace(1, kStack, std::nullopt, {.frames = 1000}, reader(memory));
  EXPECT_EQ(all.count, Backtrace::kMaxFrames);
  EXPECT_EQ(all.end, BacktraceEnd::too_long);
  EXPECT_EQ(backtrace(1, kStack, std::nullopt, {.frames = 5}, reader(memory)).count, 5U);
  EXPECT_EQ(backtrace(1, kStack, 2, {.frames = 1}, reader(memory)).count, 1U);
  EXPECT_EQ(backtrace(1, kStack, 2, {.frames = 0}, reader(memory)).count, 0U);
}

TEST(Backtrace, GarbageAlwaysEnds) {
  std::uint64_t random = 1;
  for (int i = 0; i < 10'000; ++i) {
    random = random * 6364136223846793005U + 1442695040888963407U;
    const Backtrace trace = backtrace(random, random & ~std::uint64_t{15}, random >> 7, {},
                                      [&](std::uint64_t va) -> std::optional<std::uint64_t> {
                                        return (va * 0x9E37'79B9'7F4A'7C15U ^ random) & ~std::uint64_t{15};
                                      });
    EXPECT_LE(trace.count, Backtrace::kMaxFrames);
    EXPECT_FALSE(meaning_of(trace.end).empty());
  }
}

}  // namespace
}  // namespace arm_vcpu::trace
