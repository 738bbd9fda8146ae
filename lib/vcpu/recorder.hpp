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

// At the vector: the record is complete but for what comes of the exit.
inline void begin(VCpuContext& context, unsigned vm, unsigned vcpu) noexcept {
  if (VCPU_TRACE == 0 || context.trace == nullptr) {
    return;
  }
  trace::Record& record = context.trace->next();
  record.time = hw::counter_ticks();
  record.pc = context.frame.elr;
  record.esr = context.esr.raw;
  record.far = context.far;
  record.hpfar = context.hpfar.raw;
  record.data = data_of(context);
  record.spsr = static_cast<std::uint32_t>(context.frame.spsr.raw);
  record.duration = 0;
  record.vm = static_cast<std::uint8_t>(vm);
  record.vcpu = static_cast<std::uint8_t>(vcpu);
  record.kind = static_cast<trace::Kind>(context.kind);
  record.outcome = trace::Outcome::open;
  context.trace->publish(record);
  context.open_record = &record;
}

// For an interrupt the syndrome registers hold what an earlier exit left, and the INTID is known later.
inline void set_interrupt(VCpuContext& context, std::uint32_t intid) noexcept {
  if (context.open_record != nullptr) {
    context.open_record->esr = 0;
    context.open_record->far = 0;
    context.open_record->hpfar = 0;
    context.open_record->data = intid;
  }
}

// Before the guest goes on. An outcome that was set before stays.
inline void end(VCpuContext& context, trace::Outcome outcome) noexcept {
  trace::Record* const record = context.open_record;
  if (VCPU_TRACE == 0 || record == nullptr) {
    return;
  }
  const std::uint64_t ticks = hw::counter_ticks() - record->time;
  record->duration = ticks >> 32 == 0 ? static_cast<std::uint32_t>(ticks) : ~std::uint32_t{0};
  if (record->outcome == trace::Outcome::open) {
    record->outcome = outcome;
  }
  context.open_record = nullptr;
}

inline void set_outcome(VCpuContext& context, trace::Outcome outcome) noexcept {
  if (context.open_record != nullptr) {
    context.open_record->outcome = outcome;
  }
}

// An event of this vCPU that is not an exit. `event` has what its kind needs; time, VM and vCPU are added.
inline void event(VCpuContext& context, unsigned vm, unsigned vcpu, trace::Record event) noexcept {
  if (VCPU_TRACE == 0 || context.trace == nullptr) {
    return;
  }
  event.time = hw::counter_ticks();
  event.vm = static_cast<std::uint8_t>(vm);
  event.vcpu = static_cast<std::uint8_t>(vcpu);
  context.trace->append(event);
}

}  // namespace arm_vcpu::recorder
