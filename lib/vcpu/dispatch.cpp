// SPDX-License-Identifier: Apache-2.0
// Which function a synchronous exit is for, and what a wait is. The one jumps, the other calls nobody: compiled without
// frame pointers, so that no frame is made and undone on the way of every exit.
#include "vcpu/exit_path.hpp"
#include "vcpu/rare_exits.hpp"

namespace arm_vcpu {

[[gnu::noinline]] bool leave_with_wait(Aarch64VCpu& vcpu) noexcept {
  const ExitFrame& exit = ExitPath::exit(vcpu);
  const WfxIss iss = WfxIss::from(exit.esr.get<Esr::ISS>());
  ExitPath::advance(vcpu);  // a wait that ends at once is a legal wait
  AxVCpuExitReason::Halt halt{.is_wfe = (iss.get<WfxIss::TI>() & 1) != 0};
  if ((iss.get<WfxIss::TI>() & 2) != 0) {
    if (!iss.get<WfxIss::RV>()) {
      return true;  // the syndrome does not say until when
    }
    halt.has_deadline = true;
    halt.deadline = exit.frame.gpr(iss.get<WfxIss::RN>()) + ExitPath::config(vcpu).cntvoff_el2;
  }
  return ExitPath::leave(vcpu, halt);
}

bool handle_exception_sync(Aarch64VCpu& vcpu) noexcept {
  const Ec ec = ExitPath::exit(vcpu).esr.get<Esr::EC>();
  if (ec == Ec::data_abort_lower) [[likely]] {
    return handle_data_abort(vcpu);
  }
  if (ec == Ec::wfx) [[likely]] {
    return ExitPath::exit(vcpu).frame.spsr.get<Spsr::nRW>() ? handle_aarch32_wait(vcpu) : leave_with_wait(vcpu);
  }
  switch (ec) {
    case Ec::hvc64: return handle_hvc64_exception(vcpu);
    case Ec::sysreg: return handle_system_register(vcpu);
    case Ec::smc64: return handle_smc64_exception(vcpu);
    case Ec::instruction_abort_lower: return handle_instruction_abort(vcpu);
    case Ec::fp_access: ExitPath::claim_fp(vcpu); return true;
    default: return handle_other_class(vcpu, ec);
  }
}

}  // namespace arm_vcpu
