// SPDX-License-Identifier: Apache-2.0
// What an exit means, from the latched frame alone: no system register is read, nothing is logged, no state is kept.
// The hypervisor, the tools and the tests call the same functions.
#pragma once

#include <cstdint>

#include "arm_vcpu/arch/sysreg_id.hpp"
#include "arm_vcpu/exit_reason.hpp"
#include "arm_vcpu/trap_frame.hpp"

namespace arm_vcpu {

// What becomes of an abort that was taken to EL2, by its fault status. [armarm] "Memory aborts"
enum class AbortOutcome : std::uint8_t {
  guests_own,   // the guest's access caused it, whatever is mapped: it gets the same abort
  stage_2,      // stage 2 refused an access or a table walk: emulated, or an exit
  flush,        // a TLB held two entries for one address: all of the VM's are dropped, and the guest tries again
  unexplained,  // nothing that a guest does causes it: FailEntry
};
[[nodiscard]] constexpr AbortOutcome abort_outcome(FaultKind kind) noexcept {
  switch (kind) {
    case FaultKind::external_abort:
    case FaultKind::parity:
    case FaultKind::alignment:
    case FaultKind::tag_check:
    case FaultKind::unsupported_hw_update:
    case FaultKind::implementation_defined: return AbortOutcome::guests_own;
    case FaultKind::address_size:
    case FaultKind::translation:
    case FaultKind::access_flag:
    case FaultKind::permission: return AbortOutcome::stage_2;
    case FaultKind::tlb_conflict: return AbortOutcome::flush;
    case FaultKind::granule_protection:
    case FaultKind::reserved: break;
  }
  return AbortOutcome::unexplained;
}

// A data abort from a lower Exception level at `ipa`. MmioRead or MmioWrite when the syndrome describes the access
// (ISV); NestedPageFault when it does not; FailEntry for faults that no access of the guest explains (TLB conflict,
// parity, reserved codes).
[[nodiscard]] AxVCpuExitReason decode_data_abort(const ExitFrame& exit, std::uint64_t ipa) noexcept;

// An instruction abort from a lower Exception level at `ipa`: NestedPageFault or FailEntry, as above.
[[nodiscard]] AxVCpuExitReason decode_instruction_abort(const ExitFrame& exit, std::uint64_t ipa) noexcept;

// HPFAR_EL2 holds the IPA of translation, access flag and address size faults and of every fault on a stage-1 walk; for
// other permission faults it is UNKNOWN. [armarm] "HPFAR_EL2, Hypervisor IPA Fault Address Register"
[[nodiscard]] bool hpfar_is_valid(Fsc fsc, bool on_table_walk) noexcept;

// A trapped MSR or MRS (EC 0x18): SysRegRead or SysRegWrite.
[[nodiscard]] AxVCpuExitReason decode_system_register(const ExitFrame& exit) noexcept;

// True for the three registers that generate SGIs.
[[nodiscard]] constexpr bool is_sgi_register(SysRegId id) noexcept {
  return id == sysreg::ICC_SGI1R_EL1 || id == sysreg::ICC_SGI0R_EL1 || id == sysreg::ICC_ASGI1R_EL1;
}

// The SGI that writing `value` to `id`, one of the three, asks for. `self` is the sender's MPIDR_EL1.
[[nodiscard]] AxVCpuExitReason::SendIPI decode_sgi(SysRegId id, std::uint64_t value, std::uint64_t self) noexcept;

}  // namespace arm_vcpu
