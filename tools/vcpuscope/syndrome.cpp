// SPDX-License-Identifier: Apache-2.0
#include "syndrome.hpp"

#include <fmt/core.h>

#include <array>

#include "arm_vcpu/arch/smccc.hpp"
#include "arm_vcpu/text.hpp"
#include "arm_vcpu/vm/guest_layout.hpp"

namespace arm_vcpu::scope {
namespace {

using trace::Kind;
using trace::Outcome;
using trace::Record;

Ec class_of(const Record& record) noexcept {
  return Esr::from(record.esr).get<Esr::EC>();
}
std::uint32_t iss_of(const Record& record) noexcept {
  return Esr::from(record.esr).get<Esr::ISS>();
}

std::string register_name(SysRegId id) {
  char storage[48];
  TextBuffer text{storage};
  append(text, id);
  return std::string{text.view()};
}

std::string rt_name(unsigned rt) {
  return rt == 31 ? "xzr" : fmt::format("x{}", rt);
}

// The reasons' names: tables of the library, and what they do not name.
const std::array<std::string, 256>& names() {
  static const auto all = [] {
    std::array<std::string, 256> list;
    for (unsigned i = 0; i < kExitKindCount; ++i) list[i] = name_of(static_cast<ExitKind>(i));
    list[static_cast<unsigned>(Reason::psci)] = "Psci";
    list[static_cast<unsigned>(Reason::smccc)] = "Smccc";
    for (unsigned ec = 0; ec < 64; ++ec) {
      const auto name = name_of(static_cast<Ec>(ec));
      list[64 + ec] = name.empty() ? fmt::format("EC {:#04x}", ec) : std::string{name};
    }
    for (unsigned kind = 0; kind < 128; ++kind) {
      const auto name = trace::name_of(static_cast<Kind>(kind));
      list[128 + kind] = name.empty() ? fmt::format("kind {}", kind) : std::string{name};
    }
    return list;
  }();
  return all;
}

void describe_abort(Syndrome& s, const Record& record, bool is_fetch) {
  const DataAbortIss iss =
      DataAbortIss::from(iss_of(record));  // an instruction abort has the same bits where it has any
  const Fsc fsc = iss.get<DataAbortIss::DFSC>();
  s.on_walk = iss.get<DataAbortIss::S1PTW>();
  s.has_ipa = hpfar_is_valid(fsc, s.on_walk);
  s.is_write = !is_fetch && iss.get<DataAbortIss::WnR>() && !iss.get<DataAbortIss::CM>();
  if (s.is_mmio) {
    s.width = static_cast<AccessWidth>(iss.get<DataAbortIss::SAS>());
    s.text = fmt::format("{}{}", s.is_write ? "write" : "read", bytes_of(s.width));
    return;
  }
  const std::string_view access = is_fetch                      ? "fetch"
                                  : iss.get<DataAbortIss::CM>() ? "cache maintenance"
                                  : s.is_write                  ? "write"
                                                                : "read";
  const auto meaning = meaning_of(fsc);
  s.text = fmt::format(
      "{}, {}{}", access,
      meaning.empty() ? fmt::format("reserved fault status {:#04x}", static_cast<unsigned>(fsc)) : std::string{meaning},
      s.on_walk ? ", on a stage-1 table walk" : "");
}

void make_syndrome(Syndrome& s, const Record& record) {
  s = {};
  if (record.kind != Kind::exit_sync) {
    s.reason = reason_of(record.kind == Kind::exit_serror ? ExitKind::FailEntry : ExitKind::ExternalInterrupt);
    if (record.kind == Kind::exit_serror) s.text = fmt::format("SError, ISS {:#x}", iss_of(record));
    return;
  }
  const AxVCpuExitReason decoded = exit_reason(record);
  const Ec ec = class_of(record);
  s.reason = decoded.is<AxVCpuExitReason::Nothing>() ? reason_of(ec) : reason_of(kind_of(decoded));
  s.is_mmio = decoded.is<AxVCpuExitReason::MmioRead>() || decoded.is<AxVCpuExitReason::MmioWrite>();
  switch (ec) {
    case Ec::data_abort_lower: return describe_abort(s, record, false);
    case Ec::instruction_abort_lower: return describe_abort(s, record, true);
    case Ec::sysreg: {
      const SysRegIss iss = SysRegIss::from(iss_of(record));
      const std::string rt = rt_name(iss.get<SysRegIss::Rt>());
      s.target = register_name(SysRegId::from_iss(iss));
      s.is_write = !iss.get<SysRegIss::Direction>();
      const bool is_instruction = iss.get<SysRegIss::Op0>() == 1;
      s.text = is_instruction ? fmt::format("{}, {}", s.target, rt)
               : s.is_write   ? fmt::format("msr {}, {}", s.target, rt)
                              : fmt::format("mrs {}, {}", rt, s.target);
      return;
    }
    case Ec::hvc64:
    case Ec::smc64:
    case Ec::svc64:
      s.text = fmt::format("{} #{}",
                           ec == Ec::hvc64   ? "hvc"
                           : ec == Ec::smc64 ? "smc"
                                             : "svc",
                           CallIss::from(iss_of(record)).get<CallIss::imm16>());
      return;
    case Ec::wfx: {
      static constexpr std::string_view kNames[] = {"WFI", "WFE", "WFIT", "WFET"};
      s.text = kNames[WfxIss::from(iss_of(record)).get<WfxIss::TI>()];
      return;
    }
    default: {
      const auto meaning = meaning_of(ec);
      s.text = fmt::format("{}, ISS {:#x}", meaning.empty() ? "reserved exception class" : meaning, iss_of(record));
      return;
    }
  }
}

}  // namespace

ExitFrame exit_frame(const Record& record) noexcept {
  ExitFrame exit{};
  exit.frame.elr = record.pc;
  exit.frame.spsr = Spsr::from(record.spsr);
  exit.esr = Esr::from(record.esr);
  exit.far = record.far;
  exit.hpfar = Hpfar::from(record.hpfar);
  exit.kind = static_cast<TrapKind>(record.kind);
  switch (class_of(record)) {
    case Ec::data_abort_lower:
      exit.frame.set_gpr(DataAbortIss::from(iss_of(record)).get<DataAbortIss::SRT>(), record.data);
      break;
    case Ec::sysreg: exit.frame.set_gpr(SysRegIss::from(iss_of(record)).get<SysRegIss::Rt>(), record.data); break;
    default: exit.frame.set_gpr(0, record.data); break;
  }
  return exit;
}

std::optional<std::uint64_t> abort_ipa(const Record& record) noexcept {
  if (record.kind != Kind::exit_sync) return std::nullopt;
  const Ec ec = class_of(record);
  if (ec != Ec::data_abort_lower && ec != Ec::instruction_abort_lower) return std::nullopt;
  const DataAbortIss iss = DataAbortIss::from(iss_of(record));
  const bool on_walk = iss.get<DataAbortIss::S1PTW>();
  if (!hpfar_is_valid(iss.get<DataAbortIss::DFSC>(), on_walk)) return std::nullopt;
  return fault_ipa(Hpfar::from(record.hpfar), record.far, on_walk);
}

AxVCpuExitReason exit_reason(const Record& record) noexcept {
  switch (record.kind) {
    case Kind::exit_irq:
    case Kind::exit_fiq: return AxVCpuExitReason::ExternalInterrupt{static_cast<std::uint32_t>(record.data)};
    case Kind::exit_serror: return AxVCpuExitReason::FailEntry{Esr::from(record.esr), record.far, true};
    case Kind::exit_sync: break;
    default: return {};
  }
  const ExitFrame exit = exit_frame(record);
  switch (class_of(record)) {
    case Ec::data_abort_lower: return decode_data_abort(exit, abort_ipa(record).value_or(0));
    case Ec::instruction_abort_lower: return decode_instruction_abort(exit, abort_ipa(record).value_or(0));
    case Ec::sysreg: {
      const SysRegIss iss = SysRegIss::from(iss_of(record));
      const SysRegId id = SysRegId::from_iss(iss);
      if (!iss.get<SysRegIss::Direction>() && is_sgi_register(id)) {
        return decode_sgi(id, exit.frame.gpr(iss.get<SysRegIss::Rt>()), guest_machine::affinity_of(record.vcpu));
      }
      return decode_system_register(exit);
    }
    case Ec::wfx: return AxVCpuExitReason::Halt{(WfxIss::from(iss_of(record)).get<WfxIss::TI>() & 1) != 0};
    case Ec::hvc64:
      return AxVCpuExitReason::Hypercall{.nr = record.data, .imm = CallIss::from(iss_of(record)).get<CallIss::imm16>()};
    default: return {};
  }
}

std::string_view name_of(Reason reason) noexcept {
  return names()[static_cast<unsigned>(reason)];
}

const Syndrome& Syndromes::of(const Record& record) {
  const std::uint64_t key = static_cast<std::uint64_t>(record.kind) << 56 | (record.esr & 0xFFFF'FFFF);
  return cache_.get(key, [&](Syndrome& s) { make_syndrome(s, record); });
}

Reason Syndromes::reason(const Record& record) {
  if (!trace::is_exit(record.kind)) return reason_of(record.kind);
  const Reason reason = of(record).reason;
  if (reason == reason_of(ExitKind::Hypercall) || reason == reason_of(Ec::smc64)) {
    const FunctionId id = FunctionId::from_x0(record.data);
    if (is_psci_call(id)) return Reason::psci;
    if (is_arch_call(id)) return Reason::smccc;
  }
  if (reason == reason_of(ExitKind::FailEntry) && record.kind == Kind::exit_sync &&
      (record.outcome == Outcome::handled || record.outcome == Outcome::injected)) {
    return reason_of(class_of(record));  // the guest's own fault, and it was told: nothing failed
  }
  return reason;
}

}  // namespace arm_vcpu::scope
