// SPDX-License-Identifier: Apache-2.0
#include "guest/cpu.hpp"
#include "witness.hpp"

extern "C" {
[[gnu::visibility("hidden")]] extern const char guest_image_start[];
[[gnu::visibility("hidden")]] extern const char guest_text_end[];  // link.ld
}

namespace witness {
namespace {

constexpr u64 kBase = 0x4200'0000;  // of RAM that start.S maps and nobody uses
constexpr u64 kBytes = 16 << 20;
constexpr u64 kPart = 32 << 10;
constexpr u64 kParts = kBytes / kPart;

constinit u64 g_text = 0;
constinit u64 g_content[kParts]{};  // which one each part has

u64 pattern(u64 address, u64 content) noexcept {
  return (address ^ content << 40) * 0x9E37'79B9'7F4A'7C15;
}

void fill(u64 part, u64 content) noexcept {
  g_content[part] = content;
  for (u64 at = kBase + part * kPart, end = at + kPart; at < end; at += 8) {
    *reinterpret_cast<volatile u64*>(at) = pattern(at, content);
  }
}

// FNV-1a over words, of what is not written: text and constants.
u64 hash_of_program() noexcept {
  u64 hash = 0xCBF2'9CE4'8422'2325;
  const u64 start = reinterpret_cast<u64>(guest_image_start);
  const u64 end = reinterpret_cast<u64>(guest_text_end);
  for (u64 at = start; at < end; at += 8) {
    hash = (hash ^ *reinterpret_cast<const volatile u64*>(at)) * 0x100'0000'01B3;
  }
  return hash;
}

}  // namespace

void fill_memory() noexcept {
  for (u64 part = 0; part < kParts; ++part) fill(part, 0);
  g_text = hash_of_program();
}

void check_memory(u64 round) noexcept {
  const u64 part = round * 7 % kParts;
  const u64 content = g_content[part];
  for (u64 at = kBase + part * kPart, end = at + kPart; at < end; at += 8) {
    const u64 got = *reinterpret_cast<const volatile u64*>(at);
    if (got != pattern(at, content)) wrong("memory", got, pattern(at, content));
  }
  fill(part, round);
}

void check_program() noexcept {
  const u64 hash = hash_of_program();
  if (hash != g_text) wrong("the program's own code", hash, g_text);
}

}  // namespace witness
