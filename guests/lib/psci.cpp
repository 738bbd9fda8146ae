// SPDX-License-Identifier: Apache-2.0
#include "guest/psci.hpp"

#include "guest/cpu.hpp"

namespace guest {

CallResult call(Conduit conduit, u64 a, u64 b, u64 c, u64 d) noexcept {
  register u64 x0 asm("x0") = a;
  register u64 x1 asm("x1") = b;
  register u64 x2 asm("x2") = c;
  register u64 x3 asm("x3") = d;
  if (conduit == Conduit::hvc) {
    asm volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "memory");
  } else {
    // SMC #0. By number: assemblers have the name with EL3 only.
    asm volatile(".inst 0xD4000003" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "memory");
  }
  return {x0, x1, x2, x3};
}

namespace psci {
namespace {

[[noreturn]] void end_with(u64 function) noexcept {
  (void)call(Conduit::hvc, function);
  for (;;) wfi();
}

}  // namespace

void system_off() noexcept {
  end_with(kSystemOff);
}
void system_reset() noexcept {
  end_with(kSystemReset);
}

}  // namespace psci
}  // namespace guest
