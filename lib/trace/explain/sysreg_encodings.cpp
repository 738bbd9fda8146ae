// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "arm_vcpu/text.hpp"
#include "arm_vcpu/trace/explain_sysreg.hpp"

namespace arm_vcpu::explain {
namespace {

constexpr bool readable(std::string_view access) noexcept {
  return access[0] == 'r';
}
constexpr bool writable(std::string_view access) noexcept {
  return access[1] == 'w' || access[0] == 'w';
}

constexpr Encoding kEncodings[] = {
#define VCPU_ENCODING(op0, op1, crn, crm, op2, access, name) \
  {SysRegId{op0, op1, crn, crm, op2}, readable(#access), writable(#access), name},
#include "sysreg_encodings.def"
#undef VCPU_ENCODING
};

constexpr std::string_view kRead = "r";
constexpr std::string_view kWrite = "w";
constexpr Trap kTraps[] = {
#define VCPU_TRAP(op0, op1, crn, crm_first, crm_last, op2_first, op2_last, access, control) \
  {op0,                                                                                     \
   op1,                                                                                     \
   crn,                                                                                     \
   crm_first,                                                                               \
   crm_last,                                                                                \
   op2_first,                                                                               \
   op2_last,                                                                                \
   std::string_view{#access}.contains(kRead),                                               \
   std::string_view{#access}.contains(kWrite),                                              \
   control},
#include "arm_vcpu/arch/sysreg_traps.def"
#undef VCPU_TRAP
};

// The key that the table is sorted by: ESR's order of the fields is another.
constexpr unsigned key_of(SysRegId id) noexcept {
  return id.op0() << 14 | id.op1() << 11 | id.crn() << 7 | id.crm() << 3 | id.op2();
}

constexpr char folded(char c) noexcept {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c == ' ' ? '_' : c;
}

bool same_name(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return folded(x) == folded(y); });
}

// A decimal number below `limit` at the front of `text`, which loses it.
std::optional<unsigned> take_number(std::string_view& text, unsigned limit) noexcept {
  unsigned value = 0;
  std::size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9' && digits < 2) {
    value = value * 10 + static_cast<unsigned>(text[digits++] - '0');
  }
  if (digits == 0 || value >= limit) return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, std::string_view prefix) noexcept {
  if (text.size() < prefix.size() || !same_name(text.substr(0, prefix.size()), prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

std::span<const Encoding> encodings() noexcept {
  return kEncodings;
}
std::span<const Trap> traps() noexcept {
  return kTraps;
}

const Encoding* find_encoding(SysRegId id, bool read) noexcept {
  const auto* const end = std::end(kEncodings);
  const auto* at = std::lower_bound(std::begin(kEncodings), end, key_of(id),
                                    [](const Encoding& row, unsigned key) { return key_of(row.id) < key; });
  if (at == end || at->id != id) return nullptr;
  const auto* const other = at + 1;
  const bool fits = read ? at->readable : at->writable;
  return !fits && other != end && other->id == id ? other : at;
}

const Encoding* find_encoding(std::string_view name) noexcept {
  for (const Encoding& row : kEncodings) {
    if (same_name(row.name, name)) return &row;
  }
  return nullptr;
}

std::optional<SysRegId> parse_generic(std::string_view text) noexcept {
  if (!take(text, "S")) return std::nullopt;
  const auto op0 = take_number(text, 4);
  if (!op0 || !take(text, "_")) return std::nullopt;
  const auto op1 = take_number(text, 8);
  if (!op1 || !take(text, "_C")) return std::nullopt;
  const auto crn = take_number(text, 16);
  if (!crn || !take(text, "_C")) return std::nullopt;
  const auto crm = take_number(text, 16);
  if (!crm || !take(text, "_")) return std::nullopt;
  const auto op2 = take_number(text, 8);
  if (!op2 || !text.empty()) return std::nullopt;
  return SysRegId{*op0, *op1, *crn, *crm, *op2};
}

void append_generic(TextBuffer& out, SysRegId id) noexcept {
  format_to(out, "S{}_{}_C{}_C{}_{}", id.op0(), id.op1(), id.crn(), id.crm(), id.op2());
}

void append_encoding(TextBuffer& out, SysRegId id, bool read) noexcept {
  if (const Encoding* row = find_encoding(id, read)) {
    out.put(row->name);
  } else {
    append_generic(out, id);
  }
}

void append_sysreg(TextBuffer& out, SysRegId id) noexcept {
  append_generic(out, id);
  format_to(out, ": op0 {}, op1 {}, CRn {}, CRm {}, op2 {}; in an ISS of EC 0x18: {:x}\n", id.op0(), id.op1(), id.crn(),
            id.crm(), id.op2(), id.iss());
  bool named = false;
  for (const Encoding& row : kEncodings) {
    if (row.id != id) continue;
    named = true;
    format_to(out, "  {}: {}\n", row.name,
              id.op0() == 1   ? "system instruction"
              : !row.writable ? "register, read only"
              : !row.readable ? "register, write only"
                              : "register, read and write");
  }
  if (!named) {
    const bool implementation = id.op0() == 3 && (id.crn() == 11 || id.crn() == 15);
    format_to(
        out, "  no name: {}\n",
        implementation ? "IMPLEMENTATION DEFINED, see the manual of the CPU" : "unallocated, or later than the table");
  }
  for (const Trap& trap : kTraps) {
    if (!trap.covers(id, true) && !trap.covers(id, false)) continue;
    format_to(out, "  {} trapped by {}\n",
              id.op0() == 1               ? "executions are"
              : trap.reads && trap.writes ? "accesses are"
              : trap.reads                ? "reads are"
                                          : "writes are",
              trap.control);
  }
  if (id.op0() == 3 && (id.op1() == 4 || id.op1() == 5)) {
    out.put("  from EL1: UNDEFINED, or trapped by HCR_EL2.NV\n");
  } else if (id.op0() == 3 && (id.op1() == 6 || id.op1() == 7)) {
    out.put("  from EL1 and EL2: UNDEFINED\n");
  }
}

}  // namespace arm_vcpu::explain
