// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/debug_registers.hpp"

namespace arm_vcpu {
namespace {

// op2 of the registers of one comparator; CRm is its number.
constexpr unsigned kBreakpointValue = 4;
constexpr unsigned kWatchpointControl = 7;

constexpr bool is_comparator(SysRegId id) noexcept {
  return id.op0() == 2 && id.op1() == 0 && id.crn() == 0 && id.op2() >= kBreakpointValue;
}

constexpr std::uint8_t kAllClaimTags = 0xFF;

}  // namespace

void DebugRegisters::configure(IdAa64Dfr0 shown) noexcept {
  breakpoints_ = static_cast<std::uint8_t>(shown.get<IdAa64Dfr0::BRPs>() + 1);
  watchpoints_ = static_cast<std::uint8_t>(shown.get<IdAa64Dfr0::WRPs>() + 1);
  has_double_lock_ = shown.get<IdAa64Dfr0::DoubleLock>() == 0;
  reset();
}

void DebugRegisters::reset() noexcept {
  mdscr_ = 0;
  mdccint_ = 0;
  if (comparators_written_) {  // most guests never do; half a kilobyte
    breakpoint_ = {};
    watchpoint_ = {};
    comparators_written_ = false;
  }
  claim_tags_ = 0;
  os_lock_ = true;
  double_lock_ = false;
  no_powerdown_request_ = false;
}

// [armarm] "Debug exception enabling": either lock disables all debug exceptions but the breakpoint instruction's.
bool DebugRegisters::is_locked() const noexcept {
  return os_lock_ || (double_lock_ && !no_powerdown_request_);
}

std::uint64_t* DebugRegisters::comparator_word(SysRegId id) noexcept {
  const unsigned n = id.crm();
  const bool is_watchpoint = id.op2() >= kWatchpointControl - 1;
  if (n >= (is_watchpoint ? watchpoints_ : breakpoints_)) {
    return nullptr;
  }
  Comparator& comparator = is_watchpoint ? watchpoint_[n] : breakpoint_[n];
  return id.op2() % 2 == 0 ? &comparator.value : &comparator.control;
}

// Breakpoint types from 8 on compare VMIDR and CONTEXTIDR_EL2: what EL2 is to the guest, which has none. They are
// reserved for it, and a reserved type may be treated as disabled. [armarm] "Reserved DBGBCR<n>_EL1.BT values"
DebugRegisters::Comparator DebugRegisters::hardware_breakpoint(unsigned n) const noexcept {
  const Comparator& breakpoint = breakpoint_[n];
  return Dbgbcr::from(breakpoint.control).get<Dbgbcr::BT>() >= 8 ? Comparator{} : breakpoint;
}

std::optional<std::uint64_t> DebugRegisters::read(SysRegId id) const noexcept {
  if (is_comparator(id)) {
    const std::uint64_t* word = const_cast<DebugRegisters*>(this)->comparator_word(id);
    return word != nullptr ? std::optional{*word} : std::nullopt;
  }
  switch (id.iss()) {
    case sysreg::MDSCR_EL1.iss(): return mdscr_;
    case sysreg::MDCCINT_EL1.iss(): return mdccint_;
    case sysreg::OSLSR_EL1.iss(): return Oslsr::from(Oslsr::kImplemented).with<Oslsr::OSLK>(os_lock_).raw;
    case sysreg::OSDLR_EL1.iss(): return Osdlr{}.with<Osdlr::DLK>(double_lock_).raw;
    case sysreg::DBGPRCR_EL1.iss(): return Dbgprcr{}.with<Dbgprcr::CORENPDRQ>(no_powerdown_request_).raw;
    case sysreg::DBGCLAIMSET_EL1.iss(): return kAllClaimTags;  // reads as the tags that exist
    case sysreg::DBGCLAIMCLR_EL1.iss(): return claim_tags_;
    case sysreg::DBGAUTHSTATUS_EL1.iss():
      return Dbgauthstatus{}
          .with<Dbgauthstatus::NSID>(Dbgauthstatus::kDisabled)
          .with<Dbgauthstatus::NSNID>(Dbgauthstatus::kDisabled)
          .raw;
    // No debug ROM table, and no external debugger at the other end of the communications channel: nothing comes, and
    // what is sent is gone at once.
    case sysreg::MDRAR_EL1.iss():
    case sysreg::OSDTRRX_EL1.iss():
    case sysreg::OSDTRTX_EL1.iss():
    case sysreg::OSECCR_EL1.iss():
    case sysreg::MDCCSR_EL0.iss():
    case sysreg::DBGDTR_EL0.iss():
    case sysreg::DBGDTRRX_EL0.iss(): return 0;
    default: return std::nullopt;
  }
}

bool DebugRegisters::write(SysRegId id, std::uint64_t value) noexcept {
  if (is_comparator(id)) {
    std::uint64_t* word = comparator_word(id);
    if (word == nullptr) {
      return false;
    }
    switch (id.op2()) {
      case kBreakpointValue + 1: value &= Dbgbcr::kDefined; break;
      case kWatchpointControl: value &= Dbgwcr::kDefined; break;
      default: break;
    }
    *word = value;
    comparators_written_ = true;
    return true;
  }
  switch (id.iss()) {
    case sysreg::MDSCR_EL1.iss(): {
      const std::uint64_t writable = Mdscr::kSelfHosted | (os_lock_ ? Mdscr::kExternal : 0);
      mdscr_ = (mdscr_ & ~writable) | (value & writable);
      return true;
    }
    case sysreg::MDCCINT_EL1.iss(): mdccint_ = value & (Mdccint::TX::kMask | Mdccint::RX::kMask); return true;
    case sysreg::OSLAR_EL1.iss(): os_lock_ = Oslar::from(value).get<Oslar::OSLK>(); return true;
    case sysreg::OSDLR_EL1.iss(): double_lock_ = has_double_lock_ && Osdlr::from(value).get<Osdlr::DLK>(); return true;
    case sysreg::DBGPRCR_EL1.iss(): no_powerdown_request_ = Dbgprcr::from(value).get<Dbgprcr::CORENPDRQ>(); return true;
    case sysreg::DBGCLAIMSET_EL1.iss(): claim_tags_ = static_cast<std::uint8_t>(claim_tags_ | value); return true;
    case sysreg::DBGCLAIMCLR_EL1.iss(): claim_tags_ = static_cast<std::uint8_t>(claim_tags_ & ~value); return true;
    case sysreg::OSDTRRX_EL1.iss():
    case sysreg::OSDTRTX_EL1.iss():
    case sysreg::OSECCR_EL1.iss():
    case sysreg::DBGDTR_EL0.iss():
    case sysreg::DBGDTRRX_EL0.iss(): return true;  // DBGDTRTX_EL0, when written
    default: return false;
  }
}

}  // namespace arm_vcpu
