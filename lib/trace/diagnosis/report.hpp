// SPDX-License-Identifier: Apache-2.0
// How a rule writes a diagnosis.
#pragma once

#include "arm_vcpu/trace/diagnosis.hpp"

namespace arm_vcpu::diag {

// "vm0 (linux) vcpu1".
void append_who(TextBuffer& out, const CapturedState& state) noexcept;

// Fills one Diagnosis; done() hands it to the list.
class Report {
 public:
  // Takes VM, vCPU and, when there is an exit frame, the PC from `state`.
  Report(const CapturedState& state, Code code, Confidence confidence) noexcept;

  template <class... Args>
  Report& what(std::string_view pattern, const Args&... args) noexcept {
    diagnosis_.what_ = format(pattern, args...);
    return *this;
  }
  template <class... Args>
  Report& cause(std::string_view pattern, const Args&... args) noexcept {
    diagnosis_.cause_ = format(pattern, args...);
    return *this;
  }
  template <class... Args>
  Report& advice(std::string_view pattern, const Args&... args) noexcept {
    diagnosis_.advice_ = format(pattern, args...);
    return *this;
  }

  Report& value(std::string_view label, std::uint64_t value, Evidence::Form form = Evidence::Form::hex) noexcept {
    return row(label, value, form, {});
  }
  template <class... Args>
  Report& value(std::string_view label, std::uint64_t number, Evidence::Form form, std::string_view pattern,
                const Args&... args) noexcept {
    return row(label, number, form, format(pattern, args...));
  }
  template <class... Args>
  Report& note(std::string_view label, std::string_view pattern, const Args&... args) noexcept {
    return row(label, 0, Evidence::Form::text, format(pattern, args...));
  }
  Report& code_at(std::string_view label, std::uint64_t address) noexcept {
    return row(label, address, Evidence::Form::code, {});
  }

  template <class... Args>
  Report& rejects(Code code, std::string_view pattern, const Args&... args) noexcept {
    return rejection(code, format(pattern, args...));
  }

  Report& pc(std::uint64_t address) noexcept {
    diagnosis_.pc_ = address;
    return *this;
  }
  Report& confidence(Confidence confidence) noexcept {
    diagnosis_.confidence_ = confidence;
    return *this;
  }
  void done(DiagnosisList& list) const noexcept { list.add(diagnosis_); }

 private:
  using Piece = Diagnosis::Piece;

  // Text that does not fit is cut.
  template <class... Args>
  Piece format(std::string_view pattern, const Args&... args) noexcept {
    TextBuffer out{std::span{diagnosis_.text_}.subspan(diagnosis_.used_)};
    format_to(out, pattern, args...);
    const Piece piece{diagnosis_.used_, static_cast<std::uint16_t>(out.view().size())};
    diagnosis_.used_ = static_cast<std::uint16_t>(diagnosis_.used_ + piece.length);
    return piece;
  }
  Report& row(std::string_view label, std::uint64_t value, Evidence::Form form, Piece text) noexcept;
  Report& rejection(Code code, Piece why) noexcept;

  Diagnosis diagnosis_;
};

// Text of a few words, for an argument of Report's functions.
template <std::size_t N = 64>
class Words {
 public:
  template <class... Args>
  explicit Words(std::string_view pattern, const Args&... args) noexcept {
    format_to(text_, pattern, args...);
  }
  Words() noexcept = default;
  Words(const Words&) = delete;
  Words& operator=(const Words&) = delete;

  [[nodiscard]] TextBuffer& out() noexcept { return text_; }
  [[nodiscard]] std::string_view view() const noexcept { return text_.view(); }

 private:
  char storage_[N]{};
  TextBuffer text_{storage_};
};

struct Who : Words<64> {
  explicit Who(const CapturedState& state) noexcept { append_who(out(), state); }
};

// A span of time: "1.250 ms", or ticks where the frequency is not known.
struct Duration : Words<40> {
  Duration(std::uint64_t ticks, std::uint64_t counter_hz) noexcept;
};

}  // namespace arm_vcpu::diag
