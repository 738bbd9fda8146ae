// SPDX-License-Identifier: Apache-2.0
// What a physical CPU does for the vCPU that it runs: enter, act on the exit, enter again.
#pragma once

#include <optional>

#include "arm_vcpu/el2/gic_hw.hpp"
#include "vm.hpp"

namespace arm_vcpu::hv {

// The GIC's hypervisor registers, with a trace record of each interrupt that goes into a list register.
class RecordingGicHw : public el2::GicHw {
 public:
  explicit RecordingGicHw(VcpuSlot& slot) noexcept : slot_{slot} {}

  void write_ich_lr(unsigned n, arm_vcpu::gic::IchLr lr) noexcept {
    el2::GicHw::write_ich_lr(n, lr);
    if (lr.get<arm_vcpu::gic::IchLr::Pending>()) {
      slot_.vcpu->record({.far = n,
                          .hpfar = lr.raw,
                          .data = lr.get<arm_vcpu::gic::IchLr::vINTID>(),
                          .kind = trace::Kind::irq_delivered});
    }
  }

 private:
  VcpuSlot& slot_;
};

class VcpuLoop final : public MmioResponder {
 public:
  explicit VcpuLoop(VcpuSlot& slot) noexcept : slot_{slot}, vm_{*slot.vm}, gic_{slot} {}

  // Until the VM has ended.
  void run() noexcept;

 private:
  using Exit = AxVCpuExitReason;

  [[nodiscard]] bool wait_for_start() noexcept;
  void run_until_off() noexcept;
  void flush() noexcept;

  // Each answers one exit. False: the vCPU leaves its loop.
  [[nodiscard]] bool act_on(const Exit& exit) noexcept;
  struct Answer {
    MmioOutcome outcome{};
    std::uint64_t value{};
  };
  template <bool kIsWrite>
  [[nodiscard]] Answer access(std::uint64_t ipa, AccessWidth width, std::uint64_t data) noexcept;
  // MmioResponder: in the exit, without the loop.
  [[nodiscard]] Reply read(std::uint64_t ipa, AccessWidth width) noexcept override;
  [[nodiscard]] bool write(std::uint64_t ipa, AccessWidth width, std::uint64_t data) noexcept override;
  void go_on() noexcept;
  void read_mmio(const Exit::MmioRead& read) noexcept;
  void write_mmio(const Exit::MmioWrite& write) noexcept;
  void refuse_access(const diag::trigger::MmioFailure& failure) noexcept;
  void watch() noexcept;
  void read_sysreg(const Exit::SysRegRead& read) noexcept;
  void write_sysreg(const Exit::SysRegWrite& write) noexcept;
  void halt(bool is_wfe) noexcept;
  void refuse_call(const Exit::Hypercall& call) noexcept;
  void handle_page_fault(const Exit::NestedPageFault& fault) noexcept;
  [[nodiscard]] bool handle_failure(const Exit::FailEntry& failure) noexcept;
  void send_sgi(const Exit::SendIPI& ipi) noexcept;

  void raise_linked(std::uint32_t intid) noexcept;
  void handle_interrupt(std::uint32_t intid) noexcept;
  void wait_for_interrupt() noexcept;
  [[nodiscard]] std::optional<std::uint64_t> next_deadline() const noexcept;
  void look_at_sleeper(std::uint64_t since) noexcept;
  void update_physical_timer() noexcept;
  void arm_timer() noexcept;
  void sample_guest() noexcept;
  void record_injection(std::uint32_t intid, unsigned target, bool by_edge) noexcept;
  void undefined(SysRegId id, bool is_write) noexcept;

  Aarch64VCpu& vcpu() noexcept { return *slot_.vcpu; }
  Vgic& vgic() noexcept { return *vm_.vgic_; }

  VcpuSlot& slot_;
  Vm& vm_;
  RecordingGicHw gic_;
  std::uint64_t next_sample_{};  // CNTPCT_EL0 ticks
  unsigned samples_{};
  bool waits_{true};                        // the vCPU is off, or in WFI or WFE
  std::optional<std::uint64_t> look_at_{};  // CNTPCT_EL0 ticks: when to look at a vCPU that waits
};

// The interrupts that this CPU's loop needs, once per CPU.
struct LoopInterrupts {
  std::uint32_t virtual_timer{};
  std::uint32_t pmu{};  // overflow of the performance monitors; 0: not used
  std::uint32_t hypervisor_timer{};
  std::uint32_t maintenance{};
  std::uint32_t uart{};  // 0: polled
};
void set_loop_interrupts(const LoopInterrupts& interrupts) noexcept;

// The SGI that makes a CPU look at its vCPU again.
inline constexpr std::uint32_t kKickSgi = 1;

// An interrupt that the loop of any VM may have taken, or a CPU without one.
void handle_console_input() noexcept;

}  // namespace arm_vcpu::hv
