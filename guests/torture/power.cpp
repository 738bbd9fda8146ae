// SPDX-License-Identifier: Apache-2.0
// PSCI with another CPU: CPU_ON to CPUs that are there, that are on, that do not exist, at any entry point; suspends.
// Alone, a guest has only the refusals.
#include "classes.hpp"
#include "guest/cpu.hpp"
#include "guest/psci.hpp"
#include "guest/smp.hpp"
#include "guest/timer.hpp"

namespace torture {
namespace {

using namespace guest;

void prepare(Random&) noexcept {
  reset_interrupts();
}

// The other CPU's life: some refused calls, and off again.
void live(u64 argument) noexcept {
  (void)call(Conduit::hvc, psci::kCpuOn, affinity_of(0), 0x4000'0000, 0);
  for (u64 n = argument & 15; n != 0; --n) (void)call(Conduit::smc, psci::kAffinityInfo, affinity_of(n & 3));
}

void suspend(Random& random) noexcept {
  GUEST_WRITE(cntv_cval_el0, counter() + random.below(GUEST_READ(cntfrq_el0) / 10000));
  GUEST_WRITE(cntv_ctl_el0, 1);
  isb();
  const u64 state = random.one_in(2) ? 0 : random.number();
  const CallResult result =
      call(random.one_in(2) ? Conduit::hvc : Conduit::smc, random.one_in(2) ? psci::kCpuSuspend : psci::kCpuSuspend32,
           state, random.number(), random.number());
  if (result.x0 != psci::kSuccess && static_cast<u32>(result.x0) < 0xFFFF'FF00) {
    fail("CPU_SUSPEND answers neither success nor an error", result.x0, state);
  }
  GUEST_WRITE(cntv_ctl_el0, 0);
  isb();
  drain_interrupts();
}

// To any CPU but the one that exists: whatever the entry point is, this must not succeed.
void start_nobody(Random& random) noexcept {
  u64 target = random.number();
  while ((target & ~u64{0xFF}) == 0 && (target & 0xFF) < cpus() && target != 0) target = random.number();
  const CallResult result = call(Conduit::hvc, random.one_in(2) ? psci::kCpuOn : psci::kCpuOn & ~(u64{1} << 30), target,
                                 interesting_address(random), random.number());
  const bool names_other = static_cast<u32>(target) != 0 && static_cast<u32>(target) < cpus();
  if (result.x0 == psci::kSuccess && !names_other) fail("CPU_ON of nobody succeeds", target, 0);
}

void start_other(Random& random) noexcept {
  if (cpus() < 2) return;
  const u64 answer = start_cpu(1, live, random.bits());
  if (answer != psci::kSuccess && answer != psci::kAlreadyOn && answer != psci::kOnPending) {
    fail("CPU_ON of CPU 1", answer, 0);
  }
  // Refused for its entry point, whether the target is on or off.
  const u64 refused = call(Conduit::hvc, psci::kCpuOn, affinity_of(1), 0xFFFF'0000'0000'0001, 0).x0;
  if (refused == psci::kSuccess) fail("CPU_ON at an impossible entry succeeds", refused, 0);
  if (random.one_in(2)) {
    if (!wait_until_off(1)) fail("CPU 1 does not go off", answer, 0);
  }
}

void ask(Random& random) noexcept {
  (void)call(Conduit::hvc, psci::kAffinityInfo, random.number(), random.number());
  (void)call(Conduit::smc, psci::kFeatures, random.number());
  (void)call(Conduit::hvc, psci::kMigrateInfoType, random.number());
}

void operate(Random& random, u64) noexcept {
  switch (random.below(8)) {
    case 0: suspend(random); break;
    case 1:
    case 2: start_other(random); break;
    case 3:
    case 4: ask(random); break;
    default: start_nobody(random); break;
  }
  ++tally().completed;
}

}  // namespace

constinit const Class kPower{"power", prepare, operate};

}  // namespace torture
