// SPDX-License-Identifier: Apache-2.0
// Which function a synchronous exit is for. It only jumps there: compiled without frame pointers, so that no frame is
// made and undone on the way of every exit.
#include "vcpu/exit_path.hpp"
#include "vcpu/rare_exits.hpp"

namespace arm_vcpu {

bool handle_exception_sync(Aarch64VCpu& vcpu) noexcept {
  const Ec ec = ExitPath::exit(vcpu).esr.get<Esr::EC>();
  if (ec == Ec::data_abort_lower) [[likely]] {
    return handle_data_abort(vcpu);
  }
  switch (ec) {
    case Ec::hvc64: return handle_hvc64_exception(vcpu);
    case Ec::sysreg: return handle_system_register(vcpu);
    case Ec::wfx: return handle_wfx(vcpu);
    case Ec::smc64: return handle_smc64_exception(vcpu);
    case Ec::instruction_abort_lower: return handle_instruction_abort(vcpu);
    case Ec::fp_access: return handle_fp_access(vcpu);
    case Ec::sve: return ExitPath::has_sve(vcpu) ? handle_fp_access(vcpu) : refuse(vcpu);
    case Ec::cp15_mcr_mrc:
    case Ec::cp15_mcrr_mrrc: return handle_aarch32_register(vcpu);
    // Features that the ID registers hide: the instruction is UNDEFINED.
    case Ec::sme:
    case Ec::ls64:
    case Ec::cp14_mcr_mrc:
    case Ec::cp14_ldc_stc:
    case Ec::cp14_mrrc:
    case Ec::vmrs: return refuse(vcpu);
    default: ExitPath::count_unexpected(vcpu); return refuse(vcpu);
  }
}

}  // namespace arm_vcpu
