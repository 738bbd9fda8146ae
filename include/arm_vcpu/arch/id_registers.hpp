// SPDX-License-Identifier: Apache-2.0
// The ID registers as a guest may see them. Guests read them by MRS, which HCR_EL2.TID3 traps.
// [armarm] "HCR_EL2, Hypervisor Configuration Register", TID3; "Principles of the ID scheme for fields in ID
// registers".
#pragma once

#include <cstdint>

#include "arm_vcpu/arch/bits.hpp"
#include "arm_vcpu/arch/sysreg_id.hpp"

namespace arm_vcpu {

class TextBuffer;

// What the policy takes from the VM.
struct GuestIdLimits {
  unsigned ipa_bits = 48;
  bool pmu = false;  // it has the CPU's performance monitors
  bool sve = false;
  bool mte = false;  // allocation tags; the CPU has FEAT_MTE2
  bool gic_system_registers = true;
};

// In the ID group: op0 3, op1 0, CRn 0, CRm 1 to 7. Encodings of it without a register read as 0. MIDR_EL1, MPIDR_EL1
// and REVIDR_EL1 (CRm 0) are not part of it: VPIDR_EL2, VMPIDR_EL2 and HCR_EL2.TID1 serve those.
[[nodiscard]] constexpr bool is_id_register(SysRegId id) noexcept {
  return id.op0() == 3 && id.op1() == 0 && id.crn() == 0 && id.crm() >= 1 && id.crm() <= 7;
}

// The group as an array: one element for each encoding.
inline constexpr unsigned kIdRegisterCount = 56;
[[nodiscard]] constexpr unsigned id_register_index(SysRegId id) noexcept {
  return 8 * (id.crm() - 1) + id.op2();
}
[[nodiscard]] constexpr SysRegId id_register_at(unsigned index) noexcept {
  return SysRegId{3, 0, 0, 1 + index / 8, index % 8};
}

enum class IdPolicy : std::uint8_t { keep, hide, cap, cap_pa_range, cap_pmu, cap_gic, keep_with_sve, cap_mte };

// Whether the row's value is the most that a guest is shown.
[[nodiscard]] constexpr bool has_cap(IdPolicy policy) noexcept {
  return policy == IdPolicy::cap || policy == IdPolicy::cap_pmu || policy == IdPolicy::cap_gic ||
         policy == IdPolicy::cap_mte;
}

// One row of id_policy.def.
struct IdField {
  std::uint8_t index{};  // id_register_index()
  std::uint8_t hi{};
  std::uint8_t lo{};
  IdPolicy policy{};
  std::uint8_t value{};
};

inline constexpr IdField kIdFields[] = {
#define VCPU_ID_REGISTER(name)
#define VCPU_ID_FIELD(name, field, hi, lo, policy, value) \
  {static_cast<std::uint8_t>(id_register_index(sysreg::name)), hi, lo, IdPolicy::policy, value},
#include "arm_vcpu/arch/id_policy.def"
#undef VCPU_ID_REGISTER
#undef VCPU_ID_FIELD
};

// ID_AA64MMFR0_EL1.PARange: the largest value that does not promise more than `ipa_bits`, 48 at most. Below 32 bits
// there is no value to give; 0 is the smallest.
[[nodiscard]] constexpr std::uint64_t pa_range_within(unsigned ipa_bits) noexcept {
  constexpr unsigned kBits[] = {32, 36, 40, 42, 44, 48};
  std::uint64_t result = 0;
  for (std::uint64_t i = 0; i < 6; ++i) {
    if (kBits[i] <= ipa_bits) result = i;
  }
  return result;
}

// What the guest reads where the CPU has `hardware_value`. 0 for everything that id_policy.def does not show.
[[nodiscard]] constexpr std::uint64_t sanitise(SysRegId id, std::uint64_t hardware_value,
                                               GuestIdLimits limits = {}) noexcept {
  if (!is_id_register(id)) return 0;
  const unsigned index = id_register_index(id);
  std::uint64_t guest_value = 0;
  for (const IdField& field : kIdFields) {
    if (field.index != index || field.policy == IdPolicy::hide) continue;
    if (field.policy == IdPolicy::keep_with_sve && !limits.sve) continue;
    if (field.policy == IdPolicy::cap_mte && !limits.mte) continue;
    std::uint64_t value = bits::extract(hardware_value, field.hi, field.lo);
    constexpr std::uint64_t kImplementationDefinedPmu = 0xF;
    if (field.policy == IdPolicy::cap_pmu && (!limits.pmu || value == kImplementationDefinedPmu)) continue;
    if (field.policy == IdPolicy::cap_gic && !limits.gic_system_registers) continue;
    const std::uint64_t most = has_cap(field.policy)                    ? field.value
                               : field.policy == IdPolicy::cap_pa_range ? pa_range_within(limits.ipa_bits)
                                                                        : value;
    value = value < most ? value : most;
    guest_value |= value << field.lo;
  }
  return guest_value;
}

// The fields that are not 0, by name: "EL0=2 EL1=1 FP=1". Bits that no row describes are last: "other=0x...".
void append_id_fields(TextBuffer& out, SysRegId id, std::uint64_t value) noexcept;

}  // namespace arm_vcpu
