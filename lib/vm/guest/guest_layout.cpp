// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/vm/guest_layout.hpp"

#include <algorithm>

namespace arm_vcpu {
namespace {

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;
constexpr std::uint64_t kGiB = 1024 * kMiB;
constexpr std::uint64_t kBlock = 2 * kMiB;
constexpr std::uint64_t kPage = 4 * kKiB;

// A cursor through RAM, in bytes from its start: no sum of a base and a guest's sizes, so nothing overflows.
class Room {
 public:
  explicit constexpr Room(std::uint64_t ram_bytes) noexcept : ram_bytes_{ram_bytes} {}

  // Moves up to a multiple of `alignment`, and not below `floor`. False when that is past the end.
  constexpr bool move_up(std::uint64_t floor, std::uint64_t alignment) noexcept {
    const std::uint64_t next = std::max(used_, floor);
    if (next > ram_bytes_ || bits::align_up(next, alignment) > ram_bytes_) {
      return false;
    }
    used_ = bits::align_up(next, alignment);
    return true;
  }
  constexpr bool take(std::uint64_t bytes) noexcept {
    if (bytes > left()) {
      return false;
    }
    used_ += bytes;
    return true;
  }
  [[nodiscard]] constexpr std::uint64_t used() const noexcept { return used_; }
  [[nodiscard]] constexpr std::uint64_t left() const noexcept { return ram_bytes_ - used_; }

 private:
  std::uint64_t ram_bytes_;
  std::uint64_t used_{};
};

Result<> check_common(IpaRange ram, const GuestFiles& files) noexcept {
  if (!bits::aligned(ram.base, kBlock)) {
    return fail(Errc::unaligned_ram, ram.base, kBlock);
  }
  if (files.dtb_bytes > kMaxGuestDtbBytes) {
    return fail(Errc::guest_dtb_too_large, files.dtb_bytes, kMaxGuestDtbBytes);
  }
  return {};
}

// The DTB goes to the next 2 MiB boundary, or, in `tight` memory, to the next place where it crosses none.
Result<IpaRange> place_dtb(IpaRange ram, Room& room, std::uint64_t floor, std::uint64_t bytes, bool tight) noexcept {
  bool placed = room.move_up(floor, tight ? kPage : kBlock);
  if (placed && bytes != 0 &&
      bits::align_down(room.used(), kBlock) != bits::align_down(room.used() + bytes - 1, kBlock)) {
    placed = room.move_up(0, kBlock);
  }
  const IpaRange dtb{ram.base + room.used(), bytes};
  if (!placed || !room.take(bytes)) {
    return fail(Errc::guest_dtb_does_not_fit, bytes, room.left());
  }
  return dtb;
}

Result<IpaRange> place_ramdisk(IpaRange ram, Room& room, std::uint64_t floor, std::uint64_t bytes,
                               bool tight) noexcept {
  if (bytes == 0) {
    return IpaRange{};
  }
  const bool placed = room.move_up(floor, tight ? kPage : kBlock);
  const IpaRange ramdisk{ram.base + room.used(), bytes};
  if (!placed || !room.take(bytes)) {
    return fail(Errc::ramdisk_does_not_fit, bytes, room.left());
  }
  // [linux]: a 1 GiB aligned window of up to 32 GiB covers the RAM disk and the kernel. The kernel is at the start.
  const std::uint64_t window_end = bits::align_down(ram.base, kGiB) + 32 * kGiB;
  if (ramdisk.end() > window_end) {
    return fail(Errc::ramdisk_does_not_fit, bytes, window_end - std::min(window_end, ramdisk.base));
  }
  return ramdisk;
}

// The RAM disk and the DTB, above what `room` has already given away.
Result<> place_files(IpaRange ram, Room room, const GuestFiles& files, bool tight, bool dtb_placed,
                     GuestLayout& layout) noexcept {
  const std::uint64_t floor = tight ? 0 : std::min(ram.bytes / 2, 128 * kMiB);
  const auto ramdisk = place_ramdisk(ram, room, floor, files.ramdisk_bytes, tight);
  if (!ramdisk) {
    return std::unexpected(ramdisk.error());
  }
  layout.ramdisk = *ramdisk;
  if (!dtb_placed) {
    const auto dtb = place_dtb(ram, room, floor, files.dtb_bytes, tight);
    if (!dtb) {
      return std::unexpected(dtb.error());
    }
    layout.dtb = *dtb;
  }
  return {};
}

// With room to spare first; the error is that of the tight attempt.
Result<GuestLayout> place_files_or_tight(IpaRange ram, Room room, const GuestFiles& files, bool dtb_placed,
                                         GuestLayout layout) noexcept {
  if (!place_files(ram, room, files, false, dtb_placed, layout)) {
    const auto tight = place_files(ram, room, files, true, dtb_placed, layout);
    if (!tight) {
      return std::unexpected(tight.error());
    }
  }
  return layout;
}

}  // namespace

Result<GuestLayout> plan_guest(IpaRange ram, const KernelImage& kernel, const GuestFiles& files) noexcept {
  if (const auto ok = check_common(ram, files); !ok) {
    return std::unexpected(ok.error());
  }
  Room room{ram.bytes};
  if (!room.take(kernel.load_offset()) || !room.take(kernel.memory_bytes())) {
    return fail(Errc::kernel_does_not_fit, kernel.memory_bytes(), ram.bytes);
  }
  GuestLayout layout{};
  layout.kernel = {ram.base + kernel.load_offset(), kernel.memory_bytes()};
  layout.entry = layout.kernel.base;
  return place_files_or_tight(ram, room, files, false, layout);
}

Result<GuestLayout> plan_firmware(IpaRange ram, std::uint64_t firmware_bytes, const GuestFiles& files) noexcept {
  if (const auto ok = check_common(ram, files); !ok) {
    return std::unexpected(ok.error());
  }
  if (firmware_bytes == 0) {
    return fail(Errc::bad_image);
  }
  if (firmware_bytes > guest_machine::kFlash.bytes) {
    return fail(Errc::firmware_too_large, firmware_bytes, guest_machine::kFlash.bytes);
  }
  Room room{ram.bytes};
  const auto dtb = place_dtb(ram, room, 0, files.dtb_bytes, false);
  if (!dtb) {
    return std::unexpected(dtb.error());
  }
  GuestLayout layout{};
  layout.kernel = {guest_machine::kFlash.base, firmware_bytes};
  layout.entry = layout.kernel.base;
  layout.dtb = *dtb;
  return place_files_or_tight(ram, room, files, true, layout);
}

}  // namespace arm_vcpu
