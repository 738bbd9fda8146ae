// SPDX-License-Identifier: Apache-2.0
#include "failure.hpp"

#include <fmt/core.h>

#include <cstdio>
#include <system_error>

namespace arm_vcpu::scope {

Failure system_failure(const std::string& subject, int error) {
  return Failure{fmt::format("{}: {}", subject, std::generic_category().message(error))};
}

void warn(const std::string& text) {
  fmt::print(stderr, "vcpuscope: {}\n", text);
}

}  // namespace arm_vcpu::scope
