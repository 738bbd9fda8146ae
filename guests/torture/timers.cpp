// SPDX-License-Identifier: Apache-2.0
// Timers at their extremes, and waits that they end.
#include "classes.hpp"
#include "guest/cpu.hpp"
#include "guest/gic.hpp"
#include "guest/timer.hpp"

namespace torture {
namespace {

using namespace guest;

constexpr u64 kSlotNop = 0;
constexpr u64 kSlotWfi = 2;
constexpr u64 kSlotWfe = 4;

void prepare(Random&) noexcept {
  write_slot(kSlotNop, 0xD503'201F);
  write_slot(kSlotWfi, 0xD503'207F);
  write_slot(kSlotWfe, 0xD503'205F);
  finish_code(0, 6);
  reset_interrupts();
  gic::enable(kPhysicalTimerIntid);
}

u64 deadline(Random& random) noexcept {
  switch (random.below(6)) {
    case 0: return 0;
    case 1: return random.one_in(2) ? ~u64{0} : ~u64{0} >> 1;
    case 2: return counter() + random.below(2000);
    case 3: return counter() - random.below(2000);
    case 4: return u64{1} << random.below(64);
    default: return random.number();
  }
}

void set_virtual(Random& random) noexcept {
  u64 value = deadline(random);
  if (kills_qemu(encoding_of(3, 3, 14, 3, 2), value)) value &= ~u64{0} >> 2;
  switch (random.below(3)) {
    case 0: GUEST_WRITE(cntv_cval_el0, value); break;
    case 1: GUEST_WRITE(cntv_tval_el0, random.number() & 0x7FFF'FFFF); break;
    default: GUEST_WRITE(cntv_ctl_el0, random.number()); break;
  }
}
void set_physical(Random& random) noexcept {
  switch (random.below(3)) {
    case 0: GUEST_WRITE(cntp_cval_el0, deadline(random)); break;
    case 1: GUEST_WRITE(cntp_tval_el0, random.number()); break;
    default: GUEST_WRITE(cntp_ctl_el0, random.number()); break;
  }
}

void end_interrupt(const Outcome& outcome) noexcept {
  if (!outcome.is_irq()) return;
  GUEST_WRITE(cntv_ctl_el0, 0);
  GUEST_WRITE(cntp_ctl_el0, 0);
  isb();
  drain_interrupts();
}

// Something is due soon, so that the wait ends: a tenth of a millisecond is enough to be asleep.
void wait(Random& random) noexcept {
  const u64 soon = counter() + random.below(GUEST_READ(cntfrq_el0) / 10000);
  if (random.one_in(2)) {
    GUEST_WRITE(cntv_cval_el0, soon);
    GUEST_WRITE(cntv_ctl_el0, 1);
  } else {
    GUEST_WRITE(cntp_cval_el0, soon);
    GUEST_WRITE(cntp_ctl_el0, 1);
  }
  isb();
  fill_registers(random);
  const u64 pc = address_of_slot(random.one_in(8) ? kSlotWfe : kSlotWfi);
  const Outcome& outcome = attempt(pc, random.one_in(2) ? kModeEl1h : kModeEl1h | kMaskedDaif);
  if (!outcome.is_irq() && !is_completed(outcome, pc)) fail("a wait ends otherwise", outcome.esr, outcome.vector);
  GUEST_WRITE(cntv_ctl_el0, 0);
  GUEST_WRITE(cntp_ctl_el0, 0);
  isb();
  drain_interrupts();
}

void look(Random& random) noexcept {
  const u64 before = counter();
  const u64 physical = GUEST_READ(cntpct_el0);
  (void)GUEST_READ(cntv_tval_el0);
  (void)GUEST_READ(cntp_tval_el0);
  (void)GUEST_READ(cntp_cval_el0);
  (void)GUEST_READ(cntp_ctl_el0);
  if (counter() < before) fail("the virtual count went back", before, 0);
  if (GUEST_READ(cntpct_el0) < physical) fail("the physical count went back", physical, 0);
  fill_registers(random);
  end_interrupt(attempt(address_of_slot(kSlotNop), random.one_in(2) ? kModeEl1h : kModeEl0));
}

void operate(Random& random, u64 number) noexcept {
  switch (random.below(8)) {
    case 0:
    case 1: set_virtual(random); break;
    case 2:
    case 3: set_physical(random); break;
    case 4: GUEST_WRITE(cntkctl_el1, random.number()); break;
    case 5: wait(random); break;
    default: look(random); break;
  }
  if (number % 256 == 255) {
    restore_registers();
    GUEST_WRITE(cntp_ctl_el0, 0);
    isb();
    drain_interrupts();
  }
}

}  // namespace

constinit const Class kTimers{"timers", prepare, operate};

}  // namespace torture
