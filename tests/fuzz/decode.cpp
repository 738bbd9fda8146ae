// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/decode.hpp"

#include "fuzz.hpp"

namespace arm_vcpu {
namespace {

using Exit = AxVCpuExitReason;

// What a caller may rely on, whatever the syndrome says.
void check(const ExitFrame& exit, const Exit& reason) {
  FUZZ_CHECK(!reason.is<Exit::Nothing>() && !reason.is<std::monostate>());
  FUZZ_CHECK(!name_of(kind_of(reason)).empty());
  if (const auto* read = reason.get_if<Exit::MmioRead>()) {
    FUZZ_CHECK(read->reg < 32 && read->width <= AccessWidth::doubleword);
    FUZZ_CHECK(read->reg_width == AccessWidth::word || read->reg_width == AccessWidth::doubleword);
  } else if (const auto* write = reason.get_if<Exit::MmioWrite>()) {
    FUZZ_CHECK(write->width <= AccessWidth::doubleword && write->data == truncate(write->data, write->width));
  } else if (const auto* fault = reason.get_if<Exit::NestedPageFault>()) {
    FUZZ_CHECK(fault->fsc < 64 && fault->gva == exit.far && !(fault->is_fetch && fault->is_write));
  } else if (const auto* sysreg = reason.get_if<Exit::SysRegRead>()) {
    FUZZ_CHECK(sysreg->reg < 32 && SysRegId::from_iss(SysRegIss::from(sysreg->addr)).iss() == sysreg->addr);
  } else if (const auto* set = reason.get_if<Exit::SysRegWrite>()) {
    FUZZ_CHECK(SysRegId::from_iss(SysRegIss::from(set->addr)).iss() == set->addr);
  } else {
    const auto* failed = reason.get_if<Exit::FailEntry>();
    FUZZ_CHECK(failed != nullptr && failed->esr == exit.esr);
  }
}

FUZZ_TARGET(decode, "syndromes of aborts, system registers and SGIs to exits") {
  ExitFrame exit{};
  exit.esr = Esr::from(input.take<std::uint64_t>());
  exit.far = input.number();
  exit.hpfar = Hpfar::from(input.number());
  exit.frame.elr = input.number();
  exit.frame.spsr = Spsr::from(input.take<std::uint32_t>());
  for (auto& x : exit.frame.gpr.x) x = input.number();
  const std::uint64_t ipa = input.number();
  check(exit, decode_data_abort(exit, ipa));
  check(exit, decode_instruction_abort(exit, ipa));
  check(exit, decode_system_register(exit));
  for (const SysRegId id : {sysreg::ICC_SGI1R_EL1, sysreg::ICC_SGI0R_EL1, sysreg::ICC_ASGI1R_EL1}) {
    const Exit::SendIPI sgi = decode_sgi(id, input.number(), input.number());
    FUZZ_CHECK(sgi.vector < 16 && sgi.range_base % 16 == 0 && sgi.target_cpu_aux <= 0xFFFF);
    FUZZ_CHECK((sgi.target_cpu & ~std::uint64_t{0xFF'00FF'FF00}) == 0);
  }
}

}  // namespace
}  // namespace arm_vcpu
