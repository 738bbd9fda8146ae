// SPDX-License-Identifier: Apache-2.0
// PSCI 1.1 and SMCCC 1.3 as one state machine, the same for HVC and SMC. [psci] "Arm Power State Coordination
// Interface"; [smccc] "SMC Calling Convention". It works on values and on the atomics of a PowerDomain: no registers.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "arm_vcpu/arch/smccc.hpp"
#include "arm_vcpu/exit_reason.hpp"

namespace arm_vcpu {

// What the guest is offered: PSCI 1.1, SMCCC 1.3.
inline constexpr unsigned kPsciMajor = 1;
inline constexpr unsigned kPsciMinor = 1;
inline constexpr std::uint32_t kPsciVersion = interface_version(kPsciMajor, kPsciMinor);
// 1.2: calls keep x4 to x17; 1.3: the SVE hint in bit 16 of a function ID selects nothing.
inline constexpr std::uint32_t kSmcccVersion = interface_version(1, 3);

// Aff3 in bits 39:32, Aff2 to Aff0 in bits 23:0. Bit 31 of MPIDR_EL1 is RES1 there and must be 0 in a PSCI argument.
inline constexpr std::uint64_t kPsciAffinityMask = 0xFF'00FF'FFFF;

enum class PowerState : std::uint32_t {
  off,
  claimed,     // a CPU_ON has won, and writes entry and context_id; seen from outside it is on_pending
  on_pending,  // entry and context_id are valid; the CPU has not started
  on,
};

// One vCPU. Storage of the caller, written by PowerDomain only, once it is handed over.
struct PowerSlot {
  std::uint64_t mpidr{};  // affinity fields
  std::atomic<PowerState> state{PowerState::off};
  std::uint64_t entry{};       // IPA
  std::uint64_t context_id{};  // x0 at the entry
};

// Half-open: [base, end). Intermediate physical addresses.
struct EntryRange {
  std::uint64_t base{};
  std::uint64_t end{};

  [[nodiscard]] constexpr bool contains(std::uint64_t ipa) const noexcept { return ipa >= base && ipa < end; }
};

// The power state of a VM's CPUs. Any CPU may call any function at any time, except where one names a caller.
//
// The life of a slot: off -> (CPU_ON of another CPU) -> on_pending -> (mark_on by its own CPU) -> on -> (cpu_off by its
// own CPU) -> off.
class PowerDomain {
 public:
  // Both spans must outlive the domain. An entry point is legal inside one of `executable`; an empty list allows all.
  constexpr PowerDomain(std::span<PowerSlot> slots, std::span<const EntryRange> executable) noexcept
      : slots_{slots}, executable_{executable} {}

  // `boot` is on, all others are off. At creation and at SYSTEM_RESET, while no CPU of the VM runs.
  void reset(std::size_t boot) noexcept;

  // Turns a CPU on: of all callers since it was off, exactly one gets SUCCESS. INVALID_PARAMETERS: no such CPU;
  // INVALID_ADDRESS; ALREADY_ON; ON_PENDING.
  [[nodiscard]] PsciStatus cpu_on(std::uint64_t target, std::uint64_t entry, std::uint64_t context_id) noexcept;

  struct Start {
    std::uint64_t entry{};       // IPA
    std::uint64_t context_id{};  // for x0
  };
  // Where CPU `index` is to start, when a CPU_ON waits for it. Pure: stays so until mark_on().
  [[nodiscard]] std::optional<Start> pending_start(std::size_t index) const noexcept;

  // CPU `index` has been given its entry point. By the CPU that runs it. False: no CPU_ON waits.
  bool mark_on(std::size_t index) noexcept;

  // CPU `index` runs no more, and its vCPU may be set up anew. By the CPU that ran it, after the CpuDown exit and once
  // nothing of the vCPU is live: from here on a CPU_ON of another CPU succeeds. False: it was not on.
  bool cpu_off(std::size_t index) noexcept;

  // AFFINITY_INFO of one CPU (level 0), or of all CPUs that share the affinity fields from `level` (1 to 3) up: ON if
  // one of them is, else ON_PENDING if one of them is, else OFF. Empty: no such CPU or level.
  [[nodiscard]] std::optional<AffinityState> affinity_info(std::uint64_t target, std::uint32_t level) const noexcept;

  [[nodiscard]] std::optional<std::size_t> index_of(std::uint64_t affinity) const noexcept;
  [[nodiscard]] PowerState state(std::size_t index) const noexcept {
    return slots_[index].state.load(std::memory_order_acquire);
  }
  [[nodiscard]] bool is_executable(std::uint64_t ipa) const noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return slots_.size(); }

 private:
  std::span<PowerSlot> slots_;
  std::span<const EntryRange> executable_;
};

// What SMCCC_ARCH_FEATURES answers about a firmware workaround, and what a call of it then does.
// [smccc] "SMCCC_ARCH_WORKAROUND_1" and following
enum class Workaround : std::int8_t {
  not_supported = -1,  // calls answer NOT_SUPPORTED
  required = 0,        // a call is passed on: PsciOutcome::forward
  not_needed = 1,      // this CPU is not affected: a call does nothing
};

struct ArchWorkarounds {
  Workaround workaround_1 = Workaround::not_supported;
  Workaround workaround_2 = Workaround::not_supported;
  Workaround workaround_3 = Workaround::not_supported;
};

// What the firmware answers to SMCCC_ARCH_FEATURES about each: 0 or 1; negative where it does not have it, or is none.
struct FirmwareWorkarounds {
  std::int32_t workaround_1 = -1;
  std::int32_t workaround_2 = -1;
  std::int32_t workaround_3 = -1;
};

// What a guest is to be told, so that it is protected wherever the hardware or the firmware can do that.
// WORKAROUND_2 is never passed on: it would switch the protection of the CPU, the host's too. The firmware has it on
// from boot, so a guest is told that it need not ask; where the guest sees SSBS it uses that, and the call is not
// offered.
[[nodiscard]] ArchWorkarounds workarounds_of(std::uint64_t id_aa64pfr0_el1, std::uint64_t id_aa64pfr1_el1,
                                             const FirmwareWorkarounds& firmware) noexcept;

struct PsciConfig {
  ArchWorkarounds workarounds{};
  bool stolen_time{};  // SMCCC_ARCH_FEATURES knows PV_TIME_FEATURES
};

// x0 to x3 of the caller, as they are in the registers.
struct PsciCall {
  std::uint64_t x0{};
  std::uint64_t x1{};
  std::uint64_t x2{};
  std::uint64_t x3{};
};

struct PsciOutcome {
  // False: the function ID is of neither range, and the rest is empty. An HVC is then a Hypercall exit; an SMC, and an
  // HVC that nobody takes, is answered with NOT_SUPPORTED.
  bool mine{};
  // What the guest finds in x0. Empty where the call does not return, and where the caller decides (CPU_ON without a
  // PowerDomain).
  std::optional<std::int64_t> x0{};
  // What the caller has to do: CpuUp, CpuDown, SystemDown, SystemReset, Halt; or Nothing.
  AxVCpuExitReason exit{};
  // The firmware has to be called, by SMC with the guest's W0 and W1, before the guest goes on; its result is dropped.
  bool forward{};
};

// PSCI and Arm Architecture calls. `domain` may be null: then CPU_ON always exits, and AFFINITY_INFO is NOT_SUPPORTED.
// CPU_SUSPEND enters standby for power-down states too, which PSCI allows: the call returns SUCCESS after the wake-up
// and the entry point is not used.
[[nodiscard]] PsciOutcome handle_call(const PsciCall& call, PowerDomain* domain,
                                      const PsciConfig& config = {}) noexcept;

}  // namespace arm_vcpu
