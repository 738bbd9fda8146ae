// SPDX-License-Identifier: Apache-2.0
// The recorder's part of the exit path. Fields are copied, nothing is formatted; off, it is a load and a branch.
#pragma once

#include "arm_vcpu/arch/esr.hpp"
#include "arm_vcpu/vcpu.hpp"
#include "vcpu/hw.hpp"

// 0 compiles the recorder out of the exit path.
#ifndef VCPU_TRACE
#define VCPU_TRACE 1
#endif

namespace arm_vcpu::recorder {

// The register that a reader of the record wants: what a store or an MSR wrote, the function of a call.
[[nodiscard]] inline std::uint64_t data_of(const ExitFrame& exit) noexcept {
  const auto iss = exit.esr.get<Esr::ISS>();
  switch (exit.esr.get<Esr::EC>()) {
    case Ec::data_abort_lower: return exit.frame.gpr(DataAbortIss::from(iss).get<DataAbortIss::SRT>());
    case Ec::sysreg: return exit.frame.gpr(SysRegIss::from(iss).get<SysRegIss::Rt>());
    default: return exit.frame.gpr[0];
  }
}

// VM, vCPU, kind and outcome are the last word of a record and are stored as one.
using AliasingWord [[gnu::may_alias]] = std::uint32_t;
inline constexpr unsigned kKindShift = 16;
inline constexpr unsigned kOutcomeShift = 24;
[[nodiscard]] constexpr std::uint32_t tag_of(unsigned vm, unsigned vcpu) noexcept {
  return (vm & 0xFF) | (vcpu & 0xFF) << 8 | static_cast<std::uint32_t>(trace::Outcome::handled) << kOutcomeShift;
}

// The same of an exit that the vector answered, above the number of the record.
[[nodiscard]] constexpr std::uint64_t answer_tag_of(unsigned vm, unsigned vcpu, TrapKind kind) noexcept {
  const std::uint32_t tag = (vm & 0xFF) | (vcpu & 0xFF) << 8 | static_cast<std::uint32_t>(kind) << kKindShift |
                            static_cast<std::uint32_t>(trace::Outcome::answered) << kOutcomeShift;
  return static_cast<std::uint64_t>(tag) << 32;
}

// At the vector. The outcome is the one that most exits have; leave(), inject_*() and a panic say otherwise.
inline void begin(VCpuContext& context) noexcept {
  trace::Ring* const ring = context.trace;
  if (VCPU_TRACE == 0 || ring == nullptr) {
    return;
  }
  const std::uint64_t number = ring->next_number();
  trace::Record& record = ring->place_of(number);
  record.time = hw::counter_ticks();
  record.pc = context.frame.elr;
  record.esr = context.esr.raw;
  record.far = context.far;
  record.hpfar = context.hpfar.raw;
  record.data = data_of(context);
  record.spsr = static_cast<std::uint32_t>(context.frame.spsr.raw);
  record.duration = 0;
  *reinterpret_cast<AliasingWord*>(&record.vm) = context.trace_tag | static_cast<std::uint32_t>(context.kind)
                                                                         << kKindShift;
  record.sequence = static_cast<std::uint32_t>(number);
  ring->publish(number);
  context.open_record = &record;
}

// For an interrupt the syndrome registers hold what an earlier exit left, and the INTID is known later.
inline void set_interrupt(VCpuContext& context, std::uint32_t intid) noexcept {
  if (VCPU_TRACE != 0 && context.open_record != nullptr) {
    context.open_record->esr = 0;
    context.open_record->far = 0;
    context.open_record->hpfar = 0;
    context.open_record->data = intid;
  }
}

// The exit was dealt with in the vCPU and the guest goes on: in far less time than the field can hold.
inline void end(VCpuContext& context) noexcept {
  trace::Record* const record = context.open_record;
  if (VCPU_TRACE == 0 || record == nullptr) {
    return;
  }
  record->duration = static_cast<std::uint32_t>(hw::counter_ticks() - record->time);
  context.open_record = nullptr;
}

// The exit was the hypervisor's, and the guest goes on now. What it made of the exit, if it said so, stays.
inline void end_returned(VCpuContext& context) noexcept {
  trace::Record* const record = context.open_record;
  if (VCPU_TRACE == 0 || record == nullptr) {
    return;
  }
  const std::uint64_t ticks = hw::counter_ticks() - record->time;
  record->duration = ticks >> 32 == 0 ? static_cast<std::uint32_t>(ticks) : ~std::uint32_t{0};
  if (record->outcome == trace::Outcome::open) {
    record->outcome = trace::Outcome::returned;
  }
  context.open_record = nullptr;
}

inline void set_outcome(VCpuContext& context, trace::Outcome outcome) noexcept {
  if (VCPU_TRACE != 0 && context.open_record != nullptr) {
    context.open_record->outcome = outcome;
  }
}

// An event of this vCPU that is not an exit. `event` has what its kind needs; time, VM and vCPU are added.
inline void event(VCpuContext& context, trace::Record event) noexcept {
  if (VCPU_TRACE == 0 || context.trace == nullptr) {
    return;
  }
  event.time = hw::counter_ticks();
  event.vm = static_cast<std::uint8_t>(context.trace_tag);
  event.vcpu = static_cast<std::uint8_t>(context.trace_tag >> 8);
  context.trace->append(event);
}

}  // namespace arm_vcpu::recorder
