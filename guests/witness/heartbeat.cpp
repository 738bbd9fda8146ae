// SPDX-License-Identifier: Apache-2.0
#include "guest/cpu.hpp"
#include "guest/gic.hpp"
#include "guest/timer.hpp"
#include "witness.hpp"

namespace witness {
namespace {

using namespace guest;

constinit u64 g_period = 0;
constinit u64 g_start = 0;
constinit volatile u64 g_deadline = 0;
constinit volatile u64 g_ticks = 0;
constinit volatile u64 g_worst = 0;

void tick(u32 intid) noexcept {
  if (intid != kVirtualTimerIntid) return;
  const u64 now = counter();
  if (now < g_deadline) wrong("the timer was early: counter, deadline", now, g_deadline);
  const u64 late = now - g_deadline;
  if (late > g_worst) g_worst = late;
  g_ticks = g_ticks + 1;
  // Each tick has its own time: one that came late makes none of the others later, and none is left out.
  g_deadline = g_deadline + g_period;
  GUEST_WRITE(cntv_cval_el0, g_deadline);
  isb();
}

}  // namespace

void start_heartbeat(u64 ticks_per_second) noexcept {
  g_period = GUEST_READ(cntfrq_el0) / ticks_per_second;
  g_start = counter();
  g_deadline = g_start + g_period;
  set_interrupt_hook(tick);
  gic::enable(kVirtualTimerIntid);
  GUEST_WRITE(cntv_cval_el0, g_deadline);
  GUEST_WRITE(cntv_ctl_el0, 1);
  isb();
  unmask_interrupts();
}

void stop_heartbeat() noexcept {
  mask_interrupts();
  GUEST_WRITE(cntv_ctl_el0, 0);
  isb();
}

Heartbeat heartbeat() noexcept {
  const u64 ticks_per_us = GUEST_READ(cntfrq_el0) / 1'000'000;
  return {.ticks = g_ticks, .expected = (counter() - g_start) / g_period, .worst_us = g_worst / ticks_per_us};
}

}  // namespace witness
