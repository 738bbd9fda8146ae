// SPDX-License-Identifier: Apache-2.0
// A WFI that another vCPU is waiting for: from one to the other without a way out of the exit. No frame of its own, and
// the exchange of the registers is the last thing. [ADR] docs/adr/0023-hand-over.md
#include <utility>

#include "vcpu/exit_path.hpp"
#include "vcpu/hw.hpp"
#include "vcpu/recorder.hpp"

namespace arm_vcpu {

extern "C" VCpuContext* vmexit_wait(VCpuContext* context) noexcept {
  Aarch64VCpu& vcpu = ExitPath::from(context);
  ExitResponder* const responder = ExitPath::responder(vcpu);
  if (responder == nullptr) {
    return nullptr;
  }
  Aarch64VCpu* const next = responder->on_wait(vcpu);
  return next != nullptr ? &ExitPath::context(*next) : nullptr;
}

void Aarch64VCpu::hand_over(Aarch64VCpu& next, std::uint64_t delivered) noexcept {
  recorder::hand_over(*this, next, delivered);
  ++handled;
  frame.complete_instruction();
  frame.sp_el0 = hw::read_sp_el0();
  hw::write_sp_el0(next.frame.sp_el0);
  keep_ia_key();           // the vector writes the next one's
  next.host_sp = host_sp;  // this run() is the next one's, too
  next.trace_cursor = std::exchange(trace_cursor, {});
  Aarch64PerCpu* const cpu = std::exchange(cpu_, nullptr);
  cpu->current_ = &next;
  next.cpu_ = cpu;
  if (next.vectors_come_ != 0) return exchange_with_vectors(next);
  exchange(registers_, groups_, next.registers_, next.groups_);
}

[[gnu::noinline]] void Aarch64VCpu::exchange_with_vectors(Aarch64VCpu& next) noexcept {
  next.bring_vectors(*next.cpu_);
  exchange(registers_, groups_, next.registers_, next.groups_);
}

}  // namespace arm_vcpu
