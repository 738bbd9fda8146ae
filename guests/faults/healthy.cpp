// SPDX-License-Identifier: Apache-2.0
// Guests that do one thing for long and are healthy all the same: no diagnosis may come.
#include "faults.hpp"
#include "guest/console.hpp"
#include "guest/gic.hpp"
#include "guest/psci.hpp"
#include "guest/smp.hpp"
#include "guest/timer.hpp"

namespace faults {
namespace {

using namespace guest;

constexpr u64 kMs = 1500;

void busy() noexcept {
  const u64 end = counter() + ticks_of_ms(kMs);
  while (counter() < end) {
  }
}

// A spinlock whose holder is slow: the other CPU stays in a loop of two instructions.
volatile u32 g_lock = 0;
void wait_for_lock(u64) noexcept {
  while (__atomic_exchange_n(&g_lock, 1, __ATOMIC_ACQUIRE) != 0) {
  }
}
void spinlock() noexcept {
  g_lock = 1;
  (void)start_cpu(1, wait_for_lock);
  spin_ms(kMs);
  __atomic_store_n(&g_lock, 0, __ATOMIC_RELEASE);
  (void)wait_until_off(1);
}

void start_timer(u64 ms) noexcept {
  GUEST_WRITE(cntv_cval_el0, counter() + ticks_of_ms(ms));
  GUEST_WRITE(cntv_ctl_el0, 1);
  isb();
}
volatile u32 g_ticks = 0;
u64 g_period_ms = 1;
void on_interrupt(u32 intid) noexcept {
  if (intid != kVirtualTimerIntid) return;
  g_ticks = g_ticks + 1;
  start_timer(g_period_ms);
}
void set_up_ticks(u64 period_ms) noexcept {
  gic::init_distributor();
  gic::init_cpu();
  g_period_ms = period_ms;
  set_interrupt_hook(on_interrupt);
  gic::enable(kVirtualTimerIntid);
  start_timer(period_ms);
}
// Sleeps through most of its life.
void idle() noexcept {
  set_up_ticks(1200);
  while (g_ticks < 2) {
    wfi();
    unmask_interrupts();
    isb();
    mask_interrupts();
  }
}
void nap() noexcept {
  set_up_ticks(100);
  while (g_ticks < 5) {
    wfi();
    unmask_interrupts();
    isb();
    mask_interrupts();
  }
}
void ticks() noexcept {
  set_up_ticks(1);
  unmask_interrupts();
  (void)wait_until([] { return g_ticks >= 1000; }, 4000);
  mask_interrupts();
}
// The interrupt is pending all the time, and the guest does not want it now.
void masked_ticks() noexcept {
  set_up_ticks(1);
  busy();
}
void poll_uart() noexcept {
  const u64 end = counter() + ticks_of_ms(kMs);
  while (counter() < end) (void)read32(kUart + 0x18);
}
// Accesses that the CPU does not describe; GICD_IPRIORITYR of SPIs without a device, and the UART's flags.
void accesses() noexcept {
  const u64 end = counter() + ticks_of_ms(kMs);
  const u64 priorities = kGicd + 0x400 + 208;
  GUEST_WRITE(cpacr_el1, u64{3} << 20);  // FP is not trapped
  isb();
  while (counter() < end) {
    u64 at = priorities;
    asm volatile(
        ".arch_extension simd\n\tldp w1, w2, [%0]\n\tstp wzr, w2, [%0], #4\n\tldxr w1, [%1]\n\tldr s0, [%1]\n\tldar "
        "w1, [%1]"
        : "+r"(at)
        : "r"(kUart + 0x18)
        : "x1", "x2", "v0", "memory");
  }
}
// What a kernel does for each system call of a program, and for each page that it has not yet.
void exceptions() noexcept {
  const u64 end = counter() + ticks_of_ms(kMs);
  while (counter() < end) {
    (void)catching([] { asm volatile("svc #0" : : : "memory"); });
    (void)catching([] { (void)read64(kUnmapped); });
  }
}
// What a guest finds out about its firmware.
void probes() noexcept {
  (void)call(Conduit::hvc, psci::kVersion);
  for (const u64 function : {u64{0x8400'000E}, u64{0xC400'000E}, u64{0x8400'0013}, u64{0x8000'0000}}) {
    (void)call(Conduit::hvc, psci::kFeatures, function);
  }
  (void)call(Conduit::hvc, 0x8000'0001, 0x8000'8000);
  (void)call(Conduit::hvc, 0x8600'FF01);
  (void)call(Conduit::hvc, 0x8400'0050);
  spin_ms(60);
}

constexpr Fault kGuests[] = {
    {"healthy-busy", busy},         {"healthy-spinlock", spinlock},     {"healthy-idle", idle},
    {"healthy-nap", nap},           {"healthy-ticks", ticks},           {"healthy-masked", masked_ticks},
    {"healthy-uart", poll_uart},    {"healthy-exceptions", exceptions}, {"healthy-probes", probes},
    {"healthy-accesses", accesses},
};

}  // namespace

std::span<const Fault> healthy_guests() noexcept {
  return kGuests;
}

}  // namespace faults
