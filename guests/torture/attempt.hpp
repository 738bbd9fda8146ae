// SPDX-License-Identifier: Apache-2.0
// Instructions that may do anything, in an address space of their own: an attempt begins with all registers given, and
// ends with the exception that its instructions, or the BRK behind them, raise.
#pragma once

#include <cstddef>

#include "offsets.h"
#include "random.hpp"

namespace torture {

struct Regime {
  u64 sctlr, tcr, mair, ttbr0;
};

// How an attempt ended. `x`: the registers as the exception found them.
struct Outcome {
  u64 x[31];
  u64 vector;  // 0 to 15, in the order of the table
  u64 esr, elr, far, spsr;

  [[nodiscard]] unsigned ec() const noexcept { return static_cast<unsigned>(esr >> 26 & 0x3F); }
  [[nodiscard]] unsigned fsc() const noexcept { return static_cast<unsigned>(esr & 0x3F); }
  [[nodiscard]] bool is_sync() const noexcept { return vector % 4 == 0; }
  [[nodiscard]] bool is_irq() const noexcept { return vector % 4 == 1; }
  [[nodiscard]] bool is_fiq() const noexcept { return vector % 4 == 2; }
  [[nodiscard]] bool is_serror() const noexcept { return vector % 4 == 3; }
};

// A page of its own: the program writes it, an attempt reads it and can't write it.
struct alignas(4096) State {
  u64 x[31];
  u64 sp;
  u64 sp_el0;
  u64 elr;
  u64 spsr;
  Regime abroad;
  Regime home;
  u64 home_tpidr;
  u64 home_vbar;
  u64 home_sp;
  Outcome out;
};
static_assert(offsetof(State, sp) == PAGE_SP && offsetof(State, sp_el0) == PAGE_SP_EL0);
static_assert(offsetof(State, elr) == PAGE_ELR && offsetof(State, spsr) == PAGE_SPSR);
static_assert(offsetof(State, abroad) == PAGE_ABROAD && offsetof(State, home) == PAGE_HOME);
static_assert(offsetof(State, home_tpidr) == PAGE_HOME_TPIDR && offsetof(State, home_vbar) == PAGE_HOME_VBAR);
static_assert(offsetof(State, home_sp) == PAGE_HOME_SP && offsetof(State, out.x) == PAGE_OUT_X);
static_assert(offsetof(State, out.vector) == PAGE_OUT_VECTOR && offsetof(State, out.esr) == PAGE_OUT_ESR);
static_assert(offsetof(State, out.elr) == PAGE_OUT_ELR && offsetof(State, out.far) == PAGE_OUT_FAR);
static_assert(offsetof(State, out.spsr) == PAGE_OUT_SPSR);

extern "C" [[gnu::visibility("hidden")]] State torture_state;

// Exception classes of ESR_EL1. [armarm] "ESR_EL1, Exception Syndrome Register (EL1)"
inline constexpr unsigned kEcUnknown = 0x00;
inline constexpr unsigned kEcFpAccess = 0x07;
inline constexpr unsigned kEcIllegalState = 0x0E;
inline constexpr unsigned kEcFetchLower = 0x20;
inline constexpr unsigned kEcFetchSame = 0x21;
inline constexpr unsigned kEcPcAlignment = 0x22;
inline constexpr unsigned kEcDataLower = 0x24;
inline constexpr unsigned kEcDataSame = 0x25;
inline constexpr unsigned kEcSpAlignment = 0x26;
inline constexpr unsigned kEcBrk = 0x3C;

// PSTATE of an attempt.
inline constexpr u64 kModeEl0 = 0;
inline constexpr u64 kModeEl1t = 4;
inline constexpr u64 kModeEl1h = 5;
inline constexpr u64 kModeA32User = 0x10;
inline constexpr u64 kMaskedDaif = 0x3C0;
inline constexpr u64 kMaskedIrqFiq = 0x0C0;

// Where things are for an attempt. Code is written by way of kCodeStore, which an attempt does not have.
inline constexpr u64 kCode = 0xC800'0000;       // no other code within the 128 MiB that a branch reaches
inline constexpr u64 kCodeStore = 0x4200'0000;  // its RAM
inline constexpr u64 kCodeBytes = 0x20'0000;
inline constexpr u64 kScratch = 0x4220'0000;  // RAM, the same address at home
inline constexpr u64 kScratchBytes = 0x20'0000;
inline constexpr u64 kRamEnd = 0x4400'0000;  // of the 64 MiB that the guest has to have
inline constexpr u32 kBrk = 0xD420'0000;     // BRK #0

// The sandbox: devices and holes below 1 GiB, the scratch RAM, a hole behind the RAM, code, and high addresses.
void prepare_attempts(unsigned vcpus) noexcept;

// An instruction and the BRK behind it; `slot` below kCodeBytes / 8. finish_code() before they are run.
void write_slot(u64 slot, u32 word) noexcept;
void finish_code(u64 first_slot, u64 count) noexcept;
[[nodiscard]] constexpr u64 address_of_slot(u64 slot) noexcept {
  return kCode + slot * 8;
}

// An address that means something: in a device, a hole, RAM, at the border of one of them, or beyond all.
[[nodiscard]] u64 interesting_address(Random& random) noexcept;
// All registers: numbers and addresses, none of which is in the program. x0 is no function that would end the guest.
void fill_registers(Random& random) noexcept;

// With torture_state's registers filled in. The sandbox unless `regime` says otherwise.
const Outcome& attempt(u64 pc, u64 spsr) noexcept;
const Outcome& attempt(u64 pc, u64 spsr, const Regime& regime) noexcept;
[[nodiscard]] const Regime& sandbox() noexcept;
// The same with the interrupt controller's registers read-only: code that may loop can't switch the watchdog off.
[[nodiscard]] const Regime& quiet_sandbox() noexcept;
// The level-2 descriptor of the block with torture_page and torture_state, without which nothing comes back.
[[nodiscard]] u64 table_of_page() noexcept;
[[nodiscard]] bool is_completed(const Outcome& outcome, u64 pc) noexcept;  // by the BRK behind one instruction

// System registers that an attempt may have left in disorder, as at the start of the program.
void restore_registers() noexcept;
// An interrupt ends an attempt that does not end by itself. Off: the timer is.
void arm_watchdog() noexcept;
void disarm_watchdog() noexcept;
// Acknowledges and ends what is pending, so that the next attempt comes to its first instruction.
void drain_interrupts() noexcept;
// The interrupt controller as at the start of the program.
void reset_interrupts() noexcept;

// --- what is counted, and what is wrong -----------------------------------------------------------------------------

struct Tally {
  u64 completed, undefined, aborted, interrupted, other;
};
[[nodiscard]] Tally& tally() noexcept;
// A line, and the verdict. `a` and `b` are printed in hexadecimal.
void fail(const char* what, u64 a, u64 b) noexcept;
[[nodiscard]] u64 failures() noexcept;

}  // namespace torture
