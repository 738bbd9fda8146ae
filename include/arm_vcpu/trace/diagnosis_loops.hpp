// SPDX-License-Identifier: Apache-2.0
// Loops in the records of one vCPU. Pure and incremental: feed() costs a few comparisons a record.
//
// What is a loop, and what is not:
// - Exits that complete are progress, however often they repeat: a poll of a status register, WFI, an SGI, a read of an
//   ID register, a PSCI call. Only exits that the guest gets as an exception, or that execute the same instruction
//   again, can make a loop.
// - An exception storm inside EL1 makes no exits. The EL2 timer's samples show it: the last exception was taken from
//   inside the vector table, or the same synchronous exception is taken again with the same ELR, ESR and FAR. A busy
//   loop, a spinlock or a long copy is never in the vectors with a fault of its own Exception level; an interrupt that
//   comes often is in the IRQ vector and leaves ESR_EL1 alone.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "arm_vcpu/trace/record.hpp"

namespace arm_vcpu::diag {

// An exit that gets the guest nowhere by itself: it was answered with an exception, or the instruction that faulted is
// executed again.
[[nodiscard]] bool makes_no_progress(const trace::Record& record) noexcept;

// EL2-visible loops.
class ExitLoopDetector {
 public:
  static constexpr unsigned kMaxPeriod = 8;
  static constexpr unsigned kRepetitions = 50;       // of the whole period
  static constexpr unsigned kRepetitionsEl0 = 1000;  // a program may probe, and its kernel may answer

  struct Loop {
    unsigned period{};                               // members
    std::uint64_t repetitions{};                     // of the period
    std::uint64_t first{}, last{};                   // ticks
    std::array<trace::Record, kMaxPeriod> member{};  // the last round, in order
  };

  // Feed the records of one vCPU, in order. True: they end in a loop, which loop() describes. Stays true while it goes
  // on. A repetition that comes more than a millisecond after the one before is not counted: whoever sleeps in between,
  // in a WFI that makes no exit, is not caught. `counter_hz` 0: times are not looked at.
  bool feed(const trace::Record& record, std::uint64_t counter_hz = 0) noexcept;
  [[nodiscard]] Loop loop() const noexcept;
  void reset() noexcept { *this = {}; }

 private:
  [[nodiscard]] const trace::Record& back(unsigned n) const noexcept { return ring_[(next_ - 1 - n) % ring_.size()]; }

  std::array<trace::Record, 2 * kMaxPeriod> ring_{};
  std::uint64_t next_{};                             // records seen in this run of no progress
  std::array<std::uint64_t, kMaxPeriod + 1> run_{};  // run_[p]: the last run_[p] records equal those p before them
  std::array<std::uint64_t, kMaxPeriod + 1> run_start_{};  // ticks
  unsigned period_{};                                      // of the loop that was found
};

// Guest-internal loops, from guest_sample records.
class StormDetector {
 public:
  enum class Kind : std::uint8_t {
    none,
    vectors_unmapped,   // the vector itself cannot be fetched
    handler_in_vector,  // an instruction in the vector table faults
    handler_faults,     // the same fault outside it, again and again
    stopped_in_vector,  // the handler spins in its vector: the guest has given up
  };
  static constexpr unsigned kSamples = 16;
  static constexpr unsigned kSamplesSlow = 40;  // for the kinds that need more certainty

  struct Storm {
    Kind kind{};
    std::uint64_t samples{};
    std::uint64_t first{}, last{};  // ticks
    std::uint64_t in_vectors{};     // of the samples
    std::uint64_t lowest_pc{}, highest_pc{};
    trace::Record sample{};  // the last
  };

  // Feed all records of one vCPU, in order. `counter_hz` 0: times are not looked at.
  Kind feed(const trace::Record& record, std::uint64_t counter_hz) noexcept;
  [[nodiscard]] const Storm& storm() const noexcept { return storm_; }
  void reset() noexcept { *this = {}; }

 private:
  void restart(const trace::Record& record) noexcept;

  Storm storm_{};
  std::uint64_t in_sync_slot_{};
  std::uint64_t elr_in_vectors_{};
};

}  // namespace arm_vcpu::diag
