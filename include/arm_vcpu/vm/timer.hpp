// SPDX-License-Identifier: Apache-2.0
// The generic timers of a guest. The virtual one is the hardware's (CNTV_*, shifted by CNTVOFF_EL2), and so is the
// physical one (CNTP_*) with passthrough_timer: here is what is needed while their vCPU is not on a CPU. Where the
// physical timer belongs to somebody else, EmulatedTimer is all of it.
// Pure: the caller reads the counter. [armarm] "The Generic Timer in AArch64 state", "Timers".
#pragma once

#include <cstdint>
#include <optional>

#include "arm_vcpu/arch/bits.hpp"
#include "arm_vcpu/arch/sysreg_id.hpp"

namespace arm_vcpu::vm {

// CNTP_CTL_EL0 and CNTV_CTL_EL0 alike.
struct TimerCtl : bits::Image<TimerCtl> {
  using ISTATUS = Flag<2>;  // read-only: the condition is met. UNKNOWN while disabled; here 0
  using IMASK = Flag<1>;
  using ENABLE = Flag<0>;
};

// CTL and CVAL of one timer, as saved from, or to be loaded into, its registers.
struct TimerState {
  TimerCtl ctl{};        // ENABLE and IMASK; ISTATUS follows from the count
  std::uint64_t cval{};  // ticks

  friend constexpr bool operator==(const TimerState&, const TimerState&) noexcept = default;
};

// Enabled, and the count has reached the compare value. Both are unsigned: a compare value near 2^64 is far ahead.
[[nodiscard]] constexpr bool timer_condition(const TimerState& timer, std::uint64_t now) noexcept {
  return timer.ctl.get<TimerCtl::ENABLE>() && now >= timer.cval;
}

// The level of the timer's interrupt.
[[nodiscard]] constexpr bool timer_line(const TimerState& timer, std::uint64_t now) noexcept {
  return timer_condition(timer, now) && !timer.ctl.get<TimerCtl::IMASK>();
}

// Enabled, and its line is not masked.
[[nodiscard]] constexpr bool can_rise(const TimerState& timer) noexcept {
  return timer.ctl.get<TimerCtl::ENABLE>() && !timer.ctl.get<TimerCtl::IMASK>();
}

// The count at which the line rises by itself. Empty: it is up, or it stays down until a register is written.
[[nodiscard]] constexpr std::optional<std::uint64_t> timer_deadline(const TimerState& timer,
                                                                    std::uint64_t now) noexcept {
  return can_rise(timer) && now < timer.cval ? std::optional{timer.cval} : std::nullopt;
}

// True: the virtual timer of a parked vCPU asserts its interrupt, so the vCPU has to wake. `ctl` and `cval` are
// CNTV_CTL_EL0 and CNTV_CVAL_EL0; `now_virtual` is CNTVCT_EL0 of that VM, CNTPCT_EL0 - CNTVOFF_EL2.
[[nodiscard]] constexpr bool vtimer_expired(std::uint64_t ctl, std::uint64_t cval, std::uint64_t now_virtual) noexcept {
  return timer_line({TimerCtl::from(ctl), cval}, now_virtual);
}

// The deadline of a virtual timer that is not on a CPU, as a physical count: what to program CNTHP_CVAL_EL2 with so
// that it fires in its place. Empty as in timer_deadline(), and when the physical counter ends before. `cntvoff` is
// two's complement: the virtual count may be ahead of the physical one.
[[nodiscard]] constexpr std::optional<std::uint64_t> vtimer_physical_deadline(const TimerState& timer,
                                                                              std::uint64_t now_physical,
                                                                              std::uint64_t cntvoff) noexcept {
  const std::uint64_t now_virtual = now_physical - cntvoff;
  const std::optional<std::uint64_t> deadline = timer_deadline(timer, now_virtual);
  if (!deadline) return std::nullopt;
  const std::uint64_t physical = now_physical + (*deadline - now_virtual);
  return physical >= now_physical ? std::optional{physical} : std::nullopt;
}

// The earlier of two deadlines.
[[nodiscard]] constexpr std::optional<std::uint64_t> earlier(std::optional<std::uint64_t> a,
                                                             std::optional<std::uint64_t> b) noexcept {
  if (!a || !b) return a ? a : b;
  return *a < *b ? a : b;
}

// One emulated timer. `now` is the count that the guest sees (CNTPCT_EL0), in ticks.
class EmulatedTimer {
 public:
  // Out of reset: disabled, so that nothing UNKNOWN shows.
  constexpr EmulatedTimer() noexcept = default;
  constexpr explicit EmulatedTimer(const TimerState& state) noexcept { restore(state); }

  [[nodiscard]] constexpr std::uint64_t read_ctl(std::uint64_t now) const noexcept {
    return state_.ctl.with<TimerCtl::ISTATUS>(timer_condition(state_, now)).raw;
  }
  constexpr void write_ctl(std::uint64_t value) noexcept {
    state_.ctl = TimerCtl::from(value & (TimerCtl::ENABLE::kMask | TimerCtl::IMASK::kMask));
  }

  [[nodiscard]] constexpr std::uint64_t read_cval() const noexcept { return state_.cval; }
  constexpr void write_cval(std::uint64_t value) noexcept { state_.cval = value; }

  // TVAL is a signed 32-bit distance to the count: written, it moves CVAL; read, bits 63:32 are RES0. While the timer
  // is disabled the architecture leaves the value read UNKNOWN; here it goes on counting.
  [[nodiscard]] constexpr std::uint64_t read_tval(std::uint64_t now) const noexcept {
    return (state_.cval - now) & 0xFFFF'FFFF;
  }
  constexpr void write_tval(std::uint64_t value, std::uint64_t now) noexcept {
    state_.cval = now + bits::sign_extend(value, 32);
  }

  [[nodiscard]] constexpr bool line(std::uint64_t now) const noexcept { return timer_line(state_, now); }
  [[nodiscard]] constexpr std::optional<std::uint64_t> next_deadline(std::uint64_t now) const noexcept {
    return timer_deadline(state_, now);
  }

  [[nodiscard]] constexpr TimerState snapshot() const noexcept { return state_; }
  constexpr void restore(const TimerState& state) noexcept {
    write_ctl(state.ctl.raw);
    write_cval(state.cval);
  }

  // A trapped MRS (`value` unused) or MSR of CNTP_TVAL_EL0, CNTP_CTL_EL0 or CNTP_CVAL_EL0. Returns what the MRS reads;
  // 0 for an MSR. Empty: the register is none of these, and nothing was done. After an MSR the line and the deadline
  // may differ.
  std::optional<std::uint64_t> access(SysRegId id, bool is_write, std::uint64_t value, std::uint64_t now) noexcept;

 private:
  TimerState state_{};
};

}  // namespace arm_vcpu::vm
