// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/guest_system_registers.hpp"

#include "arm_vcpu/text.hpp"

namespace arm_vcpu {
namespace {

constexpr GuestSysRegInfo kTable[] = {
#define VCPU_GUEST_SYSREG(name, access, group) {#name, &GuestSystemRegisters::name, SysRegGroup::group},
#include "arm_vcpu/guest_sysregs.def"
#undef VCPU_GUEST_SYSREG
};

}  // namespace

std::span<const GuestSysRegInfo> guest_sysreg_table() noexcept {
  return kTable;
}

void append(TextBuffer& out, const GuestSystemRegisters& registers) noexcept {
  for (const GuestSysRegInfo& row : kTable) {
    format_to(out, "{} {:016x}\n", row.name, registers.*row.member);
  }
}

}  // namespace arm_vcpu
