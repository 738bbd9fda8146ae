// SPDX-License-Identifier: Apache-2.0
// Shared peripheral interrupts: more at once than there are list registers, order, masks, deactivation, a device's
// line.
#include "exits.hpp"
#include "guest/check.hpp"
#include "guest/gic.hpp"
#include "guest/smp.hpp"
#include "guest/timer.hpp"

namespace exits {
namespace {

using namespace guest;

constexpr u32 kFirst = 100;  // no device on these
constexpr u32 kCount = 40;
constexpr u32 kSpi = 160;
constexpr u32 kUrgentSpi = 161;

// 20 priorities, scattered over the INTIDs, each twice.
constexpr u32 priority_of(u32 intid) noexcept {
  return 0x20 + (intid - kFirst) * 7 % 20 * 8;
}

void take_pending() noexcept {
  unmask_interrupts();
  isb();
  spin_ms(2);
  mask_interrupts();
}

void pend_forty(bool edge) noexcept {
  for (u32 intid = kFirst; intid < kFirst + kCount; ++intid) {
    gic::set_edge(intid, edge);
    gic::set_priority(intid, priority_of(intid));
    gic::enable(intid);
  }
  forget_interrupts();
  for (u32 intid = kFirst; intid < kFirst + kCount; ++intid) gic::set_pending(intid, true);
}

void test_forty(bool edge, const char* once, const char* order, const char* none_left) noexcept {
  pend_forty(edge);
  unmask_interrupts();
  (void)wait_until([] { return this_cpu().ordered >= kCount; });
  take_pending();
  const PerCpu& self = this_cpu();
  u32 taken_once = 0;
  for (u32 intid = kFirst; intid < kFirst + kCount; ++intid) taken_once += u32{self.taken[intid] == 1};
  check(once, taken_once, kCount);
  u32 in_order = u32{self.ordered == kCount};
  for (u32 i = 1; i < kCount; ++i) in_order += u32{priority_of(self.order[i - 1]) <= priority_of(self.order[i])};
  check(order, in_order, kCount);
  u32 left = 0;
  for (u32 intid = kFirst; intid < kFirst + kCount; ++intid) {
    left += u32{gic::is_pending(intid) || gic::is_active(intid)};
    gic::disable(intid);
  }
  check(none_left, left, 0);
}

void test_disabled() noexcept {
  gic::set_edge(kSpi, true);
  gic::set_priority(kSpi, gic::kDefaultPriority);
  gic::disable(kSpi);
  forget_interrupts();
  gic::set_pending(kSpi, true);
  check("spi.disabled.pending", gic::is_pending(kSpi), true);
  take_pending();
  check("spi.disabled.not_taken", this_cpu().ordered, 0);
  gic::enable(kSpi);
  take_pending();
  check("spi.enabled.taken", this_cpu().taken[kSpi], 1);
  check("spi.enabled.not_pending", gic::is_pending(kSpi), false);

  gic::set_pending(kSpi, true);
  gic::set_pending(kSpi, false);
  take_pending();
  check("spi.cleared.not_taken", this_cpu().taken[kSpi], 1);
}

void test_priority_mask() noexcept {
  forget_interrupts();
  gic::set_priority_mask(gic::kDefaultPriority);  // masks that priority and what is below
  gic::set_pending(kSpi, true);
  take_pending();
  check("spi.priority_mask.holds", this_cpu().ordered, 0);
  gic::set_priority_mask(0xFF);
  take_pending();
  check("spi.priority_mask.releases", this_cpu().taken[kSpi], 1);
}

volatile bool g_active_inside = false;
volatile u32 g_depth = 0;
volatile u32 g_deepest = 0;
volatile u32 g_cpu = 0;

void on_plain(u32 intid) noexcept {
  g_active_inside = gic::is_active(intid);
  g_cpu = this_cpu().index;
}

void on_nested(u32 intid) noexcept {
  g_depth = g_depth + 1;
  if (g_depth > g_deepest) g_deepest = g_depth;
  if (intid == kSpi) {
    gic::set_pending(kUrgentSpi, true);
    unmask_interrupts();
    isb();
    (void)wait_until([] { return this_cpu().taken[kUrgentSpi] == 1; }, 1000);
    mask_interrupts();
  }
  g_depth = g_depth - 1;
}

void test_active() noexcept {
  forget_interrupts();
  set_interrupt_hook(on_plain);
  gic::set_pending(kSpi, true);
  take_pending();
  check("spi.active_while_handled", g_active_inside, true);
  check("spi.inactive_after_eoi", gic::is_active(kSpi), false);

  // One of higher priority preempts the handler of the other.
  forget_interrupts();
  set_interrupt_hook(on_nested);
  gic::set_edge(kUrgentSpi, true);
  gic::set_priority(kUrgentSpi, 0x20);
  gic::enable(kUrgentSpi);
  gic::set_pending(kSpi, true);
  take_pending();
  check("spi.preempts", g_deepest, 2);
  check("spi.preempts.counts", this_cpu().taken[kSpi] * 16 + this_cpu().taken[kUrgentSpi], 0x11);
  set_interrupt_hook(nullptr);
  gic::disable(kUrgentSpi);
}

// ICC_CTLR_EL1.EOImode 1: priority drop and deactivation are two writes.
void test_split_eoi() noexcept {
  GUEST_WRITE(S3_0_C12_C12_4, 2);
  isb();
  forget_interrupts();
  gic::set_pending(kSpi, true);
  take_pending();
  check("spi.eoimode_1.taken", this_cpu().taken[kSpi], 1);
  check("spi.eoimode_1.still_active", gic::is_active(kSpi), true);
  gic::set_pending(kSpi, true);
  take_pending();
  check("spi.eoimode_1.not_again_while_active", this_cpu().taken[kSpi], 1);
  GUEST_WRITE(S3_0_C12_C11_1, kSpi);  // ICC_DIR_EL1
  isb();
  take_pending();
  check("spi.eoimode_1.again_after_dir", this_cpu().taken[kSpi], 2);
  GUEST_WRITE(S3_0_C12_C11_1, kSpi);
  GUEST_WRITE(S3_0_C12_C12_4, 0);
  isb();
  check("spi.eoimode_1.inactive", gic::is_active(kSpi), false);
}

volatile u32 g_uart_interrupts = 0;

void on_uart(u32 intid) noexcept {
  if (intid != kUartIntid) return;
  g_uart_interrupts = g_uart_interrupts + 1;
  if (g_uart_interrupts == 3) write32(kUart + 0x38, 0);  // IMSC
}

// The line stays up until the handler's third visit.
void test_level() noexcept {
  constexpr u32 kTx = 1U << 5;
  gic::set_edge(kUartIntid, false);
  gic::enable(kUartIntid);
  forget_interrupts();
  set_interrupt_hook(on_uart);
  write32(kUart + 0x44, kTx);  // ICR
  write32(kUart + 0x38, kTx);  // IMSC
  write32(kUart + 0x00, '.');
  write32(kUart + 0x00, '\r');
  write32(kUart + 0x00, '\n');
  (void)wait_until([] { return (read32(kUart + 0x3C) & kTx) != 0; });  // RIS
  take_pending();
  (void)wait_until([] { return g_uart_interrupts >= 3; }, 100);
  check("spi.level.until_line_falls", this_cpu().taken[kUartIntid], 3);
  write32(kUart + 0x44, kTx);
  take_pending();
  check("spi.level.no_more", this_cpu().taken[kUartIntid], 3);
  check("spi.level.not_pending", gic::is_pending(kUartIntid), false);
  set_interrupt_hook(nullptr);
  gic::disable(kUartIntid);
}

volatile bool g_ready = false;

void wait_for_one(u64) noexcept {
  gic::init_cpu();
  dsb();
  g_ready = true;
  while (this_cpu().ordered == 0) {
    wfi();
    unmask_interrupts();
    isb();
    mask_interrupts();
  }
}

void test_routing() noexcept {
  g_cpu = 99;
  cpu(1).ordered = 0;
  set_interrupt_hook(on_plain);
  gic::route(kSpi, affinity_of(1));
  check("spi.routed.starts", start_cpu(1, wait_for_one), psci::kSuccess);
  check_true("spi.routed.ready", wait_until([] { return g_ready; }));
  forget_interrupts();
  gic::set_pending(kSpi, true);
  check_true("spi.routed.off", wait_until_off(1));
  check("spi.routed.taken_there", g_cpu, 1);
  take_pending();
  check("spi.routed.not_here", this_cpu().ordered, 0);
  gic::route(kSpi, 0);
  set_interrupt_hook(nullptr);
}

}  // namespace

void test_spis(const Machine& machine) noexcept {
  test_forty(true, "spi.forty_edge.each_once", "spi.forty_edge.in_order", "spi.forty_edge.none_left");
  test_forty(false, "spi.forty_level.each_once", "spi.forty_level.in_order", "spi.forty_level.none_left");
  test_disabled();
  test_priority_mask();
  test_active();
  test_split_eoi();
  test_level();
  if (machine.cpus < 2) {
    skip("spi.routed", "one CPU");
  } else {
    test_routing();
  }
  gic::disable(kSpi);
}

}  // namespace exits
