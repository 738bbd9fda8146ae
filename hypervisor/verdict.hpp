// SPDX-License-Identifier: Apache-2.0
// How the machine ends: one line that says how it went, then the power goes. Scripts read that line.
#pragma once

#include <string_view>

#include "arm_vcpu/result.hpp"
#include "arm_vcpu/text.hpp"

namespace arm_vcpu::hv {

// "[hv] verdict: ok", then PSCI SYSTEM_OFF. Any CPU; the others stop printing.
[[noreturn]] void finish_ok() noexcept;
// "[hv] verdict: failed: <why>", then PSCI SYSTEM_OFF.
[[noreturn]] void finish_failed(std::string_view why) noexcept;

// The same with a pattern of arm_vcpu/text.hpp.
template <class First, class... Args>
[[noreturn]] void finish_failed(std::string_view pattern, const First& first, const Args&... args) noexcept {
  char storage[200];
  TextBuffer text{storage};
  format_to(text, pattern, first, args...);
  finish_failed(text.view());
}
// "<what was tried>: <the error, with its fix>".
[[noreturn]] void finish_failed(std::string_view tried, const Error& error) noexcept;

// The value, or the end of the machine. For boot, where there is nobody to hand an error to.
template <class T>
T value_or_finish(Result<T>&& result, std::string_view tried) noexcept {
  if (!result) finish_failed(tried, result.error());
  if constexpr (!std::is_void_v<T>) return *result;
}

// Machine left to the user's request: as finish_ok(), without the verdict and with a reset.
[[noreturn]] void reset_machine() noexcept;

}  // namespace arm_vcpu::hv
