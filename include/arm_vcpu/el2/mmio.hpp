// SPDX-License-Identifier: Apache-2.0
// Accesses to device registers: one load or store each, of exactly this width and without writeback, so that the
// hypervisor itself can run under a hypervisor that emulates the device.
#pragma once

#include <cstdint>

namespace arm_vcpu::el2::mmio {

[[nodiscard]] inline std::uint32_t read32(std::uint64_t address) noexcept {
  std::uint32_t value;
  __asm__ volatile("ldr %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
  return value;
}
[[nodiscard]] inline std::uint64_t read64(std::uint64_t address) noexcept {
  std::uint64_t value;
  __asm__ volatile("ldr %0, [%1]" : "=r"(value) : "r"(address) : "memory");
  return value;
}
inline void write8(std::uint64_t address, std::uint8_t value) noexcept {
  __asm__ volatile("strb %w0, [%1]" ::"rZ"(value), "r"(address) : "memory");
}
inline void write32(std::uint64_t address, std::uint32_t value) noexcept {
  __asm__ volatile("str %w0, [%1]" ::"rZ"(value), "r"(address) : "memory");
}
inline void write64(std::uint64_t address, std::uint64_t value) noexcept {
  __asm__ volatile("str %x0, [%1]" ::"rZ"(value), "r"(address) : "memory");
}

}  // namespace arm_vcpu::el2::mmio
