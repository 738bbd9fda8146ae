// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/trace/diagnosis_loops.hpp"
#include "rules.hpp"

namespace arm_vcpu::diag {
namespace {

using trace::Record;

bool is_fetch(const Record& record) noexcept {
  return Esr::from(record.esr).get<Esr::EC>() == Ec::instruction_abort_lower;
}

// A fetch from where a vector is. With VBAR_EL1 unknown, from an address that looks like one.
bool is_vector_fetch(const CapturedState& state, const Record& record) noexcept {
  if (!is_fetch(record)) return false;
  if (state.registers != nullptr) return in_vectors(record.pc, state.registers->vbar_el1);
  return record.pc % (4 * kVectorSlotBytes) == 0;
}

void report_exit_loop(const CapturedState& state, const ExitLoopDetector::Loop& loop, DiagnosisList& out) noexcept {
  const Record& last = loop.member[loop.period - 1];
  bool vectors = false;
  for (unsigned i = 0; i < loop.period; ++i) vectors = vectors || is_vector_fetch(state, loop.member[i]);

  Report report{state, Code::exception_loop, Confidence::certain};
  report.pc(last.pc);
  report.what("{}: {} of {}, {} times in {}, without an instruction completed", Who{state}.view(),
              loop.period == 1 ? "the same exit" : "the same round", loop.period == 1 ? "one instruction" : "exits",
              loop.repetitions, Duration{loop.last - loop.first, state.counter_hz}.view());
  report.value("period", loop.period, Evidence::Form::decimal, "exits, repeated {} times", loop.repetitions);
  for (unsigned i = 0; i < loop.period && i < 4; ++i) {
    const Record& member = loop.member[i];
    report.value("member PC", member.pc, Evidence::Form::code, "ESR {:x}, {}; FAR {:x}; {}", member.esr,
                 Syndrome{Esr::from(member.esr)}.view(), member.far, name_of(member.outcome));
  }
  if (loop.period > 4) report.note("members", "{} more", loop.period - 4);
  if (state.registers != nullptr) {
    report.value("VBAR_EL1", state.registers->vbar_el1);
    report.value("ELR_EL1", state.registers->elr_el1, Evidence::Form::code);
  }
  add_walks(report, state, std::nullopt, fault_ipa(Hpfar::from(last.hpfar), last.far, false));
  if (vectors) {
    report.cause("the exception vectors cannot be fetched: every exception ends in the next, at the vector itself");
    report.advice(
        "set VBAR_EL1 to a mapped, executable table before the first exception; the first one is older than "
        "this loop");
  } else if (is_fetch(last)) {
    report.cause("the guest fetches from an address without memory, and its handler goes back to it");
  } else if (Esr::from(last.esr).get<Esr::EC>() == Ec::data_abort_lower) {
    report.cause(last.outcome == trace::Outcome::injected
                     ? "the guest's handler of the abort touches the same address, or returns to the instruction"
                     : "the instruction is executed again and faults again: nothing changes the mapping");
  } else if (last.outcome == trace::Outcome::injected) {
    report.cause("the guest's handler of the exception returns to the instruction that it was taken for");
  }
  report.rejects(Code::mmio_failure, "a poll of a device completes its accesses; these do not");
  report.done(out);
}

std::string_view storm_cause(StormDetector::Kind kind) noexcept {
  switch (kind) {
    case StormDetector::Kind::none: return {};
    case StormDetector::Kind::vectors_unmapped:
      return "the page of VBAR_EL1 is not mapped or not executable at stage 1: each exception is taken to a vector "
             "that "
             "cannot be fetched";
    case StormDetector::Kind::handler_in_vector:
      return "an instruction in the vector itself faults, so that the handler never runs (often its first push: SP_EL1 "
             "is not a stack)";
    case StormDetector::Kind::handler_faults:
      return "the handler returns to the faulting instruction without a fix, or faults itself before it can report";
    case StormDetector::Kind::stopped_in_vector:
      return "the guest has no handler for this exception and stays in its vector";
  }
  return {};
}

void report_storm(const CapturedState& state, const StormDetector::Storm& storm, DiagnosisList& out) noexcept {
  using Kind = StormDetector::Kind;
  const Record& sample = storm.sample;
  const std::uint64_t esr = sample.esr, far = sample.far, elr = sample.hpfar, vbar = sample.data;
  const bool stopped = storm.kind == Kind::stopped_in_vector;
  const bool certain = storm.kind == Kind::vectors_unmapped || storm.kind == Kind::handler_in_vector;
  Report report{state, stopped ? Code::guest_bug : Code::exception_loop,
                certain ? Confidence::certain : Confidence::likely};
  report.pc(sample.pc);
  const Duration time{storm.last - storm.first, state.counter_hz};
  if (stopped) {
    report.what("{}: stopped in its own exception vector for {}, after {}", Who{state}.view(), time.view(),
                Syndrome{Esr::from(esr)}.view());
  } else {
    report.what("{}: EL1 takes the same exception for {} without leaving EL1: {}", Who{state}.view(), time.view(),
                Syndrome{Esr::from(esr)}.view());
  }
  report.value("samples", storm.samples, Evidence::Form::decimal, "over {}, {} with the PC in the vector table",
               time.view(), storm.in_vectors);
  report.value("PC", sample.pc, Evidence::Form::code, "lowest {:x}, highest {:x}", storm.lowest_pc, storm.highest_pc);
  report.value("VBAR_EL1", vbar);
  report.value("ELR_EL1", elr, Evidence::Form::code, "the same in every sample{}",
               in_vectors(elr, vbar) ? ", and inside the vector table" : "");
  report.value("ESR_EL1", esr, Evidence::Form::hex, "{}", Syndrome{Esr::from(esr)}.view());
  report.value("FAR_EL1", far);
  add_walks(report, state, storm.kind == Kind::vectors_unmapped ? vbar : far, std::nullopt);
  add_instruction(report, state, elr);
  report.cause("{}", storm_cause(storm.kind));
  if (stopped) {
    report.rejects(Code::exception_loop, "the PC stays within {} bytes: it spins, it takes no further exception",
                   storm.highest_pc - storm.lowest_pc + 4);
  } else {
    report.rejects(Code::starvation, "a busy guest would not be in its vectors with a fault of its own");
    if (certain) report.rejects(Code::guest_bug, "which exception came first is lost: ELR_EL1 is overwritten");
  }
  report.done(out);
}

}  // namespace

void check_loops(const CapturedState& state, DiagnosisList& out) noexcept {
  ExitLoopDetector exits;
  StormDetector samples;
  bool loop = false;
  StormDetector::Kind storm = StormDetector::Kind::none;
  for (const Record& record : state.records) {
    if (!is_ours(state, record)) continue;
    loop = exits.feed(record, state.counter_hz);
    storm = samples.feed(record, state.counter_hz);
  }
  if (loop) report_exit_loop(state, exits.loop(), out);
  if (storm != StormDetector::Kind::none) report_storm(state, samples.storm(), out);
}

}  // namespace arm_vcpu::diag
