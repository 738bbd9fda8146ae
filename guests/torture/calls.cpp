// SPDX-License-Identifier: Apache-2.0
// HVC and SMC. [smccc] "SMC Calling Convention"; [psci] "Arm Power State Coordination Interface".
#include "classes.hpp"
#include "guest/cpu.hpp"
#include "guest/psci.hpp"

namespace torture {
namespace {

using namespace guest;

constexpr u64 kImmediates = 512;  // slots for each of HVC and SMC: 0 in the first half, others behind
constexpr u32 kHvc = 0xD400'0002;
constexpr u32 kSmc = 0xD400'0003;

void prepare(Random& random) noexcept {
  for (u64 i = 0; i < kImmediates; ++i) {
    const u32 immediate = i < kImmediates / 2 ? 0 : static_cast<u32>(random.bits() & 0xFFFF);
    write_slot(2 * i, kHvc | immediate << 5);
    write_slot(2 * i + 1, kSmc | immediate << 5);
  }
  finish_code(0, 2 * kImmediates);
}

// Calls that are meant to end this CPU or this machine. W0 alone is the function.
bool ends_the_guest(u64 function) noexcept {
  const u32 number = static_cast<u32>(function) & ~(1U << 30);
  switch (number) {
    case 0x8400'0002:  // CPU_OFF
    case 0x8400'0008:  // SYSTEM_OFF
    case 0x8400'0009:  // SYSTEM_RESET
    case 0x8400'0012:  // SYSTEM_RESET2
    case 0x8400'000C:  // CPU_DEFAULT_SUSPEND
    case 0x8400'000E:  // SYSTEM_SUSPEND
    case 0x8400'0001:  // CPU_SUSPEND: kPower does that, with something to wake it
    case 0x8400'0003:  // CPU_ON: the same, with an entry point that is code
      return true;
    default: return false;
  }
}

u64 random_function(Random& random) noexcept {
  for (;;) {
    const u64 upper = random.one_in(4) ? random.bits() << 32 : 0;
    u64 function = 0;
    switch (random.below(6)) {
      case 0: function = 0x8400'0000 | random.below(2) << 30 | random.below(0x20); break;  // PSCI
      case 1:
        function = 0x8000'0000 | random.below(2) << 30 | (random.bits() & 0x8000'3FFF);
        break;                                                                             // Arm architecture
      case 2: function = (0x8400'0050 + random.below(8)) | random.below(2) << 30; break;   // TRNG
      case 3: function = 0xC500'0000 | random.below(2) << 30 | random.below(0x40); break;  // paravirtualized time
      case 4: function = random.word(); break;
      default: function = 0x8000'0000 | random.below(0x40) << 24 | 0xFF00 | random.below(8); break;  // queries
    }
    function |= upper;
    if (!ends_the_guest(function)) return function;
  }
}

void operate(Random& random, u64) noexcept {
  const u64 slot = random.below(2 * kImmediates);
  fill_registers(random);
  torture_state.x[0] = random_function(random);
  const bool at_el0 = random.one_in(16);
  const u64 pc = address_of_slot(slot);
  const Outcome& outcome = attempt(pc, at_el0 ? kModeEl0 : kModeEl1h | kMaskedDaif);
  if (at_el0) {
    if (outcome.ec() != kEcUnknown || outcome.elr != pc) fail("a call of EL0 is not undefined", slot, outcome.x[0]);
    return;
  }
  if (!is_completed(outcome, pc)) {
    fail("a call does not return", torture_state.x[0], slot);
    return;
  }
  // [smccc] "Register use": X4 to X17 are preserved by whatever does not use them for results, X18 to X30 always.
  for (unsigned n = 4; n < 31; ++n) {
    if (outcome.x[n] != torture_state.x[n]) fail("a call changed a register", torture_state.x[0], n);
  }
}

}  // namespace

constinit const Class kCalls{"calls", prepare, operate};

}  // namespace torture
