// SPDX-License-Identifier: Apache-2.0
// Every system register there could be: 32768 encodings, read and written, from EL1 and from EL0.
#include "classes.hpp"
#include "guest/cpu.hpp"

namespace torture {
namespace {

constexpr u32 kEncodings = 0x8000;
constexpr u32 kFirst = 0x8000;  // op0 is 2 or 3
constexpr u64 kSlots = 2 * kEncodings;
constexpr u64 kStart = 0x4321;

void prepare(Random&) noexcept {
  for (u32 i = 0; i < kEncodings; ++i) {
    write_slot(2 * i, system_word(kFirst + i, true, 2));
    write_slot(2 * i + 1, system_word(kFirst + i, false, 2));
  }
  finish_code(0, kSlots);
}

// What a register access can come to: it is done, it is undefined, it is the FP trap of CPACR_EL1 or a trap of EL0, or
// the write made a debug exception or an interrupt of Exception level 1 possible.
bool is_expected(const Outcome& outcome) noexcept {
  if (!outcome.is_sync()) return !outcome.is_serror();
  constexpr unsigned kEcTrappedAccess = 0x18;
  constexpr unsigned kEcSve = 0x19;
  constexpr unsigned kEcSme = 0x1D;
  const unsigned ec = outcome.ec();
  return ec == kEcBrk || ec == kEcUnknown || ec == kEcFpAccess || ec == kEcTrappedAccess || ec == kEcSve ||
         ec == kEcSme || (ec >= 0x30 && ec <= 0x35);
}

// Where the architecture has put registers of EL1 and EL0. [armarm] "Op0==0b11, Moves to and from non-debug System
// registers and Special-purpose registers"
struct Region {
  u32 op1, crn, crms, op2s;  // how many of the last two, from 0
};
constexpr Region kRegions[] = {
    {0, 0, 8, 8},  {0, 0, 8, 8},  {0, 1, 4, 7},   {0, 2, 4, 4},   {0, 4, 7, 6},   {0, 5, 5, 4},  {0, 6, 1, 1},
    {0, 7, 5, 1},  {0, 9, 16, 8}, {0, 10, 6, 8},  {0, 12, 13, 8}, {0, 12, 13, 8}, {0, 13, 1, 8}, {0, 14, 2, 1},
    {1, 0, 1, 8},  {2, 0, 1, 1},  {3, 0, 1, 8},   {3, 2, 5, 2},   {3, 4, 5, 8},   {3, 9, 16, 8}, {3, 13, 1, 8},
    {3, 14, 4, 3}, {3, 14, 4, 3}, {3, 14, 16, 8}, {0, 11, 16, 8}, {0, 15, 16, 8}, {3, 15, 16, 8}};

u32 likely(Random& random) noexcept {
  const Region& region = random.pick(kRegions);
  return encoding_of(3, region.op1, region.crn, static_cast<u32>(random.below(region.crms)),
                     static_cast<u32>(random.below(region.op2s)));
}

void operate(Random& random, u64 number) noexcept {
  // An odd step visits all of them before any comes again. Every other time: where EL1 and EL0 have registers.
  u64 slot = (number / 2 * 0x9E35 + kStart) % kSlots;
  if (number % 2 != 0) slot = 2 * (likely(random) - kFirst) + random.below(2);
  const u32 encoding = kFirst + static_cast<u32>(slot / 2);
  const bool is_read = slot % 2 == 0;
  const bool at_el0 = random.one_in(8);
  u64 value = random.number();
  if (!is_read && !at_el0 && is_way_home(encoding)) return;
  while (!is_read && kills_qemu(encoding, value)) value = random.bits() >> 3 | 1;
  fill_registers(random);
  torture_state.x[2] = value;
  const u64 pc = address_of_slot(slot);
  const u64 masks = random.one_in(4) ? 0 : kMaskedDaif;
  const Outcome& outcome = attempt(pc, at_el0 ? kModeEl0 : kModeEl1h | masks);
  if (!is_expected(outcome)) fail("a register access ends otherwise", encoding, is_read);
  // op1 4 to 7 are registers of EL2, EL3 and Secure EL1. None may be seen, none changed.
  const u32 op1 = encoding >> 11 & 7;
  if (op1 >= 4 && is_completed(outcome, pc)) fail("a register of a higher Exception level is there", encoding, is_read);
  if (at_el0 && op1 != 3 && is_completed(outcome, pc)) {
    // op0 2 has the debug communication channel, which MDSCR_EL1.TDCC opens to EL0; ID registers are trapped.
    if (encoding >> 14 == 3) fail("a register of EL1 is there for EL0", encoding, is_read);
  }
  if (!outcome.is_sync()) drain_interrupts();
  restore_registers();
  constexpr u32 kTimerCrn = 14;
  if (!is_read && op1 == 3 && (encoding >> 7 & 15) == kTimerCrn) GUEST_WRITE(cntp_ctl_el0, 0);
}

}  // namespace

constinit const Class kSysregs{"sysregs", prepare, operate};

}  // namespace torture
