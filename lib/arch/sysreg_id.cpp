// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/arch/sysreg_id.hpp"

#include <algorithm>
#include <array>
#include <iterator>

#include "arm_vcpu/text.hpp"

namespace arm_vcpu {
namespace {

// A switch would be as much code as the rest of this folder. One text has all names; a row is an encoding in 16 bits
// and where its name begins.
constexpr char kNames[] =
#define VCPU_SYSREG(name, op0, op1, crn, crm, op2) #name "\0"
#define VCPU_SYSINSN(mnemonic, operand, op0, op1, crn, crm, op2) #mnemonic " " #operand "\0"
#include "arm_vcpu/arch/sysreg_names.def"
#undef VCPU_SYSREG
#undef VCPU_SYSINSN
    ;
static_assert(sizeof(kNames) <= 0x10000);

constexpr std::uint16_t key_of(SysRegId id) noexcept {
  return static_cast<std::uint16_t>(id.op0() << 14 | id.op1() << 11 | id.crn() << 7 | id.crm() << 3 | id.op2());
}

struct Row {
  std::uint16_t key{};
  std::uint16_t at{};
  friend constexpr auto operator<=>(const Row&, const Row&) noexcept = default;
};

constexpr Row kAsListed[] = {
#define VCPU_SYSREG(name, op0, op1, crn, crm, op2) {key_of({op0, op1, crn, crm, op2}), sizeof(#name)},
#define VCPU_SYSINSN(mnemonic, operand, op0, op1, crn, crm, op2) \
  {key_of({op0, op1, crn, crm, op2}), sizeof(#mnemonic " " #operand)},
#include "arm_vcpu/arch/sysreg_names.def"
#undef VCPU_SYSREG
#undef VCPU_SYSINSN
};

constexpr auto kRows = [] {
  std::array<Row, std::size(kAsListed)> rows{};
  std::size_t at = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i] = {kAsListed[i].key, static_cast<std::uint16_t>(at)};
    at += kAsListed[i].at;  // so far the bytes of the name
  }
  std::ranges::sort(rows);
  return rows;
}();
static_assert(std::ranges::adjacent_find(kRows, {}, &Row::key) == kRows.end(), "two names of one encoding");

}  // namespace

std::string_view name_of(SysRegId id) noexcept {
  const auto row = std::ranges::lower_bound(kRows, key_of(id), {}, &Row::key);
  return row != kRows.end() && row->key == key_of(id) ? std::string_view{&kNames[row->at]} : std::string_view{};
}

void append(TextBuffer& out, SysRegId id) noexcept {
  if (const std::string_view name = name_of(id); !name.empty()) {
    out.put(name);
    return;
  }
  format_to(out, "S{}_{}_C{}_C{}_{}", id.op0(), id.op1(), id.crn(), id.crm(), id.op2());
}

}  // namespace arm_vcpu
