// SPDX-License-Identifier: Apache-2.0
// SYS and SYSL of every encoding: cache and TLB maintenance, address translation, prediction restriction.
#include "classes.hpp"
#include "guest/cpu.hpp"

namespace torture {
namespace {

constexpr u32 kEncodings = 0x4000;
constexpr u32 kFirst = 0x4000;  // op0 is 1
constexpr u64 kSlots = 2 * kEncodings;
constexpr u32 kInteresting[] = {
    encoding_of(1, 3, 7, 4, 1),   // DC ZVA
    encoding_of(1, 0, 7, 6, 1),   // DC IVAC
    encoding_of(1, 0, 7, 6, 2),   // DC ISW
    encoding_of(1, 0, 7, 10, 2),  // DC CSW
    encoding_of(1, 0, 7, 14, 2),  // DC CISW
    encoding_of(1, 3, 7, 10, 1),  // DC CVAC
    encoding_of(1, 3, 7, 11, 1),  // DC CVAU
    encoding_of(1, 3, 7, 14, 1),  // DC CIVAC
    encoding_of(1, 3, 7, 5, 1),   // IC IVAU
    encoding_of(1, 0, 7, 1, 0),   // IC IALLUIS
    encoding_of(1, 0, 7, 8, 0),   // AT S1E1R
    encoding_of(1, 0, 7, 8, 1),   // AT S1E1W
    encoding_of(1, 0, 7, 8, 2),   // AT S1E0R
    encoding_of(1, 0, 7, 8, 3),   // AT S1E0W
    encoding_of(1, 4, 7, 8, 4),   // AT S12E1R, of EL2
    encoding_of(1, 0, 8, 3, 0),   // TLBI VMALLE1IS
    encoding_of(1, 0, 8, 7, 1),   // TLBI VAE1
    encoding_of(1, 4, 8, 4, 1),   // TLBI IPAS2E1, of EL2
    encoding_of(1, 4, 8, 3, 4),   // TLBI ALLE1IS, of EL2
};

void prepare(Random&) noexcept {
  for (u32 i = 0; i < kEncodings; ++i) {
    write_slot(2 * i, system_word(kFirst + i, true, 2));
    write_slot(2 * i + 1, system_word(kFirst + i, false, 2));
  }
  finish_code(0, kSlots);
}

void operate(Random& random, u64 number) noexcept {
  u64 slot = (number * 0x9E35 + random.below(2)) % kSlots;
  if (random.one_in(2)) slot = 2 * (random.pick(kInteresting) - kFirst) + 1;
  const u32 encoding = kFirst + static_cast<u32>(slot / 2);
  const bool at_el0 = random.one_in(8);
  fill_registers(random);
  // What is zeroed, or invalidated without being written back, is the scratch memory or nothing.
  torture_state.x[2] = interesting_address(random);
  const u64 pc = address_of_slot(slot);
  const Outcome& outcome = attempt(pc, at_el0 ? kModeEl0 : kModeEl1h | kMaskedIrqFiq);
  if (outcome.is_serror()) fail("an SError of maintenance", encoding, torture_state.x[2]);
  const u32 op1 = encoding >> 11 & 7;
  if (op1 >= 4 && slot % 2 == 1 && is_completed(outcome, pc)) {
    fail("an operation of a higher Exception level is there", encoding, torture_state.x[2]);
  }
}

}  // namespace

constinit const Class kMaintenance{"maintenance", prepare, operate};

}  // namespace torture
