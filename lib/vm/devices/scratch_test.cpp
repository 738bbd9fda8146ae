// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/vm/scratch.hpp"

#include <gtest/gtest.h>

#include <array>

namespace arm_vcpu {
namespace {

TEST(ScratchDevice, EveryWidthIsReadBack) {
  std::array<std::byte, 32> memory{};
  ScratchDevice device{memory};
  for (const auto width : {AccessWidth::byte, AccessWidth::halfword, AccessWidth::word, AccessWidth::doubleword}) {
    memory.fill(std::byte{0xEE});
    ASSERT_TRUE(device.write({.offset = 8, .width = width}, 0x8877'6655'4433'2211));
    EXPECT_EQ(device.read({.offset = 8, .width = width}), truncate(0x8877'6655'4433'2211, width));
    EXPECT_EQ(memory[7], std::byte{0xEE});
    EXPECT_EQ(memory[8], std::byte{0x11}) << "little-endian";
    EXPECT_EQ(memory[8 + bytes_of(width)], std::byte{0xEE});
  }
}

TEST(ScratchDevice, WhatItDoesNotHaveIsRefused) {
  std::array<std::byte, 32> memory{};
  ScratchDevice device{memory};
  EXPECT_TRUE(device.read({.offset = 24, .width = AccessWidth::doubleword}));
  EXPECT_FALSE(device.read({.offset = 25, .width = AccessWidth::doubleword}));
  EXPECT_FALSE(device.write({.offset = 32, .width = AccessWidth::byte}, 0));
  EXPECT_FALSE(device.write({.offset = ~std::uint64_t{0}, .width = AccessWidth::word}, 0));
  EXPECT_FALSE(ScratchDevice{}.read({.offset = 0, .width = AccessWidth::byte})) << "without memory";
}

}  // namespace
}  // namespace arm_vcpu
