// SPDX-License-Identifier: Apache-2.0
// A vCPU's self-hosted debug registers: breakpoints, watchpoints, single step, OS Lock. Every access of the guest
// traps, so what is here is always the guest's view, and nothing has to be read back; the CPU's own registers are
// loaded only while the guest has debugging enabled. [armarm] "AArch64 Self-hosted Debug"
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "arm_vcpu/arch/debug.hpp"
#include "arm_vcpu/arch/registers.hpp"
#include "arm_vcpu/arch/sysreg_id.hpp"

namespace arm_vcpu {

class DebugRegisters {
 public:
  static constexpr unsigned kMaxComparators = 16;

  // Of breakpoint or watchpoint n: DBGBVR<n>_EL1 and DBGBCR<n>_EL1, DBGWVR<n>_EL1 and DBGWCR<n>_EL1.
  struct Comparator {
    std::uint64_t value{};
    std::uint64_t control{};
  };

  // As many breakpoints and watchpoints as `shown`, the guest's ID_AA64DFR0_EL1, says; then as reset().
  void configure(IdAa64Dfr0 shown) noexcept;

  // The values of a cold reset. Those that the architecture leaves UNKNOWN are 0, so that no other vCPU shows through.
  void reset() noexcept;

  // MRS. Empty: UNDEFINED.
  [[nodiscard]] std::optional<std::uint64_t> read(SysRegId id) const noexcept;

  // MSR. False: UNDEFINED.
  [[nodiscard]] bool write(SysRegId id, std::uint64_t value) noexcept;

  // Whether debug exceptions can occur, so that the CPU's registers must be this vCPU's while it runs.
  [[nodiscard]] bool in_use() const noexcept { return (mdscr_ & kEnables) != 0 && !is_locked(); }

  // The guest's software steps are on.
  [[nodiscard]] bool steps() const noexcept { return in_use() && Mdscr::from(mdscr_).get<Mdscr::SS>(); }

  // For the CPU: MDSCR_EL1 without the enables while nothing is loaded.
  [[nodiscard]] std::uint64_t hardware_mdscr() const noexcept {
    const std::uint64_t controls = mdscr_ & Mdscr::kSelfHosted;
    return in_use() ? controls : controls & ~kEnables;
  }
  [[nodiscard]] unsigned breakpoints() const noexcept { return breakpoints_; }
  [[nodiscard]] unsigned watchpoints() const noexcept { return watchpoints_; }
  [[nodiscard]] Comparator hardware_breakpoint(unsigned n) const noexcept;
  [[nodiscard]] Comparator hardware_watchpoint(unsigned n) const noexcept { return watchpoint_[n]; }

 private:
  static constexpr std::uint64_t kEnables = Mdscr::SS::kMask | Mdscr::MDE::kMask;

  [[nodiscard]] bool is_locked() const noexcept;
  // The word that an access to one of the comparators' registers means; null: it means none, or one not implemented.
  [[nodiscard]] std::uint64_t* comparator_word(SysRegId id) noexcept;

  std::uint64_t mdscr_{};
  std::uint64_t mdccint_{};
  std::array<Comparator, kMaxComparators> breakpoint_{};
  std::array<Comparator, kMaxComparators> watchpoint_{};
  std::uint8_t claim_tags_{};
  std::uint8_t breakpoints_{};
  std::uint8_t watchpoints_{};
  bool comparators_written_{};
  bool os_lock_{};
  bool double_lock_{};
  bool no_powerdown_request_{};
  bool has_double_lock_{};
};

}  // namespace arm_vcpu
