// SPDX-License-Identifier: Apache-2.0
// Trapped system registers and instructions that a guest seldom uses: cache maintenance by set and way, ID registers it
// has not got, AArch32 code's way to registers that EL2 emulates.
#include "vcpu/rare_exits.hpp"

#include "vcpu/exit_path.hpp"
#include "vcpu/hw.hpp"

namespace arm_vcpu {
namespace {

// DC ISW, CSW, CISW and their forms for allocation tags.
bool is_set_way(SysRegId id) noexcept {
  return id.op0() == 1 && id.op1() == 0 && id.crn() == 7 && (id.crm() == 6 || id.crm() == 10 || id.crm() == 14) &&
         (id.op2() == 2 || id.op2() == 4 || id.op2() == 6);
}

bool caches_are_on(SctlrEl1 sctlr) noexcept {
  return sctlr.get<SctlrEl1::M>() && sctlr.get<SctlrEl1::C>();
}

bool leave_with_cache_flush(Aarch64VCpu& vcpu) noexcept {
  return ExitPath::leave(vcpu, AxVCpuExitReason::CacheFlush{});
}

// Set and way name a place in the caches of one CPU, and a guest has no such thing: its lines are anywhere. What it
// means is "all that I cached": the first of a sweep has the whole of its RAM cleaned and invalidated by address, which
// reaches the caches of all CPUs, and the others are done with it. A sweep begins anew when its first operand comes
// again. What the guest makes dirty until it turns its caches off goes out when it does so; hence the trap of
// SCTLR_EL1. [armarm] "Data cache maintenance operations", "Execution of cache maintenance operations by set/way"
bool handle_set_way(Aarch64VCpu& vcpu, std::uint64_t operand) noexcept {
  ExitPath::advance(vcpu);
  ExitPath::trap_memory_registers(vcpu, true);
  std::optional<std::uint64_t>& first = ExitPath::set_way_sweep(vcpu);
  if (first && *first != operand) {
    return true;
  }
  first = operand;
  return leave_with_cache_flush(vcpu);
}

// A write that HCR_EL2.TVM trapped, done for the guest. It traps from the first operation by set and way until the
// caches are on.
bool handle_memory_register(Aarch64VCpu& vcpu, SysRegId id, std::uint64_t value) noexcept {
  const bool before = caches_are_on(hw::read_el1_state().sctlr_el1);
  hw::write_memory_register(id, value);
  ExitPath::advance(vcpu);
  const bool after = caches_are_on(hw::read_el1_state().sctlr_el1);
  if (id != sysreg::SCTLR_EL1) {
    return true;
  }
  if (after) {
    ExitPath::trap_memory_registers(vcpu, false);
    ExitPath::set_way_sweep(vcpu).reset();
  }
  // Off: what is dirty must be where accesses without caches see it. On: nothing stale may be hit.
  return before == after || leave_with_cache_flush(vcpu);
}

// Does an AArch32 instruction's condition hold? A trap may come before that is known. [armarm] "ConditionHolds"
bool condition_holds(const TrapFrame& frame, bool is_valid, std::uint8_t cond) noexcept {
  if (!is_valid) {
    const std::uint64_t it = frame.itstate();
    if (it == 0) {
      return true;
    }
    cond = static_cast<std::uint8_t>(it >> 4);
  }
  const auto nzcv = frame.spsr.get<Spsr::NZCV>();
  const bool n = (nzcv & 8) != 0;
  const bool z = (nzcv & 4) != 0;
  const bool c = (nzcv & 2) != 0;
  const bool v = (nzcv & 1) != 0;
  bool holds = true;
  switch (cond >> 1) {
    case 0b000: holds = z; break;
    case 0b001: holds = c; break;
    case 0b010: holds = n; break;
    case 0b011: holds = v; break;
    case 0b100: holds = c && !z; break;
    case 0b101: holds = n == v; break;
    case 0b110: holds = n == v && !z; break;
    default: return true;
  }
  return (cond & 1) != 0 ? !holds : holds;
}

// AArch32 EL0: MRC, MCR, MRRC or MCRR of the performance monitors. [armarm] "AArch32 System register encodings"
bool touches_pmu_from_aarch32(Esr esr) noexcept {
  const SysRegIss iss = SysRegIss::from(esr.get<Esr::ISS>());  // CRn and CRm are at the same place
  if (esr.get<Esr::EC>() == Ec::cp15_mcrr_mrrc) {
    return iss.get<SysRegIss::CRm>() == 9;
  }
  return iss.get<SysRegIss::CRn>() == 9 || (iss.get<SysRegIss::CRn>() == 14 && iss.get<SysRegIss::CRm>() >= 8);
}

bool handle_pair(Aarch64VCpu& vcpu) noexcept {
  const ExitFrame& exit = ExitPath::exit(vcpu);
  const auto iss = Cp15PairIss::from(exit.esr.get<Esr::ISS>());
  if (!condition_holds(exit.frame, iss.get<Cp15PairIss::CV>(), iss.get<Cp15PairIss::COND>())) {
    ExitPath::advance(vcpu);
    return true;
  }
  const unsigned which = iss.get<Cp15PairIss::CRm>() * 16U + iss.get<Cp15PairIss::Opc1>();
  SysRegId id;
  switch (which) {
    case 14 * 16 + 2: id = sysreg::CNTP_CVAL_EL0; break;
    default: return vcpu.inject_undefined().has_value();
  }
  const std::uint8_t rt = iss.get<Cp15PairIss::Rt>();
  const std::uint8_t rt2 = iss.get<Cp15PairIss::Rt2>();
  if (iss.get<Cp15PairIss::Direction>()) {
    return ExitPath::leave(vcpu, AxVCpuExitReason::SysRegRead{id.iss(), rt},
                           {.kind = ExitPath::Pending::Kind::sysreg_read_pair, .reg = rt, .reg2 = rt2});
  }
  const std::uint64_t value = truncate(exit.frame.gpr(rt), AccessWidth::word) | exit.frame.gpr(rt2) << 32;
  return ExitPath::leave(vcpu, AxVCpuExitReason::SysRegWrite{id.iss(), value},
                         {.kind = ExitPath::Pending::Kind::sysreg_write});
}

// EC 0x03 and 0x04, from AArch32 code at EL0: the exit is that of the AArch64 register that is the same.
// The registers of coprocessor 15 that EL0 may be given and that are emulated here are those of the physical timer.
// Their AArch64 names have op1 3 and, but for the 64-bit one, the same numbers. [armarm] "AArch32 System register
// encoding", (coproc==1111)
bool handle_aarch32_register(Aarch64VCpu& vcpu) noexcept {
  const ExitFrame& exit = ExitPath::exit(vcpu);
  if (touches_pmu_from_aarch32(exit.esr)) {
    return ExitPath::claim_pmu(vcpu) || refuse(vcpu);  // it is executed again
  }
  if (exit.esr.get<Esr::EC>() == Ec::cp15_mcrr_mrrc) {
    return handle_pair(vcpu);
  }
  const auto iss = Cp15Iss::from(exit.esr.get<Esr::ISS>());
  if (!condition_holds(exit.frame, iss.get<Cp15Iss::CV>(), iss.get<Cp15Iss::COND>())) {
    ExitPath::advance(vcpu);
    return true;
  }
  const bool is_known = iss.get<Cp15Iss::Opc1>() == 0 && iss.get<Cp15Iss::CRn>() == 14 && iss.get<Cp15Iss::CRm>() == 2;
  if (!is_known) {
    return vcpu.inject_undefined().has_value();
  }
  const SysRegId id{3, 3, iss.get<Cp15Iss::CRn>(), iss.get<Cp15Iss::CRm>(), iss.get<Cp15Iss::Opc2>()};
  const std::uint8_t rt = iss.get<Cp15Iss::Rt>();
  if (iss.get<Cp15Iss::Direction>()) {
    return ExitPath::leave(vcpu, AxVCpuExitReason::SysRegRead{id.iss(), rt},
                           {.kind = ExitPath::Pending::Kind::sysreg_read, .reg = rt, .width = AccessWidth::word});
  }
  return ExitPath::leave(vcpu, AxVCpuExitReason::SysRegWrite{id.iss(), truncate(exit.frame.gpr(rt), AccessWidth::word)},
                         {.kind = ExitPath::Pending::Kind::sysreg_write});
}

}  // namespace

std::optional<bool> handle_rare_system_register(Aarch64VCpu& vcpu, SysRegId id, std::uint8_t rt,
                                                bool is_read) noexcept {
  if (!is_read && is_set_way(id)) {
    return handle_set_way(vcpu, ExitPath::exit(vcpu).frame.gpr(rt));
  }
  if (!is_read && hw::is_memory_register(id)) {
    return handle_memory_register(vcpu, id, ExitPath::exit(vcpu).frame.gpr(rt));
  }
  if (id == sysreg::SMIDR_EL1 || id == sysreg::GMID_EL1) {
    ExitPath::inject_id_undefined(vcpu, ExitPath::exit(vcpu).esr);
    return true;
  }
  return std::nullopt;
}

bool handle_aarch32_wait(Aarch64VCpu& vcpu) noexcept {
  const ExitFrame& exit = ExitPath::exit(vcpu);
  const WfxIss iss = WfxIss::from(exit.esr.get<Esr::ISS>());
  if (condition_holds(exit.frame, iss.get<WfxIss::CV>(), iss.get<WfxIss::COND>())) {
    return leave_with_wait(vcpu);
  }
  ExitPath::advance(vcpu);
  return true;
}

bool handle_other_class(Aarch64VCpu& vcpu, Ec ec) noexcept {
  switch (ec) {
    case Ec::cp15_mcr_mrc:
    case Ec::cp15_mcrr_mrrc: return handle_aarch32_register(vcpu);
    case Ec::sve:
      if (!ExitPath::has_sve(vcpu)) break;
      ExitPath::claim_fp(vcpu);
      return true;
    // Features that the ID registers hide.
    case Ec::sme:
    case Ec::ls64:
    case Ec::cp14_mcr_mrc:
    case Ec::cp14_ldc_stc:
    case Ec::cp14_mrrc:
    case Ec::vmrs: break;
    default: ExitPath::count_unexpected(vcpu); break;
  }
  return refuse(vcpu);
}

// A function of its own: its locals would cost the callers a stack guard.
bool refuse(Aarch64VCpu& vcpu) noexcept {
  return vcpu.inject_undefined().has_value();
}

}  // namespace arm_vcpu
