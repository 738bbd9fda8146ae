// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/trace/diagnosis_replay.hpp"

#include "arm_vcpu/decode.hpp"
#include "arm_vcpu/trace/diagnosis_loops.hpp"
#include "rules.hpp"

namespace arm_vcpu::diag {

using trace::Kind;
using trace::Outcome;
using trace::Record;

RecordState::RecordState(const Record& record) noexcept : record_{record} {
  exit_.frame.elr = record.pc;
  exit_.frame.spsr = Spsr::from(record.spsr);
  exit_.esr = Esr::from(record.esr);
  exit_.far = record.far;
  exit_.hpfar = Hpfar::from(record.hpfar);
  exit_.kind = record.kind == Kind::exit_irq      ? TrapKind::irq
               : record.kind == Kind::exit_fiq    ? TrapKind::fiq
               : record.kind == Kind::exit_serror ? TrapKind::serror
                                                  : TrapKind::sync;
  if (record.kind != Kind::exit_sync) return;
  const std::uint32_t iss = exit_.esr.get<Esr::ISS>();
  switch (exit_.esr.get<Esr::EC>()) {
    case Ec::data_abort_lower:
      if (DataAbortIss::from(iss).get<DataAbortIss::ISV>() && DataAbortIss::from(iss).get<DataAbortIss::WnR>()) {
        exit_.frame.set_gpr(DataAbortIss::from(iss).get<DataAbortIss::SRT>(), record.data);
      }
      break;
    case Ec::sysreg:
      if (!SysRegIss::from(iss).get<SysRegIss::Direction>()) {
        exit_.frame.set_gpr(SysRegIss::from(iss).get<SysRegIss::Rt>(), record.data);
      }
      break;
    case Ec::hvc64:
    case Ec::smc64: exit_.frame.set_gpr(0, record.data); break;
    default: break;
  }
}

namespace {

MmioOutcome outcome_of(std::uint64_t ipa, AccessWidth width, std::span<const DeviceRange> devices) noexcept {
  for (const DeviceRange& device : devices) {
    if (!device.contains(ipa)) continue;
    if (device.bytes - (ipa - device.base) < bytes_of(width)) return MmioOutcome::hole;
    if (ipa % bytes_of(width) != 0) return MmioOutcome::unaligned;
    return device.widths.contains(width) ? MmioOutcome::refused : MmioOutcome::bad_width;
  }
  return MmioOutcome::hole;
}

Trigger trigger_of(const AxVCpuExitReason& reason, std::span<const DeviceRange> devices) noexcept {
  if (const auto* read = reason.get_if<AxVCpuExitReason::MmioRead>()) {
    return trigger::MmioFailure{read->addr, read->width, false, 0, outcome_of(read->addr, read->width, devices)};
  }
  if (const auto* write = reason.get_if<AxVCpuExitReason::MmioWrite>()) {
    return trigger::MmioFailure{write->addr, write->width, true, write->data,
                                outcome_of(write->addr, write->width, devices)};
  }
  if (const auto* fault = reason.get_if<AxVCpuExitReason::NestedPageFault>()) return trigger::StageTwoFault{*fault};
  if (const auto* failure = reason.get_if<AxVCpuExitReason::FailEntry>()) return trigger::FailedEntry{*failure};
  return trigger::HealthCheck{};
}

}  // namespace

std::optional<Trigger> RecordState::trigger(std::span<const DeviceRange> devices) const noexcept {
  switch (record_.kind) {
    case Kind::exit_serror: return trigger::FailedEntry{{exit_.esr, exit_.far, true}};
    case Kind::psci_call:
      return trigger::Call{.x = {record_.data & 0xFFFF'FFFF, record_.far, record_.hpfar, 0},
                           .conduit = exit_.esr.get<Esr::EC>() == Ec::smc64 ? Conduit::smc : Conduit::hvc,
                           .immediate = CallIss::from(exit_.esr.get<Esr::ISS>()).get<CallIss::imm16>(),
                           .answer = static_cast<std::int32_t>(record_.data >> 32)};
    case Kind::exit_sync: break;
    default: return std::nullopt;
  }
  if (record_.outcome != Outcome::injected && record_.outcome != Outcome::failed) return std::nullopt;
  const std::uint32_t iss = exit_.esr.get<Esr::ISS>();
  const auto fault = DataAbortIss::from(iss);
  const bool on_walk = fault.get<DataAbortIss::S1PTW>();
  const Ec ec = exit_.esr.get<Esr::EC>();
  if (ec == Ec::data_abort_lower || ec == Ec::instruction_abort_lower) {
    const FaultKind kind = fault_status(fault.get<DataAbortIss::DFSC>()).kind;
    // The guest's own: an alignment fault and the like are passed on to it.
    if (kind == FaultKind::alignment || kind == FaultKind::tag_check || kind == FaultKind::implementation_defined) {
      return std::nullopt;
    }
    const std::uint64_t ipa = fault_ipa(exit_.hpfar, exit_.far, on_walk);
    return trigger_of(ec == Ec::data_abort_lower ? decode_data_abort(exit_, ipa) : decode_instruction_abort(exit_, ipa),
                      devices);
  }
  return trigger::UndefinedInjected{};
}

// --- the walk over a trace ------------------------------------------------------------------------------------------

namespace {

// Enough for a loop's repetitions with the interrupts in between.
constexpr std::size_t kWindow = 16'384;

class Replay {
 public:
  Replay(std::span<const Record> records, const ReplayContext& context, ReplaySink& sink) noexcept
      : records_{records}, context_{context}, sink_{sink} {}

  void run() noexcept {
    for (std::size_t i = 0; i < records_.size(); ++i) look_at(i);
    for (unsigned i = 0; i < vcpu_count_; ++i) {
      State state{*this, vcpus_[i].vm, vcpus_[i].vcpu, records_};
      list_.clear();
      check_interrupts(state.captured, list_);
      check_call_advance(state.captured, list_);
      if (i == 0) check_cpu_on_records(state.captured, list_);
      tell(state.captured);
    }
    if (context_.reset_unclean) {
      State state{*this, 0, 0, records_};
      diagnose(state.captured, trigger::UncleanReset{context_.boot_count}, list_);
      tell(state.captured);
    }
  }

 private:
  struct Vcpu {
    std::uint8_t vm{}, vcpu{};
    ExitLoopDetector exits;
    StormDetector samples;
    bool in_loop{}, in_storm{};
  };

  // What is known of one vCPU at one record.
  struct State {
    RamRange ram{};
    VmConfiguration configuration{};
    CapturedState captured{};

    State(const Replay& replay, unsigned vm, unsigned vcpu, std::span<const Record> window) noexcept {
      captured.vm = vm;
      captured.vcpu = vcpu;
      captured.counter_hz = replay.context_.counter_hz;
      captured.records = window;
      configuration.devices = replay.context_.devices;
      if (vm >= replay.context_.vms.size() || replay.context_.vms[vm].vcpus == 0) return;
      const trace::VmInfo& info = replay.context_.vms[vm];
      std::size_t length = 0;
      while (length < info.name.size() && info.name[length] != '\0') ++length;
      captured.vm_name = {info.name.data(), length};
      ram = {"RAM", info.ram_ipa, info.ram_pa, info.ram_bytes};
      configuration.ram = {&ram, 1};
      configuration.entry = info.entry;
      configuration.dtb = info.dtb;
      captured.configuration = &configuration;
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
  };

  Vcpu* vcpu_of(const Record& record) noexcept {
    for (unsigned i = 0; i < vcpu_count_; ++i) {
      if (vcpus_[i].vm == record.vm && vcpus_[i].vcpu == record.vcpu) return &vcpus_[i];
    }
    if (vcpu_count_ == vcpus_.size()) return nullptr;
    vcpus_[vcpu_count_] = {.vm = record.vm, .vcpu = record.vcpu, .exits = {}, .samples = {}};
    return &vcpus_[vcpu_count_++];
  }

  [[nodiscard]] std::span<const Record> window_to(std::size_t index) const noexcept {
    const std::size_t first = index + 1 > kWindow ? index + 1 - kWindow : 0;
    return records_.subspan(first, index + 1 - first);
  }

  void look_at(std::size_t index) noexcept {
    const Record& record = records_[index];
    if (record.kind == Kind::diagnosis) return sink_.recorded(Code{static_cast<std::uint16_t>(record.data)}, record);
    if (Vcpu* vcpu = vcpu_of(record)) {
      const bool loop = vcpu->exits.feed(record, context_.counter_hz);
      const bool storm = vcpu->samples.feed(record, context_.counter_hz) != StormDetector::Kind::none;
      if ((loop && !vcpu->in_loop) || (storm && !vcpu->in_storm)) {
        State state{*this, record.vm, record.vcpu, window_to(index)};
        list_.clear();
        check_loops(state.captured, list_);
        tell(state.captured);
      }
      vcpu->in_loop = loop;
      vcpu->in_storm = storm;
    }
    // Most records end here.
    const bool failed =
        record.kind == Kind::exit_sync && (record.outcome == Outcome::injected || record.outcome == Outcome::failed);
    const bool refused = record.kind == Kind::psci_call && static_cast<std::int32_t>(record.data >> 32) < 0;
    if (!failed && !refused && record.kind != Kind::exit_serror) return;
    if (was_seen(record)) return;
    const RecordState from{record};
    const auto why = from.trigger(context_.devices);
    if (!why) return;
    State state{*this, record.vm, record.vcpu, window_to(index)};
    state.captured.exit = &from.exit();
    diagnose(state.captured, *why, list_);
    tell(state.captured);
  }

  void tell(const CapturedState& state) noexcept {
    for (const Diagnosis& diagnosis : list_) {
      const Seen seen{diagnosis.code(), diagnosis.pc().value_or(0), static_cast<std::uint8_t>(diagnosis.vm()),
                      static_cast<std::uint8_t>(diagnosis.vcpu())};
      bool known = false;
      for (unsigned i = 0; i < told_count_; ++i) known = known || told_[i] == seen;
      if (known || told_count_ == told_.size()) continue;
      told_[told_count_++] = seen;
      sink_.found(diagnosis, state);
    }
    list_.clear();
  }

  // The same instruction with the same syndrome was looked at: a loop of failures costs one comparison each.
  bool was_seen(const Record& record) noexcept {
    const bool same = record.pc == last_.pc && record.esr == last_.esr && record.far == last_.far &&
                      record.kind == last_.kind && record.data == last_.data && record.vcpu == last_.vcpu &&
                      record.vm == last_.vm;
    last_ = record;
    // A call is a failure only when it is repeated often, so each is looked at as long as that may be.
    if (same && record.kind == Kind::psci_call) return ++repeated_ > 128;
    repeated_ = 0;
    return same;
  }

  struct Seen {
    Code code{};
    std::uint64_t pc{};
    std::uint8_t vm{}, vcpu{};
    friend bool operator==(const Seen&, const Seen&) noexcept = default;
  };

  std::span<const Record> records_;
  const ReplayContext& context_;
  ReplaySink& sink_;
  DiagnosisList list_{};
  std::array<Vcpu, 16> vcpus_{};
  unsigned vcpu_count_{};
  std::array<Seen, 64> told_{};
  unsigned told_count_{};
  Record last_{};
  unsigned repeated_{};
};

}  // namespace

void replay(std::span<const Record> records, const ReplayContext& context, ReplaySink& sink) noexcept {
  Replay{records, context, sink}.run();
}

}  // namespace arm_vcpu::diag
