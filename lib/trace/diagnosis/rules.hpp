// SPDX-License-Identifier: Apache-2.0
// The rules. Each looks at what it knows and adds a diagnosis, or nothing.
#pragma once

#include "arm_vcpu/trace/diagnosis.hpp"
#include "report.hpp"

namespace arm_vcpu::diag {

// rules_loops.cpp: AV0002, AV0032 (a guest that stopped in its vector).
void check_loops(const CapturedState& state, DiagnosisList& out) noexcept;

// rules_memory.cpp: AV0003, AV0005 to AV0010, AV0034, AV0036.
void explain(const CapturedState& state, const trigger::MmioFailure& why, DiagnosisList& out) noexcept;
void explain(const CapturedState& state, const trigger::StageTwoFault& why, DiagnosisList& out) noexcept;
void explain(const CapturedState& state, const trigger::FailedEntry& why, DiagnosisList& out) noexcept;

// rules_calls.cpp: AV0004, AV0015, AV0026, AV0027.
void explain(const CapturedState& state, const trigger::Call& why, DiagnosisList& out) noexcept;
void check_call_advance(const CapturedState& state, DiagnosisList& out) noexcept;
void check_cpu_on_records(const CapturedState& state, DiagnosisList& out) noexcept;

// rules_guest.cpp: AV0014, AV0016 to AV0019, AV0032, AV0035; AV0012.
void explain(const CapturedState& state, const trigger::UndefinedInjected& why, DiagnosisList& out) noexcept;
void explain(const CapturedState& state, const trigger::CompletedRead& why, DiagnosisList& out) noexcept;
void check_guest_exception(const CapturedState& state, DiagnosisList& out) noexcept;

// rules_interrupts.cpp: AV0022 to AV0025, AV0029, AV0033.
void check_interrupts(const CapturedState& state, DiagnosisList& out) noexcept;

// rules_hypervisor.cpp: AV0001, AV0014, AV0020, AV0021, AV0028, AV0030, AV0031.
void explain(const CapturedState& state, const trigger::StartUpError& why, DiagnosisList& out) noexcept;
void explain(const CapturedState& state, const trigger::HypervisorCrash& why, DiagnosisList& out) noexcept;
void explain(const CapturedState& state, const trigger::StuckLock& why, DiagnosisList& out) noexcept;
void explain(const CapturedState& state, const trigger::UncleanReset& why, DiagnosisList& out) noexcept;
void explain_serror(const CapturedState& state, Esr esr, DiagnosisList& out) noexcept;

// AV0001 in figures: what was asked, what the CPU offers, what is legal.
void add_hardware_figures(Report& report, const CapturedState& state) noexcept;

// --- what several rules say -----------------------------------------------------------------------------------------

// The record is of this state's vCPU.
[[nodiscard]] constexpr bool is_ours(const CapturedState& state, const trace::Record& record) noexcept {
  return record.vm == state.vm && record.vcpu == state.vcpu;
}

// "data abort from a lower Exception level, translation fault, level 3"; of a reserved class its number.
void append_syndrome(TextBuffer& out, Esr esr) noexcept;
struct Syndrome : Words<128> {
  explicit Syndrome(Esr esr) noexcept { append_syndrome(out(), esr); }
};

// The rows "stage 1" and "stage 2" for an access.
void add_walks(Report& report, const CapturedState& state, std::optional<std::uint64_t> va,
               std::optional<std::uint64_t> ipa) noexcept;

// The row "instruction" for the one at `va`, when it can be read.
std::optional<std::uint32_t> add_instruction(Report& report, const CapturedState& state, std::uint64_t va) noexcept;

// Return addresses of the guest from x29, innermost first.
void add_guest_backtrace(Report& report, const CapturedState& state, unsigned most) noexcept;

// An exception that EL1 takes from itself because something is broken. Not SVC, breakpoints or FP traps: those are
// legal, however often they come.
[[nodiscard]] constexpr bool is_own_fault(Ec ec) noexcept {
  return ec == Ec::unknown || ec == Ec::branch_target || ec == Ec::illegal_state || ec == Ec::pauth_fail ||
         ec == Ec::instruction_abort_same || ec == Ec::data_abort_same || ec == Ec::pc_alignment ||
         ec == Ec::sp_alignment;
}

inline constexpr std::uint64_t kVectorTableBytes = 0x800;
inline constexpr std::uint64_t kVectorSlotBytes = 0x80;

[[nodiscard]] constexpr bool in_vectors(std::uint64_t pc, std::uint64_t vbar) noexcept {
  return pc - (vbar & ~(kVectorTableBytes - 1)) < kVectorTableBytes;
}
// The vectors for synchronous exceptions: of the current Exception level with SP_EL0 or SP_ELx; with `lower`, also of a
// lower one. [armarm] "Exception vectors"
[[nodiscard]] constexpr bool in_sync_slot(std::uint64_t pc, std::uint64_t vbar, bool lower) noexcept {
  if (!in_vectors(pc, vbar)) return false;
  const std::uint64_t slot = (pc & (kVectorTableBytes - 1)) / kVectorSlotBytes;
  return slot % 4 == 0 && (lower || slot < 8);
}

}  // namespace arm_vcpu::diag
