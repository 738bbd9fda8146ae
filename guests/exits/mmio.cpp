// SPDX-License-Identifier: Apache-2.0
// Loads and stores of every form that carries a valid instruction syndrome, on registers whose values are known.
#include "exits.hpp"
#include "guest/check.hpp"
#include "guest/cpu.hpp"
#include "guest/gic.hpp"

namespace exits {
namespace {

using namespace guest;

constexpr u64 kIlpr = kUart + 0x20;  // 8 bits, no effect without IrDA
constexpr u64 kIbrd = kUart + 0x24;  // 16 bits, no effect before LCR_H is written
constexpr u64 kPcellId3 = kUart + 0xFFC;
constexpr u32 kIdleSpi = 200;                                     // no device
constexpr u64 kPriorities = kGicd + gic::kIpriorityr + kIdleSpi;  // of four SPIs
constexpr u64 kRouter = kGicd + gic::kIrouter + 8 * u64{kIdleSpi};
constexpr u64 kRouterValue = 0xA5'005A'3C01;
constexpr u64 kOld = 0x7777'7777'7777'7777;  // in the destination before the load

// A load of `instruction`, a string up to the operands, into w or x (`size`), with the address in x and 0 in %2.
#define LOAD(instruction, size, operands, address)                                                      \
  ([](u64 at) noexcept {                                                                                \
    u64 value = kOld;                                                                                   \
    asm volatile(instruction " %" size "0, " operands : "+r"(value) : "r"(at), "r"(u64{0}) : "memory"); \
    return value;                                                                                       \
  }(address))
#define STORE(instruction, size, operands, address, data)                                                \
  ([](u64 at, u64 value) noexcept {                                                                      \
    asm volatile(instruction " %" size "0, " operands : : "rZ"(value), "r"(at), "r"(u64{0}) : "memory"); \
  }(address, data))

void test_loads() noexcept {
  write32(kIbrd, 0xFACE);
  write32(kPriorities, 0xF0C0'8040);
  write64(kRouter, kRouterValue);

  check("mmio_read.ldrb", LOAD("ldrb", "w", "[%1]", kPcellId3), 0xB1);
  check("mmio_read.ldrsb_w", LOAD("ldrsb", "w", "[%1]", kPcellId3), 0xFFFF'FFB1);
  check("mmio_read.ldrsb_x", LOAD("ldrsb", "x", "[%1]", kPcellId3), 0xFFFF'FFFF'FFFF'FFB1);
  check("mmio_read.ldrsb_positive", LOAD("ldrsb", "x", "[%1]", kUart + 0xFF8), 0x05);
  check("mmio_read.ldrh", LOAD("ldrh", "w", "[%1]", kIbrd), 0xFACE);
  check("mmio_read.ldrsh_w", LOAD("ldrsh", "w", "[%1]", kIbrd), 0xFFFF'FACE);
  check("mmio_read.ldrsh_x", LOAD("ldrsh", "x", "[%1]", kIbrd), 0xFFFF'FFFF'FFFF'FACE);
  check("mmio_read.ldr_w", LOAD("ldr", "w", "[%1]", kPriorities), 0xF0C0'8040);
  check("mmio_read.ldrsw", LOAD("ldrsw", "x", "[%1]", kPriorities), 0xFFFF'FFFF'F0C0'8040);
  check("mmio_read.ldr_x", LOAD("ldr", "x", "[%1]", kRouter), kRouterValue);
  check("mmio_read.ldr_w_low_half", LOAD("ldr", "w", "[%1]", kRouter), 0x005A'3C01);
  check("mmio_read.ldr_w_high_half", LOAD("ldr", "w", "[%1, #4]", kRouter), 0xA5);
  check("mmio_read.byte_lane_1", LOAD("ldrb", "w", "[%1, #1]", kPriorities), 0x80);
  check("mmio_read.byte_lane_3", LOAD("ldrsb", "x", "[%1, #3]", kPriorities), 0xFFFF'FFFF'FFFF'FFF0);
  check("mmio_read.unscaled", LOAD("ldur", "w", "[%1, #-4]", kPriorities + 4), 0xF0C0'8040);
  check("mmio_read.register_offset", LOAD("ldr", "w", "[%1, %2]", kPriorities), 0xF0C0'8040);
  check("mmio_read.ldarb", LOAD("ldarb", "w", "[%1]", kPcellId3), 0xB1);
  check("mmio_read.ldarh", LOAD("ldarh", "w", "[%1]", kIbrd), 0xFACE);
  check("mmio_read.ldar_w", LOAD("ldar", "w", "[%1]", kPriorities), 0xF0C0'8040);
  check("mmio_read.ldar_x", LOAD("ldar", "x", "[%1]", kRouter), kRouterValue);

  // Into XZR. Register 31 is the stack pointer in other places, so that must not change.
  u64 before = 0;
  u64 after = 0;
  asm volatile("mov %0, sp\n\tldr wzr, [%2]\n\tldr xzr, [%3]\n\tldrsb xzr, [%4]\n\tmov %1, sp"
               : "=&r"(before), "=&r"(after)
               : "r"(kPriorities), "r"(kRouter), "r"(kPcellId3)
               : "memory");
  check("mmio_read.xzr_keeps_sp", after, before);
}

void test_stores() noexcept {
  constexpr u64 kData = 0xFEDC'BA98'7654'3210;
  STORE("str", "w", "[%1]", kIbrd, 0);
  STORE("strh", "w", "[%1]", kIbrd, kData);
  check("mmio_write.strh", read32(kIbrd), 0x3210);
  STORE("strh", "w", "[%1]", kIbrd, 0);
  check("mmio_write.strh_wzr", read32(kIbrd), 0);
  STORE("strb", "w", "[%1]", kIlpr, kData);
  check("mmio_write.strb", read32(kIlpr), 0x10);
  STORE("strb", "w", "[%1]", kIlpr, 0);
  check("mmio_write.strb_wzr", read32(kIlpr), 0);
  STORE("str", "w", "[%1]", kPriorities, 0x1'4080'C0F0);
  check("mmio_write.str_w", read32(kPriorities), 0x4080'C0F0);
  STORE("strb", "w", "[%1, #2]", kPriorities, 0x20);
  check("mmio_write.strb_lane_2", read32(kPriorities), 0x4020'C0F0);
  STORE("stur", "w", "[%1, #-4]", kPriorities + 4, 0x1020'3040);
  check("mmio_write.stur", read32(kPriorities), 0x1020'3040);
  STORE("str", "w", "[%1, %2]", kPriorities, 0x5060'7080);
  check("mmio_write.register_offset", read32(kPriorities), 0x5060'7080);
  STORE("stlr", "w", "[%1]", kPriorities, 0x90A0'B0C0);
  check("mmio_write.stlr_w", read32(kPriorities), 0x90A0'B0C0);
  STORE("stlrb", "w", "[%1]", kPriorities, 0x10);
  check("mmio_write.stlrb", read32(kPriorities), 0x90A0'B010);
  STORE("str", "w", "[%1]", kPriorities, 0);
  check("mmio_write.str_wzr", read32(kPriorities), 0);
  STORE("str", "x", "[%1]", kRouter, 0);
  check("mmio_write.str_xzr", read64(kRouter), 0);
  STORE("str", "x", "[%1]", kRouter, kRouterValue);
  check("mmio_write.str_x", read64(kRouter), kRouterValue);
  STORE("str", "w", "[%1, #4]", kRouter, 0x11);
  check("mmio_write.str_w_high_half", read64(kRouter), 0x11'005A'3C01);
  STORE("stlr", "x", "[%1]", kRouter, kRouterValue);
  check("mmio_write.stlr_x", read64(kRouter), kRouterValue);
  write64(kRouter, 0);
}

}  // namespace

void test_mmio(const Machine&) noexcept {
  check("mmio.gicd_pidr2_archrev", read32(kGicd + 0xFFE8) >> 4 & 0xF, 3);
  check("mmio.gicr_pidr2_archrev", read32(kGicr + 0xFFE8) >> 4 & 0xF, 3);
  check_between("mmio.gicd_typer_lines", read32(kGicd + 4) & 0x1F, 7, 31);  // SPIs up to the 256th or more
  check("mmio.gicr_typer_affinity", read64(kGicr + 8) >> 32, 0);
  u64 identification = 0;
  for (u64 i = 8; i-- != 0;) identification = identification << 8 | read32(kUart + 0xFE0 + 4 * i);
  check("mmio.pl011_identification", identification, 0xB105'F00D'0014'1011);
  test_loads();
  test_stores();
}

}  // namespace exits
