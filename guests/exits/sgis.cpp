// SPDX-License-Identifier: Apache-2.0
// Software-generated interrupts: to itself, to the other CPU, to all others, of both groups.
#include "exits.hpp"
#include "guest/check.hpp"
#include "guest/gic.hpp"
#include "guest/smp.hpp"
#include "guest/timer.hpp"

namespace exits {
namespace {

using namespace guest;

constexpr u32 kSelf = 1;   // target list: CPU 0
constexpr u32 kOther = 2;  // CPU 1
constexpr u32 kSgis = 16;

volatile bool g_ready = false;
volatile bool g_leave = false;
volatile u64 g_heard = 0;  // counter at the last interrupt of CPU 1

void hear(u32) noexcept {
  if (this_cpu().index == 1) g_heard = counter();
}

// CPU 1: takes whatever comes until it may leave.
void listen(u64) noexcept {
  gic::init_cpu();
  for (u32 id = 0; id < kSgis; ++id) gic::enable(id);
  forget_interrupts();
  dsb();
  g_ready = true;
  while (!g_leave) {
    mask_interrupts();
    if (!g_leave) wfi();  // wakes with interrupts masked, so what comes after the check is not lost
    unmask_interrupts();
    isb();
  }
}

bool start_listener() noexcept {
  g_ready = false;
  g_leave = false;
  dsb();
  return start_cpu(1, listen) == psci::kSuccess && wait_until([] { return g_ready; });
}

bool stop_listener() noexcept {
  g_leave = true;
  gic::send_sgi(15, kOther);
  return wait_until_off(1);
}

void take_pending() noexcept {
  unmask_interrupts();
  isb();
  (void)wait_until([] { return false; }, 1);
  mask_interrupts();
}

void test_self() noexcept {
  for (u32 id = 0; id < kSgis; ++id) gic::enable(id);
  forget_interrupts();
  for (u32 id = kSgis; id-- != 0;) gic::send_sgi(id, kSelf);
  unmask_interrupts();
  (void)wait_until([] { return this_cpu().ordered >= kSgis; });
  take_pending();
  u32 taken_once = 0;
  for (u32 id = 0; id < kSgis; ++id) taken_once |= u32{this_cpu().taken[id] == 1} << id;
  check("sgi.self.all_16_once", taken_once, 0xFFFF);
  check("sgi.self.count", this_cpu().ordered, kSgis);

  // Two of the same while pending are one.
  forget_interrupts();
  gic::send_sgi(3, kSelf);
  gic::send_sgi(3, kSelf);
  take_pending();
  check("sgi.self.merges", this_cpu().taken[3], 1);

  forget_interrupts();
  gic::send_sgi(4, kSelf);
  wfi();  // pending already: ends at once, with interrupts masked
  check("sgi.wfi.not_taken_while_masked", this_cpu().taken[4], 0);
  take_pending();
  check("sgi.wfi.taken", this_cpu().taken[4], 1);

  forget_interrupts();
  gic::send_sgi(5, 0);
  gic::send_sgi_to_others(6);
  take_pending();
  check("sgi.not_to_self", this_cpu().ordered, 0);
}

// GICD_CTLR.DS is 1: Group 0 is the guest's, taken as FIQ.
void test_group_0() noexcept {
  constexpr u32 kId = 7;
  gic::set_group1(kId, false);
  GUEST_WRITE(S3_0_C12_C12_6, 1);  // ICC_IGRPEN0_EL1
  isb();
  forget_interrupts();
  GUEST_WRITE(S3_0_C12_C11_7, u64{kId} << 24 | kSelf);  // ICC_SGI0R_EL1
  isb();
  take_pending();
  check("sgi.group_0.taken", this_cpu().taken[kId], 1);
  check("sgi.group_0.as_fiq", this_cpu().fiqs, 1);
  GUEST_WRITE(S3_0_C12_C12_6, 0);
  isb();
  gic::set_group1(kId, true);
}

void test_other() noexcept {
  PerCpu& other = cpu(1);
  set_interrupt_hook(hear);
  check_true("sgi.other.starts", start_listener());
  for (u32 id = 0; id < kSgis; ++id) {
    gic::send_sgi(id, kOther);
    (void)wait_until([&] { return other.taken[id] == 1; });
  }
  u32 taken_once = 0;
  for (u32 id = 0; id < kSgis; ++id) taken_once |= u32{other.taken[id] == 1} << id;
  check("sgi.other.all_16_once", taken_once, 0xFFFF);

  forget_interrupts();
  gic::send_sgi_to_others(9);
  check_true("sgi.all_but_self.arrives", wait_until([&] { return other.taken[9] == 2; }));
  take_pending();
  check("sgi.all_but_self.not_here", this_cpu().ordered, 0);

  forget_interrupts();
  gic::send_sgi(10, kSelf | kOther);
  check_true("sgi.both.there", wait_until([&] { return other.taken[10] == 2; }));
  take_pending();
  check("sgi.both.here", this_cpu().taken[10], 1);

  const u64 sent = counter();
  gic::send_sgi(11, kOther);
  (void)wait_until([&] { return other.taken[11] == 2; });
  check_between("sgi.latency_below_1_s", g_heard, sent, sent + ticks_of_ms(1000));

  // Ping and answer: CPU 1 is woken from WFI each time.
  u32 answered = 0;
  for (u32 i = 0; i < 50; ++i) {
    const u32 before = other.taken[12];
    gic::send_sgi(12, kOther);
    if (!wait_until([&] { return other.taken[12] == before + 1; })) break;
    ++answered;
  }
  check("sgi.wakes_wfi_50_times", answered, 50);
  check_true("sgi.other.stops", stop_listener());
  set_interrupt_hook(nullptr);
}

}  // namespace

void test_sgis(const Machine& machine) noexcept {
  test_self();
  test_group_0();
  if (machine.cpus < 2) {
    skip("sgi.other", "one CPU");
  } else {
    test_other();
  }
  for (u32 id = 0; id < kSgis; ++id) gic::disable(id);
}

}  // namespace exits
