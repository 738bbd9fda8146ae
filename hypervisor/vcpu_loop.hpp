// SPDX-License-Identifier: Apache-2.0
// What a vCPU does while it is on a CPU: enter, act on the exit, enter again.
#pragma once

#include "vm.hpp"

namespace arm_vcpu::hv {

class CpuLoop;

class VcpuLoop final : public ExitResponder {
 public:
  VcpuLoop(VcpuSlot& slot, CpuLoop& cpu) noexcept : slot_{slot}, vm_{*slot.vm}, cpu_{cpu} {}

  // Its vCPU asks it inside the exit, where exits may be answered there.
  void respond() noexcept;

  enum class Leave : std::uint8_t {
    asked,       // by the CPU
    yields,      // runs on, when nobody else wants to
    waits,       // for an interrupt; there was none when its list registers were read
    turned_off,  // CPU_OFF
    stops,       // with its VM
  };
  // Runs the vCPU that is loaded on this CPU, and those that it is handed over to: what it says is said of the one that
  // is loaded in the end.
  [[nodiscard]] static Leave run(CpuLoop& cpu) noexcept;

  // Before the first run() after a start.
  void begin() noexcept;

  // After the guest got an exception from us, and at the samples: is it going round in circles?
  void watch() noexcept;
  void flush() noexcept;

 private:
  using Exit = AxVCpuExitReason;

  // Each answers one exit. False: the vCPU leaves its loop, for the reason in leave_.
  [[nodiscard]] bool act_on(const Exit& exit) noexcept;
  [[nodiscard]] bool leave(Leave why) noexcept {
    leave_ = why;
    return false;
  }
  struct Answer {
    MmioOutcome outcome{};
    std::uint64_t value{};
  };
  template <bool IsWrite>
  [[nodiscard]] Answer access(const VgicCpu& here, std::uint64_t ipa, AccessWidth width, std::uint64_t data) noexcept;
  // ExitResponder: in the exit, without the loop.
  [[nodiscard]] Reply read(std::uint64_t ipa, AccessWidth width) noexcept override;
  [[nodiscard]] bool write(std::uint64_t ipa, AccessWidth width, std::uint64_t data) noexcept override;
  [[nodiscard]] Aarch64VCpu* on_wait(Aarch64VCpu& vcpu) noexcept override;
  void go_on(const VgicCpu& here) noexcept;
  void read_mmio(const Exit::MmioRead& read) noexcept;
  void write_mmio(const Exit::MmioWrite& write) noexcept;
  void refuse_access(const diag::trigger::MmioFailure& failure) noexcept;
  void read_sysreg(const Exit::SysRegRead& read) noexcept;
  void write_sysreg(const Exit::SysRegWrite& write) noexcept;
  [[nodiscard]] bool halt(const Exit::Halt& wait) noexcept;
  void refuse_call(const Exit::Hypercall& call) noexcept;
  Fsc fault_on_walk(std::uint64_t va) noexcept;
  void handle_page_fault(const Exit::NestedPageFault& fault) noexcept;
  [[nodiscard]] bool handle_failure(const Exit::FailEntry& failure) noexcept;
  void send_sgi(const Exit::SendIPI& ipi) noexcept;
  void undefined(SysRegId id, bool is_write) noexcept;

  Aarch64VCpu& vcpu() noexcept { return *slot_.vcpu; }
  Vgic& vgic() noexcept { return *vm_.vgic_; }

  VcpuSlot& slot_;
  Vm& vm_;
  CpuLoop& cpu_;
  Leave leave_{Leave::stops};
};

// Interrupt `intid` was made pending for vCPU `target` of the VM.
void record_injection(const VcpuSlot& slot, std::uint32_t intid, unsigned target, bool by_edge) noexcept;

}  // namespace arm_vcpu::hv
