// SPDX-License-Identifier: Apache-2.0
// The guest's system registers while the vCPU is not on a CPU, and what the hypervisor programs for it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace arm_vcpu {

class TextBuffer;

enum class SysRegGroup : std::uint8_t { control, el1, cntp, pauth, pauth_ia, scxtnum, tpidr2, mte };

// Which of the optional groups are switched.
class GuestRegisterGroups {
 public:
  [[nodiscard]] constexpr GuestRegisterGroups with(SysRegGroup group, bool is_switched = true) const noexcept {
    GuestRegisterGroups other = *this;
    const auto bit = static_cast<std::uint8_t>(1U << static_cast<unsigned>(group));
    other.bits_ = static_cast<std::uint8_t>(is_switched ? bits_ | bit : bits_ & ~bit);
    return other;
  }
  [[nodiscard]] constexpr bool has(SysRegGroup group) const noexcept {
    return (bits_ >> static_cast<unsigned>(group) & 1) != 0;
  }
  friend constexpr bool operator==(GuestRegisterGroups, GuestRegisterGroups) noexcept = default;

 private:
  std::uint8_t bits_{};
};

struct GuestSystemRegisters {
#define VCPU_GUEST_SYSREG(name, access, group) std::uint64_t name{};
#include "arm_vcpu/guest_sysregs.def"
#undef VCPU_GUEST_SYSREG

  // Reads the guest's own registers from this CPU into here, and of the control registers HCR_EL2.VSE: whether a
  // virtual SError is still pending. EL2 only.
  void store(GuestRegisterGroups groups) noexcept;

  // Writes them, and the control registers, to this CPU. EL2 only. The caller's ISB, or the ERET that enters the guest,
  // makes them take effect.
  void restore(GuestRegisterGroups groups) const noexcept;
};

// store() of `from`, and restore() of `to` on the same CPU. The timers of `from` are off before those of `to` are
// written: nothing fires in between.
void exchange(GuestSystemRegisters& from, GuestRegisterGroups from_groups, const GuestSystemRegisters& to,
              GuestRegisterGroups to_groups) noexcept;

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
