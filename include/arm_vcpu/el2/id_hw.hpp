// SPDX-License-Identifier: Apache-2.0
// This CPU's ID registers by encoding. EL2 build only.
#pragma once

#include <cstdint>

#include "arm_vcpu/arch/id_registers.hpp"

#ifndef __aarch64__
#error "arm_vcpu/el2/id_hw.hpp is A64 only: include it from lib/el2 and the hypervisor"
#endif

namespace arm_vcpu::el2 {

namespace detail {

// The generic name, so that the assembler need not know the register or the extension it came with.
template <unsigned CRm, unsigned Op2>
[[nodiscard]] inline std::uint64_t read_id_register() noexcept {
  std::uint64_t value;
  __asm__ volatile("mrs %0, S3_0_C0_C%c1_%c2" : "=r"(value) : "i"(CRm), "i"(Op2));
  return value;
}

}  // namespace detail

// The register as the CPU has it, for sanitise(). 0 for encodings without a register: those are not read, because a CPU
// is free to use them tomorrow and the guest sees 0 anyway.
[[nodiscard]] inline std::uint64_t read_id_register(SysRegId id) noexcept {
  switch (id.iss()) {
#define VCPU_ID_REGISTER(name) \
  case sysreg::name.iss(): return detail::read_id_register<sysreg::name.crm(), sysreg::name.op2()>();
#define VCPU_ID_FIELD(name, field, hi, lo, policy, value)
#include "arm_vcpu/arch/id_policy.def"
#undef VCPU_ID_REGISTER
#undef VCPU_ID_FIELD
    default: return 0;
  }
}

}  // namespace arm_vcpu::el2
