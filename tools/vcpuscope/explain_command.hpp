// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "arm_vcpu/text.hpp"
#include "command_line.hpp"

namespace arm_vcpu::scope {

// What the library's functions append, however long.
[[nodiscard]] std::string text_of(const std::function<void(TextBuffer&)>& append);

// `explain walk`, a subcommand of `explain`.
void add_explain_walk(const Command& explain);

}  // namespace arm_vcpu::scope
