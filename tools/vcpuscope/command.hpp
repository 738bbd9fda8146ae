// SPDX-License-Identifier: Apache-2.0
// What the subcommands share. Each registers itself with one function, named in subcommands.def.
#pragma once

#include "command_line.hpp"
#include "failure.hpp"

namespace arm_vcpu::scope {

#define VCPU_SUBCOMMAND(name) void register_##name(const Command& root);
#include "subcommands.def"
#undef VCPU_SUBCOMMAND

}  // namespace arm_vcpu::scope
