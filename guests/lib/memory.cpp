// SPDX-License-Identifier: Apache-2.0
// What the compiler calls for without being asked, and RAM beyond what start.S maps.
#include <cstddef>

#include "guest/cpu.hpp"

extern "C" {

[[gnu::visibility("hidden")]] extern guest::u64 guest_level_2[512];

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

namespace guest {

void map_ram(u64 address) noexcept {
  constexpr u64 kBlock = u64{2} << 20;
  constexpr u64 kNormalBlock = 0x701;  // as start.S has it
  guest_level_2[address / kBlock % 512] = (address & ~(kBlock - 1)) | kNormalBlock;
  dsb();  // the entry was invalid before, so no TLB holds it
  isb();
}

}  // namespace guest
