// SPDX-License-Identifier: Apache-2.0
// The C library as far as the compiler and libfdt call it (mem*() are in mem.S), and the stack protector's hooks.
#include <cstddef>
#include <cstdint>

#include "arm_vcpu/el2/panic_asm.h"

#define VCPU_TO_STRING(x) #x
#define VCPU_EXPAND_TO_STRING(x) VCPU_TO_STRING(x)

extern "C" {

// -fstack-protector compares with this word. Boot code replaces the value early, in a function that never returns. The
// zero byte stops string functions from copying it.
std::uintptr_t __stack_chk_guard = 0x7E1A'9C5B'D203'4F00;

// The vectors report a BRK with all registers, which says more than a message could.
[[noreturn]] void __stack_chk_fail() {
  __asm__ volatile("brk #" VCPU_EXPAND_TO_STRING(VCPU_BRK_STACK_SMASHED));
  __builtin_unreachable();
}

// A call through the vtable slot of a pure virtual function.
[[noreturn]] void __cxa_pure_virtual() {
  __asm__ volatile("brk #" VCPU_EXPAND_TO_STRING(VCPU_BRK_UNREACHABLE));
  __builtin_unreachable();
}

[[noreturn]] void abort() {
  __asm__ volatile("brk #" VCPU_EXPAND_TO_STRING(VCPU_BRK_UNREACHABLE));
  __builtin_unreachable();
}

std::size_t strlen(const char* text) {
  std::size_t length = 0;
  while (text[length] != '\0') ++length;
  return length;
}

std::size_t strnlen(const char* text, std::size_t limit) {
  std::size_t length = 0;
  while (length < limit && text[length] != '\0') ++length;
  return length;
}

void* memchr(const void* data, int wanted, std::size_t bytes) {
  const auto* at = static_cast<const unsigned char*>(data);
  for (; bytes != 0; ++at, --bytes) {
    if (*at == static_cast<unsigned char>(wanted)) return const_cast<unsigned char*>(at);
  }
  return nullptr;
}

char* strchr(const char* text, int wanted) {
  for (;; ++text) {
    if (*text == static_cast<char>(wanted)) return const_cast<char*>(text);
    if (*text == '\0') return nullptr;
  }
}

char* strrchr(const char* text, int wanted) {
  const char* last = nullptr;
  for (;; ++text) {
    if (*text == static_cast<char>(wanted)) last = text;
    if (*text == '\0') return const_cast<char*>(last);
  }
}

int strncmp(const char* a, const char* b, std::size_t limit) {
  for (; limit != 0; ++a, ++b, --limit) {
    if (*a != *b) return static_cast<unsigned char>(*a) - static_cast<unsigned char>(*b);
    if (*a == '\0') break;
  }
  return 0;
}

int strcmp(const char* a, const char* b) {
  return strncmp(a, b, SIZE_MAX);
}

// Digits only: no white space, no sign, no saturation. libfdt asks for bases 0 and 10 on the names it checked.
unsigned long strtoul(const char* text, char** end, int base) {
  const auto digit_of = [](char c) -> unsigned {
    if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'z') return static_cast<unsigned>(c - 'a') + 10;
    if (c >= 'A' && c <= 'Z') return static_cast<unsigned>(c - 'A') + 10;
    return 255;
  };
  const bool hex_prefix = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') && digit_of(text[2]) < 16;
  if (base == 0) base = hex_prefix ? 16 : text[0] == '0' ? 8 : 10;
  if (base == 16 && hex_prefix) text += 2;
  unsigned long value = 0;
  for (; digit_of(*text) < static_cast<unsigned>(base); ++text) {
    value = value * static_cast<unsigned>(base) + digit_of(*text);
  }
  if (end != nullptr) *end = const_cast<char*>(text);
  return value;
}

}  // extern "C"

// NOLINTBEGIN(cert-dcl50-cpp,cert-dcl58-cpp,misc-use-internal-linkage): libstdc++ declares them so.
// What std::string_view::substr() and at() call instead of throwing when a position is beyond the end: our own mistake.
namespace std {
[[noreturn]] void __throw_out_of_range_fmt(const char* /*format*/, ...) {
  abort();
}
[[noreturn]] void __throw_out_of_range(const char* /*what*/) {
  abort();
}
}  // namespace std
// NOLINTEND(cert-dcl50-cpp,cert-dcl58-cpp,misc-use-internal-linkage)
