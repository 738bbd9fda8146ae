// SPDX-License-Identifier: Apache-2.0
#include "opcode.hpp"

namespace arm_vcpu::diag {
namespace {

constexpr bool matches(std::uint32_t opcode, std::uint32_t mask, std::uint32_t value) noexcept {
  return (opcode & mask) == value;
}

OpcodeClass classify_load_store(std::uint32_t opcode) noexcept {
  using enum OpcodeClass;
  if (matches(opcode, 0xFF20'0000, 0xD920'0000)) return load_store_tag;
  if (matches(opcode, 0x3B20'0C00, 0x1900'0400)) return memory_copy;
  const bool simd = (opcode >> 26 & 1) != 0;
  const unsigned family = opcode >> 27 & 7;  // bits 29:27
  const unsigned low = opcode >> 10 & 3;     // bits 11:10
  const bool bit24 = (opcode >> 24 & 1) != 0;
  const bool bit21 = (opcode >> 21 & 1) != 0;
  if (simd) return load_store_simd;
  switch (family) {
    case 0b001:
      if (bit24) return load_store_plain;  // LDAPUR, STLUR
      if ((opcode >> 23 & 1) == 0) {       // LDXR, STXR, CASP
        return bit21 && (opcode >> 31) == 0 ? load_store_atomic : load_store_exclusive;
      }
      return bit21 ? load_store_atomic : load_store_plain;  // CAS; LDAR, STLR
    case 0b011: return load_store_plain;                    // literal
    case 0b101: return load_store_pair;
    case 0b111:
      if (bit24) return load_store_plain;  // unsigned offset
      if (!bit21) return (low & 1) != 0 ? load_store_writeback : load_store_plain;
      if (low == 0b10) return load_store_plain;  // register offset
      if ((low & 1) != 0) return load_store_pauth;
      return matches(opcode, 0x0020'FC00, 0x0020'C000) && matches(opcode, 0x3FFF'FC00, 0x38BF'C000)
                 ? load_store_plain  // LDAPR
                 : load_store_atomic;
    default: return load_store_plain;
  }
}

OpcodeClass classify_system(std::uint32_t opcode) noexcept {
  using enum OpcodeClass;
  if (matches(opcode, 0xFFE0'001F, 0xD400'0001)) return svc;
  if (matches(opcode, 0xFFE0'001F, 0xD400'0002)) return hvc;
  if (matches(opcode, 0xFFE0'001F, 0xD400'0003)) return smc;
  if (matches(opcode, 0xFFE0'001F, 0xD420'0000)) return brk;
  if (matches(opcode, 0xFFFF'F3FF, 0xD69F'03E0)) return eret;  // ERET, ERETAA, ERETAB but for its Rm
  if (matches(opcode, 0xFFFF'FFFF, 0xD69F'0BFF) || matches(opcode, 0xFFFF'FFFF, 0xD69F'0FFF)) return eret;
  if (matches(opcode, 0xFFD0'0000, 0xD510'0000)) return system_register;
  if (matches(opcode, 0xFFD8'0000, 0xD508'0000)) {
    const SysRegId id = sysreg_of(opcode);
    if (id == SysRegId{1, 3, 7, 4, 1}) return dc_zva;
    // DC and IC. AT is CRn 7, CRm 8 and 9.
    if (id.crn() == 7 && id.crm() != 8 && id.crm() != 9 && id.crm() != 3) return cache_maintenance;
    return system_instruction;
  }
  return other;
}

}  // namespace

OpcodeClass classify(std::uint32_t opcode) noexcept {
  using enum OpcodeClass;
  const unsigned op0 = opcode >> 25 & 0xF;  // bits 28:25
  switch (op0) {
    case 0b0000:
      if ((opcode >> 31) != 0) return sme;
      return (opcode >> 16) == 0 ? udf : unallocated;
    case 0b0001:
    case 0b0011: return unallocated;
    case 0b0010: return sve;
    case 0b0111:
    case 0b1111: return fp_simd;
    case 0b1010:
    case 0b1011: return classify_system(opcode);
    default: break;
  }
  return (op0 & 0b0101) == 0b0100 ? classify_load_store(opcode) : other;
}

std::string_view name_of(OpcodeClass opcode_class) noexcept {
  using enum OpcodeClass;
  switch (opcode_class) {
    case other: return "an ordinary instruction";
    case udf: return "UDF, permanently undefined";
    case unallocated: return "an unallocated encoding";
    case load_store_plain: return "a plain load or store";
    case load_store_pair: return "a load or store of a pair (LDP, STP)";
    case load_store_writeback: return "a load or store with write-back (pre- or post-indexed)";
    case load_store_simd: return "a load or store of SIMD or floating-point registers";
    case load_store_exclusive: return "a load or store exclusive (LDXR, STXR)";
    case load_store_atomic: return "an atomic (LDADD, CAS, SWP and so on)";
    case load_store_pauth: return "a load with pointer authentication (LDRAA, LDRAB)";
    case load_store_tag: return "an access to allocation tags (STG, LDG)";
    case memory_copy: return "a memory copy or set instruction (CPY, SET)";
    case dc_zva: return "DC ZVA";
    case cache_maintenance: return "cache maintenance";
    case system_register: return "MRS or MSR";
    case system_instruction: return "a system instruction";
    case hvc: return "HVC";
    case smc: return "SMC";
    case svc: return "SVC";
    case brk: return "BRK";
    case eret: return "ERET";
    case fp_simd: return "an SIMD or floating-point instruction";
    case sve: return "an SVE instruction";
    case sme: return "an SME instruction";
  }
  return {};
}

}  // namespace arm_vcpu::diag
