// SPDX-License-Identifier: Apache-2.0
// The guest's system registers while the vCPU is not on a CPU, and what the hypervisor programs for it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace arm_vcpu {

class TextBuffer;

// Which of the optional groups are switched.
struct GuestRegisterGroups {
  bool cntp{};
  bool pauth{};
  bool scxtnum{};
  bool tpidr2{};
  bool mte{};
};

struct GuestSystemRegisters {
#define VCPU_GUEST_SYSREG(name, access, group) std::uint64_t name{};
#include "arm_vcpu/guest_sysregs.def"
#undef VCPU_GUEST_SYSREG

  // Reads the guest's own registers (not the control registers, not the IA key) from this CPU into here. EL2 only.
  void store(const GuestRegisterGroups& has) noexcept;

  // Writes all but the IA key to this CPU. EL2 only. The caller's ISB, or the ERET that enters the guest, makes them
  // take effect.
  void restore(const GuestRegisterGroups& has) const noexcept;
};

enum class SysRegGroup : std::uint8_t { control, el1, cntp, pauth, pauth_ia, scxtnum, tpidr2, mte };

// One row of the table, for dumps, debuggers and tools.
struct GuestSysRegInfo {
  std::string_view name;
  std::uint64_t GuestSystemRegisters::* member;
  SysRegGroup group;
};

[[nodiscard]] std::span<const GuestSysRegInfo> guest_sysreg_table() noexcept;

// One "name value" pair a line.
void append(TextBuffer& out, const GuestSystemRegisters& registers) noexcept;

}  // namespace arm_vcpu
