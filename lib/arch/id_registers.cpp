// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/arch/id_registers.hpp"

#include <iterator>
#include <string_view>

#include "arm_vcpu/text.hpp"

namespace arm_vcpu {
namespace {

constexpr std::string_view kFieldNames[] = {
#define VCPU_ID_REGISTER(name)
#define VCPU_ID_FIELD(name, field, hi, lo, policy, value) #field,
#include "arm_vcpu/arch/id_policy.def"
#undef VCPU_ID_REGISTER
#undef VCPU_ID_FIELD
};
static_assert(std::size(kFieldNames) == std::size(kIdFields));

// Mistakes in the table do not compile: fields that overlap or exceed their register, caps that a field cannot hold.
consteval bool table_is_sound() {
  std::uint64_t used[kIdRegisterCount] = {};
  for (const IdField& field : kIdFields) {
    const bool aarch32 = field.index < id_register_index(sysreg::ID_AA64PFR0_EL1);
    if (field.lo > field.hi || field.hi > (aarch32 ? 31 : 63)) return false;
    const std::uint64_t mask = bits::mask(field.hi, field.lo);
    if ((used[field.index] & mask) != 0) return false;
    used[field.index] |= mask;
    if (field.value > (mask >> field.lo)) return false;
    if (!has_cap(field.policy) && field.value != 0) return false;
  }
  return true;
}
static_assert(table_is_sound());

#define VCPU_ID_REGISTER(name) static_assert(is_id_register(sysreg::name));
#define VCPU_ID_FIELD(name, field, hi, lo, policy, value)
#include "arm_vcpu/arch/id_policy.def"
#undef VCPU_ID_REGISTER
#undef VCPU_ID_FIELD

}  // namespace

void append_id_fields(TextBuffer& out, SysRegId id, std::uint64_t value) noexcept {
  std::string_view separator;
  for (std::size_t i = 0; is_id_register(id) && i < std::size(kIdFields); ++i) {
    const IdField& field = kIdFields[i];
    if (field.index != id_register_index(id)) continue;
    if (const std::uint64_t part = bits::extract(value, field.hi, field.lo); part != 0) {
      format_to(out, "{}{}={}", separator, kFieldNames[i], part);
      separator = " ";
    }
    value &= ~bits::mask(field.hi, field.lo);
  }
  if (value != 0) format_to(out, "{}other={:x}", separator, value);
}

}  // namespace arm_vcpu
