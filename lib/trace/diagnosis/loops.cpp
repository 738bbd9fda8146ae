// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/trace/diagnosis_loops.hpp"

#include "arm_vcpu/arch/esr.hpp"
#include "arm_vcpu/arch/registers.hpp"
#include "rules.hpp"

namespace arm_vcpu::diag {

using trace::Kind;
using trace::Outcome;
using trace::Record;

namespace {

Ec class_of(const Record& record) noexcept {
  return Esr::from(record.esr).get<Esr::EC>();
}
std::uint8_t mode_of(const Record& record) noexcept {
  return static_cast<std::uint8_t>(record.spsr & 0x1F);
}

// A push onto a stack that is not there: each round finds the stack pointer a frame lower.
bool is_falling_push(const Record& now, const Record& before) noexcept {
  const auto iss = DataAbortIss::from(Esr::from(now.esr).get<Esr::ISS>());
  const std::uint64_t step = before.far - now.far;
  return class_of(now) == Ec::data_abort_lower && iss.get<DataAbortIss::WnR>() && step % 16 == 0 && step != 0 &&
         step <= 1024;
}

bool is_same(const Record& now, const Record& before) noexcept {
  if (now.pc != before.pc || now.esr != before.esr || now.outcome != before.outcome ||
      mode_of(now) != mode_of(before)) {
    return false;
  }
  if (now.far != before.far) return is_falling_push(now, before);
  return now.hpfar == before.hpfar && now.data == before.data;
}

}  // namespace

bool makes_no_progress(const Record& record) noexcept {
  if (record.kind != Kind::exit_sync) return false;
  if (record.outcome == Outcome::injected || record.outcome == Outcome::failed) return true;
  const auto iss = DataAbortIss::from(Esr::from(record.esr).get<Esr::ISS>());
  switch (class_of(record)) {
    // No emulation completes a fetch: the instruction is fetched again.
    case Ec::instruction_abort_lower: return true;
    case Ec::data_abort_lower:
      // Inside the vCPU an abort is injected, executed again, or dropped cache maintenance. Outside it, an access is
      // completed.
      if (iss.get<DataAbortIss::CM>() && !iss.get<DataAbortIss::S1PTW>()) return false;
      return record.outcome == Outcome::handled || iss.get<DataAbortIss::S1PTW>();
    case Ec::sve:
    case Ec::fp_access: return record.outcome == Outcome::handled;
    default: return false;
  }
}

bool ExitLoopDetector::feed(const Record& record, std::uint64_t counter_hz) noexcept {
  switch (record.kind) {
    case Kind::exit_sync: break;
    case Kind::exit_serror:
    case Kind::vcpu_scheduled:
    case Kind::vcpu_parked:
    case Kind::psci_call:
    case Kind::vm_event: reset(); return false;
    default: return period_ != 0;  // interrupts neither end a loop nor make one
  }
  if (record.outcome == Outcome::open) return period_ != 0;
  if (!makes_no_progress(record)) {
    reset();
    return false;
  }
  period_ = 0;
  const bool late = counter_hz != 0 && next_ != 0 && record.time - back(0).time > counter_hz / 1000;
  for (unsigned p = 1; p <= kMaxPeriod; ++p) {
    if (next_ < p || !is_same(record, back(p - 1))) {
      run_[p] = 0;
      continue;
    }
    if (run_[p] == 0) run_start_[p] = back(p - 1).time;
    if (!late) ++run_[p];
    const bool from_el0 = mode_of(record) == kModeEl0t;
    if (period_ == 0 && run_[p] >= std::uint64_t{p} * (from_el0 ? kRepetitionsEl0 : kRepetitions)) period_ = p;
  }
  ring_[next_++ % ring_.size()] = record;
  return period_ != 0;
}

ExitLoopDetector::Loop ExitLoopDetector::loop() const noexcept {
  Loop loop{};
  if (period_ == 0) return loop;
  loop.period = period_;
  loop.repetitions = run_[period_] / period_ + 1;
  loop.first = run_start_[period_];
  loop.last = back(0).time;
  for (unsigned i = 0; i < period_; ++i) loop.member[i] = back(period_ - 1 - i);
  return loop;
}

// --- samples --------------------------------------------------------------------------------------------------------

namespace {

// The fields of a sample, by what they hold.
struct Sample {
  std::uint64_t pc, esr_el1, far_el1, elr_el1, vbar_el1;

  explicit Sample(const Record& record) noexcept
      : pc{record.pc}, esr_el1{record.esr}, far_el1{record.far}, elr_el1{record.hpfar}, vbar_el1{record.data} {}

  [[nodiscard]] Ec ec() const noexcept { return Esr::from(esr_el1).get<Esr::EC>(); }
  [[nodiscard]] bool pc_in_vectors() const noexcept { return in_vectors(pc, vbar_el1); }
  [[nodiscard]] bool elr_in_vectors() const noexcept { return in_vectors(elr_el1, vbar_el1); }
};

bool is_same_exception(const Sample& now, const Sample& before) noexcept {
  return now.esr_el1 == before.esr_el1 && now.elr_el1 == before.elr_el1 && now.vbar_el1 == before.vbar_el1 &&
         // A handler that pushes onto a bad stack inside the vectors finds SP lower each time.
         (now.far_el1 == before.far_el1 || now.elr_in_vectors());
}

// Whether a handler that just stops may have been called for this.
bool can_stop_a_guest(Ec ec) noexcept {
  return is_own_fault(ec) || ec == Ec::brk64 || ec == Ec::data_abort_lower || ec == Ec::instruction_abort_lower;
}

constexpr std::uint64_t kSpinBytes = 16;    // a loop that does nothing is not longer
constexpr std::uint64_t kShortestMs = 150;  // of the fast kinds
constexpr std::uint64_t kShortestSlowMs = 350;

}  // namespace

void StormDetector::restart(const Record& record) noexcept {
  const Sample sample{record};
  storm_ = {.samples = 1,
            .first = record.time,
            .last = record.time,
            .in_vectors = sample.pc_in_vectors(),
            .lowest_pc = sample.pc,
            .highest_pc = sample.pc,
            .sample = record};
  in_sync_slot_ = in_sync_slot(sample.pc, sample.vbar_el1, false);
  elr_in_vectors_ = sample.elr_in_vectors();
}

StormDetector::Kind StormDetector::feed(const Record& record, std::uint64_t counter_hz) noexcept {
  switch (record.kind) {
    case trace::Kind::guest_sample: break;
    case trace::Kind::exit_sync:
    case trace::Kind::exit_serror:
    case trace::Kind::vcpu_parked:
    case trace::Kind::psci_call:
    case trace::Kind::vm_event: reset(); return Kind::none;  // the guest did something
    default: return storm_.kind;
  }
  const Sample sample{record};
  const std::uint8_t mode = mode_of(record);
  if (mode != kModeEl1t && mode != kModeEl1h) {
    reset();
    return Kind::none;
  }
  if (storm_.samples == 0 || !is_same_exception(sample, Sample{storm_.sample})) {
    restart(record);
    return Kind::none;
  }
  ++storm_.samples;
  storm_.last = record.time;
  storm_.sample = record;
  storm_.in_vectors += sample.pc_in_vectors();
  storm_.lowest_pc = sample.pc < storm_.lowest_pc ? sample.pc : storm_.lowest_pc;
  storm_.highest_pc = sample.pc > storm_.highest_pc ? sample.pc : storm_.highest_pc;
  in_sync_slot_ += in_sync_slot(sample.pc, sample.vbar_el1, false);
  elr_in_vectors_ += sample.elr_in_vectors();

  const auto lasts = [&](std::uint64_t milliseconds) {
    return counter_hz == 0 || (storm_.last - storm_.first) / (counter_hz / 1000 + 1) >= milliseconds;
  };
  const bool all_in_vectors = storm_.in_vectors == storm_.samples;
  const bool own_fault = is_own_fault(sample.ec());
  storm_.kind = Kind::none;
  if (all_in_vectors && own_fault && elr_in_vectors_ == storm_.samples) {
    if (storm_.samples >= kSamples && lasts(kShortestMs)) {
      storm_.kind = sample.ec() == Ec::instruction_abort_same ? Kind::vectors_unmapped : Kind::handler_in_vector;
    }
  } else if (storm_.samples >= kSamplesSlow && lasts(kShortestSlowMs)) {
    const bool spins = all_in_vectors && storm_.highest_pc - storm_.lowest_pc <= kSpinBytes &&
                       in_sync_slot(sample.pc, sample.vbar_el1, true);
    if (spins && can_stop_a_guest(sample.ec())) {
      storm_.kind = Kind::stopped_in_vector;
    } else if (own_fault && in_sync_slot_ >= 2) {
      storm_.kind = Kind::handler_faults;
    }
  }
  return storm_.kind;
}

}  // namespace arm_vcpu::diag
