// SPDX-License-Identifier: Apache-2.0
// The machine as the device tree describes it.
#pragma once

#include <cstdint>

namespace bench {

using u64 = std::uint64_t;
using u32 = std::uint32_t;

struct Machine {
  u64 gicd{};
  u64 gicr{};
  // The PL011. Without one in the tree, where `virt` has it: Xen keeps the machine's for itself, says so to nobody, and
  // gives dom0 an emulated one in its place.
  u64 uart{0x0900'0000};
  unsigned cpus{};
  u64 mpidr[2]{};  // of the first two CPUs
  bool psci_by_smc{};
  bool idle{};              // /chosen/bootargs has "idle": this VM only is there
  bool one_physical_cpu{};  // /chosen/bootargs has "one-cpu": the vCPUs share a CPU
};

// `tree`: a flattened device tree, 8-byte aligned. What it does not have stays as it is. [dtspec] "Flattened Devicetree
// (DTB) Format"
void read_device_tree(u64 tree, Machine& machine) noexcept;

}  // namespace bench
