// SPDX-License-Identifier: Apache-2.0
// What the compiler calls for without being asked.
#include <cstddef>

extern "C" {

void* memset(void* to, int value, std::size_t bytes) noexcept {
  auto* p = static_cast<volatile unsigned char*>(to);
  while (bytes-- != 0) *p++ = static_cast<unsigned char>(value);
  return to;
}

void* memcpy(void* to, const void* from, std::size_t bytes) noexcept {
  auto* p = static_cast<volatile unsigned char*>(to);
  const auto* q = static_cast<const unsigned char*>(from);
  while (bytes-- != 0) *p++ = *q++;
  return to;
}
}
