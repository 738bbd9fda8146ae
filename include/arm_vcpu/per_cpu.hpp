// SPDX-License-Identifier: Apache-2.0
// One physical CPU as the library sees it: enabled or not, what EL2 was like before, whose FP registers are live.
#pragma once

#include <cstdint>

#include "arm_vcpu/capabilities.hpp"
#include "arm_vcpu/result.hpp"
#include "arm_vcpu/trace/ring.hpp"

namespace arm_vcpu {

class Aarch64VCpu;

// Whether the vectors answer exits that a few loads can answer (ID registers, PSCI_VERSION, published device registers,
// private interrupts), or every exit goes through vmexit_handler(), where a debugger can stop.
enum class Vectors : std::uint8_t { answering, plain };

class Aarch64PerCpu {
 public:
  constexpr explicit Aarch64PerCpu(unsigned index = 0) noexcept : index_{index} {}
  Aarch64PerCpu(const Aarch64PerCpu&) = delete;
  Aarch64PerCpu& operator=(const Aarch64PerCpu&) = delete;

  // Installs the library's vectors on the CPU that calls it. Saves VBAR_EL2, HCR_EL2, CPTR_EL2, MDCR_EL2 and the OS
  // Lock; MDSCR_EL1 and the performance monitors of EL1 are the library's from then on. Complete (ISB) on return.
  // Errors: cpu_already_enabled, and those of check_hardware_support().
  [[nodiscard]] Result<> hardware_enable(Vectors vectors = Vectors::answering) noexcept;

  // Puts back what hardware_enable() saved. Errors: cpu_not_enabled; already_bound while a vCPU is bound here.
  [[nodiscard]] Result<> hardware_disable() noexcept;

  [[nodiscard]] bool is_enabled() const noexcept { return enabled_; }
  [[nodiscard]] Vectors vectors() const noexcept { return vectors_; }  // as of hardware_enable()
  [[nodiscard]] unsigned index() const noexcept { return index_; }
  [[nodiscard]] const Capabilities& capabilities() const noexcept { return capabilities_; }
  // Bit n: SVE vectors can have 128 * (n + 1) bits. 0 without SVE, and before hardware_enable().
  [[nodiscard]] std::uint32_t sve_lengths() const noexcept { return sve_lengths_; }
  // The recorder of exits on this CPU; null turns it off. Takes effect at the next bind().
  void set_trace(trace::Ring* ring) noexcept { trace_ = ring; }
  [[nodiscard]] trace::Ring* trace() const noexcept { return trace_; }
  // The vCPU bound to this CPU, or null.
  [[nodiscard]] Aarch64VCpu* current() const noexcept { return current_; }

 private:
  friend class Aarch64VCpu;

  unsigned index_{};
  bool enabled_{};
  Capabilities capabilities_{};
  Aarch64VCpu* current_{};
  trace::Ring* trace_{};
  Aarch64VCpu* fp_owner_{};  // whose FP/SIMD registers this CPU holds
  std::uint32_t sve_lengths_{};
  std::uint64_t host_vbar_el2_{};
  std::uint64_t host_hcr_el2_{};
  std::uint64_t host_cptr_el2_{};
  std::uint64_t host_mdcr_el2_{};
  bool host_os_lock_{};
  Vectors vectors_{};
};

}  // namespace arm_vcpu
