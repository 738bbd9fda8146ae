// SPDX-License-Identifier: Apache-2.0
// HVC and SMC: PSCI and the SMC Calling Convention.
#include <algorithm>

#include "arm_vcpu/arch/smccc.hpp"
#include "arm_vcpu/trace/explain_calls.hpp"
#include "opcode.hpp"
#include "rules.hpp"
#include "stage1.hpp"

namespace arm_vcpu::diag {
namespace {

using trace::Kind;
using trace::Record;
using trigger::Call;

constexpr std::int32_t kNotSupported = static_cast<std::int32_t>(PsciStatus::NOT_SUPPORTED);

std::string_view name_of(Conduit conduit) noexcept {
  return conduit == Conduit::hvc ? "HVC" : conduit == Conduit::smc ? "SMC" : "call";
}

std::uint64_t pc_of(const CapturedState& state) noexcept {
  return state.exit != nullptr ? state.exit->frame.elr : 0;
}

// "CPU_ON (SMC64)", or what the convention says about an ID without a name.
struct FunctionName : Words<96> {
  explicit FunctionName(FunctionId id) noexcept {
    const std::string_view name = arm_vcpu::name_of(id);
    const bool smc64 = id.get<FunctionId::SMC64>();
    if (!name.empty()) {
      format_to(out(), "{} ({})", name, smc64 ? "SMC64" : "SMC32");
      return;
    }
    const FunctionId other = id.with<FunctionId::SMC64>(!smc64);
    if (const std::string_view same = arm_vcpu::name_of(other); !same.empty()) {
      format_to(out(), "{}, which exists as {} only ({:x})", same, smc64 ? "SMC32" : "SMC64", other.raw);
      return;
    }
    const std::string_view range = explain::range_of(id);
    format_to(out(), "{} {} call, {}, number {:x}", id.get<FunctionId::Fast>() ? "fast" : "yielding",
              smc64 ? "SMC64" : "SMC32", range.empty() ? "of a reserved owner" : range, id.get<FunctionId::Number>());
  }
};

PsciFunction function_of(FunctionId id) noexcept {
  return PsciFunction{id.get<FunctionId::Number>()};
}
bool is_function(FunctionId id, PsciFunction function) noexcept {
  return !arm_vcpu::name_of(id).empty() && is_psci_call(id) && function_of(id) == function;
}

// The arguments by meaning.
void add_arguments(Report& report, const CapturedState& state, const Call& why) noexcept {
  constexpr std::string_view kRegisters[] = {"X1", "X2", "X3"};
  const FunctionId id = FunctionId::from_x0(why.x[0]);
  const bool known = !arm_vcpu::name_of(id).empty() && is_psci_call(id);
  for (unsigned i = 0; i < 3; ++i) {
    const explain::PsciArgument argument = known ? explain::argument_of(function_of(id), i) : explain::PsciArgument{};
    if (known && argument.name.empty()) continue;
    // A record keeps X1 and X2 of a PSCI call only: what reads as 0 may not be known.
    if (why.x[i + 1] == 0 && (!known || i == 2)) continue;
    if (known && argument.name == "psci_func_id") {
      report.value(kRegisters[i], why.x[i + 1], Evidence::Form::hex, "{}: {}", argument.name,
                   FunctionName{FunctionId::from_x0(why.x[i + 1])}.view());
    } else {
      report.value(kRegisters[i], why.x[i + 1], Evidence::Form::hex, "{}", argument.name);
    }
  }
  if (state.exit != nullptr && state.memory != nullptr && state.exit->frame.gpr[30] != 0) {
    report.value("X30", state.exit->frame.gpr[30], Evidence::Form::code, "the caller");
  }
}

void add_call(Report& report, const CapturedState& state, const Call& why) noexcept {
  const FunctionId id = FunctionId::from_x0(why.x[0]);
  report.value("function (X0)", why.x[0], Evidence::Form::hex, "{}", FunctionName{id}.view());
  add_arguments(report, state, why);
  const DeviceTreeFacts* tree = state.configuration != nullptr ? state.configuration->device_tree : nullptr;
  const Conduit method = tree != nullptr ? tree->method : Conduit::unknown;
  report.note("conduit", "{}{}{}{}", name_of(why.conduit), why.immediate != 0 ? " with an immediate" : "",
              method == Conduit::unknown ? "" : "; /psci method is ",
              method == Conduit::unknown ? "" : name_of(method));
  if (why.answer) {
    const auto status = static_cast<std::int32_t>(*why.answer);
    const std::string_view name = status <= 0 ? arm_vcpu::name_of(PsciStatus{status}) : std::string_view{};
    report.note("answer (X0)", "{}{}{}", *why.answer, name.empty() ? "" : " ", name);
  } else {
    report.note("answer (X0)", "none");
  }
}

void add_hcr(Report& report, const CapturedState& state) noexcept {
  if (state.registers == nullptr || state.registers_are_sampled) return;
  const Hcr hcr = Hcr::from(state.registers->hcr_el2);
  report.value("HCR_EL2", hcr.raw, Evidence::Form::hex, "TSC {} (SMC traps), HCD {} (HVC is undefined)",
               hcr.get<Hcr::TSC>() ? 1 : 0, hcr.get<Hcr::HCD>() ? 1 : 0);
}

// --- AV0026 ---------------------------------------------------------------------------------------------------------

bool is_cpu(std::span<const std::uint64_t> affinities, std::uint64_t target) noexcept {
  return std::ranges::any_of(affinities,
                             [target](std::uint64_t mpidr) { return (mpidr & kPsciAffinityMask) == target; });
}

void explain_cpu_on(const CapturedState& state, const Call& why, DiagnosisList& out) noexcept {
  const auto status = PsciStatus{static_cast<std::int32_t>(*why.answer)};
  const bool is64 = FunctionId::from_x0(why.x[0]).get<FunctionId::SMC64>();
  const std::uint64_t target = is64 ? why.x[1] : why.x[1] & 0xFFFF'FFFF;
  if (status == PsciStatus::ALREADY_ON || status == PsciStatus::ON_PENDING) {
    Report report{state, Code::cpu_on_twice, Confidence::certain};
    report.what("{}: CPU_ON of {:x}, which {}; PC {:x}", Who{state}.view(), target,
                status == PsciStatus::ALREADY_ON ? "is on already" : "another CPU_ON has just started", pc_of(state));
    add_call(report, state, why);
    report.cause("the guest starts a CPU a second time; the first start stands");
    report.rejects(Code::cpu_on_failed, "the target is a CPU of this VM");
    report.done(out);
    return;
  }
  Report report{state, Code::cpu_on_failed, Confidence::certain};
  report.what("{}: CPU_ON of {:x} at {:x} answers {} ({}); PC {:x}", Who{state}.view(), target, why.x[2],
              static_cast<std::int32_t>(status), arm_vcpu::name_of(status), pc_of(state));
  add_call(report, state, why);
  const std::span<const std::uint64_t> mpidrs =
      state.configuration != nullptr ? state.configuration->mpidrs : std::span<const std::uint64_t>{};
  for (std::size_t i = 0; i < mpidrs.size() && i < 4; ++i) {
    report.value("vCPU affinity", mpidrs[i], Evidence::Form::hex, "vcpu{}", i);
  }
  if (mpidrs.size() > 4) report.note("vCPU affinity", "{} more", mpidrs.size() - 4);
  const DeviceTreeFacts* tree = state.configuration != nullptr ? state.configuration->device_tree : nullptr;
  const auto regs =
      tree != nullptr ? std::span{tree->cpu_reg}.first(tree->cpu_count) : std::span<const std::uint64_t>{};
  if (status == PsciStatus::INVALID_ADDRESS) {
    report.cause("the entry point {:x} is not executable memory of the guest", why.x[2]);
    report.advice("pass the physical (intermediate) address of the secondary entry, not a virtual one");
    add_walks(report, state, std::nullopt, why.x[2]);
  } else if (status == PsciStatus::INVALID_PARAMETERS && (target & kMpidrRes1) != 0 &&
             is_cpu(mpidrs, target & kPsciAffinityMask)) {
    report.cause("bit 31 of the target is set: that is RES1 in MPIDR_EL1 and no part of the affinity");
    report.advice("mask MPIDR_EL1 with {:x} before the call", kPsciAffinityMask);
  } else if (status == PsciStatus::INVALID_PARAMETERS && is_cpu(mpidrs, target & kPsciAffinityMask)) {
    report.cause("the target sets bits that are no affinity field ({:x})", target & ~kPsciAffinityMask);
  } else if (status == PsciStatus::INVALID_PARAMETERS && is_cpu(regs, target)) {
    report.cause("the device tree lists a CPU that this VM does not have");
    report.advice("make the cpu nodes and the VM's vCPUs the same");
  } else if (status == PsciStatus::INVALID_PARAMETERS && !mpidrs.empty()) {
    report.cause(target < mpidrs.size() ? "the target is a CPU's number, not its affinity"
                                        : "no CPU of this VM has this affinity ({} CPUs)",
                 mpidrs.size());
  }
  report.rejects(Code::call_unanswered, "the call is answered");
  report.done(out);
}

// --- AV0004 ---------------------------------------------------------------------------------------------------------

// Functions without which no system with several CPUs, or no orderly end, works. [psci] "PSCI functions", mandatory.
bool is_mandatory(FunctionId id) noexcept {
  return is_function(id, PsciFunction::PSCI_VERSION) || is_function(id, PsciFunction::CPU_SUSPEND) ||
         is_function(id, PsciFunction::CPU_OFF) || is_function(id, PsciFunction::CPU_ON) ||
         is_function(id, PsciFunction::AFFINITY_INFO) || is_function(id, PsciFunction::SYSTEM_OFF) ||
         is_function(id, PsciFunction::SYSTEM_RESET) || is_function(id, PsciFunction::PSCI_FEATURES);
}

// An ID that a well-behaved guest may ask for and be refused: an optional function, or a service of another owner whose
// presence is found by asking.
bool is_probe(FunctionId id) noexcept {
  if (!id.get<FunctionId::Fast>() || id.get<FunctionId::MBZ>() != 0) return false;
  if (is_arch_call(id)) return true;
  if (is_psci_call(id)) {
    // NOT_SUPPORTED is PSCI_FEATURES' proper answer about another function.
    return !arm_vcpu::name_of(id).empty() && (!is_mandatory(id) || is_function(id, PsciFunction::PSCI_FEATURES));
  }
  return !arm_vcpu::name_of(id.get<FunctionId::Owner>()).empty();
}

// How often this vCPU's last exits were this very call, with nothing else between.
unsigned repetitions(const CapturedState& state, const Call& why) noexcept {
  unsigned count = 0;
  for (std::size_t i = state.records.size(); i-- > 0;) {
    const Record& record = state.records[i];
    if (!is_ours(state, record) || record.kind != Kind::exit_sync) continue;
    const Ec ec = Esr::from(record.esr).get<Esr::EC>();
    if ((ec != Ec::hvc64 && ec != Ec::smc64) || (record.data & 0xFFFF'FFFF) != (why.x[0] & 0xFFFF'FFFF)) break;
    ++count;
  }
  return count;
}

constexpr unsigned kInsistent = 64;

}  // namespace

void explain(const CapturedState& state, const Call& why, DiagnosisList& out) noexcept {
  const FunctionId id = FunctionId::from_x0(why.x[0]);
  check_call_advance(state, out);
  const bool failed = why.answer && static_cast<std::int32_t>(*why.answer) < 0;
  if (failed && is_function(id, PsciFunction::CPU_ON) && static_cast<std::int32_t>(*why.answer) != kNotSupported) {
    return explain_cpu_on(state, why, out);
  }
  const bool refused = why.answer && static_cast<std::int32_t>(*why.answer) == kNotSupported;
  if (why.answer && !refused) return;
  const unsigned times = repetitions(state, why);
  if (refused && is_probe(id) && times < kInsistent) return;

  Report report{state, Code::call_unanswered, Confidence::certain};
  const FunctionName name{id};
  report.what("{}: {} of {:x}, {}: {}, PC {:x}", Who{state}.view(), name_of(why.conduit), why.x[0] & 0xFFFF'FFFF,
              name.view(), why.answer ? "NOT_SUPPORTED" : "no answer", pc_of(state));
  add_call(report, state, why);
  add_hcr(report, state);
  if (times >= 2) report.value("in a row", times, Evidence::Form::decimal, "exits with this call");
  const DeviceTreeFacts* tree = state.configuration != nullptr ? state.configuration->device_tree : nullptr;
  const Conduit method = tree != nullptr ? tree->method : Conduit::unknown;
  if (!why.answer && method != Conduit::unknown && method != why.conduit) {
    report.cause("the guest calls by {}, the device tree says {}", name_of(why.conduit), name_of(method));
    report.advice("use the conduit of /psci `method`");
  } else if (!why.answer) {
    report.cause("the call reached the hypervisor and nobody put an answer into X0");
    report.advice("answer it with set_return_value(); -1 for a function that is unknown");
  } else if (why.immediate != 0) {
    report.cause("the immediate of the call is {:x}; PSCI and SMCCC calls have 0", why.immediate);
  } else if (is_psci_call(id) && arm_vcpu::name_of(id).empty()) {
    report.cause("PSCI has no such function");
    report.advice("ask PSCI_FEATURES first; check the function ID, and whether it is SMC32 (0x84..) or SMC64 (0xC4..)");
  } else if (is_probe(id)) {
    report.confidence(Confidence::likely);
    report.cause("the guest insists on a service that this machine does not have ({})", name.view());
    report.advice("it waits for firmware of real hardware: remove the driver, or emulate the service");
  } else if (is_mandatory(id)) {
    report.cause("a mandatory PSCI function is not answered: the VM has no PowerDomain");
    report.advice("give Aarch64VCpuSetupConfig::power, or answer the exit");
  } else {
    report.confidence(Confidence::likely);
    report.cause("X0 is no function ID: it was not set before the call, or was overwritten");
  }
  if (method != Conduit::unknown && method == why.conduit) {
    report.rejects(Code::interrupts_contradict, "the conduit is the device tree's");
  }
  report.done(out);
}

// --- AV0015 ---------------------------------------------------------------------------------------------------------

namespace {

void report_advance(const CapturedState& state, const Record& call, Confidence confidence, std::string_view how,
                    DiagnosisList& out) noexcept {
  const bool smc = Esr::from(call.esr).get<Esr::EC>() == Ec::smc64;
  Report report{state, Code::call_advance, confidence};
  report.pc(call.pc);
  report.what("{}: {} at {:x}: {}", Who{state}.view(), smc ? "SMC" : "HVC", smc ? call.pc : call.pc - 4, how);
  report.value("ELR_EL2 at the exit", call.pc, Evidence::Form::code, "{}",
               smc ? "an SMC is at it" : "an HVC is before it");
  report.value("X0 at the exit", call.data);
  for (const std::uint64_t at : {call.pc - 4, call.pc}) {
    if (const auto opcode = instruction_at(state, at)) {
      report.value(at == call.pc ? "instruction at PC" : "instruction at PC - 4", *opcode, Evidence::Form::hex, "{}",
                   name_of(classify(*opcode)));
    }
  }
  report.done(out);
}

}  // namespace

void check_call_advance(const CapturedState& state, DiagnosisList& out) noexcept {
  const Record* call = nullptr;
  const Record* answered = nullptr;
  for (const Record& record : state.records) {
    if (!is_ours(state, record)) continue;
    if (record.kind == Kind::psci_call && call != nullptr && record.pc == call->pc) answered = &record;
    if (record.kind != Kind::exit_sync) continue;
    const Ec ec = Esr::from(record.esr).get<Esr::EC>();
    // The call again, with its own answer as the function ID: the PC did not move.
    if (call != nullptr && answered != nullptr && record.pc == call->pc && record.esr == call->esr &&
        (record.data & 0xFFFF'FFFF) == answered->data >> 32 &&
        (record.data & 0xFFFF'FFFF) != (call->data & 0xFFFF'FFFF)) {
      return report_advance(state, record, Confidence::likely, "executed again, with its own answer as the function ID",
                            out);
    }
    const bool is_call = ec == Ec::hvc64 || ec == Ec::smc64;
    call = is_call ? &record : nullptr;
    answered = nullptr;
  }
  // The last call, against the instructions in memory.
  if (call == nullptr || state.registers == nullptr) return;
  const auto here = instruction_at(state, call->pc);
  const auto before = instruction_at(state, call->pc - 4);
  if (!here || !before) return;
  const bool smc = Esr::from(call->esr).get<Esr::EC>() == Ec::smc64;
  const OpcodeClass wanted = smc ? OpcodeClass::smc : OpcodeClass::hvc;
  const std::uint32_t should = smc ? *here : *before;
  const std::uint32_t other = smc ? *before : *here;
  if (classify(should) != wanted && classify(other) == wanted) {
    report_advance(state, *call, Confidence::certain, "the exit frame's PC is one instruction off", out);
  }
}

// --- AV0027 from the records ----------------------------------------------------------------------------------------

void check_cpu_on_records(const CapturedState& state, DiagnosisList& out) noexcept {
  // Of the whole VM: the second call may come from another vCPU of this CPU's ring.
  for (std::size_t i = 0; i < state.records.size(); ++i) {
    const Record& first = state.records[i];
    if (first.kind != Kind::psci_call || first.vm != state.vm || first.data >> 32 != 0) continue;
    if (!is_function(FunctionId::from_x0(first.data), PsciFunction::CPU_ON)) continue;
    for (std::size_t j = i + 1; j < state.records.size(); ++j) {
      const Record& second = state.records[j];
      // Hotplug without AFFINITY_INFO takes longer than two calls that race.
      if (state.counter_hz == 0 || second.time - first.time > state.counter_hz / 1000) break;
      if (second.vm != state.vm) continue;
      if (second.kind == Kind::vm_event) break;  // a reset starts all over
      if (second.kind != Kind::psci_call) continue;
      const FunctionId id = FunctionId::from_x0(second.data);
      // The target's own CPU_OFF is in its own CPU's ring; seen or not, it makes a second CPU_ON legal. The guest sees
      // to that by AFFINITY_INFO.
      if (is_function(id, PsciFunction::CPU_OFF) || is_function(id, PsciFunction::AFFINITY_INFO)) break;
      if (!is_function(id, PsciFunction::CPU_ON) || second.far != first.far || second.data >> 32 != 0) continue;
      Report report{state, Code::cpu_on_twice, Confidence::likely};
      report.pc(second.pc);
      report.what("vm{}: two CPU_ON of {:x} within {}, both answered SUCCESS", state.vm, first.far,
                  Duration{second.time - first.time, state.counter_hz}.view());
      report.value("first call", first.pc, Evidence::Form::code, "vcpu{}, entry {:x}", first.vcpu, first.hpfar);
      report.value("second call", second.pc, Evidence::Form::code, "vcpu{}, entry {:x}", second.vcpu, second.hpfar);
      report.done(out);
      return;
    }
  }
}

}  // namespace arm_vcpu::diag
