// SPDX-License-Identifier: Apache-2.0
#include "guest/arguments.hpp"

#include "guest/cpu.hpp"

namespace guest {
namespace {

u32 big_endian(Text at) noexcept {
  u32 value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(at[i]);
  return value;
}

// Where `text` goes on behind `key`; null when it does not begin with it.
Text behind(Text text, const char* key) noexcept {
  for (; *key != '\0'; ++key, ++text) {
    if (*text != *key) return nullptr;
  }
  return text;
}

}  // namespace

Text find_argument(u64 tree, const char* key) noexcept {
  constexpr u32 kHeaderBytes = 40;
  map_ram(tree);
  const auto* bytes = reinterpret_cast<Text>(tree);
  const u32 total = big_endian(bytes + 4);
  for (u32 i = kHeaderBytes; i < total; ++i) {
    if (Text value = behind(bytes + i, key); value != nullptr) return value;
  }
  return nullptr;
}

u64 number_argument(u64 tree, const char* key, u64 otherwise) noexcept {
  Text text = find_argument(tree, key);
  if (text == nullptr) return otherwise;
  u64 number = 0;
  for (; *text >= '0' && *text <= '9'; ++text) number = number * 10 + static_cast<u64>(*text - '0');
  return number;
}

}  // namespace guest
