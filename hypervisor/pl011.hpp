// SPDX-License-Identifier: Apache-2.0
// The machine's own PL011, polled for output. [pl011] "PrimeCell UART (PL011) Technical Reference Manual"
#pragma once

#include <cstdint>
#include <optional>

#include "arm_vcpu/arch/bits.hpp"
#include "mmio.hpp"

namespace arm_vcpu::hv {

class HostPl011 {
 public:
  constexpr HostPl011() noexcept = default;

  // Takes the UART over with the line settings that the firmware left; 8N1 with FIFOs where it was off.
  void start(std::uint64_t base) noexcept {
    base_ = base;
    mmio::write32(base_ + kInterruptMask, 0);
    if ((mmio::read32(base_ + kControl) & kUartEnable) == 0) {
      mmio::write32(base_ + kLineControl, kWordLength8 | kFifoEnable);
      mmio::write32(base_ + kControl, kUartEnable | kTransmitEnable | kReceiveEnable);
    }
    mmio::write32(base_ + kFifoLevel, 0);  // receive interrupt from 1/8 full; the rest by the receive timeout
    mmio::write32(base_ + kInterruptClear, kAllInterrupts);
  }

  [[nodiscard]] bool started() const noexcept { return base_ != 0; }

  void put(char c) const noexcept {
    while ((mmio::read32(base_ + kFlags) & kTransmitFull) != 0) {
    }
    mmio::write8(base_ + kData, static_cast<std::uint8_t>(c));
  }

  // Waits until the last bit is on the wire: before the power goes.
  void drain() const noexcept {
    while ((mmio::read32(base_ + kFlags) & kBusy) != 0) {
    }
  }

  // The next byte received, if any; bytes with a framing, parity or break error are dropped.
  [[nodiscard]] std::optional<char> get() const noexcept {
    while ((mmio::read32(base_ + kFlags) & kReceiveEmpty) == 0) {
      const std::uint32_t data = mmio::read32(base_ + kData);
      if ((data & kReceiveError) == 0) return static_cast<char>(data & 0xFF);
    }
    return std::nullopt;
  }

  void enable_receive_interrupt(bool on) const noexcept {
    mmio::write32(base_ + kInterruptMask, on ? kReceiveInterrupt | kReceiveTimeout : 0);
  }

 private:
  // Offsets and bits by the manual's register names: DR, FR, LCR_H, CR, IFLS, IMSC, ICR.
  static constexpr std::uint64_t kData = 0x00;
  static constexpr std::uint64_t kFlags = 0x18;
  static constexpr std::uint64_t kLineControl = 0x2C;
  static constexpr std::uint64_t kControl = 0x30;
  static constexpr std::uint64_t kFifoLevel = 0x34;
  static constexpr std::uint64_t kInterruptMask = 0x38;
  static constexpr std::uint64_t kInterruptClear = 0x44;

  static constexpr std::uint32_t kReceiveError = 0x700;  // FE, PE, BE; not OE, which concerns an earlier byte
  static constexpr std::uint32_t kBusy = 1U << 3;
  static constexpr std::uint32_t kReceiveEmpty = 1U << 4;
  static constexpr std::uint32_t kTransmitFull = 1U << 5;
  static constexpr std::uint32_t kFifoEnable = 1U << 4;
  static constexpr std::uint32_t kWordLength8 = 3U << 5;
  static constexpr std::uint32_t kUartEnable = 1U << 0;
  static constexpr std::uint32_t kTransmitEnable = 1U << 8;
  static constexpr std::uint32_t kReceiveEnable = 1U << 9;
  static constexpr std::uint32_t kReceiveInterrupt = 1U << 4;
  static constexpr std::uint32_t kReceiveTimeout = 1U << 6;
  static constexpr std::uint32_t kAllInterrupts = 0x7FF;

  std::uint64_t base_{};
};

}  // namespace arm_vcpu::hv
