// SPDX-License-Identifier: Apache-2.0
// A private peripheral interrupt with a level: the virtual timer's, which a list register links to the physical one.
#include "gicv2.hpp"
#include "guest/check.hpp"

namespace gicv2 {
namespace {

constexpr u32 kTimer = kVirtualTimerIntid;
constexpr u64 kOn = 1;
constexpr u64 kMasked = 3;

void expire_in(u64 ticks) noexcept {
  GUEST_WRITE(cntv_tval_el0, ticks);
  GUEST_WRITE(cntv_ctl_el0, kOn);
  isb();
}
void stop() noexcept {
  GUEST_WRITE(cntv_ctl_el0, kMasked);
  isb();
}

}  // namespace

void test_timer() noexcept {
  set_bit(kIsenabler, kTimer);
  check("timer.quiet", take() & 0x3FF, kSpurious);
  expire_in(ticks_of_ms(2));
  // WFI may end for what the guest does not see.
  for (const u64 end = counter() + ticks_of_ms(1000); !signals_irq() && counter() < end;) wfi();
  check("timer.wakes_wfi", signals_irq(), true);
  check("timer.taken", take(1000), kTimer);
  check("timer.active", bit(kIsactiver, kTimer), true);
  check("timer.not_again_while_active", take() & 0x3FF, kSpurious);
  end(kTimer);
  check("timer.level_lasts", take(1000), kTimer);
  stop();
  end(kTimer);
  check("timer.level_fell", take() & 0x3FF, kSpurious);
  check("timer.not_pending", bit(kIspendr, kTimer), false);

  // EOImode 1: the physical interrupt lives up to the deactivation.
  write32(kCpuCtlr, kEnableGrp0 | kEoiMode);
  expire_in(0);
  check("timer.split.taken", take(1000), kTimer);
  end(kTimer);
  check("timer.split.active", bit(kIsactiver, kTimer), true);
  check("timer.split.not_again", take() & 0x3FF, kSpurious);
  write32(kDir, kTimer);
  check("timer.split.again", take(1000), kTimer);
  stop();
  end(kTimer);
  write32(kDir, kTimer);
  check("timer.split.inactive", bit(kIsactiver, kTimer), false);
  write32(kCpuCtlr, kEnableGrp0);

  u32 ticks = 0;
  for (u32 i = 0; i < 100; ++i) {
    expire_in(ticks_of_ms(1));
    wfi();
    if (take(1000) != kTimer) break;
    stop();
    end(kTimer);
    ++ticks;
  }
  check("timer.hundred_ticks", ticks, 100);
  set_bit(kIcenabler, kTimer);
}

}  // namespace gicv2
