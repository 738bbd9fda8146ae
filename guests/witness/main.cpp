// SPDX-License-Identifier: Apache-2.0
// "witness.hz=N": the heartbeat. Watches until it reads a 'q'; then "witness: ok" and what it counted, or "witness:
// failed", and SYSTEM_OFF.
#include "guest/arguments.hpp"
#include "guest/console.hpp"
#include "guest/cpu.hpp"
#include "guest/gic.hpp"
#include "guest/smp.hpp"
#include "witness.hpp"

namespace witness {
namespace {

using namespace guest;

constexpr u64 kUartFr = kUart + 0x18;
constexpr u32 kRxfe = 1 << 4;
constexpr unsigned kMostLines = 16;

constinit u64 g_wrong = 0;

bool is_asked_to_end() noexcept {
  while ((read32(kUartFr) & kRxfe) == 0) {
    if ((read32(kUart) & 0xFF) == 'q') return true;
  }
  return false;
}

}  // namespace

void wrong(const char* what, u64 got, u64 expected) noexcept {
  if (++g_wrong <= kMostLines) print("FAIL witness: ", what, ": ", Hex{got}, ", expected ", Hex{expected}, '\n');
}

}  // namespace witness

void guest_main(guest::u64 tree) noexcept {
  using namespace witness;
  guest::gic::init_distributor();
  guest::gic::init_cpu();
  const guest::u64 hz = guest::number_argument(tree, "witness.hz=", 100);  // before the tree is written over
  fill_memory();
  prepare_registers();
  guest::print("witness: watching\n");
  start_heartbeat(hz);
  u64 round = 1;
  for (; !is_asked_to_end(); ++round) {
    check_registers(round);
    check_memory(round);
    check_interrupts();
    if (round % 32 == 0) check_program();
  }
  const Heartbeat beat = heartbeat();
  stop_heartbeat();
  // The one that is due at this moment may not have been taken.
  if (beat.ticks + 1 < beat.expected || beat.ticks > beat.expected + 1) wrong("ticks", beat.ticks, beat.expected);
  guest::print("witness: ", g_wrong == 0 ? "ok" : "failed", ", ", beat.ticks, " ticks of ", beat.expected,
               ", the latest ", beat.worst_us, " us behind; ", round, " rounds\n");
}
