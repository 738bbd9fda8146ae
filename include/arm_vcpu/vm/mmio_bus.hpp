// SPDX-License-Identifier: Apache-2.0
// The guest's device bus: which emulated device answers an intermediate physical address.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "arm_vcpu/exit_reason.hpp"
#include "arm_vcpu/result.hpp"

namespace arm_vcpu {

// One access as a device sees it: naturally aligned, inside its region, of a width the region allows.
struct MmioAccess {
  std::uint64_t offset{};  // bytes from the region's base
  AccessWidth width{};
  unsigned vcpu{};  // index of the vCPU that made the access
};

// An emulated device. The bus does not own it and does not lock: the caller serializes accesses to one device.
class MmioDevice {
 public:
  // The value read; the bus cuts it to the width. Empty: the device answers with an external abort.
  [[nodiscard]] virtual std::optional<std::uint64_t> read(const MmioAccess& access) noexcept = 0;
  // `value` is cut to the width. False: the device answers with an external abort.
  [[nodiscard]] virtual bool write(const MmioAccess& access, std::uint64_t value) noexcept = 0;

 protected:
  ~MmioDevice() = default;  // never deleted through the base
};

// A set of access widths.
class AccessWidths {
 public:
  template <class... Widths>
  constexpr explicit AccessWidths(Widths... widths) noexcept
      : mask_{static_cast<std::uint8_t>((0U | ... | bit(widths)))} {}

  [[nodiscard]] constexpr bool contains(AccessWidth width) const noexcept { return (mask_ & bit(width)) != 0; }

 private:
  static constexpr unsigned bit(AccessWidth width) noexcept { return 1U << static_cast<unsigned>(width); }

  std::uint8_t mask_;
};

inline constexpr AccessWidths kWidthsUpToWord{AccessWidth::byte, AccessWidth::halfword, AccessWidth::word};
inline constexpr AccessWidths kAllWidths{AccessWidth::byte, AccessWidth::halfword, AccessWidth::word,
                                         AccessWidth::doubleword};

struct MmioRegion {
  std::uint64_t base{};  // IPA
  std::uint64_t size{};  // bytes
  std::string_view name;
  MmioDevice* device{};
  AccessWidths widths{kAllWidths};

  [[nodiscard]] constexpr std::uint64_t last() const noexcept { return base + (size - 1); }
  [[nodiscard]] constexpr bool contains(std::uint64_t ipa) const noexcept { return ipa - base < size; }
};

// How the bus answered. Everything but `done` is an external abort on the guest's side; which one it was is for the
// diagnosis.
enum class MmioOutcome : std::uint8_t {
  done,
  hole,       // no region holds all bytes of the access
  unaligned,  // the address is not a multiple of the width: devices are Device memory, where that faults
  bad_width,  // the region does not take this width
  refused,    // the device itself refused
};

[[nodiscard]] std::string_view name_of(MmioOutcome outcome) noexcept;

struct MmioReply {
  MmioOutcome outcome{};
  std::uint64_t value{};       // what a read returned, cut to the width; 0 for writes and when not done
  const MmioRegion* region{};  // the region that the first byte is in, null in a hole
};

// The regions around an address, for a message such as "0x9001004 is 4 bytes past the end of pl011".
struct MmioNeighbours {
  const MmioRegion* below{};  // the highest region with base <= ipa; it may contain ipa
  const MmioRegion* above{};  // the lowest region with base > ipa
};

class MmioBus {
 public:
  static constexpr std::size_t kCapacity = 32;

  // Errors: bad_device_region (no device, no bytes, or beyond the end of the address space), overlap, out_of_slots.
  [[nodiscard]] Result<> add(const MmioRegion& region) noexcept;

  [[nodiscard]] const MmioRegion* find(std::uint64_t ipa) const noexcept;
  [[nodiscard]] MmioNeighbours nearest(std::uint64_t ipa) const noexcept;

  [[nodiscard]] MmioReply read(std::uint64_t ipa, AccessWidth width, unsigned vcpu) const noexcept;
  [[nodiscard]] MmioReply write(std::uint64_t ipa, AccessWidth width, unsigned vcpu,
                                std::uint64_t value) const noexcept;

  [[nodiscard]] std::size_t size() const noexcept { return count_; }

 private:
  [[nodiscard]] std::size_t upper_bound(std::uint64_t ipa) const noexcept;
  [[nodiscard]] MmioReply route(std::uint64_t ipa, AccessWidth width) const noexcept;

  std::array<MmioRegion, kCapacity> regions_{};  // the first count_ are in use, by ascending base
  std::size_t count_{};
};

}  // namespace arm_vcpu
