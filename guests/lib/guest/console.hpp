// SPDX-License-Identifier: Apache-2.0
// Text on the PL011. One CPU prints at a time.
#pragma once

#include <concepts>

#include "guest/machine.hpp"

namespace guest {

struct Hex {
  u64 value;
};

void console_init() noexcept;

void print_one(char c) noexcept;
void print_one(const char* text) noexcept;
void print_one(Hex number) noexcept;
void print_number(u64 number) noexcept;
template <std::unsigned_integral T>
void print_one(T number) noexcept {
  print_number(number);
}

template <class... Parts>
void print(Parts... parts) noexcept {
  (print_one(parts), ...);
}

}  // namespace guest
