// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "arm_vcpu/per_cpu.hpp"

namespace arm_vcpu::hv {

// The library's view of the calling CPU.
[[nodiscard]] Aarch64PerCpu& physical_cpu() noexcept;

}  // namespace arm_vcpu::hv
