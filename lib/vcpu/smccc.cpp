// SPDX-License-Identifier: Apache-2.0
// HVC and SMC from the guest. [smccc] "SMC Calling Convention"; [psci] "Arm Power State Coordination Interface".
#include "arm_vcpu/arch/smccc.hpp"
#include "vcpu/exit_path.hpp"
#include "vcpu/hw.hpp"

namespace arm_vcpu {

[[gnu::noinline]] PsciHandling handle_psci_call(Aarch64VCpu& vcpu) noexcept {
  const Aarch64VCpuSetupConfig& config = ExitPath::config(vcpu);
  const GeneralRegisters& gpr = ExitPath::frame(vcpu).gpr;
  const PsciOutcome outcome = handle_call({gpr[0], gpr[1], gpr[2], gpr[3]}, config.power, config.psci);
  if (!outcome.mine) {
    return PsciHandling::not_psci;
  }
  if (outcome.forward) {
    hw::call_firmware_workaround(static_cast<std::uint32_t>(gpr[0]), static_cast<std::uint32_t>(gpr[1]));
    vcpu.record({.pc = ExitPath::frame(vcpu).elr, .data = gpr[0], .kind = trace::Kind::smc_forwarded});
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
    // No SMC of a guest reaches the firmware: NOT_SUPPORTED, as the convention answers unknown functions.
    vcpu.set_return_value(~std::uint64_t{0});
  }
  return handling != PsciHandling::exits;
}

}  // namespace arm_vcpu
