// SPDX-License-Identifier: Apache-2.0
// What the witness watches. A part says what it finds wrong by wrong().
#pragma once

#include "guest/machine.hpp"

namespace witness {

using guest::u32;
using guest::u64;

// The first of each kind is printed, all are counted.
void wrong(const char* what, u64 got, u64 expected) noexcept;

// --- the virtual timer ----------------------------------------------------------------------------------------------

void start_heartbeat(u64 ticks_per_second) noexcept;
void stop_heartbeat() noexcept;
struct Heartbeat {
  u64 ticks;     // taken
  u64 expected;  // by the counter
  u64 worst_us;  // the latest tick, microseconds behind its time
};
[[nodiscard]] Heartbeat heartbeat() noexcept;

// --- memory, and the program itself ---------------------------------------------------------------------------------

void fill_memory() noexcept;
void check_memory(u64 round) noexcept;  // one part of it, which then gets another content
void check_program() noexcept;

// --- registers: general, SIMD, system -------------------------------------------------------------------------------

void prepare_registers() noexcept;
void check_registers(u64 round) noexcept;  // sleeps until the next tick, with all of them in use
void check_interrupts() noexcept;          // none but the witness's own has come

}  // namespace witness
