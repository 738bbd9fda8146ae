// SPDX-License-Identifier: Apache-2.0
// What the subcommands share. Each registers itself with one function, named in subcommands.def.
#pragma once

#include <CLI/CLI.hpp>
#include <stdexcept>
#include <string>

namespace arm_vcpu::scope {

// Ends the program with one line on stderr and exit status 1.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

#define VCPU_SUBCOMMAND(name) void register_##name(CLI::App& app);
#include "subcommands.def"
#undef VCPU_SUBCOMMAND

// One line on stderr: "vcpuscope: ...".
void warn(const std::string& text);

}  // namespace arm_vcpu::scope
