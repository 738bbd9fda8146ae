// SPDX-License-Identifier: Apache-2.0
// Every system register and system instruction by name, and what traps it. The names are a large table that EL2 has no
// need of: it links only where one of these functions is called.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include "arm_vcpu/arch/sysreg_id.hpp"

namespace arm_vcpu {

class TextBuffer;

namespace explain {

struct Encoding {
  SysRegId id{};
  bool readable{};
  bool writable{};
  std::string_view name{};
};

// In the order of the encodings; one with different names for reads and writes has two neighbouring rows.
[[nodiscard]] std::span<const Encoding> encodings() noexcept;

// The name for a read or a write; the other direction's if there is only that one; null when nobody knows it.
[[nodiscard]] const Encoding* find_encoding(SysRegId id, bool read) noexcept;
// By name in any case: "sctlr_el1", "DC CIVAC", "dc_civac", "dc civac".
[[nodiscard]] const Encoding* find_encoding(std::string_view name) noexcept;

// "S3_0_C12_C11_5" and the assembler's spelling "s3_0_c12_c11_5"; empty when it is no such form.
[[nodiscard]] std::optional<SysRegId> parse_generic(std::string_view text) noexcept;

// The name, or the generic form where there is none.
void append_encoding(TextBuffer& out, SysRegId id, bool read) noexcept;
// "S3_0_C12_C11_5".
void append_generic(TextBuffer& out, SysRegId id) noexcept;

// A row of arch/sysreg_traps.def.
struct Trap {
  std::uint8_t op0{}, op1{}, crn{}, crm_first{}, crm_last{}, op2_first{}, op2_last{};
  bool reads{}, writes{};
  std::string_view control{};

  [[nodiscard]] constexpr bool covers(SysRegId id, bool read) const noexcept {
    return id.op0() == op0 && id.op1() == op1 && id.crn() == crn && id.crm() >= crm_first && id.crm() <= crm_last &&
           id.op2() >= op2_first && id.op2() <= op2_last && (read ? reads : writes);
  }
};
[[nodiscard]] std::span<const Trap> traps() noexcept;

// Calls `visitor(control)` for each control, "HCR_EL2.TVM" and the like, that makes this access of EL1 or EL0 trap to
// EL2.
template <class Visitor>
void for_each_trap(SysRegId id, bool read,
                   Visitor&& visitor) noexcept(std::is_nothrow_invocable_v<Visitor, std::string_view>) {
  for (const Trap& trap : traps()) {
    if (trap.covers(id, read)) visitor(trap.control);
  }
}

// Encoding, name, direction, ISS and traps; several lines.
void append_sysreg(TextBuffer& out, SysRegId id) noexcept;

}  // namespace explain
}  // namespace arm_vcpu
