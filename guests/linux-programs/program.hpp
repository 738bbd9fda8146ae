// SPDX-License-Identifier: Apache-2.0
// What a program of the Linux guest needs in place of a C library: system calls, and lines that say PASS or FAIL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace program {

using u64 = std::uint64_t;
using u32 = std::uint32_t;

// [linux] "include/uapi/asm-generic/unistd.h"
enum class Call : u64 {
  close = 57,
  read = 63,
  write = 64,
  exit_group = 94,
  ptrace = 117,
  sched_yield = 124,
  kill = 129,
  rt_sigaction = 134,
  prctl = 167,
  getpid = 172,
  clone = 220,
  mmap = 222,
  perf_event_open = 241,
  wait4 = 260,
};

inline long call(Call number, u64 a = 0, u64 b = 0, u64 c = 0, u64 d = 0, u64 e = 0, u64 f = 0) noexcept {
  register u64 x8 asm("x8") = static_cast<u64>(number);
  register u64 x0 asm("x0") = a;
  register u64 x1 asm("x1") = b;
  register u64 x2 asm("x2") = c;
  register u64 x3 asm("x3") = d;
  register u64 x4 asm("x4") = e;
  register u64 x5 asm("x5") = f;
  asm volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return static_cast<long>(x0);
}

template <class T>
u64 address_of(T* object) noexcept {
  return reinterpret_cast<u64>(object);
}

inline void print(const char* text) noexcept {
  u64 length = 0;
  while (text[length] != '\0') ++length;
  (void)call(Call::write, 1, address_of(text), length);
}

inline bool g_all_right = true;

// "PROGRAM: PASS NAME". A line is one write, so that those of several processes do not mix.
inline void report(const char* program, const char* name, bool right) noexcept {
  char line[64]{};
  unsigned length = 0;
  for (const char* part : {program, right ? ": PASS " : ": FAIL ", name, "\n"}) {
    while (*part != '\0' && length + 1 < sizeof line) line[length++] = *part++;
  }
  print(line);
  g_all_right = g_all_right && right;
}

// The last line, and the status.
[[noreturn]] inline void finish(const char* all_right, const char* failed) noexcept {
  print(g_all_right ? all_right : failed);
  (void)call(Call::exit_group, g_all_right ? 0 : 1);
  __builtin_unreachable();
}

}  // namespace program

// Where the program begins.
extern "C" [[noreturn]] void program_main() noexcept;
asm(R"(
    .text
    .global _start
_start:
    mov     x29, xzr
    mov     x30, xzr
    bl      program_main
)");

// The compiler calls it without being asked. One source file makes a program.
extern "C" [[gnu::used]] inline void* memset(void* to, int value, std::size_t bytes) noexcept {
  auto* p = static_cast<volatile unsigned char*>(to);
  for (; bytes != 0; --bytes) *p++ = static_cast<unsigned char>(value);
  return to;
}
