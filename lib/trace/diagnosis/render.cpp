// SPDX-License-Identifier: Apache-2.0
#include "rules.hpp"

namespace arm_vcpu::diag {
namespace {

constexpr std::size_t kLineChars = 200;

class Line : public Words<kLineChars> {
 public:
  using Words::Words;
  void send(LineSink& sink) noexcept { sink.line(view()); }
};

void append_value(TextBuffer& out, const Evidence& evidence, const Symbolizer* symbols) noexcept {
  using Form = Evidence::Form;
  switch (evidence.form) {
    case Form::text: return;
    case Form::decimal: format_to(out, " {}", evidence.value); return;
    case Form::hex: format_to(out, " {:x}", evidence.value); return;
    case Form::code:
    case Form::el2_code: break;
  }
  format_to(out, " {:x}", evidence.value);
  if (symbols == nullptr) return;
  Words<96> name;
  if (symbols->symbolize(name.out(), evidence.value, evidence.form == Form::el2_code))
    format_to(out, " <{}>", name.view());
}

}  // namespace

void render(const Diagnosis& diagnosis, const CapturedState& state, LineSink& sink,
            const Symbolizer* symbols) noexcept {
  {
    Line line;
    append(line.out(), diagnosis.code());
    format_to(line.out(), " {}: {}", info_of(diagnosis.code()).title, diagnosis.what());
    line.send(sink);
  }
  for (std::size_t i = 0; i < diagnosis.evidence_count(); ++i) {
    const Evidence evidence = diagnosis.evidence(i);
    Line line{"  evidence: {}", evidence.label};
    append_value(line.out(), evidence, symbols);
    if (!evidence.text.empty()) {
      format_to(line.out(), evidence.form == Evidence::Form::text ? ": {}" : " ({})", evidence.text);
    }
    line.send(sink);
  }
  Line{"  cause ({}): {}", name_of(diagnosis.confidence()), diagnosis.cause()}.send(sink);
  Line{"  check: {}", diagnosis.advice()}.send(sink);
  for (std::size_t i = 0; i < diagnosis.rejected_count(); ++i) {
    const Rejected rejected = diagnosis.rejected(i);
    Line line{"  considered: "};
    append(line.out(), rejected.code);
    format_to(line.out(), ": {}", rejected.why);
    line.send(sink);
  }
  if (diagnosis.code() == Code::unknown) dump(state, sink, symbols);
}

void dump(const CapturedState& state, LineSink& sink, const Symbolizer* symbols) noexcept {
  if (state.exit != nullptr) {
    const ExitFrame& exit = *state.exit;
    Line{"  ESR_EL2 {:016x}  FAR_EL2 {:016x}  HPFAR_EL2 {:016x}  kind {}", exit.esr.raw, exit.far, exit.hpfar.raw,
         exit.kind}
        .send(sink);
    Line line{"  PC {:016x}  SPSR {:x}  SP_EL0 {:016x}", exit.frame.elr, exit.frame.spsr.raw, exit.frame.sp_el0};
    Words<96> name;
    if (symbols != nullptr && symbols->symbolize(name.out(), exit.frame.elr, false)) {
      format_to(line.out(), "  <{}>", name.view());
    }
    line.send(sink);
    for (unsigned n = 0; n < 31; n += 4) {
      Line registers{" "};
      for (unsigned i = n; i < n + 4 && i < 31; ++i) {
        format_to(registers.out(), " {}x{} {:016x}", i < 10 ? " " : "", i, exit.frame.gpr[i]);
      }
      registers.send(sink);
    }
  }
  if (state.registers != nullptr) {
    // Not the keys: they are the guest's secret, and explain nothing.
    Line line{" "};
    unsigned in_line = 0;
    for (const GuestSysRegInfo& info : guest_sysreg_table()) {
      if (info.group == SysRegGroup::pauth || info.group == SysRegGroup::pauth_ia) continue;
      format_to(line.out(), " {} {:x}", info.name, state.registers->*info.member);
      if (++in_line == 4) {
        line.send(sink);
        line.out().clear();
        line.out().put(" ");
        in_line = 0;
      }
    }
    if (in_line != 0) line.send(sink);
  }
  constexpr std::size_t kLast = 12;
  const auto records = state.records.size() <= kLast ? state.records : state.records.last(kLast);
  for (const trace::Record& record : records) {
    Line line{"  record {} t {} vm{} vcpu{} {} {} PC {:x} ESR {:x} FAR {:x} HPFAR {:x} data {:x}",
              record.sequence,
              record.time,
              record.vm,
              record.vcpu,
              name_of(record.kind),
              name_of(record.outcome),
              record.pc,
              record.esr,
              record.far,
              record.hpfar,
              record.data};
    line.send(sink);
  }
}

}  // namespace arm_vcpu::diag
