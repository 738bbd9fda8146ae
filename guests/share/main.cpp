// SPDX-License-Identifier: Apache-2.0
// Counts on every vCPU between two moments of the physical counter, which are the same in every VM, and says how far
// each vCPU came. Before that two of them call each other in turns, by SGI and WFI: each turn is a switch when they
// share a CPU.
#include "guest/check.hpp"
#include "guest/console.hpp"
#include "guest/cpu.hpp"
#include "guest/gic.hpp"
#include "guest/psci.hpp"
#include "guest/smp.hpp"
#include "guest/timer.hpp"

namespace {

using namespace guest;

constexpr u64 kBeginMs = 400;
constexpr u64 kEndMs = 2000;
constexpr unsigned kMaxCpus = 8;
constexpr u32 kSgi = 3;
constexpr u32 kFirstTurn = 20;  // both are up by then
constexpr u32 kTurns = 220;

struct alignas(64) Count {
  volatile u64 value;
};
Count g_counts[kMaxCpus]{};
volatile u32 g_turn = 0;
u64 g_begin = 0;

u64 physical_counter() noexcept {
  isb();
  return GUEST_READ(cntpct_el0);
}

// Asleep, so that nobody's turns wait for a slice of this one.
void sleep_until(u64 ticks) noexcept {
  constexpr u32 kTimer = 27;
  gic::init_cpu();
  gic::enable(kTimer);
  while (physical_counter() < ticks) {
    GUEST_WRITE(cntv_tval_el0, ticks - physical_counter());
    GUEST_WRITE(cntv_ctl_el0, 1);
    isb();
    wfi();
    GUEST_WRITE(cntv_ctl_el0, 0);
    isb();
    const auto intid = static_cast<u32>(GUEST_READ(S3_0_C12_C12_0));
    if (intid < 1020) GUEST_WRITE(S3_0_C12_C12_1, intid);
  }
}

void count(unsigned self) noexcept {
  const u64 hz = GUEST_READ(cntfrq_el0);
  sleep_until(kBeginMs * hz / 1000);
  const u64 end = kEndMs * hz / 1000;
  u64 n = 0;
  while (physical_counter() < end) {
    for (int i = 0; i < 100; ++i) g_counts[self].value = ++n;
    asm volatile("yield");  // QEMU lets another CPU go on here; without, one of two may get all of the instructions
  }
}

// Odd turns are this vCPU's, or even ones.
void take_turns(u32 odd) noexcept {
  gic::init_cpu();
  gic::enable(kSgi);
  while (g_turn < kTurns) {
    if (g_turn % 2 != odd) {
      wfi();
      const auto intid = static_cast<u32>(GUEST_READ(S3_0_C12_C12_0));
      if (intid == kSgi) GUEST_WRITE(S3_0_C12_C12_1, intid);
      continue;
    }
    if (g_turn == kFirstTurn) g_begin = physical_counter();
    g_turn = g_turn + 1;
    asm volatile("dsb ish" : : : "memory");
    GUEST_WRITE(S3_0_C12_C11_5, u64{kSgi} << 24 | (odd != 0 ? 1 : 2));
    isb();
  }
}

void other(u64 self) noexcept {
  if (self == 1) take_turns(1);
  count(static_cast<unsigned>(self));
}

}  // namespace

void guest_main(u64) noexcept {
  gic::init_distributor();
  const unsigned cpus = gic::count_cpus();
  for (unsigned cpu = 1; cpu < cpus; ++cpu) check("share.cpu_on", start_cpu(cpu, other, cpu), psci::kSuccess);
  if (cpus > 1) {
    take_turns(0);
    const u64 ticks = physical_counter() - g_begin;
    print("share: ", u64{kTurns - kFirstTurn}, " turns in ", ticks * 1'000'000 / GUEST_READ(cntfrq_el0), " us\n");
  }
  count(0);
  for (unsigned cpu = 1; cpu < cpus; ++cpu) check_true("share.cpu_off", wait_until_off(cpu));
  for (unsigned cpu = 0; cpu < cpus; ++cpu) print("share: cpu", cpu, " ", g_counts[cpu].value, "\n");
  done();
}
