// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>

namespace arm_vcpu::scope {

// Ends the program with one line on stderr and exit status 1.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What `error`, an errno, says of `subject`: "FILE: No such file or directory".
[[nodiscard]] Failure system_failure(const std::string& subject, int error);

// One line on stderr: "vcpuscope: ...".
void warn(const std::string& text);

}  // namespace arm_vcpu::scope
