// SPDX-License-Identifier: Apache-2.0
#include <cstddef>

#include "arm_vcpu/text.hpp"
#include "arm_vcpu/trace/explain.hpp"

namespace arm_vcpu::explain {
namespace {

constexpr Row kRows[] = {
#define VCPU_REGISTER(name_, bits, title) \
  {.row = RowKind::register_name, .hi = (bits) - 1, .name = #name_, .text = title},
#define VCPU_FIELD(hi_bit, lo_bit, name_, kind_, meaning) \
  {.row = RowKind::field, .kind = FieldKind::kind_, .hi = hi_bit, .lo = lo_bit, .name = #name_, .text = meaning},
#define VCPU_FIELD_WHEN(hi_bit, lo_bit, name_, kind_, meaning, on_hi, on_lo, on_value) \
  {.row = RowKind::field,                                                              \
   .kind = FieldKind::kind_,                                                           \
   .hi = hi_bit,                                                                       \
   .lo = lo_bit,                                                                       \
   .conditional = true,                                                                \
   .when_hi = on_hi,                                                                   \
   .when_lo = on_lo,                                                                   \
   .value = on_value,                                                                  \
   .name = #name_,                                                                     \
   .text = meaning},
#define VCPU_VALUE(number, meaning) {.row = RowKind::value, .value = number, .text = meaning},
#define VCPU_RES1(hi_bit, lo_bit) {.row = RowKind::res1, .hi = hi_bit, .lo = lo_bit},
#define VCPU_ISS(ec, iss)
#include "arm_vcpu/arch/register_fields.def"
#include "arm_vcpu/arch/register_fields_gic.def"
#include "arm_vcpu/arch/register_fields_id.def"
#include "arm_vcpu/arch/register_fields_iss.def"
#undef VCPU_REGISTER
#undef VCPU_FIELD
#undef VCPU_FIELD_WHEN
#undef VCPU_VALUE
#undef VCPU_RES1
#undef VCPU_ISS
};
constexpr std::size_t kRowCount = sizeof kRows / sizeof kRows[0];

// Where each register begins, and the end of the table behind the last.
constexpr std::size_t count_registers() noexcept {
  std::size_t count = 0;
  for (const Row& row : kRows) count += row.row == RowKind::register_name ? 1U : 0U;
  return count;
}
constexpr auto kStarts = [] {
  std::array<std::uint16_t, count_registers() + 1> starts{};
  std::size_t next = 0;
  for (std::size_t i = 0; i < kRowCount; ++i) {
    if (kRows[i].row == RowKind::register_name) starts[next++] = static_cast<std::uint16_t>(i);
  }
  starts[next] = static_cast<std::uint16_t>(kRowCount);
  return starts;
}();

constexpr std::size_t index_of(std::string_view name) noexcept {
  for (std::size_t i = 0; i + 1 < kStarts.size(); ++i) {
    if (kRows[kStarts[i]].name == name) return i;
  }
  return kStarts.size();
}

constexpr char upper(char c) noexcept {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}
constexpr bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

constexpr bool same(std::string_view table, std::string_view given, std::string_view suffix) noexcept {
  if (table.size() != given.size() + suffix.size()) return false;
  for (std::size_t i = 0; i < table.size(); ++i) {
    const char c = i < given.size() ? given[i] : suffix[i - given.size()];
    if (upper(table[i]) != upper(c)) return false;
  }
  return true;
}

// "ICH_LR3_EL2" for "ICH_LR<n>_EL2".
constexpr bool same_numbered(std::string_view table, std::string_view given) noexcept {
  const std::size_t at = table.find("<n>");
  if (at == std::string_view::npos || given.size() < at) return false;
  if (!same(table.substr(0, at), given.substr(0, at), "")) return false;
  std::size_t digits = at;
  while (digits < given.size() && is_digit(given[digits])) ++digits;
  const std::string_view rest = given.substr(digits);
  // "ich_lr" too: the shortest name is the one people type.
  return rest.empty() || same(table.substr(at + 3), rest, "");
}

constexpr std::string_view mair_normal(unsigned nibble) noexcept {
  switch (nibble) {
    case 0b0100: return "Non-cacheable";
    case 0b0001: return "Write-Through transient W-allocate";
    case 0b0010: return "Write-Through transient R-allocate";
    case 0b0011: return "Write-Through transient RW-allocate";
    case 0b0101: return "Write-Back transient W-allocate";
    case 0b0110: return "Write-Back transient R-allocate";
    case 0b0111: return "Write-Back transient RW-allocate";
    case 0b1000: return "Write-Through no-allocate";
    case 0b1001: return "Write-Through W-allocate";
    case 0b1010: return "Write-Through R-allocate";
    case 0b1011: return "Write-Through RW-allocate";
    case 0b1100: return "Write-Back no-allocate";
    case 0b1101: return "Write-Back W-allocate";
    case 0b1110: return "Write-Back R-allocate";
    case 0b1111: return "Write-Back RW-allocate";
    default: return "reserved";
  }
}

std::string_view intid_kind(std::uint64_t intid) noexcept {
  if (intid < 16) return "SGI";
  if (intid < 32) return "PPI";
  if (intid < 1020) return "SPI";
  if (intid < 1024) return "special";
  if (intid >= 1056 && intid < 1120) return "extended PPI";
  if (intid >= 4096 && intid < 5120) return "extended SPI";
  return intid >= 8192 ? "LPI" : "reserved";
}

}  // namespace

std::string_view Register::value_text(const Row& row, std::uint64_t value) const noexcept {
  for (const Row* at = &row + 1; at != end_ && at->row == RowKind::value; ++at) {
    if (at->value == value) return at->text;
  }
  return {};
}

unsigned register_count() noexcept {
  return static_cast<unsigned>(kStarts.size() - 1);
}

Register register_at(unsigned index) noexcept {
  const std::size_t at = index < kStarts.size() - 1 ? index : 0;
  return {&kRows[kStarts[at]], &kRows[0] + kStarts[at + 1]};
}

const Row* find_register(std::string_view name) noexcept {
  for (const std::string_view suffix : {"", "_EL2", "_EL1", "_EL0"}) {
    for (std::size_t i = 0; i + 1 < kStarts.size(); ++i) {
      if (same(kRows[kStarts[i]].name, name, suffix)) return &kRows[kStarts[i]];
    }
  }
  for (std::size_t i = 0; i + 1 < kStarts.size(); ++i) {
    if (same_numbered(kRows[kStarts[i]].name, name)) return &kRows[kStarts[i]];
  }
  return nullptr;
}

Register register_of(const Row* found) noexcept {
  const Row* end = found + 1;
  while (end != &kRows[0] + kRowCount && end->row != RowKind::register_name) ++end;
  return {found, end};
}

Register iss_encoding(Ec ec) noexcept {
  switch (ec) {
#define VCPU_REGISTER(name, bits, title)
#define VCPU_FIELD(hi, lo, name, kind, meaning)
#define VCPU_FIELD_WHEN(hi, lo, name, kind, meaning, on_hi, on_lo, on_value)
#define VCPU_VALUE(number, meaning)
#define VCPU_RES1(hi, lo)
#define VCPU_ISS(class_name, iss)                                   \
  case Ec::class_name: {                                            \
    constexpr std::size_t kIndex = index_of(#iss);                  \
    static_assert(kIndex < kStarts.size(), "no such ISS encoding"); \
    return register_at(static_cast<unsigned>(kIndex));              \
  }
#include "arm_vcpu/arch/register_fields_iss.def"
#undef VCPU_REGISTER
#undef VCPU_FIELD
#undef VCPU_FIELD_WHEN
#undef VCPU_VALUE
#undef VCPU_RES1
#undef VCPU_ISS
  }
  return register_at(static_cast<unsigned>(index_of("ISS_RAW")));
}

void append_mair(TextBuffer& out, std::uint8_t attr) noexcept {
  const unsigned outer = attr >> 4U;
  const unsigned inner = attr & 0xFU;
  if (attr == 0xF0) {
    out.put("Normal Tagged, Inner and Outer Write-Back RW-allocate");
  } else if (attr == 0x40) {
    out.put("Normal, Inner and Outer Non-cacheable, XS 0");
  } else if (attr == 0xA0) {
    out.put("Normal, Inner and Outer Write-Through R-allocate, XS 0");
  } else if (attr == 0xE0) {
    out.put("Normal NoTagAccess, Inner and Outer Write-Back RW-allocate");
  } else if (outer == 0 && (inner & 0b0010) == 0) {
    constexpr std::string_view kDevice[] = {"Device-nGnRnE", "Device-nGnRE", "Device-nGRE", "Device-GRE"};
    out.put(kDevice[inner >> 2U]);
    if ((inner & 1) != 0) out.put(", XS 0");
  } else if (outer == 0 || inner == 0) {
    out.put("reserved");
  } else if (outer == inner) {
    format_to(out, "Normal, Inner and Outer {}", mair_normal(inner));
  } else {
    format_to(out, "Normal, Inner {}, Outer {}", mair_normal(inner), mair_normal(outer));
  }
}

std::string_view fault_status_text(std::uint8_t fsc) noexcept {
  if (const std::string_view text = meaning_of(Fsc{fsc}); !text.empty()) return text;
  switch (fsc) {
    // A level -2 exists with 128-bit descriptors only.
    case 0x12: return "synchronous external abort on a table walk, level -2";
    case 0x1A: return "synchronous parity or ECC error on a table walk, level -2";
    case 0x22: return "granule protection fault on a table walk, level -2";
    case 0x2A: return "translation fault, level -2";
    case 0x2C: return "address size fault, level -2";
    case 0x3D: return "section domain fault (AArch32 through PAR_EL1 only)";
    case 0x3E: return "page domain fault (AArch32 through PAR_EL1 only)";
    default: return "reserved";
  }
}

std::string_view ec_text(std::uint8_t ec) noexcept {
  const std::string_view text = meaning_of(Ec{ec});
  return text.empty() ? "reserved" : text;
}

void append_meaning(TextBuffer& out, const FieldView& field) noexcept {
  if (field.state != FieldState::field) {
    out.put(field.meaning);
    return;
  }
  switch (field.kind) {
    case FieldKind::number:
      out.put(field.meaning);
      if (!field.value_text.empty()) format_to(out, ": {}", field.value_text);
      return;
    case FieldKind::flag: format_to(out, field.value != 0 ? "{}" : "not: {}", field.meaning); return;
    case FieldKind::fault_status: out.put(fault_status_text(static_cast<std::uint8_t>(field.value))); return;
    case FieldKind::mair: append_mair(out, static_cast<std::uint8_t>(field.value)); return;
    case FieldKind::ec: out.put(ec_text(static_cast<std::uint8_t>(field.value))); return;
    case FieldKind::gpr:
      format_to(out, "{}: ", field.meaning);
      if (field.value == 31) {
        out.put("XZR");
      } else {
        format_to(out, "X{}", field.value);
      }
      return;
    case FieldKind::address: format_to(out, "{}: {:x}", field.meaning, field.value << field.lo); return;
    case FieldKind::page_number: format_to(out, "{}: {:x}", field.meaning, field.value << 12); return;
    case FieldKind::size_offset: format_to(out, "{}: {} bits", field.meaning, 64 - field.value); return;
    case FieldKind::minus_one: format_to(out, "{}: {}", field.meaning, field.value + 1); return;
    case FieldKind::log2_words:
      if (field.value == 0) {
        format_to(out, "{}: not told", field.meaning);
      } else {
        format_to(out, "{}: {} bytes", field.meaning, std::uint64_t{4} << field.value);
      }
      return;
    case FieldKind::affinity:
      format_to(out, "{}: {}.{}.{}.{}", field.meaning, field.value >> 24, field.value >> 16 & 0xFF,
                field.value >> 8 & 0xFF, field.value & 0xFF);
      return;
    case FieldKind::intid: format_to(out, "{}: {} {}", field.meaning, intid_kind(field.value), field.value); return;
  }
}

void append(TextBuffer& out, const FieldView& field) noexcept {
  if (field.hi == field.lo) {
    format_to(out, "{}[{}] = ", field.name, field.hi);
  } else {
    format_to(out, "{}[{}:{}] = ", field.name, field.hi, field.lo);
  }
  // Decimal where it is short, as the manual writes counts; hexadecimal where bits matter.
  if (field.value < 10) {
    format_to(out, "{}: ", field.value);
  } else {
    format_to(out, "{:x}: ", field.value);
  }
  append_meaning(out, field);
}

void append(TextBuffer& out, const Register& reg, std::uint64_t raw, bool all) noexcept {
  format_to(out, "{} = {:x}: {}\n", reg.name(), raw, reg.title());
  visit(reg, raw, [&](const FieldView& field) noexcept {
    const bool dull = field.state == FieldState::field && field.value == 0 && field.value_text.empty() &&
                      (field.kind == FieldKind::flag || field.kind == FieldKind::number);
    if (dull && !all) return;
    out.put(field.state == FieldState::field ? "  " : "! ");
    append(out, field);
    out.put('\n');
  });
}

}  // namespace arm_vcpu::explain
