// SPDX-License-Identifier: Apache-2.0
// Typed register images: a field belongs to one register and cannot be read off another.
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>

namespace arm_vcpu::bits {

// A mask of the bits `hi` down to `lo`, both included.
constexpr std::uint64_t mask(unsigned hi, unsigned lo) noexcept {
  return (~std::uint64_t{0} >> (63U - hi)) & (~std::uint64_t{0} << lo);
}

constexpr std::uint64_t extract(std::uint64_t value, unsigned hi, unsigned lo) noexcept {
  return (value & mask(hi, lo)) >> lo;
}

constexpr bool aligned(std::uint64_t value, std::uint64_t power_of_two) noexcept {
  return (value & (power_of_two - 1)) == 0;
}

constexpr std::uint64_t align_down(std::uint64_t value, std::uint64_t power_of_two) noexcept {
  return value & ~(power_of_two - 1);
}

constexpr std::uint64_t align_up(std::uint64_t value, std::uint64_t power_of_two) noexcept {
  return align_down(value + power_of_two - 1, power_of_two);
}

// Sign-extends the low `width` bits (1 to 64) of `value`.
constexpr std::uint64_t sign_extend(std::uint64_t value, unsigned width) noexcept {
  const unsigned shift = 64U - width;
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(value << shift) >> shift);
}

// The image of one register: a value, never the register itself. `struct Esr : Image<Esr>` declares
// its fields with `using EC = Field<31, 26, Ec>`, and `esr.get<Esr::EC>()` compiles to one UBFX.
template <class Self>
struct Image {
  std::uint64_t raw{};

  template <unsigned Hi, unsigned Lo, class T = std::uint64_t>
  struct Field {
    static_assert(Hi < 64 && Lo <= Hi);
    using Owner = Self;
    using Type = T;
    static constexpr unsigned kHi = Hi;
    static constexpr unsigned kLo = Lo;
    static constexpr std::uint64_t kMask = mask(Hi, Lo);
  };

  template <unsigned Bit>
  using Flag = Field<Bit, Bit, bool>;

  static constexpr Self from(std::uint64_t value) noexcept {
    Self self{};
    self.raw = value;
    return self;
  }

  template <class F>
    requires std::same_as<typename F::Owner, Self>
  constexpr typename F::Type get() const noexcept {
    return static_cast<typename F::Type>((raw & F::kMask) >> F::kLo);
  }

  // A copy with the field replaced; bits of `value` beyond the field are dropped.
  template <class F>
    requires std::same_as<typename F::Owner, Self>
  [[nodiscard]] constexpr Self with(typename F::Type value) const noexcept {
    return from((raw & ~F::kMask) | ((static_cast<std::uint64_t>(value) << F::kLo) & F::kMask));
  }

  friend constexpr bool operator==(const Image&, const Image&) noexcept = default;
};

}  // namespace arm_vcpu::bits
