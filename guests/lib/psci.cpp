// SPDX-License-Identifier: Apache-2.0
#include "guest/psci.hpp"

#include "guest/cpu.hpp"

namespace guest {

CallResult call(Conduit conduit, u64 x0, u64 x1, u64 x2, u64 x3) noexcept {
  register u64 r0 asm("x0") = x0;
  register u64 r1 asm("x1") = x1;
  register u64 r2 asm("x2") = x2;
  register u64 r3 asm("x3") = x3;
  if (conduit == Conduit::hvc) {
    asm volatile("hvc #0" : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3) : : "memory");
  } else {
    // SMC #0. By number: assemblers have the name with EL3 only.
    asm volatile(".inst 0xD4000003" : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3) : : "memory");
  }
  return {r0, r1, r2, r3};
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
