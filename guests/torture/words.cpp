// SPDX-License-Identifier: Apache-2.0
// Instruction words by chance, at EL1 and EL0, in A64; at EL0 in A32 and T32 where the CPU has them.
#include "classes.hpp"
#include "guest/cpu.hpp"

namespace torture {
namespace {

using namespace guest;

constexpr u64 kBatch = 1024;  // words that are written at once

constinit bool g_has_a32 = false;

// A word that would leave this CPU in a place from which neither an exception nor the watchdog brings it back, or that
// ends QEMU.
bool is_excluded(u32 word) noexcept {
  if ((word & 0xFFF0'0000) == 0xD510'0000 || (word & 0xFFF8'0000) == 0xD518'0000) {  // MSR
    const u32 encoding = word >> 5 & 0xFFFF;
    return is_way_home(encoding) || kills_qemu(encoding, 0) || kills_qemu(encoding, ~u64{0});
  }
  // Branches to themselves, with interrupts masked.
  if ((word & 0x7FFF'FFFF) == 0x1400'0000) return true;  // B, BL
  if ((word & 0xFFFF'FFE0) == 0x5400'0000) return true;  // B.cond
  if ((word & 0x7EFF'FFE0) == 0x3400'0000) return true;  // CBZ, CBNZ
  if ((word & 0x7E07'FFE0) == 0x3600'0000) return true;  // TBZ, TBNZ
  if ((word & 0xFFFF'F000) == 0xD69F'0000) return true;  // ERET: to the word itself, which is in ELR_EL1
  return word == 0xD45E'0000;                            // HLT #0xF000: QEMU's semihosting, when that is on
}

u32 any_word(Random& random) noexcept {
  for (;;) {
    u32 word = random.word();
    switch (random.below(8)) {
      case 0:
      case 1: word = 0xD500'0000 | (word & 0x00FF'FFFF); break;  // system
      case 2: word = 0xD400'0000 | (word & 0x00FF'FFFF); break;  // exception generation
      case 3: word = (word & 0xF5FF'FFFF) | 0x0800'0000; break;  // loads and stores
      default: break;
    }
    if (!is_excluded(word)) return word;
  }
}

void prepare(Random&) noexcept {
  g_has_a32 = (GUEST_READ(id_aa64pfr0_el1) & 0xF) == 2;
  reset_interrupts();
}

void renew(Random& random) noexcept {
  for (u64 i = 0; i < kBatch; ++i) write_slot(i, any_word(random));
  finish_code(0, kBatch);
  reset_interrupts();
}

void finish(const Outcome& outcome, u32 word) noexcept {
  disarm_watchdog();
  if (outcome.is_serror()) fail("an SError of an instruction", word, outcome.elr);
  if (!outcome.is_sync()) drain_interrupts();
  restore_registers();
}

void operate(Random& random, u64 number) noexcept {
  if (number % kBatch == 0) renew(random);
  const u64 slot = number % kBatch;
  fill_registers(random);
  u64 spsr = random.bits() & 0xF000'0000;  // NZCV
  switch (random.below(4)) {
    case 0: spsr |= kModeEl0; break;
    case 1: spsr |= kModeEl1t; break;
    case 2: spsr |= kModeEl1h | kMaskedIrqFiq; break;
    default: spsr |= kModeEl1h; break;
  }
  // PSTATE by chance too: reserved modes, EL2, AArch32 at EL1 are illegal returns; single step, SSBS, BTYPE are not.
  if (random.one_in(16)) spsr = random.bits() & 0xFFFF'FFFF & ~u64{kMaskedIrqFiq};
  arm_watchdog();
  const u64 at = kCodeStore + slot * 8;
  finish(attempt(address_of_slot(slot), spsr, quiet_sandbox()), *reinterpret_cast<const volatile u32*>(at));
}

// UDF in A32; in T32 the first halfword is UDF too.
constexpr u32 kUdf = 0xE7F0'DEF0;

void renew_a32(Random& random) noexcept {
  for (u64 i = 0; i < kBatch; ++i) {
    u32 word = random.word();
    if (random.one_in(4)) word = (word & 0x00FF'FFFF) | 0xEE00'0000;  // coprocessors
    if (random.one_in(4)) word = (word & 0xF0FF'FFFF) | 0xE000'0000;  // always, arithmetic and multiplication
    auto* at = reinterpret_cast<volatile u32*>(kCodeStore + i * 8);
    at[0] = word;
    at[1] = kUdf;
  }
  finish_code(0, kBatch);
  reset_interrupts();
}

// A load of two bytes in T32, once by itself and once as the first of an IT block's: the emulated access has to go on
// right behind it, and with what is left of the block. Masked: a word before may have left an interrupt pending, and
// the block ends by itself.
void check_t32(Random& random) noexcept {
  constexpr u64 kPlain = kBatch + 2;
  constexpr u64 kBlock = kBatch + 4;
  constexpr u64 kZ = 1 << 30;
  constexpr u64 kThumb = 1 << 5;
  auto* at = reinterpret_cast<volatile u32*>(kCodeStore + kPlain * 8);
  at[0] = 0xDEF0'680A;  // ldr r2, [r1]; udf
  at = reinterpret_cast<volatile u32*>(kCodeStore + kBlock * 8);
  at[0] = 0x680A'BF04;  // itt eq; ldreq r2, [r1]
  at[1] = 0xDEF0'DEF0;  // udfeq; udf
  finish_code(kPlain, 4);
  fill_registers(random);
  torture_state.x[1] = kGicd + 4;  // GICD_TYPER
  const bool in_block = random.one_in(2);
  const u64 pc = address_of_slot(in_block ? kBlock : kPlain);
  const Outcome& outcome = attempt(pc, kModeA32User | kMaskedIrqFiq | kThumb | kZ, quiet_sandbox());
  if (outcome.elr != pc + (in_block ? 4 : 2)) fail("a T32 load of a device goes on elsewhere", outcome.elr, pc);
  if (outcome.x[2] != read32(kGicd + 4)) fail("a T32 load of a device gets another value", outcome.x[2], pc);
  // One instruction of the block is left: IT is 0b0000'1000, EQ, in SPSR_EL1[15:10,26:25].
  const u64 it = (outcome.spsr >> 10 & 0x3F) << 2 | (outcome.spsr >> 25 & 3);
  if (it != (in_block ? 8U : 0U)) fail("a T32 load of a device leaves another IT state", it, pc);
}

void operate_a32(Random& random, u64 number) noexcept {
  if (!g_has_a32) return;
  if (number % 64 == 0) check_t32(random);
  if (number % kBatch == 0) renew_a32(random);
  const u64 slot = number % kBatch;
  fill_registers(random);
  for (u64& x : torture_state.x) x &= 0xFFFF'FFFF;
  // NZCV, Q, IT, GE, E and T by chance; A, I and F clear, so that the watchdog comes.
  const u64 spsr = kModeA32User | (random.bits() & 0xFE0F'FE20);
  const u64 halfword = (spsr & 0x20) != 0 && random.one_in(2) ? 2 : 0;
  arm_watchdog();
  const u64 at = kCodeStore + slot * 8;
  finish(attempt(address_of_slot(slot) + halfword, spsr, quiet_sandbox()), *reinterpret_cast<const volatile u32*>(at));
}

}  // namespace

constinit const Class kWords{"words", prepare, operate};
constinit const Class kWordsA32{"words32", prepare, operate_a32};

}  // namespace torture
