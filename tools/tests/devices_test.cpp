// SPDX-License-Identifier: Apache-2.0
#include "devices.hpp"

#include <gtest/gtest.h>

namespace arm_vcpu::scope {
namespace {

TEST(Devices, RegistersHaveTheManualsNames) {
  EXPECT_EQ(device_register(0x0900'0000), "PL011.DR");
  EXPECT_EQ(device_register(0x0900'0018), "PL011.FR");
  EXPECT_EQ(device_register(0x0900'0FFC), "PL011.PCellID3");
  EXPECT_EQ(device_register(0x0800'0000), "GICD.CTLR");
  EXPECT_EQ(device_register(0x0800'0104), "GICD.ISENABLER1");
  EXPECT_EQ(device_register(0x0800'0423), "GICD.IPRIORITYR8+3");
  EXPECT_EQ(device_register(0x0800'6108), "GICD.IROUTER33") << "INTID 33, as its offset counts from INTID 0";
  EXPECT_EQ(device_register(0x0800'FFE8), "GICD.PIDR2");
  EXPECT_EQ(device_register(0x080A'0014), "GICR[0].WAKER");
  EXPECT_EQ(device_register(0x080A'000C), "GICR[0].TYPER+4");
  EXPECT_EQ(device_register(0x080A'0000 + 0x2'0000 * 5 + 0x1'0100), "GICR[5].ISENABLER0");
}

TEST(Devices, WhatHasNoNameHasItsOffset) {
  EXPECT_EQ(device_register(0x0900'0010), "PL011.0x10");
  EXPECT_EQ(device_register(0x0800'0FC0), "GICD.0xfc0");
  EXPECT_EQ(device_register(0x0000'1000), "flash0+0x1000");
  EXPECT_EQ(device_register(0x4008'0000), "RAM+0x80000");
}

TEST(Devices, NothingIsNothing) {
  EXPECT_EQ(device_register(0x0900'1000), "");
  EXPECT_EQ(device_register(0x0A00'0000), "");
  EXPECT_EQ(device_of(0x0802'0000), "");
}

TEST(Devices, Interrupts) {
  EXPECT_EQ(interrupt_name(27), "virtual timer");
  EXPECT_EQ(interrupt_name(33), "UART");
  EXPECT_EQ(interrupt_name(3), "SGI 3");
  EXPECT_EQ(interrupt_name(1023), "spurious");
  EXPECT_EQ(interrupt_name(40), "");
  EXPECT_EQ(interrupt_name(3 << 10 | 1), "SGI 1 of CPU 3");
  EXPECT_EQ(interrupt_name(1 << 10 | 40), "");
  EXPECT_EQ(interrupt_name(8192), "");
}

TEST(Devices, AGicV2) {
  EXPECT_EQ(device_register(0x0800'0F00), "GICD.SGIR");
  EXPECT_EQ(device_register(0x0800'0801), "GICD.ITARGETSR0+1");
  EXPECT_EQ(device_register(0x0800'0FE8), "GICD.PIDR2");
  EXPECT_EQ(device_register(0x0801'1000), "GICC.DIR");
  EXPECT_EQ(device_register(0x0801'2000), "GICC.0x2000");
}

}  // namespace
}  // namespace arm_vcpu::scope
