// SPDX-License-Identifier: Apache-2.0
// A device whose registers are memory: what is written is read back, by every width. For tests, which find out with it
// whether an access through the emulation does what the same access to RAM does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "arm_vcpu/vm/mmio_bus.hpp"

namespace arm_vcpu {

class ScratchDevice final : public MmioDevice {
 public:
  ScratchDevice() = default;
  // The device's memory, as large as its region.
  explicit ScratchDevice(std::span<std::byte> memory) noexcept : memory_{memory} {}

  // Refused: bytes that the memory does not have.
  [[nodiscard]] std::optional<std::uint64_t> read(const MmioAccess& access) noexcept override;
  [[nodiscard]] bool write(const MmioAccess& access, std::uint64_t value) noexcept override;

 private:
  std::span<std::byte> memory_;
};

}  // namespace arm_vcpu
