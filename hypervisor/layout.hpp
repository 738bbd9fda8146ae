// SPDX-License-Identifier: Apache-2.0
// Where the linker put the parts of the image. Only the addresses of these symbols mean something.
#pragma once

#include <cstdint>

#include "ranges.hpp"

extern "C" {
extern const char hv_image_start[];  // text begins
extern const char hv_rodata_start[];
extern const char hv_data_start[];  // data and bss
extern const char hv_bss_end[];
extern const char hv_image_end[];
}

namespace arm_vcpu::hv {

[[nodiscard]] inline std::uint64_t address_of(const void* pointer) noexcept {
  return reinterpret_cast<std::uintptr_t>(pointer);
}
// EL2 is identity mapped.
template <class T>
[[nodiscard]] T* pointer_to(std::uint64_t physical) noexcept {
  return reinterpret_cast<T*>(physical);
}
[[nodiscard]] inline Range image_range() noexcept {
  return Range::from_to(address_of(hv_image_start), address_of(hv_image_end));
}

}  // namespace arm_vcpu::hv
