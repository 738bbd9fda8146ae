// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/el2/gic_v2.hpp"

namespace arm_vcpu::el2 {

constinit GicV2Frames detail::g_gic_v2{};

void use_gic_v2(const GicV2Frames& frames) noexcept {
  detail::g_gic_v2 = frames;
}

}  // namespace arm_vcpu::el2
