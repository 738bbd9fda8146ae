// SPDX-License-Identifier: Apache-2.0
#include "failure.hpp"

#include <fmt/core.h>

#include <cstdio>

namespace arm_vcpu::scope {

void warn(const std::string& text) {
  fmt::print(stderr, "vcpuscope: {}\n", text);
}

}  // namespace arm_vcpu::scope
