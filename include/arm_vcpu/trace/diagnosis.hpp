// SPDX-License-Identifier: Apache-2.0
// The diagnosis: names a failure, with the values it rests on. Pure functions over captured state, the same at EL2 when
// something fails and in vcpuscope afterwards. No allocation, no system register, no lock.
//
//   diag::CapturedState state{.vm_name = ..., .exit = &vcpu.exit_frame(), .registers = ..., ...};
//   static diag::DiagnosisList list;                         // 10 KiB: not on a small stack
//   diag::preflight(state, list);                            // before the first entry
//   diag::diagnose(state, diag::trigger::MmioFailure{...}, list);
//   for (const diag::Diagnosis& found : list) diag::render(found, state, sink);
//
// A healthy run gives empty lists: for preflight, for HealthCheck, and for every trigger that is a guest's legal
// behaviour (a probe that is answered NOT_SUPPORTED, for example).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "arm_vcpu/text.hpp"
#include "arm_vcpu/trace/diagnosis_state.hpp"

namespace arm_vcpu::diag {

enum class Code : std::uint16_t {
#define VCPU_DIAGNOSIS(number, name, title, symptom, cause, advice, arises, where) name = number,
#include "arm_vcpu/trace/diagnoses.def"
#undef VCPU_DIAGNOSIS
};

// Whether a failure can happen under the reference hypervisor.
enum class Arises : std::uint8_t {
  yes,
  hardware,       // on hardware only: QEMU's TCG has no caches and no stale TLB entries
  defect,         // only through a defect of this library, which tests exclude
  configuration,  // only in a system built differently on this library
};

// One row of diagnoses.def.
struct CodeInfo {
  Code code{};
  std::string_view name;  // the enumerator
  std::string_view title;
  std::string_view symptom;
  std::string_view cause;
  std::string_view advice;
  Arises arises{};
  std::string_view where;
};

[[nodiscard]] std::span<const CodeInfo> catalogue() noexcept;
[[nodiscard]] const CodeInfo& info_of(Code code) noexcept;  // AV9999 for a value that is none
[[nodiscard]] std::string_view name_of(Arises arises) noexcept;

// "AV0003".
void append(TextBuffer& out, Code code) noexcept;
// "AV0003", "av3" or "3". Empty: no such code.
[[nodiscard]] std::optional<Code> parse_code(std::string_view text) noexcept;

enum class Confidence : std::uint8_t { possible, likely, certain };
[[nodiscard]] std::string_view name_of(Confidence confidence) noexcept;

// One value that a diagnosis rests on.
struct Evidence {
  enum class Form : std::uint8_t {
    text,  // no value
    hex,
    decimal,
    code,     // an address of the guest's code, for the symbolizer
    el2_code  // an address of the hypervisor's code
  };
  std::string_view label;  // static storage
  std::uint64_t value{};
  Form form{};
  std::string_view text;  // what the value means; may be empty
};

struct Rejected {
  Code code{};
  std::string_view why;
};

class Diagnosis {
 public:
  static constexpr std::size_t kMaxEvidence = 20;
  static constexpr std::size_t kMaxRejected = 6;
  static constexpr std::size_t kTextBytes = 1536;

  [[nodiscard]] Code code() const noexcept { return code_; }
  [[nodiscard]] Confidence confidence() const noexcept { return confidence_; }
  [[nodiscard]] unsigned vm() const noexcept { return vm_; }
  [[nodiscard]] unsigned vcpu() const noexcept { return vcpu_; }
  [[nodiscard]] std::optional<std::uint64_t> pc() const noexcept { return pc_; }

  [[nodiscard]] std::string_view what() const noexcept { return at(what_); }  // what happened
  [[nodiscard]] std::string_view cause() const noexcept;                      // the rule's, or the catalogue's
  [[nodiscard]] std::string_view advice() const noexcept;
  [[nodiscard]] std::size_t evidence_count() const noexcept { return evidence_count_; }
  [[nodiscard]] Evidence evidence(std::size_t index) const noexcept;
  [[nodiscard]] std::size_t rejected_count() const noexcept { return rejected_count_; }
  [[nodiscard]] Rejected rejected(std::size_t index) const noexcept;

 private:
  friend class Report;

  // Text lies in the diagnosis itself, so that it can be copied and kept.
  struct Piece {
    std::uint16_t start{};
    std::uint16_t length{};
  };
  struct Row {
    std::string_view label;
    std::uint64_t value{};
    Piece text;
    Evidence::Form form{};
  };
  struct Rejection {
    Code code{};
    Piece why;
  };
  [[nodiscard]] std::string_view at(Piece piece) const noexcept { return {text_.data() + piece.start, piece.length}; }

  Code code_{};  // by Report; zero until then, so that a list of them is in the bss
  Confidence confidence_{};
  std::uint16_t used_{};
  unsigned vm_{};
  unsigned vcpu_{};
  std::optional<std::uint64_t> pc_{};
  Piece what_, cause_, advice_;
  std::uint8_t evidence_count_{};
  std::uint8_t rejected_count_{};
  std::array<Row, kMaxEvidence> evidence_{};
  std::array<Rejection, kMaxRejected> rejected_{};
  std::array<char, kTextBytes> text_{};
};

// The diagnoses of one look, the most certain first; of equally certain ones, the rule that is more specific.
class DiagnosisList {
 public:
  static constexpr std::size_t kCapacity = 4;

  [[nodiscard]] const Diagnosis* begin() const noexcept { return items_.data(); }
  [[nodiscard]] const Diagnosis* end() const noexcept { return items_.data() + count_; }
  [[nodiscard]] std::size_t size() const noexcept { return count_; }
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] const Diagnosis& operator[](std::size_t index) const noexcept { return items_[index]; }
  // Found, but there was no room: the least certain are left out.
  [[nodiscard]] std::size_t left_out() const noexcept { return left_out_; }
  void clear() noexcept { count_ = 0, left_out_ = 0; }

  void add(const Diagnosis& diagnosis) noexcept;

 private:
  std::array<Diagnosis, kCapacity> items_{};
  std::size_t count_{};
  std::size_t left_out_{};
};

// Explains `why` we look. `out` is emptied first.
void diagnose(const CapturedState& state, const Trigger& why, DiagnosisList& out) noexcept;

// Looks at CPU, configuration and the loaded guest before the first entry. Needs capabilities, configuration, memory,
// exit (the frame that will be entered) and registers; checks what is there. `out` is emptied first.
void preflight(const CapturedState& state, DiagnosisList& out) noexcept;

// Reads what preflight compares from a device tree blob. Needs libfdt. `blob` is 8-byte aligned.
[[nodiscard]] DeviceTreeFacts read_device_tree_facts(std::span<const std::byte> blob) noexcept;

// --- text -----------------------------------------------------------------------------------------------------------

class LineSink {
 public:
  virtual void line(std::string_view text) noexcept = 0;

 protected:
  ~LineSink() = default;
};

// Names an address: appends "start_kernel+0x1c" and returns true, or returns false.
class Symbolizer {
 public:
  virtual bool symbolize(TextBuffer& out, std::uint64_t address, bool el2) const noexcept = 0;

 protected:
  ~Symbolizer() = default;
};

// One screen:
//   AV0003 MMIO access failure: <what happened>
//     evidence: ...
//     cause (likely): ...
//     check: ...
//     considered: ...
// AV9999 is followed by dump(). No line is longer than 200 characters.
void render(const Diagnosis& diagnosis, const CapturedState& state, LineSink& sink,
            const Symbolizer* symbols = nullptr) noexcept;

// Everything: the frame, the system registers, the last records.
void dump(const CapturedState& state, LineSink& sink, const Symbolizer* symbols = nullptr) noexcept;

}  // namespace arm_vcpu::diag
