// SPDX-License-Identifier: Apache-2.0
// A64 instructions by class: as much as a diagnosis says about the instruction that failed.
// [armarm] "A64 instruction set encoding"
#pragma once

#include <cstdint>
#include <string_view>

#include "arm_vcpu/arch/sysreg_id.hpp"

namespace arm_vcpu::diag {

enum class OpcodeClass : std::uint8_t {
  other,             // valid, as far as this goes: data processing, branches, hints
  udf,               // permanently undefined
  unallocated,       // op0 0b0001, 0b0011, or 0b0000 with bit 31 clear and not UDF
  load_store_plain,  // one general register, no write-back: ESR_ELx.ISS.ISV is 1
  load_store_pair,
  load_store_writeback,
  load_store_simd,
  load_store_exclusive,
  load_store_atomic,  // LDADD and so on, CAS, SWP
  load_store_pauth,   // LDRAA, LDRAB
  load_store_tag,     // STG and so on
  memory_copy,        // CPY*, SET*
  dc_zva,
  cache_maintenance,
  system_register,     // MRS, MSR (register)
  system_instruction,  // SYS, SYSL that are no cache maintenance
  hvc,
  smc,
  svc,
  brk,
  eret,
  fp_simd,  // data processing
  sve,
  sme,
};

[[nodiscard]] OpcodeClass classify(std::uint32_t opcode) noexcept;
[[nodiscard]] std::string_view name_of(OpcodeClass opcode_class) noexcept;

// A load or store whose abort has no instruction syndrome. [armarm] "ISS encoding for an exception from a Data Abort",
// ISV
[[nodiscard]] constexpr bool has_no_syndrome(OpcodeClass opcode_class) noexcept {
  return opcode_class >= OpcodeClass::load_store_pair && opcode_class <= OpcodeClass::cache_maintenance;
}

// Of an MRS, MSR (register), SYS or SYSL.
[[nodiscard]] constexpr SysRegId sysreg_of(std::uint32_t opcode) noexcept {
  return SysRegId{opcode >> 19 & 3, opcode >> 16 & 7, opcode >> 12 & 15, opcode >> 8 & 15, opcode >> 5 & 7};
}
[[nodiscard]] constexpr bool is_sysreg_read(std::uint32_t opcode) noexcept {
  return (opcode >> 21 & 1) != 0;
}

}  // namespace arm_vcpu::diag
