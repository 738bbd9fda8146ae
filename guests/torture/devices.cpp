// SPDX-License-Identifier: Apache-2.0
// Loads and stores of every form: to the emulated devices, to holes, across borders, beyond all addresses.
#include "classes.hpp"
#include "guest/cpu.hpp"

extern "C" {
[[gnu::visibility("hidden")]] extern const torture::u32 torture_forms[];
[[gnu::visibility("hidden")]] extern const torture::u32 torture_forms_end[];
}

namespace torture {
namespace {

using namespace guest;

u64 form_count() noexcept {
  return static_cast<u64>(torture_forms_end - torture_forms);
}

void prepare(Random&) noexcept {
  for (u64 i = 0; i < form_count(); ++i) write_slot(i, torture_forms[i]);
  finish_code(0, form_count() + 1);
}

u64 address_for(Random& random) noexcept {
  for (;;) {
    const u64 address = interesting_address(random);
    // Characters by the million are a matter of the terminal, not of the hypervisor: one in 64 of them.
    const bool is_data = address >= kUart - 64 && address < kUart + 4;
    if (!is_data || random.one_in(64)) return address;
  }
}

void operate(Random& random, u64) noexcept {
  const u64 slot = random.below(form_count());
  fill_registers(random);
  torture_state.x[1] = address_for(random);
  torture_state.x[5] = random.one_in(2) ? random.below(64) : ~random.below(64);
  if (random.one_in(16)) torture_state.sp = torture_state.sp_el0 = torture_state.x[1] & ~u64{15};
  const u64 pc = address_of_slot(slot);
  const bool at_el0 = random.one_in(4);
  const Outcome& outcome = attempt(pc, at_el0 ? kModeEl0 | kMaskedIrqFiq : kModeEl1h | kMaskedIrqFiq);
  if (outcome.is_serror()) {
    fail("an SError of an access", torture_state.x[1], torture_forms[slot]);
    return;
  }
  const bool is_abort = outcome.ec() == kEcDataLower || outcome.ec() == kEcDataSame;
  if (!is_abort || outcome.elr != pc) return;
  // The instruction did not happen, as far as the register is concerned that it would write back.
  if (outcome.x[1] != torture_state.x[1]) fail("an abort changed the base", torture_state.x[1], torture_forms[slot]);
}

}  // namespace

constinit const Class kDevices{"devices", prepare, operate};

}  // namespace torture
