// SPDX-License-Identifier: Apache-2.0
// What a register's value says, field by field. The tables are arch/register_fields*.def; the same code explains at EL2
// and in the tools.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "arm_vcpu/arch/bits.hpp"
#include "arm_vcpu/arch/esr.hpp"

namespace arm_vcpu {

class TextBuffer;

namespace explain {

// How a field's value reads.
enum class FieldKind : std::uint8_t {
  number,        // a number, or one of the values listed
  flag,          // 1: what the meaning says
  fault_status,  // IFSC, DFSC, FST
  mair,          // a byte of MAIR_ELx
  gpr,           // 0 to 30, or 31 for the zero register
  ec,            // exception class
  address,       // the field in place, its low bits 0, is an address
  page_number,   // address >> 12
  size_offset,   // 64 minus the value
  minus_one,     // one more than the value
  log2_words,    // 4 << value bytes
  affinity,      // Aff3.Aff2.Aff1.Aff0
  intid,         // of the GIC
};

enum class RowKind : std::uint8_t { register_name, field, value, res1 };

// One row of the tables.
struct Row {
  RowKind row{};
  FieldKind kind{};
  std::uint8_t hi{};  // of a register: its highest bit
  std::uint8_t lo{};
  bool conditional{};  // there only while when_hi:when_lo of the register hold when_value
  std::uint8_t when_hi{};
  std::uint8_t when_lo{};
  std::uint64_t value{};  // of a value row, or when_value
  std::string_view name{};
  std::string_view text{};

  [[nodiscard]] constexpr bool present_in(std::uint64_t raw) const noexcept {
    return !conditional || bits::extract(raw, when_hi, when_lo) == value;
  }
};

// The rows of one register; a handle, always valid.
class Register {
 public:
  constexpr Register(const Row* first, const Row* end) noexcept : first_{first}, end_{end} {}

  [[nodiscard]] constexpr std::string_view name() const noexcept { return first_->name; }
  [[nodiscard]] constexpr std::string_view title() const noexcept { return first_->text; }
  [[nodiscard]] constexpr unsigned bits() const noexcept { return first_->hi + 1U; }
  [[nodiscard]] constexpr const Row* begin() const noexcept { return first_ + 1; }
  [[nodiscard]] constexpr const Row* end() const noexcept { return end_; }
  // What the table has for `value` of the field `row`; empty when it has nothing.
  [[nodiscard]] std::string_view value_text(const Row& row, std::uint64_t value) const noexcept;

 private:
  const Row* first_;
  const Row* end_;
};

// All registers and ISS encodings, by number: 0 up to register_count().
[[nodiscard]] unsigned register_count() noexcept;
[[nodiscard]] Register register_at(unsigned index) noexcept;

// By name, in any case: "HCR_EL2", "hcr_el2", "hcr" (EL2 if it exists there, else EL1, EL0), "ICH_LR3_EL2". Null when
// no table has it.
[[nodiscard]] const Row* find_register(std::string_view name) noexcept;
[[nodiscard]] Register register_of(const Row* found) noexcept;  // Precondition: `found` came from find_register()

// The ISS encoding of an exception class; ISS_RAW for a class that is reserved.
[[nodiscard]] Register iss_encoding(Ec ec) noexcept;

enum class FieldState : std::uint8_t {
  field,
  res0_set,    // bits that should be 0: reserved, or of a feature later than the tables
  res1_clear,  // bits that should be 1
};

struct FieldView {
  FieldState state{};
  FieldKind kind{};
  std::uint8_t hi{};
  std::uint8_t lo{};
  std::string_view name{};        // "RES0", "RES1" for the reserved
  std::string_view meaning{};     // of the field
  std::string_view value_text{};  // of this value, if the table lists it
  std::uint64_t value{};
};

// Calls `visitor(const FieldView&)` for each field that is there, from the highest bit down, and for reserved bits that
// do not hold what they should.
template <class Visitor>
void visit(const Register& reg, std::uint64_t raw,
           Visitor&& visitor) noexcept(std::is_nothrow_invocable_v<Visitor, const FieldView&>) {
  std::uint64_t known = reg.bits() == 64 ? 0 : ~bits::mask(reg.bits() - 1, 0);
  for (const Row& row : reg) {
    if (row.row == RowKind::field && row.present_in(raw)) {
      known |= bits::mask(row.hi, row.lo);
      const std::uint64_t value = bits::extract(raw, row.hi, row.lo);
      visitor(FieldView{.state = FieldState::field,
                        .kind = row.kind,
                        .hi = row.hi,
                        .lo = row.lo,
                        .name = row.name,
                        .meaning = row.text,
                        .value_text = reg.value_text(row, value),
                        .value = value});
    } else if (row.row == RowKind::res1) {
      known |= bits::mask(row.hi, row.lo);
      const std::uint64_t value = bits::extract(raw, row.hi, row.lo);
      if (value != bits::mask(row.hi - row.lo, 0)) {
        visitor(FieldView{.state = FieldState::res1_clear,
                          .hi = row.hi,
                          .lo = row.lo,
                          .name = "RES1",
                          .meaning = "should be all ones",
                          .value = value});
      }
    }
  }
  std::uint64_t rest = raw & ~known;
  while (rest != 0) {
    const auto hi = static_cast<std::uint8_t>(63 - __builtin_clzll(rest));
    unsigned lo = hi;
    while (lo > 0 && (rest >> (lo - 1) & 1) != 0) --lo;
    rest &= ~bits::mask(hi, lo);
    visitor(FieldView{.state = FieldState::res0_set,
                      .hi = hi,
                      .lo = static_cast<std::uint8_t>(lo),
                      .name = "RES0",
                      .meaning = "reserved bits are set, or a feature that this table does not know",
                      .value = bits::extract(raw, hi, lo)});
  }
}

// "no trap", "write", "X3", "translation fault, level 2": what the value of the field says.
void append_meaning(TextBuffer& out, const FieldView& field) noexcept;
// "TWI[13] = 1: WFI that would wait traps".
void append(TextBuffer& out, const FieldView& field) noexcept;
// A line with name, value and title, then one line per field. Without `all`, flags and numbers that are 0 and have no
// text of their own are left out.
void append(TextBuffer& out, const Register& reg, std::uint64_t raw, bool all) noexcept;

// A byte of MAIR_ELx: "Normal, Inner Write-Back RW-allocate, Outer Non-cacheable", "Device-nGnRE".
void append_mair(TextBuffer& out, std::uint8_t attr) noexcept;
// The meaning of a fault status code, "reserved" included.
[[nodiscard]] std::string_view fault_status_text(std::uint8_t fsc) noexcept;
[[nodiscard]] std::string_view ec_text(std::uint8_t ec) noexcept;

// ESR_ELx in full: class, syndrome fields, and below "means:" what they say to a hypervisor. Several lines.
void append_esr(TextBuffer& out, std::uint64_t esr, bool all) noexcept;
// The sentences only: "a store of 4 bytes from W3; ...".
void append_esr_meaning(TextBuffer& out, std::uint64_t esr) noexcept;

}  // namespace explain
}  // namespace arm_vcpu
