// SPDX-License-Identifier: Apache-2.0
// A flash bank without a programmable chip: it reads as erased, and commands written to it do nothing.
#pragma once

#include <cstdint>
#include <optional>

#include "arm_vcpu/vm/mmio_bus.hpp"

namespace arm_vcpu {

// For the banks of guest_machine::kFlash and kFlash1. Firmware built for QEMU's `virt` looks for its variables in the
// second bank whatever the device tree says (U-Boot: "Loading Environment from Flash"), and takes the defaults when it
// finds none; an external abort there would end it. A bank that is read a lot is better mapped read-only in stage 2,
// filled with 0xFF; then only the writes come here.
class ErasedFlash final : public MmioDevice {
 public:
  [[nodiscard]] std::optional<std::uint64_t> read(const MmioAccess&) noexcept override { return ~std::uint64_t{0}; }
  [[nodiscard]] bool write(const MmioAccess&, std::uint64_t) noexcept override { return true; }
};

}  // namespace arm_vcpu
