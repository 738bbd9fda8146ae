// SPDX-License-Identifier: Apache-2.0
// What the compiler calls for without being asked, and RAM beyond what start.S maps.
#include <cstddef>

#include "guest/cpu.hpp"
#include "guest/tags.hpp"

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

namespace {

constexpr u64 kBlock = u64{2} << 20;
constexpr u64 kNormalBlock = 0x701;  // as start.S has it

void map_block(u64 address, u64 descriptor) noexcept {
  guest_level_2[address / kBlock % 512] = descriptor;
  dsb();  // the entry was invalid before, so no TLB holds it
  isb();
}

}  // namespace

void map_ram(u64 address, u64 physical) noexcept {
  map_block(address, (physical & ~(kBlock - 1)) | kNormalBlock);
}

void tags::map(u64 address, u64 physical) noexcept {
  constexpr u64 kThirdAttribute = 2 << 2;
  map_block(address, (physical & ~(kBlock - 1)) | kNormalBlock | kThirdAttribute);
}

}  // namespace guest
