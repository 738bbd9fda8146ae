// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/arch/sysreg_id.hpp"

#include "arm_vcpu/text.hpp"

namespace arm_vcpu {

std::string_view name_of(SysRegId id) noexcept {
  // A switch, so that two names of one encoding do not compile.
  switch (id.iss()) {
#define VCPU_SYSREG(name, op0, op1, crn, crm, op2) \
  case sysreg::name.iss(): return #name;
#define VCPU_SYSINSN(mnemonic, operand, op0, op1, crn, crm, op2) \
  case sysreg::mnemonic##_##operand.iss(): return #mnemonic " " #operand;
#include "arm_vcpu/arch/sysreg_names.def"
#undef VCPU_SYSREG
#undef VCPU_SYSINSN
    default: return {};
  }
}

void append(TextBuffer& out, SysRegId id) noexcept {
  if (const std::string_view name = name_of(id); !name.empty()) {
    out.put(name);
    return;
  }
  format_to(out, "S{}_{}_C{}_C{}_{}", id.op0(), id.op1(), id.crn(), id.crm(), id.op2());
}

}  // namespace arm_vcpu
