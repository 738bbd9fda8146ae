// SPDX-License-Identifier: Apache-2.0
// The guests of one machine in one file: a device-tree blob that dtc makes with /incbin/, in the shape of U-Boot's FIT.
//
//   / {
//     compatible = "arm-vcpu,bundle";
//     images {
//       linux  { data = /incbin/("Image");      type = "kernel"; arch = "arm64"; compression = "none"; };
//       initrd { data = /incbin/("initrd.gz");  type = "ramdisk"; };
//       uboot  { data = /incbin/("u-boot.bin"); type = "firmware"; };
//     };
//     vms {
//       vm0 {
//         compatible = "arm-vcpu,vm";
//         description = "Debian";        // optional: the name shown on the console, else the node's
//         kernel = "linux";              // or firmware = "uboot", exactly one
//         ramdisk = "initrd";            // optional
//         bootargs = "console=ttyAMA0";  // optional
//         cpus = <4>;                    // default 1
//         memory-mib = <512>;            // default 512
//         affinity = <0 1 2 3>;          // optional: the physical CPU of each vCPU; several may share one
//         restart = <3>;                 // default 0: how often the VM starts anew after SYSTEM_OFF
//         gic-version = <3>;             // optional: that of the machine, 3 or 2
//         pmu = "on";                    // performance monitors, the default
//         mte = "on";                    // optional: allocation tags, which the CPU must have; default "off"
//         scratch-device = "on";         // optional: a device of memory for tests (vm/scratch.hpp)
//         sve-bits = <512>;              // optional: longest SVE vector, 0 for no SVE
//         smc-allow = <0xc2000000 0xc200ffff>;  // optional: SMCs for the firmware, by function ID, pairs of first last
//       };
//     };
//     hypervisor { log-level = "info"; recorder = "on"; vectors = "answering"; trace-file = "exits.trace"; };  // all
//     optional
//   };
//
// Needs libfdt.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

#include "arm_vcpu/smc_filter.hpp"
#include "arm_vcpu/vm/bundle_error.hpp"
#include "arm_vcpu/vm/image.hpp"

namespace arm_vcpu {

inline constexpr std::size_t kMaxBundleVms = 8;
inline constexpr unsigned kMaxBundleVcpus = 64;  // per VM
inline constexpr unsigned kMaxSmcRanges = 16;    // per VM
inline constexpr std::uint64_t kMinGuestMib = 2;
inline constexpr std::uint64_t kDefaultGuestMib = 512;
inline constexpr std::uint64_t kMaxRestarts = 1'000'000;
inline constexpr std::uint64_t kMaxGuestMib = 255 * 1024;  // what `virt` has room for below 256 GiB

// What the machine at hand allows.
struct BundleLimits {
  unsigned vcpus_per_vm{kMaxBundleVcpus};
  unsigned physical_cpus{0xFFFF};  // affinity counts from 0 up to this
  bool mte{true};                  // the CPUs have FEAT_MTE2
  unsigned gic_version{};          // what guests get; 0: either
};

enum class BundleLogLevel : std::uint8_t { error, warn, info, debug, trace };

// All text and data point into the bundle's blob.
struct BundleVm {
  std::string_view name;                 // description, or the node's name
  std::optional<KernelImage> kernel;     // empty: the VM boots firmware
  std::span<const std::byte> boot_file;  // the kernel, or the firmware
  std::span<const std::byte> ramdisk;    // empty: none
  std::string_view bootargs;             // empty: none
  unsigned cpus{1};
  std::uint64_t memory_bytes{};
  std::array<std::uint16_t, kMaxBundleVcpus> affinity{};  // the first `cpus` entries, when has_affinity
  bool has_affinity{};
  bool pmu{true};  // performance monitors, where the machine has them
  bool scratch_device{};
  bool mte{};                                             // allocation tags
  unsigned restarts{};                                    // after SYSTEM_OFF
  unsigned sve_bits{2048};                                // longest SVE vector; 0: no SVE
  std::array<FunctionRange, kMaxSmcRanges> smc_ranges{};  // the first `smc_range_count`
  unsigned smc_range_count{};

  [[nodiscard]] std::span<const FunctionRange> smc_allowed() const noexcept {
    return std::span{smc_ranges}.first(smc_range_count);
  }
};

class Bundle {
 public:
  // Checks the whole bundle. `blob` is 8-byte aligned, may be longer than the bundle (boot loaders round up), and must
  // outlive the result.
  [[nodiscard]] static std::expected<Bundle, BundleError> parse(std::span<const std::byte> blob,
                                                                const BundleLimits& limits = {}) noexcept;

  [[nodiscard]] std::span<const BundleVm> vms() const noexcept { return std::span{vms_}.first(vm_count_); }
  // False: the exit recorder is off.
  [[nodiscard]] bool recorder() const noexcept { return recorder_; }
  // False: every exit takes the long way, past every function that a debugger can stop in.
  [[nodiscard]] bool answers_at_vector() const noexcept { return answers_at_vector_; }
  // Where the exit recorder streams to, by semihosting; empty: nowhere.
  [[nodiscard]] std::string_view trace_file() const noexcept { return trace_file_; }
  // The name of a failure that the hypervisor is to bring about, to test its diagnosis; empty: none.
  [[nodiscard]] std::string_view simulate() const noexcept { return simulate_; }
  // Empty when the bundle does not say.
  [[nodiscard]] std::optional<BundleLogLevel> log_level() const noexcept { return log_level_; }

 private:
  friend class BundleParser;
  Bundle() noexcept = default;

  std::array<BundleVm, kMaxBundleVms> vms_{};
  std::size_t vm_count_{};
  std::optional<BundleLogLevel> log_level_;
  std::string_view trace_file_;
  std::string_view simulate_;
  bool recorder_{true};
  bool answers_at_vector_{true};
};

}  // namespace arm_vcpu
