// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "arm_vcpu/text.hpp"

namespace arm_vcpu::scope {

// What the library's functions append, however long.
[[nodiscard]] std::string text_of(const std::function<void(TextBuffer&)>& append);

// `explain walk`, a subcommand of `explain`.
void add_explain_walk(CLI::App& explain);

}  // namespace arm_vcpu::scope
