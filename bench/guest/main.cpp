// SPDX-License-Identifier: Apache-2.0
// What an exit costs, seen from the guest. Runs on any hypervisor with a GICv3, PSCI by HVC and a PL011 of `virt`.
//
// Meant for QEMU's `-icount shift=0`: an instruction is a nanosecond there, whoever executes it, so the counter counts
// instructions of guest and hypervisor together, and a run repeats exactly. Each row is the mean of many repetitions,
// less the loop around them. Output: "ROW <name> <instructions * 100>".
#include "guest/console.hpp"
#include "guest/cpu.hpp"
#include "guest/gic.hpp"
#include "guest/psci.hpp"
#include "guest/smp.hpp"
#include "guest/timer.hpp"

namespace {

using namespace guest;

constexpr u64 kTimes = 2048;

u64 nanoseconds_per_tick() {
  return 1'000'000'000 / GUEST_READ(cntfrq_el0);
}

// Ticks that kTimes turns of `operation` take. Always a loop of its own, so that the empty one is the same loop.
template <class F>
[[gnu::noinline]] u64 ticks_of(F operation) {
  const u64 start = counter();
  for (u64 i = 0; i < kTimes; ++i) {
    operation();
    asm volatile("" : : : "memory");
  }
  return counter() - start;
}

u64 g_empty = 0;

template <class F>
void row(const char* name, F operation) {
  operation();  // once before, for what happens the first time only
  const u64 ticks = ticks_of(operation);
  const u64 hundredths = (ticks - g_empty) * nanoseconds_per_tick() * 100 / kTimes;
  print("ROW ", name, " ", hundredths, "\n");
}

template <class Read>
void mmio_row(const char* name, u64 address) {
  row(name, [=] { (void)*reinterpret_cast<const volatile Read*>(address); });
}

void hvc(u64 function) {
  register u64 x0 asm("x0") = function;
  asm volatile("hvc #0" : "+r"(x0) : : "x1", "x2", "x3", "memory");
}
void smc(u64 function) {
  register u64 x0 asm("x0") = function;
  asm volatile("smc #0" : "+r"(x0) : : "x1", "x2", "x3", "memory");
}

}  // namespace

void guest_main(u64) noexcept {
  gic::init_distributor();
  gic::init_cpu();
  g_empty = ticks_of([] {});
  row("hvc_psci_version", [] { hvc(psci::kVersion); });
  row("hvc_smccc_version", [] { hvc(psci::kSmcccVersion); });
  row("hvc_unknown", [] { hvc(0xC600'FF00); });
  row("smc_psci_version", [] { smc(psci::kVersion); });
  row("id_register", [] { (void)GUEST_READ(id_aa64pfr0_el1); });
  mmio_row<u32>("gicd_typer", kGicd + 0x4);
  row("gicd_ispendr", [] { *reinterpret_cast<volatile u32*>(kGicd + gic::kIspendr + 4) = 0; });
  mmio_row<u64>("gicr_typer", kGicr + 0x8);
  mmio_row<u32>("uart_fr", kUart + 0x18);
  row("cntp_ctl", [] { (void)GUEST_READ(cntp_ctl_el0); });
  print("DONE\n");
  psci::system_off();
}
