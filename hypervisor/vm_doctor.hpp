// SPDX-License-Identifier: Apache-2.0
// The diagnosis at EL2: captures the state of a VM when something went wrong, asks the rules, prints what they say.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string_view>

#include "arm_vcpu/trace/diagnosis.hpp"
#include "arm_vcpu/trace/diagnosis_loops.hpp"
#include "lock.hpp"

namespace arm_vcpu::hv {

class Vm;
class VmDoctor;
struct VcpuSlot;

// Looks for loops in the records of one vCPU. They are read when there is reason to: at the EL2 timer's samples and
// when the guest got an exception from us, so that an exit of a healthy guest pays nothing.
class VcpuWatch {
 public:
  enum class Finding : std::uint8_t { none, exit_loop, storm };

  // Reads what the CPU's ring has gathered for this vCPU since the last call. A loop is found once. Calls that the vCPU
  // refused, and instructions that it made undefined, are examined here: run() did not return for them.
  [[nodiscard]] Finding look(VcpuSlot& slot, VmDoctor& doctor) noexcept;
  // The guest starts anew.
  void reset() noexcept;
  // Whether the guest in the storm can ever leave it by itself.
  [[nodiscard]] bool is_hopeless() const noexcept;

 private:
  void examine_record(VcpuSlot& slot, VmDoctor& doctor, std::uint64_t number, unsigned& examined) noexcept;

  std::uint64_t next_{};  // number of the record to read next
  bool reported_{};
  trace::Record last_failure_{};  // examined last
  unsigned repeated_{};
  std::optional<std::uint64_t> smc_;  // a record: an SMC of which it is not known yet who answered it
  diag::ExitLoopDetector loops_;
  diag::StormDetector storms_;
};

class VmDoctor {
 public:
  explicit VmDoctor(Vm& vm) noexcept : vm_{vm} {}

  // What does not change while the VM runs: call it when the guest's memory is filled.
  void learn_configuration() noexcept;

  // Before the first entry. The code of what makes it pointless; empty: go.
  [[nodiscard]] std::optional<diag::Code> preflight() noexcept;

  // Prints what the rules find for `why`. A code is printed once for each place in the guest, and a VM that produces
  // ever new ones is cut off. `slot` runs on this CPU, or nowhere. Returns the code of the first finding.
  std::optional<diag::Code> examine(VcpuSlot* slot, const diag::Trigger& why) noexcept {
    return examine(slot, why, {});
  }

  // The same for what happened a while ago: `frame` is the exit as its record has it, and the rules see the records up
  // to number `records_end` of this CPU's ring.
  struct Past {
    const ExitFrame* frame{};
    std::optional<std::uint64_t> records_end{};
    std::optional<std::uint64_t> parked_since{};  // ticks: the vCPU waits
  };
  std::optional<diag::Code> examine(VcpuSlot* slot, const diag::Trigger& why, const Past& past) noexcept;

  // Whether nothing can ever wake the VM, whose vCPU `slot` waits: the others are off, and no interrupt is enabled.
  [[nodiscard]] bool sleeps_for_good(const VcpuSlot& slot) noexcept;

  // Whether a refused call of `function` at `pc` is worth examine(): once each, and not for ever. A guest that calls in
  // a loop must not make EL2 work for it. Under the VM's lock.
  [[nodiscard]] bool is_first_call(std::uint64_t pc, std::uint64_t function) noexcept;

  // New life, new reports.
  void forget() noexcept;

 private:
  struct Seen {
    diag::Code code{};
    std::uint64_t pc{};
  };
  [[nodiscard]] bool is_new(const diag::Diagnosis& found) noexcept;
  [[nodiscard]] bool is_worth_it(const VcpuSlot& slot, const diag::Trigger& why, bool is_live) noexcept;
  [[nodiscard]] std::span<const diag::InterruptView> view_interrupts(unsigned vcpu) noexcept;
  void spoil_configuration() noexcept;  // simulate.cpp, as spoil_vm()
  void spoil_vm() noexcept;

  static constexpr std::size_t kMaxReports = 12;
  static constexpr std::uint32_t kMaxExaminations = 256;  // of refusals, in one life of the VM

  Vm& vm_;
  std::array<diag::RamRange, 3> ram_{};
  std::size_t ram_count_{};
  std::array<diag::DeviceRange, 5> devices_{};
  std::size_t device_count_{};
  std::array<diag::Range, 4> loaded_{};
  std::size_t loaded_count_{};
  std::array<diag::Range, 2> hypervisor_{};
  std::array<std::uint64_t, 8> mpidrs_{};
  diag::DeviceTreeFacts tree_{};
  diag::VmConfiguration configuration_{};
  std::array<Seen, kMaxReports> seen_{};
  std::size_t seen_count_{};
  // Of these nothing depends on another, and a race between two vCPUs costs one examination.
  std::atomic<bool> cut_off_{};
  std::atomic<std::uint32_t> examinations_{};
  std::array<std::atomic<std::uint64_t>, 64> examined_{};  // what and where, hashed

  struct SeenCall {
    std::uint64_t pc{};
    std::uint64_t function{};
  };
  std::array<SeenCall, 16> calls_{};
  std::size_t call_count_{};
};

// AV0001 when this CPU, or the Exception level that it was entered at, cannot run guests; nothing otherwise.
void explain_this_cpu(const Requirements& wanted) noexcept;

// AV0031 when the former run of the hypervisor ended without an order.
void explain_former_run() noexcept;

// One line for a start-up that failed before there was a VM, by the rules.
void explain_start_up_error(std::string_view vm_name, const Error& error, unsigned ipa_bits) noexcept;

// A lock that will never be free. No lock is taken.
void explain_stuck_lock(const diag::trigger::StuckLock& stuck) noexcept;

// The hypervisor's own crash. No lock is taken.
void explain_crash(const diag::trigger::HypervisorCrash& crash) noexcept;

}  // namespace arm_vcpu::hv
