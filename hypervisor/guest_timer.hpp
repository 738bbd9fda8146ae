// SPDX-License-Identifier: Apache-2.0
// The two timers of a guest: the CPU's own while the vCPU is loaded, deadlines of CNTHP while it is not.
#pragma once

#include <cstdint>

#include "arm_vcpu/vm/timer.hpp"
#include "cpu_loop.hpp"

namespace arm_vcpu::hv {

struct GuestTimer {
  std::uint32_t guest_intid;
  std::uint32_t LoopInterrupts::* physical_intid;
  std::uint64_t GuestSystemRegisters::* ctl;
  std::uint64_t GuestSystemRegisters::* cval;
  bool is_virtual;

  [[nodiscard]] constexpr std::uint32_t intid(const LoopInterrupts& interrupts) const noexcept {
    return interrupts.*physical_intid;
  }
  [[nodiscard]] constexpr vm::TimerState saved(const GuestSystemRegisters& registers) const noexcept {
    return {vm::TimerCtl::from(registers.*ctl), registers.*cval};
  }
  [[nodiscard]] constexpr std::uint64_t offset(const GuestSystemRegisters& registers) const noexcept {
    return is_virtual ? registers.cntvoff_el2 : 0;
  }
};

inline constexpr GuestTimer kVirtualTimer{guest_machine::kVirtualTimerIntid, &LoopInterrupts::virtual_timer,
                                          &GuestSystemRegisters::cntv_ctl_el0, &GuestSystemRegisters::cntv_cval_el0,
                                          true};
inline constexpr GuestTimer kPhysicalTimer{guest_machine::kPhysicalTimerIntid, &LoopInterrupts::physical_timer,
                                           &GuestSystemRegisters::cntp_ctl_el0, &GuestSystemRegisters::cntp_cval_el0,
                                           false};

// CNTV_CTL_EL0, CNTP_CTL_EL0: ISTATUS, IMASK, ENABLE. The condition is met, and not masked.
constexpr bool is_up(std::uint64_t ctl) noexcept {
  return (ctl & 0b111) == 0b101;
}

// Of a vCPU that is not loaded. Most of the time it is neither of them. Ticks.
[[gnu::always_inline]] inline bool is_timer_due(const GuestSystemRegisters& saved, std::uint64_t now) noexcept {
  return vm::timer_line(kVirtualTimer.saved(saved), now - kVirtualTimer.offset(saved)) ||
         vm::timer_line(kPhysicalTimer.saved(saved), now);
}

// When the first of them interrupts; Deadlines::kNever: none does. Neither is due. Ticks.
[[gnu::always_inline]] inline std::uint64_t earliest_timer(const GuestSystemRegisters& saved,
                                                           std::uint64_t now) noexcept {
  const vm::TimerState by_virtual = kVirtualTimer.saved(saved);
  const vm::TimerState by_physical = kPhysicalTimer.saved(saved);
  std::uint64_t at = Deadlines::kNever;
  if (vm::can_rise(by_virtual)) {
    const std::uint64_t due = by_virtual.cval + kVirtualTimer.offset(saved);
    if (due >= now) at = due;  // below `now`: the physical counter ends before
  }
  if (vm::can_rise(by_physical) && by_physical.cval >= now && by_physical.cval < at) at = by_physical.cval;
  return at;
}

}  // namespace arm_vcpu::hv
