// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/decode.hpp"

namespace arm_vcpu {
namespace {

// [gicv3] "ICC_SGI1R_EL1, Interrupt Controller Software Generated Interrupt Group 1 Register"; the other two are alike.
struct IccSgir : bits::Image<IccSgir> {
  using TargetList = Field<15, 0>;
  using Aff1 = Field<23, 16>;
  using INTID = Field<27, 24, std::uint8_t>;
  using Aff2 = Field<39, 32>;
  using IRM = Flag<40>;
  using RS = Field<47, 44, std::uint8_t>;
  using Aff3 = Field<55, 48>;
};

bool describes_access(FaultKind kind) noexcept {
  return kind == FaultKind::translation || kind == FaultKind::access_flag || kind == FaultKind::permission ||
         kind == FaultKind::address_size;
}

}  // namespace

bool hpfar_is_valid(Fsc fsc, bool on_table_walk) noexcept {
  const FaultKind kind = fault_kind(fsc);
  return on_table_walk || kind == FaultKind::translation || kind == FaultKind::access_flag ||
         kind == FaultKind::address_size;
}

AxVCpuExitReason decode_data_abort(const ExitFrame& exit, std::uint64_t ipa) noexcept {
  using Iss = DataAbortIss;
  const Iss iss = Iss::from(exit.esr.get<Esr::ISS>());
  if (!describes_access(fault_kind(iss.get<Iss::DFSC>()))) {
    return AxVCpuExitReason::FailEntry{exit.esr, exit.far, false};
  }
  if (!iss.get<Iss::ISV>() || iss.get<Iss::S1PTW>() || iss.get<Iss::CM>()) {
    // SAS, SSE, SRT and SF mean something only with ISV; WnR of cache maintenance is 1 whatever it does.
    return AxVCpuExitReason::NestedPageFault{.addr = ipa,
                                             .gva = exit.far,
                                             .is_write = iss.get<Iss::WnR>() && !iss.get<Iss::CM>(),
                                             .is_fetch = false,
                                             .on_table_walk = iss.get<Iss::S1PTW>(),
                                             .isv = false,
                                             .fsc = static_cast<std::uint8_t>(iss.get<Iss::DFSC>())};
  }
  const auto width = static_cast<AccessWidth>(iss.get<Iss::SAS>());
  if (iss.get<Iss::WnR>()) {
    return AxVCpuExitReason::MmioWrite{ipa, width, truncate(exit.frame.gpr(iss.get<Iss::SRT>()), width)};
  }
  return AxVCpuExitReason::MmioRead{.addr = ipa,
                                    .width = width,
                                    .reg = iss.get<Iss::SRT>(),
                                    .reg_width = iss.get<Iss::SF>() ? AccessWidth::doubleword : AccessWidth::word,
                                    .signed_ext = iss.get<Iss::SSE>()};
}

AxVCpuExitReason decode_instruction_abort(const ExitFrame& exit, std::uint64_t ipa) noexcept {
  using Iss = InstructionAbortIss;
  const Iss iss = Iss::from(exit.esr.get<Esr::ISS>());
  if (!describes_access(fault_kind(iss.get<Iss::IFSC>()))) {
    return AxVCpuExitReason::FailEntry{exit.esr, exit.far, false};
  }
  return AxVCpuExitReason::NestedPageFault{.addr = ipa,
                                           .gva = exit.far,
                                           .is_write = false,
                                           .is_fetch = true,
                                           .on_table_walk = iss.get<Iss::S1PTW>(),
                                           .isv = false,
                                           .fsc = static_cast<std::uint8_t>(iss.get<Iss::IFSC>())};
}

AxVCpuExitReason decode_system_register(const ExitFrame& exit) noexcept {
  const SysRegIss iss = SysRegIss::from(exit.esr.get<Esr::ISS>());
  const std::uint64_t addr = SysRegId::from_iss(iss).iss();
  const std::uint8_t rt = iss.get<SysRegIss::Rt>();
  if (iss.get<SysRegIss::Direction>()) {
    return AxVCpuExitReason::SysRegRead{addr, rt};
  }
  return AxVCpuExitReason::SysRegWrite{addr, exit.frame.gpr(rt)};
}

AxVCpuExitReason::SendIPI decode_sgi(SysRegId id, std::uint64_t value, std::uint64_t self) noexcept {
  const IccSgir sgi = IccSgir::from(value);
  AxVCpuExitReason::SendIPI ipi{};
  ipi.vector = sgi.get<IccSgir::INTID>();
  ipi.group1 = id == sysreg::ICC_SGI1R_EL1;
  if (sgi.get<IccSgir::IRM>()) {
    ipi.send_to_all = true;
    return ipi;
  }
  ipi.target_cpu = sgi.get<IccSgir::Aff3>() << 32 | sgi.get<IccSgir::Aff2>() << 16 | sgi.get<IccSgir::Aff1>() << 8;
  ipi.target_cpu_aux = sgi.get<IccSgir::TargetList>();
  ipi.range_base = static_cast<std::uint16_t>(16U * sgi.get<IccSgir::RS>());
  const std::uint64_t own_bit = (self & 0xFF) - ipi.range_base;  // wraps to a large value below the range
  ipi.send_to_self = ipi.target_cpu == (self & kMpidrAffinityMask & ~std::uint64_t{0xFF}) && own_bit < 16 &&
                     ipi.target_cpu_aux == std::uint64_t{1} << own_bit;
  return ipi;
}

}  // namespace arm_vcpu
