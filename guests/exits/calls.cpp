// SPDX-License-Identifier: Apache-2.0
// HVC and SMC: answers, and where the guest goes on. [smccc]; [psci]
#include "exits.hpp"
#include "guest/check.hpp"
#include "guest/cpu.hpp"
#include "guest/gic.hpp"
#include "guest/smp.hpp"
#include "guest/timer.hpp"

namespace exits {
namespace {

using namespace guest;

constexpr u64 kUnknown = 0xC600'1234;      // vendor hypervisor service, number taken by nobody
constexpr u64 kUnknownArch = 0x8000'7FFF;  // Arm architecture service
constexpr u64 kNotSupported = ~u64{0};

// One more on each executed pass behind the call: 1, when the PC is right.
#define STEPS_AFTER(instruction)                                                                           \
  ([](u64 function, u64* result) noexcept {                                                                \
    register u64 x0 asm("x0") = function;                                                                  \
    u64 steps = 0;                                                                                         \
    asm volatile(instruction "\n\tadd %1, %1, #1" : "+r"(x0), "+r"(steps) : : "x1", "x2", "x3", "memory"); \
    *result = x0;                                                                                          \
    return steps;                                                                                          \
  })

void test_unknown() noexcept {
  u64 answer = 0;
  check("hvc.unknown.steps", STEPS_AFTER("hvc #0")(kUnknown, &answer), 1);
  check("hvc.unknown.x0", answer, kNotSupported);
  check("hvc.immediate.steps", STEPS_AFTER("hvc #0x4321")(kUnknown, &answer), 1);
  check("hvc.immediate.x0", answer, kNotSupported);
  check("hvc.immediate_is_not_psci.steps", STEPS_AFTER("hvc #1")(psci::kVersion, &answer), 1);
  check("hvc.immediate_is_not_psci.x0", answer, kNotSupported);
  check("smc.unknown.steps", STEPS_AFTER(".inst 0xD4000003")(kUnknown, &answer), 1);  // SMC #0
  check("smc.unknown.x0", answer, kNotSupported);
  check("smc.immediate.steps", STEPS_AFTER(".inst 0xD4000023")(psci::kVersion, &answer), 1);  // SMC #1
  check("smc.immediate.x0", answer, kNotSupported);
  check("smccc.unknown_arch_call", call(Conduit::hvc, kUnknownArch).x0, kNotSupported);
  const CallResult kept = call(Conduit::hvc, kUnknownArch, 11, 22, 33);
  check_true("smccc.keeps_x1_to_x3", kept.x1 == 11 && kept.x2 == 22 && kept.x3 == 33);
}

void test_psci_by(Conduit conduit, const char* version, const char* garbage, const char* features) noexcept {
  check(version, call(conduit, psci::kVersion).x0, 0x1'0001);
  check(garbage, call(conduit, 0xDEAD'BEEF'0000'0000 | psci::kVersion).x0, 0x1'0001);
  check(features, call(conduit, psci::kFeatures, psci::kCpuOn).x0, 0);
}

void test_psci() noexcept {
  test_psci_by(Conduit::hvc, "psci.hvc.version", "psci.hvc.upper_half_ignored", "psci.hvc.features");
  test_psci_by(Conduit::smc, "psci.smc.version", "psci.smc.upper_half_ignored", "psci.smc.features");
  for (const u64 function :
       {psci::kVersion, psci::kCpuSuspend, psci::kCpuSuspend32, psci::kCpuOff, psci::kCpuOn, psci::kAffinityInfo,
        psci::kMigrateInfoType, psci::kSystemOff, psci::kSystemReset, psci::kFeatures, psci::kSmcccVersion}) {
    if (call(Conduit::hvc, psci::kFeatures, function).x0 != 0) check("psci.features.known", function, 0);
  }
  check("psci.features.unknown", call(Conduit::hvc, psci::kFeatures, 0x8400'7FFF).x0, kNotSupported);
  check("psci.features.not_psci", call(Conduit::hvc, psci::kFeatures, kUnknown).x0, kNotSupported);
  check("psci.migrate_info_type", call(Conduit::hvc, psci::kMigrateInfoType).x0, 2);
  check("psci.unknown", call(Conduit::hvc, 0x8400'0099).x0, kNotSupported);
  check("smccc.version", call(Conduit::hvc, psci::kSmcccVersion).x0, 0x1'0003);
  check("smccc.version_by_smc", call(Conduit::smc, psci::kSmcccVersion).x0, 0x1'0003);

  check("psci.affinity_info.self", call(Conduit::hvc, psci::kAffinityInfo, 0).x0, psci::kOn);
  check("psci.affinity_info.unknown", call(Conduit::hvc, psci::kAffinityInfo, 0x77).x0, psci::kInvalidParameters);
  check("psci.affinity_info.level_4", call(Conduit::hvc, psci::kAffinityInfo, 0, 4).x0, psci::kInvalidParameters);
  check("psci.affinity_info.cluster", call(Conduit::hvc, psci::kAffinityInfo, 0, 1).x0, psci::kOn);

  const u64 entry = secondary_entry();
  check("psci.cpu_on.unknown", call(Conduit::hvc, psci::kCpuOn, 0x77, entry).x0, psci::kInvalidParameters);
  check("psci.cpu_on.res1_bit", call(Conduit::hvc, psci::kCpuOn, 0x8000'0000, entry).x0, psci::kInvalidParameters);
  check("psci.cpu_on.self", call(Conduit::hvc, psci::kCpuOn, 0, entry).x0, psci::kAlreadyOn);
  check("psci.cpu_on.self_bad_entry", call(Conduit::hvc, psci::kCpuOn, 0, kHole).x0, psci::kInvalidAddress);
  check("psci.system_reset2.bad_type", call(Conduit::hvc, psci::kSystemReset2, 1).x0, psci::kInvalidParameters);
}

// CPU_SUSPEND to standby ends with an interrupt, masked in PSTATE or not.
void test_suspend() noexcept {
  check("psci.cpu_suspend.reserved_bit", call(Conduit::hvc, psci::kCpuSuspend, 0x8000'0000).x0,
        psci::kInvalidParameters);
  gic::enable(kVirtualTimerIntid);
  const u64 due = counter() + ticks_of_ms(20);
  GUEST_WRITE(cntv_cval_el0, due);
  GUEST_WRITE(cntv_ctl_el0, 1);
  isb();
  u64 answer = psci::kSuccess;
  unsigned calls = 0;
  while (counter() < due && answer == psci::kSuccess && calls < 1000) {
    answer = call(Conduit::hvc, psci::kCpuSuspend, 0).x0;
    ++calls;
  }
  check("psci.cpu_suspend.answer", answer, psci::kSuccess);
  check_between("psci.cpu_suspend.sleeps", calls, 1, 5);
  check_true("psci.cpu_suspend.timer_woke_it", (GUEST_READ(cntv_ctl_el0) >> 2 & 1) != 0);
  GUEST_WRITE(cntv_ctl_el0, 0);
  isb();
  gic::set_pending(kVirtualTimerIntid, false);
  gic::disable(kVirtualTimerIntid);
}

}  // namespace

void test_calls(const Machine& machine) noexcept {
  if (!machine.is_virtual) {
    skip("calls", "QEMU's own PSCI answers, and SMC is undefined");
    return;
  }
  test_unknown();
  test_psci();
  test_suspend();
}

}  // namespace exits
