// SPDX-License-Identifier: Apache-2.0
// CHECK(cond): what must hold unless the hypervisor itself is wrong. Never for a guest's input.
#pragma once

namespace arm_vcpu::hv {
// Prints the condition, then takes an exception to EL2: the panic report shows the caller's registers.
[[noreturn]] void check_failed(const char* condition, const char* file, unsigned line) noexcept;
}  // namespace arm_vcpu::hv

#define CHECK(condition) \
  (__builtin_expect(!(condition), 0) ? ::arm_vcpu::hv::check_failed(#condition, __FILE_NAME__, __LINE__) : (void)0)
