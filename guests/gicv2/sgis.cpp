// SPDX-License-Identifier: Apache-2.0
// Software-generated interrupts: each filter, who sent them, groups.
#include "gicv2.hpp"
#include "guest/check.hpp"

namespace gicv2 {
namespace {

constexpr u32 kListed = 0U << 24;
constexpr u32 kOthers = 1U << 24;
constexpr u32 kSelf = 2U << 24;
constexpr u32 from(u32 cpu) noexcept {
  return cpu << 10;
}
constexpr u32 to(u32 targets) noexcept {
  return targets << 16;
}

void send(u32 sgi) noexcept {
  dsb();
  write32(kSgir, sgi);
  dsb();
}

volatile u32 g_helper_took = 0;
volatile u32 g_helper_took_too = 0;

void helper_takes() noexcept {
  g_helper_took = take(100);
  end(g_helper_took);
  g_helper_took_too = take();
  end(g_helper_took_too);
}
void helper_calls() noexcept {
  send(kListed | to(1) | 3);
}
void helper_calls_all_others() noexcept {
  send(kOthers | 4);
}
void helper_calls_itself() noexcept {
  send(kSelf | 5);
  g_helper_took = take(100);
  end(g_helper_took);
}

void test_self() noexcept {
  for (u32 id = 16; id-- != 0;) send(kSelf | id);
  u32 seen = 0;
  u32 count = 0;
  for (u32 iar = take(); (iar & 0x3FF) != kSpurious && count < 100; iar = take()) {
    seen |= iar < 16 ? 1U << iar : 0;  // by CPU 0, in any order: they have one priority
    ++count;
    end(iar);
  }
  check("sgi.self.all_16", seen, 0xFFFF);
  check("sgi.self.each_once", count, 16);
  send(kListed | to(1) | 7);
  check("sgi.listed.self", take(), 7);
  check("sgi.active", bit(kIsactiver, 7), true);
  check("sgi.not_pending", bit(kIspendr, 7), false);
  send(kSelf | 7);
  check("sgi.pending_while_active", bit(kIspendr, 7), true);
  check("sgi.not_taken_while_active", take() & 0x3FF, kSpurious);
  end(7);
  check("sgi.taken_after_end", take(), 7);
  end(7);
  check("sgi.inactive", bit(kIsactiver, 7), false);
  send(kSelf | 8);
  send(kSelf | 8);
  drain();
  check("sgi.merged", bit(kIspendr, 8), false);
  send(kOthers | 9);
  check("sgi.others.not_self", take() & 0x3FF, kSpurious);
  send(kListed | to(0) | 9);
  check("sgi.listed.nobody", take() & 0x3FF, kSpurious);
}

void test_pending_registers() noexcept {
  write8(kSpendsgir + 6, 1);
  check("sgi.spendsgir.pending", bit(kIspendr, 6), true);
  check("sgi.spendsgir.sender", read8(kSpendsgir + 6), 1);
  check("sgi.cpendsgir.sender", read8(kCpendsgir + 6), 1);
  write32(kIcpendr, 1U << 6);
  check("sgi.icpendr.no_effect", bit(kIspendr, 6), true);
  write8(kCpendsgir + 6, 1);
  check("sgi.cpendsgir.cleared", bit(kIspendr, 6), false);
  check("sgi.cpendsgir.nothing", take() & 0x3FF, kSpurious);
  write32(kIspendr, 1U << 6);
  check("sgi.ispendr.no_effect", bit(kIspendr, 6), false);
  write32(kSpendsgir + 4, 0x0101'0101);  // none of them 0: QEMU 7.2 takes a sender of nothing for one, and ends itself
  u32 right = 0;
  for (u32 id = 4; id < 8; ++id) {
    right += u32{take() == id};
    end(id);
  }
  check("sgi.spendsgir.word", right, 4);
}

void test_groups() noexcept {
  write32(kCtlr, 3);
  write32(kCpuCtlr, kEnableGrp0 | kEnableGrp1);
  write32(kIgroupr, 1U << 2);
  send(kSelf | 2);
  (void)wait_until([] { return signals_irq(); }, 100);
  check("sgi.group_1.irq", signals_irq(), true);
  check("sgi.group_1.iar_1022", read32(kIar), 1022);
  write32(kCpuCtlr, kEnableGrp0 | kEnableGrp1 | kAckCtl);
  check("sgi.group_1.ackctl", take(), 2);
  end(2);
  write32(kCpuCtlr, kEnableGrp0 | kEnableGrp1 | kAckCtl | kFiqEn);
  send(kSelf | 3);
  (void)wait_until([] { return signals_fiq(); }, 100);
  check("sgi.group_0.fiq", signals_fiq(), true);
  check("sgi.group_0.no_irq", signals_irq(), false);
  check("sgi.group_0.taken", take(), 3);
  end(3);
  send(kSelf | 2);
  (void)wait_until([] { return signals_irq(); }, 100);
  check("sgi.group_1.no_fiq", signals_fiq(), false);
  check("sgi.group_1.taken", take(), 2);
  end(2);
  write32(kCpuCtlr, kEnableGrp0);
  send(kSelf | 2);
  check_between("sgi.group_1.masked", take() & 0x3FF, 1022, 1023);
  write32(kIgroupr, 0);
  check("sgi.group_0.again", take(100), 2);
  end(2);
  write32(kCtlr, 1);
}

// Two senders of one SGI: two interrupts, told apart by CPUID.
void test_two_senders() noexcept {
  send(kSelf | 3);
  check_true("sgi.two_senders.helper", on_helper(helper_calls));
  check("sgi.two_senders.pending", read8(kSpendsgir + 3), 3);
  const u32 first = take();
  check("sgi.two_senders.first", first, from(0) | 3);
  check("sgi.two_senders.left", read8(kSpendsgir + 3), 2);
  check("sgi.two_senders.one_at_a_time", take() & 0x3FF, kSpurious);
  end(first);
  const u32 second = take(100);
  check("sgi.two_senders.second", second, from(1) | 3);
  end(second);
  check("sgi.two_senders.none_left", take() & 0x3FF, kSpurious);
  check("sgi.two_senders.inactive", bit(kIsactiver, 3), false);

  // EOImode 1: the second waits for the deactivation of the first.
  write32(kCpuCtlr, kEnableGrp0 | kEoiMode);
  send(kSelf | 3);
  check_true("sgi.split.helper", on_helper(helper_calls));
  check("sgi.split.first", take(), from(0) | 3);
  end(from(0) | 3);
  check("sgi.split.active", bit(kIsactiver, 3), true);
  check("sgi.split.not_yet", take() & 0x3FF, kSpurious);
  write32(kDir, from(0) | 3);
  check("sgi.split.second", take(100), from(1) | 3);
  end(from(1) | 3);
  write32(kDir, from(1) | 3);
  check("sgi.split.inactive", bit(kIsactiver, 3), false);
  write32(kCpuCtlr, kEnableGrp0);
}

void test_other() noexcept {
  check_true("sgi.other.drained", on_helper(drain));  // what test_self() sent to all others
  send(kListed | to(2) | 10);
  check_true("sgi.other.helper", on_helper(helper_takes));
  check("sgi.other.taken", g_helper_took, from(0) | 10);
  check("sgi.other.not_here", take() & 0x3FF, kSpurious);
  send(kOthers | to(1) | 11);
  check_true("sgi.others.helper", on_helper(helper_takes));
  check("sgi.others.taken", g_helper_took, from(0) | 11);
  check("sgi.others.once", g_helper_took_too & 0x3FF, kSpurious);
  send(kListed | to(3) | 12);
  check_true("sgi.both.helper", on_helper(helper_takes));
  check("sgi.both.there", g_helper_took, from(0) | 12);
  check("sgi.both.here", take(), from(0) | 12);
  end(from(0) | 12);
  check_true("sgi.from_other.helper", on_helper(helper_calls_all_others));
  check("sgi.from_other.taken", take(100), from(1) | 4);
  end(from(1) | 4);
  check_true("sgi.self_there.helper", on_helper(helper_calls_itself));
  check("sgi.self_there.taken", g_helper_took, from(1) | 5);
  check("sgi.self_there.not_here", take() & 0x3FF, kSpurious);
}

}  // namespace

void test_sgis(unsigned cpus) noexcept {
  test_self();
  test_pending_registers();
  test_groups();
  send(kSelf | 1);
  wfi();  // ends at once: an interrupt is signalled, if masked by PSTATE
  check("sgi.wfi", take(), 1);
  end(1);
  if (cpus == 1) return skip("sgi.other", "one CPU");
  test_other();
  test_two_senders();
}

}  // namespace gicv2
