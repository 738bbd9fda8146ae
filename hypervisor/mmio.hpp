// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "arm_vcpu/el2/mmio.hpp"

namespace arm_vcpu::hv {
namespace mmio = el2::mmio;
}
