// SPDX-License-Identifier: Apache-2.0
// Which rules look at what, and what several of them say.
#include <type_traits>

#include "arm_vcpu/trace/backtrace.hpp"
#include "opcode.hpp"
#include "rules.hpp"
#include "stage1.hpp"

namespace arm_vcpu::diag {

void append_syndrome(TextBuffer& out, Esr esr) noexcept {
  const Ec ec = esr.get<Esr::EC>();
  const std::string_view meaning = meaning_of(ec);
  if (meaning.empty()) {
    format_to(out, "reserved exception class {:x}", ec);
    return;
  }
  out.put(meaning);
  switch (ec) {
    case Ec::instruction_abort_lower:
    case Ec::instruction_abort_same:
    case Ec::data_abort_lower:
    case Ec::data_abort_same: {
      const auto iss = DataAbortIss::from(esr.get<Esr::ISS>());
      const std::string_view fsc = meaning_of(iss.get<DataAbortIss::DFSC>());
      if (fsc.empty()) {
        format_to(out, ", reserved fault status {:x}", iss.get<DataAbortIss::DFSC>());
      } else {
        format_to(out, ", {}", fsc);
      }
      if (iss.get<DataAbortIss::S1PTW>()) out.put(", on a stage-1 walk");
      break;
    }
    case Ec::sysreg:
      out.put(": ");
      append(out, SysRegId::from_iss(SysRegIss::from(esr.get<Esr::ISS>())));
      break;
    default: break;
  }
}

void add_walks(Report& report, const CapturedState& state, std::optional<std::uint64_t> va,
               std::optional<std::uint64_t> ipa) noexcept {
  if (va) {
    if (const auto walk = walk_stage1(state, *va)) {
      Words<160> words;
      append_stage1(words.out(), state, *va, *walk);
      report.value("stage 1 of VA", *va, Evidence::Form::hex, "{}", words.view());
      if (!ipa && walk->translated()) ipa = walk->output_address;
    }
  }
  if (!ipa || state.memory == nullptr) return;
  const auto walk = state.memory->translate(*ipa);
  if (!walk) return;
  Words<48> attributes;
  if (walk->translated()) append(attributes.out(), walk->attributes);
  if (walk->translated()) {
    report.value("stage 2 of IPA", *ipa, Evidence::Form::hex, "PA {:x}, level {}, {}", walk->output_address,
                 walk->level, attributes.view());
  } else {
    report.value("stage 2 of IPA", *ipa, Evidence::Form::hex, "{} at level {}, descriptor {:x}", name_of(walk->outcome),
                 walk->level, walk->descriptor.raw);
  }
}

std::optional<std::uint32_t> add_instruction(Report& report, const CapturedState& state, std::uint64_t va) noexcept {
  const auto opcode = instruction_at(state, va);
  if (opcode) report.value("instruction", *opcode, Evidence::Form::hex, "{}", name_of(classify(*opcode)));
  return opcode;
}

void add_guest_backtrace(Report& report, const CapturedState& state, unsigned most) noexcept {
  if (state.exit == nullptr || state.memory == nullptr) return;
  const TrapFrame& frame = state.exit->frame;
  // x29 says which stack it is: SP_EL0 often holds the current task, and at EL1h the stack is SP_EL1.
  const trace::Backtrace trace = trace::backtrace(frame.elr, frame.gpr[29], frame.gpr[30], {.frames = most},
                                                  [&](std::uint64_t va) { return word_at(state, va); });
  bool first = true;
  for (const trace::Frame& caller : trace.frames()) {
    report.code_at(first ? "guest at" : "called from", caller.pc);
    first = false;
  }
}

namespace {

void add_unknown(const CapturedState& state, DiagnosisList& out) noexcept {
  Report report{state, Code::unknown, Confidence::possible};
  if (state.exit != nullptr) {
    report.what("{}: {}, PC {:x}, which no rule explains", Who{state}.view(), Syndrome{state.exit->esr}.view(),
                state.exit->frame.elr);
    report.value("ESR_EL2", state.exit->esr.raw);
    report.value("FAR_EL2", state.exit->far);
    report.value("HPFAR_EL2", state.exit->hpfar.raw);
    report.value("PC", state.exit->frame.elr, Evidence::Form::code);
    add_instruction(report, state, state.exit->frame.elr);
  } else {
    report.what("{}: nothing that any rule explains", Who{state}.view());
  }
  report.note("records", "{} at hand", state.records.size());
  report.done(out);
}

// What a regular look finds. Each of these is certain, or close to it.
void check_health(const CapturedState& state, DiagnosisList& out) noexcept {
  check_loops(state, out);
  check_interrupts(state, out);
  check_call_advance(state, out);
  check_cpu_on_records(state, out);
}

void explain(const CapturedState& state, const trigger::HealthCheck&, DiagnosisList& out) noexcept {
  check_health(state, out);
}

void explain(const CapturedState& state, const trigger::Inspection&, DiagnosisList& out) noexcept {
  check_health(state, out);
  bool loop = false;
  for (const Diagnosis& found : out) loop = loop || found.code() == Code::exception_loop;
  if (!loop) {
    // What the guest stopped for comes before that it stopped.
    out.clear();
    check_guest_exception(state, out);
    check_health(state, out);
  }
  if (out.empty()) add_unknown(state, out);
}

}  // namespace

static_assert(std::is_trivially_copyable_v<Trigger>);  // so it always holds one of them
// NOLINTNEXTLINE(bugprone-exception-escape): std::visit() throws for a variant that holds nothing
void diagnose(const CapturedState& state, const Trigger& why, DiagnosisList& out) noexcept {
  out.clear();
  std::visit([&](const auto& trigger) { explain(state, trigger, out); }, why);
  if (std::holds_alternative<trigger::StageTwoFault>(why) || std::holds_alternative<trigger::FailedEntry>(why) ||
      std::holds_alternative<trigger::MmioFailure>(why)) {
    check_loops(state, out);
    if (out.empty()) add_unknown(state, out);
  }
}

}  // namespace arm_vcpu::diag
