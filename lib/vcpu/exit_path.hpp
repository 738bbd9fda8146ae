// SPDX-License-Identifier: Apache-2.0
// The handlers' way into the vCPU: what they may touch, and nothing else.
#pragma once

#include <utility>

#include "arm_vcpu/vcpu.hpp"
#include "vcpu/exception_entry.hpp"
#include "vcpu/instruction_done.hpp"
#include "vcpu/recorder.hpp"

namespace arm_vcpu {

struct ExitPath {
  using Pending = Aarch64VCpu::PendingAccess;

  static Aarch64VCpu& from(VCpuContext* context) noexcept { return *static_cast<Aarch64VCpu*>(context); }
  static VCpuContext& context(Aarch64VCpu& vcpu) noexcept { return vcpu; }
  static const ExitFrame& exit(const Aarch64VCpu& vcpu) noexcept { return vcpu; }
  static TrapFrame& frame(Aarch64VCpu& vcpu) noexcept { return vcpu.frame; }
  static const Aarch64VCpuSetupConfig& config(const Aarch64VCpu& vcpu) noexcept { return vcpu.setup_; }
  static std::uint64_t mpidr(const Aarch64VCpu& vcpu) noexcept { return vcpu.config_.mpidr_el1; }
  static std::uint64_t id_register(const Aarch64VCpu& vcpu, SysRegId id) noexcept {
    return vcpu.id_registers_[id_register_index(id)];
  }
  static ExitResponder* responder(const Aarch64VCpu& vcpu) noexcept { return vcpu.responder_; }
  static bool has_sve(const Aarch64VCpu& vcpu) noexcept { return vcpu.has_sve(); }
  // An ID register that this guest does not have. With FEAT_IDST the exception says which it was.
  static void inject_id_undefined(Aarch64VCpu& vcpu, Esr esr) noexcept {
    const bool idst = bits::extract(id_register(vcpu, sysreg::ID_AA64MMFR2_EL1), 39, 36) != 0;
    vcpu.inject_syndrome(idst ? esr : undefined_syndrome());
  }
  static void claim_fp(Aarch64VCpu& vcpu) noexcept { vcpu.claim_fp(); }
  static bool claim_pmu(Aarch64VCpu& vcpu) noexcept { return vcpu.claim_pmu(); }
  static DebugRegisters& debug(Aarch64VCpu& vcpu) noexcept { return vcpu.debug_; }
  static void apply_debug(Aarch64VCpu& vcpu) noexcept { vcpu.apply_debug(); }
  // The instruction has been executed.
  static void advance(Aarch64VCpu& vcpu) noexcept { finish_instruction(vcpu.frame, vcpu.esr.get<Esr::IL>()); }
  // What handlers return.
  static bool emulate(Aarch64VCpu& vcpu, std::uint64_t ipa) noexcept { return !vcpu.begin_emulation(ipa); }
  static void trap_memory_registers(Aarch64VCpu& vcpu, bool trap) noexcept { vcpu.trap_memory_registers(trap); }
  static std::optional<std::uint64_t>& set_way_sweep(Aarch64VCpu& vcpu) noexcept { return vcpu.set_way_sweep_; }
  static void count_handled(Aarch64VCpu& vcpu) noexcept { ++vcpu.handled; }
  static void count_unexpected(Aarch64VCpu& vcpu) noexcept { ++vcpu.unexpected_exits_; }

  // The exit was the hypervisor's affair, and run() need not return for it.
  static void hypervisor_answered(Aarch64VCpu& vcpu) noexcept { recorder::set_outcome(vcpu, trace::Outcome::returned); }
  // Makes run() return `reason`.
  static bool leave(Aarch64VCpu& vcpu, const AxVCpuExitReason& reason, Pending pending = {}) noexcept {
    recorder::set_outcome(vcpu, trace::Outcome::open);
    vcpu.exit_ = reason;
    vcpu.pending_ = pending;
    return false;
  }
};

}  // namespace arm_vcpu
