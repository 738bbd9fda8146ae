// SPDX-License-Identifier: Apache-2.0
// HVC and SMC from the guest. [smccc] "SMC Calling Convention"; [psci] "Arm Power State Coordination Interface".
#include "arm_vcpu/arch/smccc.hpp"
#include "vcpu/exit_path.hpp"
#include "vcpu/hw.hpp"

namespace arm_vcpu {
namespace {

void record_forwarded(Aarch64VCpu& vcpu, std::uint64_t x0, std::uint64_t result) noexcept {
  vcpu.record({.pc = ExitPath::frame(vcpu).elr, .far = result, .data = x0, .kind = trace::Kind::smc_forwarded});
}

[[gnu::noinline]] PsciHandling handle_service_call(Aarch64VCpu& vcpu) noexcept {
  TrapFrame& frame = ExitPath::frame(vcpu);
  const PsciCall call{frame.gpr[0], frame.gpr[1], frame.gpr[2], frame.gpr[3]};
  const std::optional<ServiceAnswer> answer = handle_service(call, ExitPath::config(vcpu).services, hw::read_entropy);
  if (!answer) {
    return PsciHandling::not_psci;
  }
  vcpu.record({.pc = frame.elr,
               .esr = ExitPath::exit(vcpu).esr.raw,
               .far = call.x1,
               .hpfar = call.x2,
               .data = answer->x[0] << 32 | (call.x0 & 0xFFFF'FFFF),
               .kind = trace::Kind::psci_call});
  for (unsigned i = 0; i < answer->count; ++i) {
    frame.gpr[i] = answer->x[i];
  }
  return PsciHandling::answered;
}

// An SMC that nobody here answers: to the firmware if the VM's filter lets it pass. Its X0 to X17 go there and come
// back, as SMCCC 1.2 has it; the rest the firmware keeps. The hint that no SVE state is live is the guest's, and what
// the CPU holds may be somebody else's: it is taken away. [smccc] "SVE hint bit"
[[gnu::noinline]] void forward_or_refuse(Aarch64VCpu& vcpu, bool is_convention) noexcept {
  TrapFrame& frame = ExitPath::frame(vcpu);
  const std::uint64_t x0 = frame.gpr[0];
  const FunctionId id = FunctionId::from_x0(x0).without_sve_hint();
  if (!is_convention || !ExitPath::config(vcpu).smc_filter.allows(id)) {
    vcpu.set_return_value(~std::uint64_t{0});
    return;
  }
  hw::FirmwareRegisters x{};
  for (unsigned i = 0; i < x.size(); ++i) {
    x[i] = frame.gpr[i];
  }
  x[0] = id.raw;
  hw::call_firmware(x);
  for (unsigned i = 0; i < x.size(); ++i) {
    frame.gpr[i] = x[i];
  }
  record_forwarded(vcpu, x0, x[0]);
}

}  // namespace

[[gnu::noinline]] PsciHandling handle_psci_call(Aarch64VCpu& vcpu) noexcept {
  const Aarch64VCpuSetupConfig& config = ExitPath::config(vcpu);
  const GeneralRegisters& gpr = ExitPath::frame(vcpu).gpr;
  const PsciOutcome outcome = handle_call({gpr[0], gpr[1], gpr[2], gpr[3]}, config.power, config.psci);
  if (!outcome.mine) {
    return handle_service_call(vcpu);
  }
  if (outcome.forward) {
    // A workaround has no arguments but WORKAROUND_2's, which is not forwarded, and no result.
    hw::FirmwareRegisters x{FunctionId::from_x0(gpr[0]).without_sve_hint().raw};
    hw::call_firmware(x);
    record_forwarded(vcpu, gpr[0], x[0]);
  }
  vcpu.record({.pc = ExitPath::frame(vcpu).elr,
               .esr = ExitPath::exit(vcpu).esr.raw,
               .far = gpr[1],
               .hpfar = gpr[2],
               .data = static_cast<std::uint64_t>(outcome.x0.value_or(0)) << 32 | (gpr[0] & 0xFFFF'FFFF),
               .kind = trace::Kind::psci_call});
  if (outcome.x0) {
    vcpu.set_return_value(static_cast<std::uint64_t>(*outcome.x0));
  }
  if (outcome.exit.is<AxVCpuExitReason::Nothing>()) {
    return PsciHandling::answered;
  }
  ExitPath::leave(vcpu, outcome.exit);
  return PsciHandling::exits;
}

[[gnu::noinline]] bool handle_hvc64_exception(Aarch64VCpu& vcpu) noexcept {
  // The PC is already past the HVC.
  const ExitFrame& exit = ExitPath::exit(vcpu);
  const auto imm = CallIss::from(exit.esr.get<Esr::ISS>()).get<CallIss::imm16>();
  if (imm == 0) {
    switch (handle_psci_call(vcpu)) {
      case PsciHandling::answered: return true;
      case PsciHandling::exits: return false;
      case PsciHandling::not_psci: break;
    }
  }
  AxVCpuExitReason::Hypercall call{.nr = exit.frame.gpr[0], .args = {}, .imm = imm};
  for (unsigned i = 0; i < call.args.size(); ++i) {
    call.args[i] = exit.frame.gpr[i + 1];
  }
  return ExitPath::leave(vcpu, call);
}

[[gnu::noinline]] bool handle_smc64_exception(Aarch64VCpu& vcpu) noexcept {
  // A trapped SMC has not advanced the PC: HCR_EL2.TSC traps it before it is executed.
  ExitPath::advance(vcpu);
  const auto imm = CallIss::from(ExitPath::exit(vcpu).esr.get<Esr::ISS>()).get<CallIss::imm16>();
  const PsciHandling handling = imm == 0 ? handle_psci_call(vcpu) : PsciHandling::not_psci;
  if (handling == PsciHandling::not_psci) {
    // NOT_SUPPORTED, as the convention answers unknown functions, unless the filter says otherwise.
    forward_or_refuse(vcpu, imm == 0);
  }
  return handling != PsciHandling::exits;
}

}  // namespace arm_vcpu
