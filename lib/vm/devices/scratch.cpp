// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/vm/scratch.hpp"

namespace arm_vcpu {
namespace {

bool holds(std::span<const std::byte> memory, const MmioAccess& access) noexcept {
  return access.offset <= memory.size() && memory.size() - access.offset >= bytes_of(access.width);
}

}  // namespace

std::optional<std::uint64_t> ScratchDevice::read(const MmioAccess& access) noexcept {
  if (!holds(memory_, access)) {
    return std::nullopt;
  }
  std::uint64_t value = 0;
  for (unsigned i = 0; i < bytes_of(access.width); ++i) {
    value |= std::to_integer<std::uint64_t>(memory_[access.offset + i]) << (8 * i);
  }
  return value;
}

bool ScratchDevice::write(const MmioAccess& access, std::uint64_t value) noexcept {
  if (!holds(memory_, access)) {
    return false;
  }
  for (unsigned i = 0; i < bytes_of(access.width); ++i) {
    memory_[access.offset + i] = static_cast<std::byte>(value >> (8 * i));
  }
  return true;
}

}  // namespace arm_vcpu
