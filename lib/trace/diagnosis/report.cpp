// SPDX-License-Identifier: Apache-2.0
#include "report.hpp"

namespace arm_vcpu::diag {

void append_who(TextBuffer& out, const CapturedState& state) noexcept {
  format_to(out, "vm{}", state.vm);
  if (!state.vm_name.empty()) format_to(out, " ({})", state.vm_name.substr(0, 32));
  format_to(out, " vcpu{}", state.vcpu);
}

Report::Report(const CapturedState& state, Code code, Confidence confidence) noexcept {
  diagnosis_.code_ = code;
  diagnosis_.confidence_ = confidence;
  diagnosis_.vm_ = state.vm;
  diagnosis_.vcpu_ = state.vcpu;
  if (state.exit != nullptr) diagnosis_.pc_ = state.exit->frame.elr;
}

Report& Report::row(std::string_view label, std::uint64_t value, Evidence::Form form, Piece text) noexcept {
  if (diagnosis_.evidence_count_ < Diagnosis::kMaxEvidence) {
    diagnosis_.evidence_[diagnosis_.evidence_count_++] = {label, value, text, form};
  }
  return *this;
}

Report& Report::rejection(Code code, Piece why) noexcept {
  if (diagnosis_.rejected_count_ < Diagnosis::kMaxRejected) {
    diagnosis_.rejected_[diagnosis_.rejected_count_++] = {code, why};
  }
  return *this;
}

Duration::Duration(std::uint64_t ticks, std::uint64_t counter_hz) noexcept {
  if (counter_hz == 0) {
    format_to(out(), "{} ticks", ticks);
    return;
  }
  // Whole seconds apart from the rest, so that nothing overflows.
  const std::uint64_t seconds = ticks / counter_hz;
  const std::uint64_t rest = ticks % counter_hz;
  const std::uint64_t micros =
      counter_hz < (std::uint64_t{1} << 40) ? rest * 1'000'000 / counter_hz : rest / (counter_hz / 1'000'000);
  if (seconds != 0) {
    format_to(out(), "{}.", seconds);
    out().put_unsigned(micros / 1000, 10, 3);
    out().put(" s");
  } else {
    format_to(out(), "{}.", micros / 1000);
    out().put_unsigned(micros % 1000, 10, 3);
    out().put(" ms");
  }
}

std::string_view Diagnosis::cause() const noexcept {
  return cause_.length != 0 ? at(cause_) : info_of(code_).cause;
}
std::string_view Diagnosis::advice() const noexcept {
  return advice_.length != 0 ? at(advice_) : info_of(code_).advice;
}

Evidence Diagnosis::evidence(std::size_t index) const noexcept {
  if (index >= evidence_count_) return {};
  const Row& row = evidence_[index];
  return {row.label, row.value, row.form, at(row.text)};
}

Rejected Diagnosis::rejected(std::size_t index) const noexcept {
  if (index >= rejected_count_) return {};
  return {rejected_[index].code, at(rejected_[index].why)};
}

void DiagnosisList::add(const Diagnosis& diagnosis) noexcept {
  std::size_t at = 0;
  while (at < count_ && items_[at].confidence() >= diagnosis.confidence()) {
    if (items_[at].code() == diagnosis.code()) return;  // the same, known as well or better
    ++at;
  }
  std::size_t end = at;  // a less certain one of the same code goes, else the last moves on or drops out
  while (end < count_ && items_[end].code() != diagnosis.code()) ++end;
  if (end == count_) {
    if (count_ == kCapacity) {
      ++left_out_;
      if (at == count_) return;
      --end;
    } else {
      ++count_;
    }
  }
  for (std::size_t i = end; i > at; --i) items_[i] = items_[i - 1];
  items_[at] = diagnosis;
}

}  // namespace arm_vcpu::diag
