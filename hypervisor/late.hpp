// SPDX-License-Identifier: Apache-2.0
// An array of objects that are constructed at boot, not by the linker: one for each CPU there could be, whose first
// state is not all zeros, would be in the image as often.
#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

namespace arm_vcpu::hv {

template <class T, std::size_t N>
  requires std::is_trivially_destructible_v<T>
class LateArray {
 public:
  constexpr LateArray() noexcept = default;

  // Once for each, before it is used.
  template <class... Args>
  void construct(std::size_t index, Args&&... args) noexcept {
    std::construct_at(&slots_[index].value, std::forward<Args>(args)...);
  }
  [[nodiscard]] constexpr std::size_t size() const noexcept { return N; }
  [[nodiscard]] T& operator[](std::size_t index) noexcept { return slots_[index].value; }

 private:
  union Slot {
    constexpr Slot() noexcept : none{} {}
    std::byte none;
    T value;
  };
  Slot slots_[N]{};
};

}  // namespace arm_vcpu::hv
