// SPDX-License-Identifier: Apache-2.0
// Performance monitors: the counters count this guest, overflow is interrupt 23, and they are this CPU's own.
#include "exits.hpp"
#include "guest/check.hpp"
#include "guest/cpu.hpp"
#include "guest/gic.hpp"
#include "guest/smp.hpp"
#include "guest/timer.hpp"

namespace exits {
namespace {

using namespace guest;

constexpr u32 kPmuIntid = 23;
constexpr u64 kEnable = 1;
constexpr u64 kResetEvents = 1U << 1;
constexpr u64 kResetCycles = 1U << 2;
constexpr u64 kLongCycles = 1U << 6;
constexpr u64 kCycles = u64{1} << 31;    // its bit in PMCNTENSET_EL0 and the like
constexpr u64 kCountEl2 = u64{1} << 27;  // PMCCFILTR_EL0.NSH
constexpr u64 kSoftwareIncrement = 0;

void stop() noexcept {
  GUEST_WRITE(pmcntenclr_el0, 0xFFFF'FFFF);
  GUEST_WRITE(pmintenclr_el1, 0xFFFF'FFFF);
  GUEST_WRITE(pmovsclr_el0, 0xFFFF'FFFF);
  GUEST_WRITE(pmcr_el0, kResetEvents | kResetCycles | kLongCycles);
  GUEST_WRITE(pmccfiltr_el0, 0);
  isb();
}

u64 cycles() noexcept {
  isb();
  return GUEST_READ(pmccntr_el0);
}

void test_cycles(const Machine& machine) noexcept {
  stop();
  check("pmu.cycles.reset", cycles(), 0);
  GUEST_WRITE(pmcr_el0, kEnable | kLongCycles);
  spin_ms(1);
  check("pmu.cycles.stopped", cycles(), 0);
  GUEST_WRITE(pmcntenset_el0, kCycles);
  const u64 first = cycles();
  spin_ms(1);
  const u64 second = cycles();
  check_true("pmu.cycles.count", second > first);
  (void)read32(kGicd + 4);
  (void)GUEST_READ(actlr_el1);
  const u64 third = cycles();
  check_true("pmu.cycles.go_on_across_exits", third > second && third - second < u64{1} << 40);
  // Also where the filter asks for EL2, which the guest does not have. A CPU before FEAT_PMUv3p5 cannot be kept from
  // it.
  constexpr u64 kPmuv3p5 = 6;
  if (machine.is_virtual && (GUEST_READ(id_aa64dfr0_el1) >> 8 & 0xF) >= kPmuv3p5) {
    GUEST_WRITE(pmccfiltr_el0, kCountEl2);
    const u64 nap = ticks_of_ms(20);
    GUEST_WRITE(cntv_cval_el0, counter() + nap);
    const u64 before = cycles();
    const u64 since = counter();
    GUEST_WRITE(cntv_ctl_el0, 1);
    gic::set_pending(kVirtualTimerIntid, false);  // a test before this one may have left it so
    gic::enable(kVirtualTimerIntid);
    // Not WFI: the CPU may sleep in that at EL1, and QEMU counts then.
    while ((GUEST_READ(cntv_ctl_el0) & 4) == 0) (void)call(Conduit::hvc, psci::kCpuSuspend, 0);
    const u64 slept = counter() - since;
    const u64 counted = cycles() - before;
    gic::disable(kVirtualTimerIntid);
    GUEST_WRITE(cntv_ctl_el0, 0);
    // QEMU's cycle is a nanosecond.
    check_true("pmu.cycles.not_of_el2", counted < slept * (1'000'000'000 / GUEST_READ(cntfrq_el0)) / 2);
  }
  stop();
}

void test_events() noexcept {
  const u64 counters = GUEST_READ(pmcr_el0) >> 11 & 0x1F;
  check_between("pmu.event_counters", counters, 1, 31);
  GUEST_WRITE(pmevtyper0_el0, kSoftwareIncrement);
  GUEST_WRITE(pmevcntr0_el0, 40);
  GUEST_WRITE(pmcntenset_el0, 1);
  GUEST_WRITE(pmcr_el0, kEnable | kLongCycles);
  isb();
  for (unsigned i = 0; i < 3; ++i) {
    GUEST_WRITE(pmswinc_el0, 1);
    isb();
    (void)read32(kGicd + 4);
  }
  check("pmu.event.counts", GUEST_READ(pmevcntr0_el0), 43);
  GUEST_WRITE(pmselr_el0, 0);
  isb();
  check("pmu.event.selected", GUEST_READ(pmxevcntr_el0), 43);
  GUEST_WRITE(pmxevcntr_el0, 0xFFFF'FFFF);
  isb();
  GUEST_WRITE(pmswinc_el0, 1);
  isb();
  check("pmu.event.wraps", GUEST_READ(pmevcntr0_el0) & 0xFFFF'FFFF, 0);
  check("pmu.event.overflow", GUEST_READ(pmovsset_el0), 1);
  GUEST_WRITE(pmovsclr_el0, 1);
  check("pmu.event.overflow_cleared", GUEST_READ(pmovsset_el0), 0);
  if (counters < 31) {
    const Caught caught = catching([] { (void)GUEST_READ(pmevcntr30_el0); });
    check_true("pmu.event.30_undefined", caught.count == 1 && caught.ec() == 0);
  }
  stop();
}

unsigned g_keep = 0;           // how many interrupts leave the cause as it is
unsigned g_without_cause = 0;  // interrupts that found no overflow

void serve(u32 intid) noexcept {
  if (intid != kPmuIntid) return;
  if (GUEST_READ(pmovsset_el0) == 0) ++g_without_cause;
  if (g_keep != 0) {
    --g_keep;
    return;
  }
  GUEST_WRITE(pmovsclr_el0, 0xFFFF'FFFF);
  isb();
}

bool taken(u32 count) noexcept {
  return wait_until([=] { return this_cpu().taken[kPmuIntid] >= count; }, 300);
}

void test_overflow(const char* once, const char* level) noexcept {
  stop();
  forget_interrupts();
  g_keep = 0;
  g_without_cause = 0;
  set_interrupt_hook(serve);
  gic::enable(kPmuIntid);
  unmask_interrupts();
  GUEST_WRITE(pmccntr_el0, ~u64{0} - 1000);
  GUEST_WRITE(pmintenset_el1, kCycles);
  GUEST_WRITE(pmcntenset_el0, kCycles);
  GUEST_WRITE(pmcr_el0, kEnable | kLongCycles);
  isb();
  (void)taken(1);
  spin_ms(2);
  check(once, this_cpu().taken[kPmuIntid], 1);
  // It is a level: as long as the cause stands it comes again.
  g_keep = 2;
  GUEST_WRITE(pmovsset_el0, kCycles);
  isb();
  (void)taken(4);
  spin_ms(2);
  check(level, this_cpu().taken[kPmuIntid], 4);
  mask_interrupts();
  check("pmu.overflow.always_with_cause", g_without_cause, 0);
  gic::disable(kPmuIntid);
  set_interrupt_hook(nullptr);
  stop();
}

u64 g_fresh = 0;

void use_pmu(u64) noexcept {
  gic::init_cpu();
  g_fresh = (GUEST_READ(pmcr_el0) & kEnable) | GUEST_READ(pmcntenset_el0) | GUEST_READ(pmintenset_el1) |
            GUEST_READ(pmovsset_el0) | GUEST_READ(pmccntr_el0) | GUEST_READ(pmevcntr0_el0) | GUEST_READ(pmuserenr_el0) |
            (GUEST_READ(pmevtyper0_el0) & 0xFFFF);
  test_overflow("pmu.other.overflow", "pmu.other.overflow.level");
  GUEST_WRITE(pmccntr_el0, 0x1234);
  GUEST_WRITE(pmevcntr0_el0, 0x5678);
}

void test_other_cpu(const Machine& machine) noexcept {
  GUEST_WRITE(pmevtyper0_el0, kSoftwareIncrement);
  GUEST_WRITE(pmevcntr0_el0, 0x9ABC);
  for (const char* name : {"pmu.other.first", "pmu.other.again"}) {
    check(name, start_cpu(1, use_pmu), psci::kSuccess);
    check_true("pmu.other.off", wait_until_off(1));
    if (machine.is_virtual) check("pmu.other.fresh_registers", g_fresh, 0);
  }
  check("pmu.kept_across_other_cpu", GUEST_READ(pmevcntr0_el0), 0x9ABC);
}

}  // namespace

void test_pmu(const Machine& machine) noexcept {
  const u64 version = GUEST_READ(id_aa64dfr0_el1) >> 8 & 0xF;
  if (version == 0) {
    skip("pmu", "not in the ID registers");
    return;
  }
  test_cycles(machine);
  test_events();
  test_overflow("pmu.overflow.once", "pmu.overflow.level");
  if (machine.cpus > 1) test_other_cpu(machine);
}

}  // namespace exits
