// SPDX-License-Identifier: Apache-2.0
// Turning the second CPU on and off.
#include "exits.hpp"
#include "guest/check.hpp"
#include "guest/console.hpp"
#include "guest/gic.hpp"
#include "guest/smp.hpp"
#include "guest/timer.hpp"

namespace exits {
namespace {

using namespace guest;

constexpr u32 kCycles = 100;
constexpr u64 kArgument = 0x0123'4567'89AB'CDEF;

volatile u64 g_runs = 0;
volatile u64 g_argument = 0;
volatile u64 g_mpidr = 0;
volatile u64 g_midr = 0;
volatile u64 g_counter = 0;
volatile bool g_leave = false;
volatile bool g_sleeps = false;
volatile bool g_came_back = false;
u64 g_shared = 0;

constexpr u32 kWake = 5;
constexpr u32 kTimer = 27;
constexpr u64 kTimerMs = 60;

void note(u64 argument) noexcept {
  g_argument = argument;
  g_mpidr = GUEST_READ(mpidr_el1);
  g_midr = GUEST_READ(midr_el1);
  g_counter = counter();
  g_runs = g_runs + 1;
}

void stay(u64) noexcept {
  g_runs = g_runs + 1;
  while (!g_leave) {
  }
}

// Sleeps with its timer running, is woken before that, and turns itself off.
void sleep_and_leave(u64) noexcept {
  gic::init_cpu();
  gic::enable(kWake);
  gic::enable(kTimer);
  GUEST_WRITE(cntv_tval_el0, ticks_of_ms(kTimerMs));
  GUEST_WRITE(cntv_ctl_el0, 1);
  isb();
  g_sleeps = true;
  while (!g_leave) wfi();
  (void)call(Conduit::hvc, psci::kCpuOff);
  g_came_back = true;
}

void add(u64 times) noexcept {
  for (u64 i = 0; i < times; ++i) __atomic_fetch_add(&g_shared, 1, __ATOMIC_RELAXED);
}

void test_first_start() noexcept {
  check("power.affinity_info.before", call(Conduit::hvc, psci::kAffinityInfo, affinity_of(1)).x0, psci::kOff);
  const u64 before = counter();
  check("power.cpu_on", start_cpu(1, note, kArgument), psci::kSuccess);
  check_true("power.cpu_on.runs", wait_until([] { return g_runs == 1; }));
  check("power.cpu_on.argument", g_argument, kArgument);
  check("power.cpu_on.mpidr", g_mpidr, 0x8000'0001);
  check("power.cpu_on.midr", g_midr, GUEST_READ(midr_el1));
  check_between("power.cpu_on.counter", g_counter, before, counter());
  check_true("power.cpu_off", wait_until_off(1));
  const PerCpu& other = cpu(1);
  check("power.entry.daif", other.reset_state[0], 0x3C0);
  check("power.entry.mmu_and_caches", other.reset_state[1] & 0x1005, 0);
  check("power.entry.el", other.reset_state[2] >> 2, 1);
}

void test_while_on() noexcept {
  g_runs = 0;
  g_leave = false;
  dsb();
  check("power.stay", start_cpu(1, stay), psci::kSuccess);
  const u64 again = call(Conduit::hvc, psci::kCpuOn, affinity_of(1), secondary_entry()).x0;
  check_true("power.cpu_on.again", again == psci::kAlreadyOn || again == psci::kOnPending);
  check_true("power.stay.runs", wait_until([] { return g_runs == 1; }));
  check("power.cpu_on.already_on", call(Conduit::hvc, psci::kCpuOn, affinity_of(1), secondary_entry()).x0,
        psci::kAlreadyOn);
  check("power.affinity_info.on", call(Conduit::hvc, psci::kAffinityInfo, affinity_of(1)).x0, psci::kOn);
  g_leave = true;
  check_true("power.stay.off", wait_until_off(1));
}

void test_cycles() noexcept {
  g_runs = 0;
  dsb();
  u32 done = 0;
  for (u32 i = 0; i < kCycles; ++i) {
    if (start_cpu(1, note, i) != psci::kSuccess) break;
    if (!wait_until_off(1) || g_runs != i + 1 || g_argument != i) break;
    ++done;
  }
  check("power.cycles", done, kCycles);
}

// What would have ended its last wait does not turn it on again.
void test_stays_off() noexcept {
  g_sleeps = false;
  g_leave = false;
  g_came_back = false;
  dsb();
  check("power.sleeper", start_cpu(1, sleep_and_leave), psci::kSuccess);
  check_true("power.sleeper.sleeps", wait_until([] { return g_sleeps; }));
  const u64 expires = counter() + ticks_of_ms(kTimerMs);
  spin_ms(1);
  g_leave = true;
  dsb();
  gic::send_sgi(kWake, 1U << 1);
  check_true("power.sleeper.off", wait_until_off(1));
  check_true("power.sleeper.off_in_time", counter() < expires);
  spin_ms(2 * kTimerMs);
  check("power.sleeper.stays_off", call(Conduit::hvc, psci::kAffinityInfo, affinity_of(1)).x0, psci::kOff);
  check("power.sleeper.came_back", g_came_back, false);
}

// Exclusives of two CPUs on one word, which needs cacheable shareable memory in both stages.
void test_atomics() noexcept {
  constexpr u64 kTimes = 20'000;
  g_shared = 0;
  check("power.atomics.start", start_cpu(1, add, kTimes), psci::kSuccess);
  add(kTimes);
  check_true("power.atomics.off", wait_until_off(1));
  check("power.atomics.sum", __atomic_load_n(&g_shared, __ATOMIC_SEQ_CST), 2 * kTimes);
}

}  // namespace

void test_power(const Machine& machine) noexcept {
  if (machine.cpus < 2) {
    skip("power", "one CPU");
    if (machine.is_virtual) {
      check("power.no_second_cpu", call(Conduit::hvc, psci::kCpuOn, affinity_of(1), secondary_entry()).x0,
            psci::kInvalidParameters);
    }
    return;
  }
  test_first_start();
  test_while_on();
  test_cycles();
  test_stays_off();
  test_atomics();
}

}  // namespace exits
