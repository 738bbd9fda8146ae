// SPDX-License-Identifier: Apache-2.0
// The generic timer, and waiting with an end.
#pragma once

#include "guest/cpu.hpp"

namespace guest {

inline u64 counter() noexcept {
  isb();
  return GUEST_READ(cntvct_el0);
}
inline u64 ticks_of_ms(u64 ms) noexcept {
  return GUEST_READ(cntfrq_el0) * ms / 1000;
}

// True when the condition came to hold in time.
template <class Condition>
bool wait_until(Condition condition, u64 ms = 3000) noexcept {
  const u64 end = counter() + ticks_of_ms(ms);
  while (!condition()) {
    if (counter() >= end) return condition();
    asm volatile("yield");  // an emulator with one thread for all CPUs runs another now, not at the end of a time slice
  }
  return true;
}

inline void spin_ms(u64 ms) noexcept {
  (void)wait_until([] { return false; }, ms);
}

}  // namespace guest
