// SPDX-License-Identifier: Apache-2.0
// Allocation tags (FEAT_MTE2), for guests that see them. [armarm] "The Memory Tagging Extension"
#pragma once

#include "guest/cpu.hpp"

extern "C" {
guest::u64 guest_tag_at(guest::u64 address) noexcept;
guest::u64 guest_tags_of(guest::u64 address, guest::u64 bytes) noexcept;  // ORed; 0: none is set
void guest_set_tag(guest::u64 address) noexcept;                          // to the one in the address
void guest_set_tags(guest::u64 address, guest::u64 bytes) noexcept;
}

namespace guest::tags {

enum class Checks : unsigned char { none, synchronous, asynchronous, asymmetric };  // SCTLR_EL1.TCF

inline constexpr u64 kBlock = u64{2} << 20;

// ID_AA64PFR1_EL1.MTE: from 2 on memory has tags.
[[nodiscard]] inline unsigned version() noexcept {
  return static_cast<unsigned>(GUEST_READ(id_aa64pfr1_el1) >> 8 & 0xF);
}

constexpr u64 with_tag(u64 address, u64 tag) noexcept {
  return address | tag << 56;
}

// Of this CPU: MAIR_EL1's third attribute is Tagged, the top byte of addresses is ignored, tags can be accessed.
inline void enable(Checks checks) noexcept {
  constexpr u64 kTBI0 = u64{1} << 37;
  constexpr u64 kATA = u64{1} << 43;
  constexpr u64 kTCF = u64{3} << 40;
  GUEST_WRITE(mair_el1, (GUEST_READ(mair_el1) & ~u64{0xFF'0000}) | 0xF0'0000);
  GUEST_WRITE(tcr_el1, GUEST_READ(tcr_el1) | kTBI0);
  GUEST_WRITE(sctlr_el1, (GUEST_READ(sctlr_el1) & ~kTCF) | kATA | static_cast<u64>(checks) << 40);
  isb();
  asm volatile("tlbi vmalle1\n\tdsb nsh\n\tisb" : : : "memory");
}

// As map_ram(), as Normal Tagged memory.
void map(u64 address, u64 physical) noexcept;
inline void map(u64 address) noexcept {
  map(address, address);
}

}  // namespace guest::tags
