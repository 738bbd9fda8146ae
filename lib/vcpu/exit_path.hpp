// SPDX-License-Identifier: Apache-2.0
// The handlers' way into the vCPU: what they may touch, and nothing else.
#pragma once

#include <utility>

#include "arm_vcpu/vcpu.hpp"
#include "vcpu/instruction_done.hpp"
#include "vcpu/recorder.hpp"

namespace arm_vcpu {

struct ExitPath {
  using Pending = Aarch64VCpu::PendingAccess;

  static Aarch64VCpu& from(VCpuContext* context) noexcept { return *static_cast<Aarch64VCpu*>(context); }
  static const ExitFrame& exit(const Aarch64VCpu& vcpu) noexcept { return vcpu; }
  static TrapFrame& frame(Aarch64VCpu& vcpu) noexcept { return vcpu.frame; }
  static const Aarch64VCpuSetupConfig& config(const Aarch64VCpu& vcpu) noexcept { return vcpu.setup_; }
  static std::uint64_t mpidr(const Aarch64VCpu& vcpu) noexcept { return vcpu.config_.mpidr_el1; }
  static std::uint64_t id_register(const Aarch64VCpu& vcpu, SysRegId id) noexcept {
    return vcpu.id_registers_[(id.crm() - 1) * 8 + id.op2()];
  }
  static MmioResponder* responder(const Aarch64VCpu& vcpu) noexcept { return vcpu.responder_; }
  static void claim_fp(Aarch64VCpu& vcpu) noexcept { vcpu.claim_fp(); }
  static bool claim_pmu(Aarch64VCpu& vcpu) noexcept { return vcpu.claim_pmu(); }
  static DebugRegisters& debug(Aarch64VCpu& vcpu) noexcept { return vcpu.debug_; }
  static void apply_debug(Aarch64VCpu& vcpu) noexcept { vcpu.apply_debug(); }
  // The instruction has been executed.
  static void advance(Aarch64VCpu& vcpu) noexcept { finish_instruction(vcpu.frame, vcpu.esr.get<Esr::IL>()); }
  // What handlers return.
  static bool emulate(Aarch64VCpu& vcpu, std::uint64_t ipa) noexcept { return !vcpu.begin_emulation(ipa); }
  static void count_handled(Aarch64VCpu& vcpu) noexcept { ++vcpu.handled; }
  static void count_unexpected(Aarch64VCpu& vcpu) noexcept { ++vcpu.unexpected_exits_; }

  // Makes run() return `reason`.
  static bool leave(Aarch64VCpu& vcpu, const AxVCpuExitReason& reason, Pending pending = {}) noexcept {
    recorder::set_outcome(vcpu, trace::Outcome::open);
    vcpu.exit_ = reason;
    vcpu.pending_ = pending;
    return false;
  }
};

}  // namespace arm_vcpu
