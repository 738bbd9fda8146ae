// SPDX-License-Identifier: Apache-2.0
// The virtual and the physical timer. Both are the CPU's own; their interrupts come by the hypervisor.
#include "guest/timer.hpp"

#include "exits.hpp"
#include "guest/check.hpp"
#include "guest/gic.hpp"

namespace exits {
namespace {

using namespace guest;

constexpr u64 kEnable = 1;
constexpr u64 kImask = 2;
constexpr u64 kIstatus = 4;

// One timer's registers and interrupt.
struct Virtual {
  static constexpr u32 kIntid = kVirtualTimerIntid;
  static u64 now() noexcept { return counter(); }
  static u64 ctl() noexcept { return GUEST_READ(cntv_ctl_el0); }
  static u64 cval() noexcept { return GUEST_READ(cntv_cval_el0); }
  static u64 tval() noexcept { return GUEST_READ(cntv_tval_el0); }
  static void ctl(u64 value) noexcept {
    GUEST_WRITE(cntv_ctl_el0, value);
    isb();
  }
  static void cval(u64 value) noexcept {
    GUEST_WRITE(cntv_cval_el0, value);
    isb();
  }
  static void tval(u64 value) noexcept {
    GUEST_WRITE(cntv_tval_el0, value);
    isb();
  }
};

struct Physical {
  static constexpr u32 kIntid = kPhysicalTimerIntid;
  static u64 now() noexcept {
    isb();
    return GUEST_READ(cntpct_el0);
  }
  static u64 ctl() noexcept { return GUEST_READ(cntp_ctl_el0); }
  static u64 cval() noexcept { return GUEST_READ(cntp_cval_el0); }
  static u64 tval() noexcept { return GUEST_READ(cntp_tval_el0); }
  static void ctl(u64 value) noexcept {
    GUEST_WRITE(cntp_ctl_el0, value);
    isb();
  }
  static void cval(u64 value) noexcept {
    GUEST_WRITE(cntp_cval_el0, value);
    isb();
  }
  static void tval(u64 value) noexcept {
    GUEST_WRITE(cntp_tval_el0, value);
    isb();
  }
};

struct Names {
  const char *ctl, *cval, *future, *past, *imask, *tval_future, *tval_past, *disabled, *ten, *storm, *woke, *late;
};

constexpr Names kVirtualNames{"cntv.ctl_bits",     "cntv.cval",     "cntv.future",    "cntv.past",
                              "cntv.imask",        "cntv.tval",     "cntv.tval_past", "cntv.disabled",
                              "cntv.ten_in_a_row", "cntv.no_storm", "cntv.wakes_wfi", "cntv.not_early"};
constexpr Names kPhysicalNames{"cntp.ctl_bits",     "cntp.cval",     "cntp.future",    "cntp.past",
                               "cntp.imask",        "cntp.tval",     "cntp.tval_past", "cntp.disabled",
                               "cntp.ten_in_a_row", "cntp.no_storm", "cntp.wakes_wfi", "cntp.not_early"};

template <class T>
void test_registers_of(const Names& names) noexcept {
  constexpr u64 kFar = 0x0FED'CBA9'8765'4321;
  T::cval(kFar);
  check(names.cval, T::cval(), kFar);
  T::ctl(~u64{0});
  check(names.ctl, T::ctl(), kEnable | kImask);
  check(names.future, T::ctl() & kIstatus, 0);
  T::cval(T::now());
  check(names.past, T::ctl(), kEnable | kImask | kIstatus);
  check(names.imask, gic::is_pending(T::kIntid), false);
  T::tval(0x1000'0000);
  const u64 left = T::tval();
  check_between(names.tval_future, left, 0x0C00'0000, 0x1000'0000);
  T::tval(0xFFFF'FFFF);  // one tick ago
  const bool negative = T::cval() < T::now() && (T::tval() >> 31) == 1;
  check_true(names.tval_past, negative && (T::ctl() & kIstatus) != 0);
  T::ctl(0);
  check(names.disabled, T::ctl() & (kEnable | kImask), 0);
}

volatile u32 g_left = 0;
volatile u32 g_early = 0;

template <class T>
void on_tick(u32 intid) noexcept {
  if (intid != T::kIntid) return;
  if ((T::ctl() & kIstatus) == 0) g_early = g_early + 1;
  g_left = g_left - 1;
  if (g_left == 0) {
    T::ctl(0);
  } else {
    T::cval(T::now() + ticks_of_ms(1));
  }
}

// Ten interrupts in a row, and no more once the timer is off.
template <class T>
void test_interrupts_of(const Names& names) noexcept {
  forget_interrupts();
  g_left = 10;
  g_early = 0;
  set_interrupt_hook(on_tick<T>);
  gic::enable(T::kIntid);
  T::cval(T::now() + ticks_of_ms(1));
  T::ctl(kEnable);
  unmask_interrupts();
  (void)wait_until([] { return g_left == 0; });
  check(names.ten, this_cpu().taken[T::kIntid], 10);
  spin_ms(20);
  mask_interrupts();
  check(names.storm, this_cpu().ordered, 10);
  set_interrupt_hook(nullptr);

  // Masked in PSTATE, pending for WFI.
  u64 due = 0;
  unsigned waits = 0;
  for (unsigned attempt = 0; attempt < 5 && waits == 0; ++attempt) {  // it may be due before WFI on a busy host
    due = T::now() + ticks_of_ms(10);
    T::cval(due);
    T::ctl(kEnable);
    while ((T::ctl() & kIstatus) == 0 && waits < 1000) {
      wfi();
      ++waits;
    }
  }
  check_between(names.woke, waits, 1, 5);
  check_true(names.late, g_early == 0 && T::now() >= due);
  T::ctl(0);
  gic::disable(T::kIntid);
}

}  // namespace

void test_timers(const Machine& machine) noexcept {
  const u64 first = counter();
  check_true("counter.runs", wait_until([=] { return counter() > first; }, 100));
  if (!machine.is_virtual) skip("cntv.offset", "no hypervisor");
  test_registers_of<Virtual>(kVirtualNames);
  test_registers_of<Physical>(kPhysicalNames);
  test_interrupts_of<Virtual>(kVirtualNames);
  test_interrupts_of<Physical>(kPhysicalNames);
}

}  // namespace exits
