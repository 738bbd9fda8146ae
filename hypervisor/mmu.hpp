// SPDX-License-Identifier: Apache-2.0
// The hypervisor's address space: everything identity mapped, nothing writable and executable.
#pragma once

#include <cstddef>
#include <cstdint>

#include "arm_vcpu/result.hpp"
#include "platform_asm.h"
#include "ranges.hpp"

namespace arm_vcpu::hv::mmu {

// What boot.S writes to turn stage 1 on. Read by CPUs whose MMU is off.
struct Regime {
  std::uint64_t mair;
  std::uint64_t tcr;
  std::uint64_t ttbr0;
  std::uint64_t sctlr;
};
static_assert(offsetof(Regime, mair) == HV_REGIME_MAIR && offsetof(Regime, tcr) == HV_REGIME_TCR);
static_assert(offsetof(Regime, ttbr0) == HV_REGIME_TTBR0 && offsetof(Regime, sctlr) == HV_REGIME_SCTLR);

// Sizes a device tree blob that boot code may map: at most 2 MiB and 8-byte aligned. [linux] "Setup the device tree"
inline constexpr std::uint64_t kMaxTreeBytes = 0x20'0000;

// Bytes of the blob at `address` as its header says; 0 when that cannot be a device tree. Touches 8 bytes.
[[nodiscard]] std::uint64_t tree_bytes(std::uint64_t address) noexcept;

// Maps memory of the machine on all CPUs; what is mapped already keeps its attributes, guard pages stay unmapped.
// map_ram rounds in to whole pages, the others out. Visible on return. Safe from any CPU.
// Errors: those of Stage1Map::map().
[[nodiscard]] Result<> map_ram(Range range) noexcept;        // read-write
[[nodiscard]] Result<> map_read_only(Range range) noexcept;  // normal memory
[[nodiscard]] Result<> map_device(Range range) noexcept;     // Device-nGnRE, read-write

// Physical address bits of this CPU, at most the 48 that the 4 KiB granule reaches without FEAT_LPA2.
[[nodiscard]] unsigned physical_address_bits() noexcept;

// Pointer authentication (key A for instructions) for the code of the calling CPU; without FEAT_PAuth nothing happens.
// Off by default, SCTLR_EL2.EnIA is 0. APIAKey is shared with EL1: whoever turns this on has to switch APIAKey between
// guest and hypervisor at entry and exit. Call it where the frames already on the stack never return: their return
// addresses are not signed.
extern "C" void hv_pauth_enable(std::uint64_t key_low, std::uint64_t key_high);

}  // namespace arm_vcpu::hv::mmu

extern "C" {
extern arm_vcpu::hv::mmu::Regime hv_regime;
// For boot.S: the image and the device tree mapped, hv_regime filled in.
void hv_build_boot_map(std::uint64_t tree);
// Waits for ever. For a CPU that nothing can be done with.
[[noreturn]] void hv_park();
}
