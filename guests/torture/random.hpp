// SPDX-License-Identifier: Apache-2.0
// Chance that repeats: the same seed gives the same sequence on every machine. The generator is xorshift64* by S.
// Vigna.
#pragma once

#include <cstddef>
#include <span>

#include "guest/machine.hpp"

namespace torture {

using guest::u32;
using guest::u64;

class Random {
 public:
  constexpr explicit Random(u64 seed) noexcept : state_{seed * 0x9E37'79B9'7F4A'7C15 + 0xD1B5'4A32'D192'ED03} {
    if (state_ == 0) state_ = 1;
    for (int i = 0; i < 8; ++i) (void)bits();
  }

  constexpr u64 bits() noexcept {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545'F491'4F6C'DD1D;
  }
  constexpr u32 word() noexcept { return static_cast<u32>(bits() >> 32); }
  constexpr u64 below(u64 limit) noexcept { return bits() % limit; }
  constexpr bool one_in(u64 n) noexcept { return below(n) == 0; }
  template <class T, std::size_t N>
  constexpr const T& pick(const T (&from)[N]) noexcept {
    return from[below(N)];
  }

  // A number as programs have them: small, a power of two or near it, all ones in some width, or anything.
  constexpr u64 number() noexcept {
    const u64 chance = bits();
    switch (chance & 7) {
      case 0: return 0;
      case 1: return chance >> 3 & 0xFF;
      case 2: return u64{1} << (chance >> 3 & 63);
      case 3: return (u64{1} << (chance >> 3 & 63)) - 1;
      case 4: return ~(u64{1} << (chance >> 3 & 63));
      case 5: return ~u64{0};
      case 6: return bits() & 0xFFFF'FFFF;
      default: return bits();
    }
  }

 private:
  u64 state_;
};

}  // namespace torture
