// SPDX-License-Identifier: Apache-2.0
#include "guest/console.hpp"

#include "guest/cpu.hpp"

namespace guest {
namespace {

constexpr u64 kDr = kUart + 0x00;
constexpr u64 kFr = kUart + 0x18;
constexpr u64 kLcrH = kUart + 0x2C;
constexpr u64 kCr = kUart + 0x30;
constexpr u32 kFrTxff = 1U << 5;

void put_digits(u64 value, unsigned base) noexcept {
  char digits[20];
  unsigned n = 0;
  do {
    digits[n++] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value != 0);
  while (n != 0) print_one(digits[--n]);
}

}  // namespace

void console_init() noexcept {
  write32(kCr, 0);
  write32(kLcrH, 0x70);  // 8 bits, FIFOs
  write32(kCr, 0x301);   // UART, transmitter and receiver on
}

void print_one(char c) noexcept {
  if (c == '\n') print_one('\r');
  while ((read32(kFr) & kFrTxff) != 0) {
  }
  write32(kDr, static_cast<unsigned char>(c));
}

void print_one(const char* text) noexcept {
  while (*text != '\0') print_one(*text++);
}

void print_one(Hex number) noexcept {
  print_one("0x");
  put_digits(number.value, 16);
}

void print_number(u64 number) noexcept {
  put_digits(number, 10);
}

}  // namespace guest
