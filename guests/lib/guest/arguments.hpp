// SPDX-License-Identifier: Apache-2.0
// The boot arguments, as text in the device tree's bytes: no more of the tree is needed for "key=value".
#pragma once

#include "guest/machine.hpp"

namespace guest {

using Text = const volatile char*;

// What follows `key` ("torture.seed=", special enough to be nowhere else in the tree), up to a space or the end. Null:
// it is not there.
[[nodiscard]] Text find_argument(u64 tree, const char* key) noexcept;
// The same as a decimal number; `otherwise` when it is not there.
[[nodiscard]] u64 number_argument(u64 tree, const char* key, u64 otherwise) noexcept;

}  // namespace guest
