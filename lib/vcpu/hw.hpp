// SPDX-License-Identifier: Apache-2.0
// The seam between the vCPU's logic and A64: link-time symbols. lib/el2 defines them with instructions, the host tests
// with a fake that records the calls.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "arm_vcpu/arch/sysreg_id.hpp"
#include "arm_vcpu/result.hpp"
#include "arm_vcpu/vcpu.hpp"
#include "vcpu/exception_entry.hpp"

namespace arm_vcpu::hw {

// EL2 of this CPU before, and after, the library uses it.
struct HostRegisters {
  std::uint64_t vbar_el2{};
  std::uint64_t hcr_el2{};
  std::uint64_t cptr_el2{};
  std::uint64_t mdcr_el2{};
  bool os_lock{};  // OSLSR_EL1.OSLK
};
[[nodiscard]] HostRegisters save_host() noexcept;
// Vectors; trap controls the library does not use off; OS Lock unlocked; performance monitors idle; with ISB.
void take_el2(Vectors vectors) noexcept;
void use_vectors(Vectors vectors) noexcept;             // from the next ERET on
void restore_host(const HostRegisters& host) noexcept;  // with ISB
// HCR_EL2, CPTR_EL2, MDCR_EL2 of the host again, with ISB: the vCPU's traps end.
void restore_host_traps(std::uint64_t hcr, std::uint64_t cptr, std::uint64_t mdcr) noexcept;

// Runs the guest, and those that it hands over to, until vmexit_handler() returns null.
extern "C" void arm_vcpu_enter_guest(VCpuContext* context) noexcept;

// True: EL2 signs its return addresses (SCTLR_EL2.EnIA), so that the IA key is switched at every exit.
[[nodiscard]] bool host_uses_ia_key() noexcept;
void read_ia_key(std::uint64_t (&key)[2]) noexcept;

// Acknowledges the highest-priority physical interrupt: ICC_IAR1_EL1, or ICC_IAR0_EL1 for an FIQ; of a GICv2 GICC_IAR.
[[nodiscard]] std::uint32_t acknowledge_interrupt(bool group0) noexcept;

// Live EL1 registers of the bound vCPU.
#ifdef __aarch64__
[[nodiscard]] inline SctlrEl1 read_sctlr_el1() noexcept {
  std::uint64_t value;
  __asm__ volatile("mrs %0, sctlr_el1" : "=r"(value));
  return SctlrEl1::from(value);
}
#else
[[nodiscard]] SctlrEl1 read_sctlr_el1() noexcept;
#endif
[[nodiscard]] El1State read_el1_state() noexcept;
void write_el1_entry(const El1Entry& entry, Esr esr, std::optional<std::uint64_t> far) noexcept;
void pend_serror() noexcept;  // HCR_EL2.VSE

// The registers whose writes HCR_EL2.TVM traps, and which are the guest's own. write_memory_register() needs one of
// them.
void trap_memory_registers(bool trap) noexcept;
[[nodiscard]] bool is_memory_register(SysRegId id) noexcept;
void write_memory_register(SysRegId id, std::uint64_t value) noexcept;

// The IPA that the guest's stage 1 gives for `va`, by AT S1E<n>{R,W}; empty when that walk itself faults. PAR_EL1 of
// the guest is kept.
[[nodiscard]] std::optional<std::uint64_t> translate_stage1(std::uint64_t va, bool is_el0, bool is_write) noexcept;

// A data address of the guest. `pan`: EL1 does not reach what EL0 reaches.
struct GuestAccess {
  std::uint64_t va{};
  bool is_el0{};
  bool is_write{};
  bool pan{};
};
// Where it leads, by the guest's stage 1 and its stage 2 as they are now. PAR_EL1 of the guest is kept.
struct GuestPlace {
  enum class Kind : std::uint8_t {
    memory,    // `address` is physical, and EL2 has it mapped there
    unmapped,  // `address` is the IPA; stage 2 refuses the access
    fault,     // the guest's own stage 1 refuses it, with `fsc`
    walk,      // the walk of the guest's stage 1 is refused by stage 2
    hidden,    // memory that EL2 does not map, or a question that this CPU cannot answer
  };
  Kind kind{};
  bool cached{};  // memory: the guest's attributes are write-back, as EL2's are
  bool device{};  // unmapped: the guest's stage 1 makes it Device memory
  Fsc fsc{};
  std::uint64_t address{};
};
[[nodiscard]] GuestPlace locate(const GuestAccess& access) noexcept;
// Memory of the guest. The access is naturally aligned or made byte by byte.
[[nodiscard]] std::uint64_t read_guest(const GuestPlace& place, AccessWidth width) noexcept;
void write_guest(const GuestPlace& place, AccessWidth width, std::uint64_t value) noexcept;
// The instruction at `va`; empty when it is not mapped (any more).
[[nodiscard]] std::optional<std::uint32_t> fetch_guest(std::uint64_t va) noexcept;

// Drops what this CPU's TLBs hold of the bound vCPU's VM, both stages.
void flush_guest_tlb() noexcept;

// Stack pointers of the bound vCPU. SP_EL0 is live in the exit handlers only: run() saves and loads it.
#ifdef __aarch64__
[[nodiscard]] inline std::uint64_t read_sp_el0() noexcept {
  std::uint64_t value;
  __asm__ volatile("mrs %0, sp_el0" : "=r"(value));
  return value;
}
inline void write_sp_el0(std::uint64_t value) noexcept {
  __asm__ volatile("msr sp_el0, %0" : : "r"(value));
}
#else
[[nodiscard]] std::uint64_t read_sp_el0() noexcept;
void write_sp_el0(std::uint64_t value) noexcept;
#endif
[[nodiscard]] std::uint64_t read_sp_el1() noexcept;
void write_sp_el1(std::uint64_t value) noexcept;

// DCZID_EL0.BS in bytes: what DC ZVA zeroes.
[[nodiscard]] std::uint64_t zero_block_bytes() noexcept;
[[nodiscard]] std::uint64_t read_tcr_el1() noexcept;  // of the bound vCPU
// TCR_EL1.HD of the bound vCPU: the CPU notes in the guest's tables what has been written.
[[nodiscard]] bool guest_tracks_writes() noexcept;

// One V register of the vCPU whose FP registers this CPU holds: low and high half. Writing clears what SVE has above.
[[nodiscard]] std::array<std::uint64_t, 2> read_vector(unsigned n) noexcept;
void write_vector(unsigned n, const std::array<std::uint64_t, 2>& value) noexcept;

// FP/SIMD and SVE registers, which the host never uses. open_vectors() lets EL2 touch them, with SVE if asked for, at
// once (ISB); it returns CPTR_EL2 as it was. close_vectors() writes CPTR_EL2; the ERET, or the next ISB, completes it.
[[nodiscard]] std::uint64_t open_vectors(bool sve) noexcept;
void close_vectors(std::uint64_t cptr_el2) noexcept;
void save_fp(FpSimdState& state) noexcept;
void load_fp(const FpSimdState& state) noexcept;
// ZCR_EL2 says how long the vectors are: load_sve() sets it to `zcr_el2`, and so it stays until the next load.
void save_sve(SveState& sve, FpSimdState& fp) noexcept;
void load_sve(const SveState& sve, const FpSimdState& fp, std::uint64_t zcr_el2) noexcept;
// As Aarch64PerCpu::sve_lengths(). What vectors hold is lost. Only with FEAT_SVE.
[[nodiscard]] std::uint32_t probe_sve_lengths() noexcept;

// Breakpoints and watchpoints of a bound vCPU. They take effect with MDSCR_EL1 and the next ERET.
void load_debug(const DebugRegisters& debug) noexcept;
void write_mdscr(std::uint64_t value) noexcept;

// Performance monitors: the cycle counter and `counters` event counters. idle_pmu(), and save_pmu() in the end, leave
// them stopped, their interrupt off; load_pmu() finds them so. write_mdcr() takes effect at the next ERET.
void idle_pmu(unsigned counters) noexcept;
void load_pmu(const PmuState& state, unsigned counters) noexcept;
void save_pmu(PmuState& state, unsigned counters) noexcept;
void write_mdcr(std::uint64_t value) noexcept;

// SMC #0 with X0 to X17, which then hold what the firmware answered.
using FirmwareRegisters = std::array<std::uint64_t, 18>;
void call_firmware(FirmwareRegisters& x) noexcept;

// An EntropyReader.
[[nodiscard]] bool read_entropy(EntropySource source, unsigned bits, EntropyWords& words) noexcept;

// CNTPCT_EL0, without a barrier: the recorder wants it cheap, and a few instructions early does no harm.
#ifdef __aarch64__
[[nodiscard]] inline std::uint64_t counter_ticks() noexcept {
  std::uint64_t ticks;
  __asm__ volatile("mrs %0, cntpct_el0" : "=r"(ticks));
  return ticks;
}
#else
[[nodiscard]] std::uint64_t counter_ticks() noexcept;
#endif

[[nodiscard]] std::uint64_t read_id_register(SysRegId id) noexcept;

// Errors: out_of_slots.
[[nodiscard]] Result<> pend_in_list_register(std::uint32_t intid) noexcept;

}  // namespace arm_vcpu::hw
