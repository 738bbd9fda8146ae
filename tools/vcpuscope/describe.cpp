// SPDX-License-Identifier: Apache-2.0
#include "describe.hpp"

#include <fmt/core.h>

#include <iterator>
#include <string_view>

#include "arm_vcpu/arch/gic.hpp"
#include "arm_vcpu/arch/smccc.hpp"

namespace arm_vcpu::scope {
namespace {

using trace::Kind;
using trace::Record;

bool is_call(Ec ec) {
  return ec == Ec::hvc64 || ec == Ec::smc64;
}

void put_function(Text& out, std::uint64_t x0) {
  const auto name = name_of(FunctionId::from_x0(x0));
  if (name.empty()) {
    out.put("function ");
    out.hex(x0 & 0xFFFF'FFFF, 8);
  } else {
    out.put(name);
  }
}

// PSCI and SMCCC answer with a signed number; the version functions with major.minor.
void put_answer(Text& out, FunctionId id, std::uint32_t w0) {
  const auto function = static_cast<PsciFunction>(id.get<FunctionId::Number>());
  const auto status = static_cast<std::int32_t>(w0);
  if (status >= 0 && ((is_psci_call(id) && function == PsciFunction::PSCI_VERSION) || id == smccc::SMCCC_VERSION)) {
    out.dec(w0 >> 16);
    out.put('.');
    out.dec(w0 & 0xFFFF);
    return;
  }
  const bool is_status = is_psci_call(id) || status < 0;
  const auto name = is_status ? name_of(static_cast<PsciStatus>(status)) : std::string_view{};
  if (!name.empty() && !(status == 0 && function == PsciFunction::AFFINITY_INFO)) {
    out.put(name);
  } else if (status < 0) {
    out.put('-');
    out.dec(std::uint64_t{0} - static_cast<std::uint64_t>(std::int64_t{status}));
  } else {
    out.hex(w0);
  }
}

void put_targets(Text& out, const AxVCpuExitReason::SendIPI& ipi) {
  out.put("SGI ");
  out.dec(ipi.vector);
  if (!ipi.group1) out.put(" of Group 0");
  if (ipi.send_to_all) return out.put(" to all others");
  out.put(" to affinity");
  for (unsigned bit = 0; bit < 16; ++bit) {
    if ((ipi.target_cpu_aux >> bit & 1) == 0) continue;
    const std::uint64_t aff = ipi.target_cpu;
    const std::uint64_t levels[] = {aff >> 32 & 0xFF, aff >> 16 & 0xFF, aff >> 8 & 0xFF, ipi.range_base + bit};
    out.put(' ');
    for (unsigned i = 0; i < 4; ++i) {
      if (i != 0) out.put('.');
      out.dec(levels[i]);
    }
  }
}

constexpr std::string_view kVmEvents[] = {"created", "started", "reset", "powered off", "failed"};
constexpr std::string_view kWaits[] = {"off", "WFI", "WFE"};

}  // namespace

void Describer::detail(Text& out, const Record& record) {
  return trace::is_exit(record.kind) ? exit_detail(out, record) : event_detail(out, record);
}

void Describer::exit_detail(Text& out, const Record& record) {
  if (record.kind == Kind::exit_irq || record.kind == Kind::exit_fiq) {
    out.put(record.kind == Kind::exit_fiq ? "FIQ, INTID " : "INTID ");
    out.dec(record.data);
    const std::string& name = interrupts_.get(record.data, [&](auto& n) { n = interrupt_name(record.data); });
    if (!name.empty()) {
      out.put(' ');
      out.put(name);
    }
    return;
  }
  const Syndrome& s = syndromes_.of(record);
  if (s.reason == reason_of(ExitKind::SendIPI)) {
    const auto reason = exit_reason(record);
    return put_targets(out, *reason.get_if<AxVCpuExitReason::SendIPI>());
  }
  out.put(s.text);
  const Ec ec = Esr::from(record.esr).get<Esr::EC>();
  if (record.kind != Kind::exit_sync) return;
  if (s.has_ipa) {
    const std::uint64_t ipa = fault_ipa(Hpfar::from(record.hpfar), record.far, s.on_walk);
    out.put(s.is_mmio ? " " : ", IPA ");
    out.hex(ipa, 8);
    if (const std::string& name = register_at(ipa); !name.empty()) {
      out.put(' ');
      out.put(name);
    }
  }
  if (s.is_mmio) {
    if (!s.has_ipa) {  // a permission fault: HPFAR_EL2 is UNKNOWN
      out.put(" VA ");
      out.hex(record.far, 16);
    }
    if (s.is_write) {
      const bool is_xzr = DataAbortIss::from(record.esr & 0x1FF'FFFF).get<DataAbortIss::SRT>() == 31;
      out.put(" <- ");
      out.hex(is_xzr ? 0 : truncate(record.data, s.width));
    }
  } else if (ec == Ec::data_abort_lower || ec == Ec::instruction_abort_lower) {
    out.put(", VA ");
    out.hex(record.far, 16);
  } else if (ec == Ec::sysreg && s.is_write) {
    out.put(" = ");
    out.hex(SysRegIss::from(record.esr & 0x1FF'FFFF).get<SysRegIss::Rt>() == 31 ? 0 : record.data);
  } else if (is_call(ec)) {
    out.put(' ');
    put_function(out, record.data);
  }
}

void Describer::event_detail(Text& out, const Record& record) {
  const auto intid = [&] {
    out.put("INTID ");
    out.dec(record.data);
    if (const std::string& n = interrupts_.get(record.data, [&](auto& name) { name = interrupt_name(record.data); });
        !n.empty()) {
      out.put(' ');
      out.put(n);
    }
  };
  switch (record.kind) {
    case Kind::irq_injected: intid(); return out.put(record.far == 1 ? ", by an edge or software" : ", by a level");
    case Kind::irq_delivered:
      intid();
      out.put(" in ICH_LR");
      out.dec(record.far);
      out.put("_EL2 = ");
      return out.hex(record.hpfar, 16);
    case Kind::vcpu_parked: return out.put(record.data < 3 ? kWaits[record.data] : std::string_view{"unknown wait"});
    case Kind::psci_call: {
      const auto id = FunctionId::from_x0(record.data);
      put_function(out, record.data);
      out.put('(');
      out.hex(record.far);
      out.put(", ");
      out.hex(record.hpfar);
      out.put(", ...) = ");
      return put_answer(out, id, static_cast<std::uint32_t>(record.data >> 32));
    }
    case Kind::smc_forwarded:
      put_function(out, record.data);
      out.put(" = ");
      return out.hex(record.far);
    case Kind::stage2_map:
    case Kind::stage2_unmap:
      out.put("IPA ");
      out.hex(record.far, 8);
      out.put(", ");
      out.hex(record.data);
      out.put(" bytes");
      if (record.kind == Kind::stage2_map) {
        out.put(" at PA ");
        out.hex(record.hpfar, 8);
        out.put(", attributes ");
        out.hex(record.esr);
      }
      return;
    case Kind::vm_event:
      return out.put(record.data < std::size(kVmEvents) ? kVmEvents[record.data] : std::string_view{"unknown event"});
    case Kind::guest_sample:
      out.put("ELR_EL1 ");
      out.hex(record.hpfar, 16);
      out.put(", ESR_EL1 ");
      out.hex(record.esr);
      out.put(", FAR_EL1 ");
      out.hex(record.far);
      out.put(", VBAR_EL1 ");
      return out.hex(record.data);
    case Kind::diagnosis: out.put("AV"); return out.dec(record.data, 4, '0');
    case Kind::vcpu_scheduled: return out.put(record.data == 1 ? "after a wait" : "");
    case Kind::vcpu_woken: return;
    default:  // a kind of a later version
      out.put("esr ");
      out.hex(record.esr);
      out.put(", far ");
      out.hex(record.far);
      out.put(", hpfar ");
      out.hex(record.hpfar);
      out.put(", data ");
      return out.hex(record.data);
  }
}

std::string Describer::target(const Record& record) {
  switch (record.kind) {
    case Kind::exit_irq:
    case Kind::exit_fiq:
    case Kind::irq_injected:
    case Kind::irq_delivered: {
      const std::string name = interrupt_name(record.data);
      return name.empty() ? fmt::format("INTID {}", record.data) : name;
    }
    case Kind::psci_call:
    case Kind::smc_forwarded: return std::string{name_of(FunctionId::from_x0(record.data))};
    case Kind::exit_sync: break;
    default: return {};
  }
  const Syndrome& s = syndromes_.of(record);
  if (!s.target.empty()) return s.target;
  if (s.has_ipa) {
    const std::uint64_t ipa = fault_ipa(Hpfar::from(record.hpfar), record.far, s.on_walk);
    const std::string& name = register_at(ipa);
    return name.empty() ? fmt::format("{:#x}", ipa) : name;
  }
  if (is_call(Esr::from(record.esr).get<Esr::EC>())) {
    const auto name = name_of(FunctionId::from_x0(record.data));
    return name.empty() ? fmt::format("{:#010x}", record.data & 0xFFFF'FFFF) : std::string{name};
  }
  return s.reason == reason_of(ExitKind::Halt) ? s.text : std::string{};
}

}  // namespace arm_vcpu::scope
