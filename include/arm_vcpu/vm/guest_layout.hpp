// SPDX-License-Identifier: Apache-2.0
// The guest's machine, which is QEMU's `virt` as far as it goes, and where a guest's files go in its memory.
#pragma once

#include <cstdint>

#include "arm_vcpu/result.hpp"
#include "arm_vcpu/vm/image.hpp"

namespace arm_vcpu {

// A range of intermediate physical addresses.
struct IpaRange {
  std::uint64_t base{};
  std::uint64_t bytes{};

  [[nodiscard]] constexpr std::uint64_t end() const noexcept { return base + bytes; }
  friend constexpr bool operator==(const IpaRange&, const IpaRange&) noexcept = default;
};

// Addresses and interrupts as QEMU's `virt` has them.
namespace guest_machine {

inline constexpr IpaRange kFlash{0x0000'0000, 0x0400'0000};  // the bank that QEMU's -bios fills
inline constexpr IpaRange kFlash1{0x0400'0000, 0x0400'0000};
inline constexpr IpaRange kGicd{0x0800'0000, 0x0001'0000};
inline constexpr IpaRange kGicc{0x0801'0000, 0x0001'0000};  // of a GICv2: 8 KiB of it are there
inline constexpr IpaRange kGicr{0x080A'0000, 0x00F6'0000};  // room for 123 redistributors of 128 KiB
inline constexpr IpaRange kUart{0x0900'0000, 0x0000'1000};
inline constexpr IpaRange kScratch{0x0A00'0000, 0x0000'2000};     // in no device tree; bundle property scratch-device
inline constexpr IpaRange kStolenTime{0x090A'0000, 0x0000'1000};  // 64 bytes per vCPU, read-only
inline constexpr std::uint64_t kRamBase = 0x4000'0000;

// Interrupt numbers within their kind, as a device tree counts them; INTIDs are 16 more for a PPI, 32 for an SPI.
inline constexpr std::uint32_t kUartSpi = 1;
inline constexpr std::uint32_t kSecureTimerPpi = 13;
inline constexpr std::uint32_t kPhysicalTimerPpi = 14;
inline constexpr std::uint32_t kVirtualTimerPpi = 11;
inline constexpr std::uint32_t kHypervisorTimerPpi = 10;
inline constexpr std::uint32_t kPmuPpi = 7;

inline constexpr std::uint32_t kUartIntid = 32 + kUartSpi;
inline constexpr std::uint32_t kPhysicalTimerIntid = 16 + kPhysicalTimerPpi;
inline constexpr std::uint32_t kVirtualTimerIntid = 16 + kVirtualTimerPpi;
inline constexpr std::uint32_t kPmuIntid = 16 + kPmuPpi;

inline constexpr unsigned kMaxVcpus = 123;

// The affinity of vCPU n, in MPIDR_EL1's layout: 16 to a cluster, as many as the target list of one SGI can name.
[[nodiscard]] constexpr std::uint64_t affinity_of(unsigned vcpu) noexcept {
  return (vcpu / 16) << 8 | vcpu % 16;
}

}  // namespace guest_machine

struct GuestFiles {
  std::uint64_t ramdisk_bytes{};  // 0: none
  // Room for the device tree. Its content depends on the layout, so give the size of the buffer it is written to.
  std::uint64_t dtb_bytes{};
};

struct GuestLayout {
  std::uint64_t entry{};  // IPA of the first instruction
  IpaRange kernel;        // in RAM, .bss included; for firmware in the flash
  IpaRange ramdisk;       // empty when there is none
  IpaRange dtb;           // its base goes into x0
};

inline constexpr std::uint64_t kMaxGuestDtbBytes = std::uint64_t{2} << 20;  // [linux] "Booting AArch64 Linux"

// Plans the memory of a guest that boots a kernel. Nothing overlaps, all is inside `ram`, and:
// - the kernel is `load_offset` above a 2 MiB boundary, the lowest of RAM (a bare binary: RAM + 0x80000);
// - the RAM disk and the device tree are above the kernel and, where RAM allows, at least half of RAM or 128 MiB
//   above its start, so what the kernel's header does not tell of (.bss of a bare binary) finds room;
// - the RAM disk and the kernel are inside one window of 32 GiB that begins on a 1 GiB boundary;
// - the device tree crosses no 2 MiB boundary (kernels before Linux 4.2 map one such block) and is 8-byte aligned.
// Errors: unaligned_ram (not a multiple of 2 MiB), guest_dtb_too_large, kernel_does_not_fit, ramdisk_does_not_fit,
// guest_dtb_does_not_fit.
[[nodiscard]] Result<GuestLayout> plan_guest(IpaRange ram, const KernelImage& kernel, const GuestFiles& files) noexcept;

// Plans the memory of a guest that boots firmware, as QEMU does with -bios: the file is flash at address 0 and is
// entered there; the device tree is at the start of RAM; a RAM disk is placed as for a kernel.
// Errors: as plan_guest, and firmware_too_large, bad_image (empty).
[[nodiscard]] Result<GuestLayout> plan_firmware(IpaRange ram, std::uint64_t firmware_bytes,
                                                const GuestFiles& files) noexcept;

}  // namespace arm_vcpu
