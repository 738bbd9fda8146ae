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
  bool cntp : 1 {};
  bool pauth : 1 {};
  bool scxtnum : 1 {};
  bool tpidr2 : 1 {};
  bool mte : 1 {};
  std::uint8_t unused : 3 {};

  friend constexpr bool operator==(const GuestRegisterGroups&, const GuestRegisterGroups&) noexcept = default;
};

struct GuestSystemRegisters {
#define VCPU_GUEST_SYSREG(name, access, group) std::uint64_t name{};
#include "arm_vcpu/guest_sysregs.def"
#undef VCPU_GUEST_SYSREG

  // Reads the guest's own registers from this CPU into here: not the IA key, and of the control registers only
  // HCR_EL2.VSE, whether a virtual SError is still pending. EL2 only.
  void store(const GuestRegisterGroups& has) noexcept;

  // Writes all but the IA key to this CPU. EL2 only. The caller's ISB, or the ERET that enters the guest, makes them
  // take effect.
  void restore(const GuestRegisterGroups& has) const noexcept;
};

// store() of `from`, and restore() of `to` on the same CPU. The timers of `from` are off before those of `to` are
// written: nothing fires in between.
void exchange(GuestSystemRegisters& from, const GuestRegisterGroups& from_has, const GuestSystemRegisters& to,
              const GuestRegisterGroups& to_has) noexcept;

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
