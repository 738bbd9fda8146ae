// SPDX-License-Identifier: Apache-2.0
// The device tree that the guest gets in x0: nodes and properties as QEMU 7.2's `virt` writes them, for
// the devices that this machine has. Needs libfdt.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "arm_vcpu/result.hpp"
#include "arm_vcpu/vm/guest_layout.hpp"

namespace arm_vcpu {

struct GuestFdtConfig {
  IpaRange ram{guest_machine::kRamBase, 0};
  unsigned cpus{1};                              // 1 to guest_machine::kMaxVcpus
  unsigned gic_version{3};                       // or 2, with up to 8 CPUs
  std::string_view cpu_compatible{"arm,armv8"};  // cpu_compatible_of() gives it
  std::string_view bootargs{};                   // empty: no property
  bool pmu{};                                    // performance monitors, PPI 7
  IpaRange ramdisk{};                            // empty: no properties
  std::span<const std::byte> kaslr_seed{};       // 8 bytes of entropy, or empty: no property
  std::span<const std::byte> rng_seed{};         // entropy, 32 bytes in QEMU, or empty: no property
};

// Room for the tree with kMaxVcpus CPUs and a long command line.
inline constexpr std::size_t kGuestFdtBytes = 64 * 1024;

// Writes the tree and returns its size in bytes. `buffer` is 8-byte aligned.
// Errors: guest_dtb_too_large (the buffer is too small), conflicting_configuration (no or too many CPUs, a seed of the
// wrong size, another version of the GIC), bad_device_tree (libfdt's status).
[[nodiscard]] Result<std::size_t> write_guest_fdt(std::span<std::byte> buffer, const GuestFdtConfig& config) noexcept;

// The `compatible` of a CPU by its MIDR_EL1, for the models that the device-tree binding and QEMU name; "arm,armv8"
// for all others. QEMU's `max` calls itself a Cortex-A57 in its device tree, and so does this.
[[nodiscard]] std::string_view cpu_compatible_of(std::uint64_t midr_el1) noexcept;

}  // namespace arm_vcpu
