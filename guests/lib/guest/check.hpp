// SPDX-License-Identifier: Apache-2.0
// Checks, one line each: "PASS name", "FAIL name: <got> <expected>", "SKIP name: why".
#pragma once

#include "guest/machine.hpp"

namespace guest {

// True when the check passed.
bool check(const char* name, u64 got, u64 expected) noexcept;
bool check_true(const char* name, bool holds) noexcept;
bool check_between(const char* name, u64 got, u64 low, u64 high) noexcept;  // both included
void skip(const char* name, const char* why) noexcept;

// Prints "DONE <passed>/<total>" and powers off.
[[noreturn]] void done() noexcept;

}  // namespace guest
