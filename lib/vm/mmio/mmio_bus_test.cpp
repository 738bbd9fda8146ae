// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/vm/mmio_bus.hpp"

#include <gtest/gtest.h>

#include "arm_vcpu/vm/erased_flash.hpp"

namespace arm_vcpu {
namespace {

class FakeDevice final : public MmioDevice {
 public:
  std::optional<std::uint64_t> read(const MmioAccess& access) noexcept override {
    last = access;
    ++reads;
    return refuse ? std::nullopt : std::optional{answer};
  }
  bool write(const MmioAccess& access, std::uint64_t value) noexcept override {
    last = access;
    written = value;
    ++writes;
    return !refuse;
  }

  MmioAccess last{};
  std::uint64_t answer{0x1122334455667788};
  std::uint64_t written{};
  int reads{};
  int writes{};
  bool refuse{};
};

class MmioBusTest : public ::testing::Test {
 protected:
  // Added out of order, with neighbours that touch (gicd, gicr) and that do not.
  void SetUp() override {
    ASSERT_TRUE(bus.add({0x9000000, 0x1000, "pl011", &uart, kWidthsUpToWord}));
    ASSERT_TRUE(bus.add({0x8000000, 0x10000, "gicd", &gicd}));
    ASSERT_TRUE(bus.add({0x8010000, 0x20000, "gicr", &gicr}));
  }

  FakeDevice uart, gicd, gicr;
  MmioBus bus;
};

TEST_F(MmioBusTest, FindsTheRegionOfEachEdge) {
  EXPECT_EQ(bus.find(0x7FFFFFF), nullptr);
  EXPECT_EQ(bus.find(0x8000000)->name, "gicd");
  EXPECT_EQ(bus.find(0x800FFFF)->name, "gicd");
  EXPECT_EQ(bus.find(0x8010000)->name, "gicr");
  EXPECT_EQ(bus.find(0x802FFFF)->name, "gicr");
  EXPECT_EQ(bus.find(0x8030000), nullptr);
  EXPECT_EQ(bus.find(0x9000FFF)->name, "pl011");
  EXPECT_EQ(bus.find(0x9001000), nullptr);
  EXPECT_EQ(bus.find(~std::uint64_t{0}), nullptr);
}

TEST_F(MmioBusTest, RoutesOffsetWidthAndVcpu) {
  const MmioReply read = bus.read(0x9000018, AccessWidth::halfword, 3);
  EXPECT_EQ(read.outcome, MmioOutcome::done);
  EXPECT_EQ(read.region->name, "pl011");
  EXPECT_EQ(read.value, 0x7788U);
  EXPECT_EQ(uart.last.offset, 0x18U);
  EXPECT_EQ(uart.last.width, AccessWidth::halfword);
  EXPECT_EQ(uart.last.vcpu, 3U);

  EXPECT_EQ(bus.write(0x8010008, AccessWidth::byte, 1, 0xABCD).outcome, MmioOutcome::done);
  EXPECT_EQ(gicr.written, 0xCDU);
  EXPECT_EQ(gicr.last.offset, 8U);
  EXPECT_EQ(gicd.reads + gicd.writes, 0);
}

TEST_F(MmioBusTest, DoublewordIsNotCut) {
  EXPECT_EQ(bus.read(0x8000000, AccessWidth::doubleword, 0).value, gicd.answer);
}

TEST_F(MmioBusTest, EachFaultIsItsOwnOutcomeAndReachesNoDevice) {
  EXPECT_EQ(bus.read(0x9001000, AccessWidth::word, 0).outcome, MmioOutcome::hole);
  EXPECT_EQ(bus.read(0x9001000, AccessWidth::word, 0).region, nullptr);
  EXPECT_EQ(bus.write(0x9000FFE, AccessWidth::word, 0, 0).outcome, MmioOutcome::hole);  // crosses the end
  EXPECT_EQ(bus.write(0x9000002, AccessWidth::word, 0, 0).outcome, MmioOutcome::unaligned);
  EXPECT_EQ(bus.read(0x9000000, AccessWidth::doubleword, 0).outcome, MmioOutcome::bad_width);
  EXPECT_EQ(bus.read(0x9000000, AccessWidth::doubleword, 0).region->name, "pl011");
  EXPECT_EQ(uart.reads + uart.writes, 0);
}

TEST_F(MmioBusTest, ADeviceMayRefuse) {
  uart.refuse = true;
  const MmioReply read = bus.read(0x9000000, AccessWidth::word, 0);
  EXPECT_EQ(read.outcome, MmioOutcome::refused);
  EXPECT_EQ(read.value, 0U);
  EXPECT_EQ(bus.write(0x9000000, AccessWidth::word, 0, 1).outcome, MmioOutcome::refused);
}

TEST_F(MmioBusTest, NearestNamesTheRegionsAround) {
  const auto name = [](const MmioRegion* region) { return region != nullptr ? region->name : std::string_view{"-"}; };
  EXPECT_EQ(name(bus.nearest(0x1000).below), "-");
  EXPECT_EQ(name(bus.nearest(0x1000).above), "gicd");
  EXPECT_EQ(name(bus.nearest(0x8500000).below), "gicr");
  EXPECT_EQ(name(bus.nearest(0x8500000).above), "pl011");
  EXPECT_EQ(name(bus.nearest(0x9000800).below), "pl011");  // inside
  EXPECT_EQ(name(bus.nearest(0x40000000).above), "-");
}

TEST_F(MmioBusTest, RefusesOverlaps) {
  const struct {
    std::uint64_t base, size, old;
  } cases[] = {
      {0x8000000, 0x10000, 0x8000000},   // the same
      {0x800F000, 0x100, 0x8000000},     // inside
      {0x7FFF000, 0x1001, 0x8000000},    // touches the first byte
      {0x9000FFF, 0x1000, 0x9000000},    // touches the last byte
      {0x0, 0x40000000, 0x8000000},      // covers all
      {0x8FFF000, 0x100000, 0x9000000},  // covers one
  };
  for (const auto& c : cases) {
    const auto result = bus.add({c.base, c.size, "new", &uart});
    ASSERT_FALSE(result) << std::hex << c.base;
    EXPECT_EQ(result.error(), (Error{Errc::overlap, c.base, c.old})) << std::hex << c.base;
  }
  EXPECT_EQ(bus.size(), 3U);
  EXPECT_TRUE(bus.add({0x7FFF000, 0x1000, "touching", &uart}));
}

TEST_F(MmioBusTest, RefusesRegionsThatCannotBe) {
  EXPECT_EQ(bus.add({0x1000, 0, "empty", &uart}).error().code, Errc::bad_device_region);
  EXPECT_EQ(bus.add({0x1000, 0x1000, "nobody", nullptr}).error().code, Errc::bad_device_region);
  EXPECT_EQ(bus.add({~std::uint64_t{0}, 2, "wraps", &uart}).error().code, Errc::bad_device_region);
  EXPECT_TRUE(bus.add({~std::uint64_t{0}, 1, "last byte", &uart}));
  EXPECT_EQ(bus.find(~std::uint64_t{0})->name, "last byte");
  EXPECT_EQ(bus.read(~std::uint64_t{0}, AccessWidth::byte, 0).outcome, MmioOutcome::done);
}

TEST_F(MmioBusTest, ErasedFlashIsAllOnesAndIgnoresCommands) {
  ErasedFlash flash;
  ASSERT_TRUE(bus.add({0x4000000, 0x4000000, "flash1", &flash}));
  EXPECT_EQ(bus.write(0x4000154, AccessWidth::word, 0, 0x00980098).outcome, MmioOutcome::done);  // CFI query
  EXPECT_EQ(bus.read(0x4000040, AccessWidth::word, 0).value, 0xFFFFFFFFU);                       // not "Q"
  EXPECT_EQ(bus.read(0x7FFFFF8, AccessWidth::doubleword, 0).value, ~std::uint64_t{0});
}

TEST(MmioBusCapacity, FillsUpInAnyOrderAndThenSaysSo) {
  FakeDevice device;
  MmioBus bus;
  for (std::size_t i = 0; i < MmioBus::kCapacity; ++i) {
    const std::uint64_t slot = (i * 7) % MmioBus::kCapacity;  // 7 and 32 share no factor: every slot once
    ASSERT_TRUE(bus.add({slot * 0x1000, 0x1000, "slot", &device}));
  }
  EXPECT_EQ(bus.add({0x100000, 0x1000, "more", &device}).error(),
            (Error{Errc::out_of_slots, MmioBus::kCapacity + 1, MmioBus::kCapacity}));
  for (std::uint64_t slot = 0; slot < MmioBus::kCapacity; ++slot) {
    EXPECT_EQ(bus.find(slot * 0x1000 + 0xFFF)->base, slot * 0x1000);
  }
}

}  // namespace
}  // namespace arm_vcpu
