// SPDX-License-Identifier: Apache-2.0
// The UART and the timers, register by register.
#include <deque>

#include "arm_vcpu/vm/pl011.hpp"
#include "arm_vcpu/vm/timer.hpp"
#include "fuzz.hpp"

namespace arm_vcpu {
namespace {

struct Host final : Pl011Host {
  void transmit(std::uint8_t) noexcept override {}
  void set_irq(bool level) noexcept override {
    FUZZ_CHECK(level != irq);  // called only when it changes
    irq = level;
  }
  [[nodiscard]] bool irq_enabled() const noexcept override { return enabled; }
  bool irq{};
  bool enabled{true};
};

FUZZ_TARGET(pl011, "the PL011: any accesses, any input") {
  Host host;
  Pl011 uart{host};
  constexpr std::uint16_t kMis = 0x40;
  while (!input.empty()) {
    const auto width = static_cast<AccessWidth>(input.below(3));
    const std::uint64_t offset =
        (input.flag() ? input.below(0x50) : input.take<std::uint16_t>() & 0xFFF) & ~std::uint64_t{bytes_of(width) - 1};
    switch (input.below(8)) {
      case 0:
      case 1:
      case 2: FUZZ_CHECK(uart.write({.offset = offset, .width = width}, truncate(input.number(), width))); break;
      case 3: FUZZ_CHECK(uart.read({.offset = offset, .width = width}).has_value()); break;
      case 4: uart.receive(input.byte()); break;
      case 5:
        if (uart.can_receive()) {
          const unsigned before = uart.waiting();
          uart.receive(input.byte());
          FUZZ_CHECK(uart.waiting() == before + 1);  // what the guest was ready for is not lost
        }
        break;
      case 6: uart.receive_break(); break;
      default:
        host.enabled = input.flag();
        if (input.below(16) == 0) {
          uart.reset();
          FUZZ_CHECK(!host.irq && uart.waiting() == 0);
        }
        break;
    }
    FUZZ_CHECK(uart.waiting() <= Pl011::kFifoDepth && uart.irq_level() == host.irq);
    FUZZ_CHECK((uart.read({.offset = kMis, .width = AccessWidth::word}) != 0U) == host.irq);
  }
}

FUZZ_TARGET(timer, "the emulated timer and the deadline of a parked vCPU") {
  vm::EmulatedTimer timer;
  std::uint64_t now = input.number();
  while (!input.empty()) {
    constexpr SysRegId kRegisters[] = {sysreg::CNTP_CTL_EL0, sysreg::CNTP_CVAL_EL0, sysreg::CNTP_TVAL_EL0,
                                       sysreg::SCTLR_EL1};
    const SysRegId id = kRegisters[input.below(4)];
    const bool write = input.flag();
    const std::uint64_t value = input.number();
    const auto answer = timer.access(id, write, value, now);
    FUZZ_CHECK(answer.has_value() == (id != sysreg::SCTLR_EL1));
    if (write && answer) {
      FUZZ_CHECK(*answer == 0);
      if (id == sysreg::CNTP_CVAL_EL0) FUZZ_CHECK(timer.read_cval() == value);
      if (id == sysreg::CNTP_TVAL_EL0) FUZZ_CHECK(timer.read_tval(now) == (value & 0xFFFF'FFFF));
    }
    // An unmasked, enabled timer has its line up or a deadline ahead, at which the line rises, and not before.
    const auto deadline = timer.next_deadline(now);
    const bool armed = (timer.read_ctl(now) & 3) == 1;
    FUZZ_CHECK(armed == (timer.line(now) || deadline.has_value()));
    if (deadline) FUZZ_CHECK(*deadline > now && timer.line(*deadline) && !timer.line(*deadline - 1));
    const std::uint64_t offset = input.number();
    if (const auto at = vm::vtimer_physical_deadline(timer.snapshot(), now, offset)) {
      FUZZ_CHECK(*at > now && vm::timer_line(timer.snapshot(), *at - offset));
    }
    now += input.number();
  }
}

}  // namespace
}  // namespace arm_vcpu
