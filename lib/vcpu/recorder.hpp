// SPDX-License-Identifier: Apache-2.0
// The recorder's part of the exit path. Fields are copied, nothing is formatted; off, it is a load and a branch.
#pragma once

#include <utility>

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
  const Ec ec = exit.esr.get<Esr::EC>();
  if (ec == Ec::data_abort_lower) [[likely]] {
    return exit.frame.gpr(DataAbortIss::from(iss).get<DataAbortIss::SRT>());
  }
  return ec == Ec::sysreg ? exit.frame.gpr(SysRegIss::from(iss).get<SysRegIss::Rt>()) : exit.frame.gpr[0];
}

// VM, vCPU, kind and outcome are the last four bytes of a record.
inline constexpr unsigned kKindShift = 16;
inline constexpr unsigned kOutcomeShift = 24;
[[nodiscard]] constexpr std::uint64_t tag_of(unsigned vm, unsigned vcpu, TrapKind kind,
                                             trace::Outcome outcome) noexcept {
  const std::uint32_t tag = (vm & 0xFF) | (vcpu & 0xFF) << 8 | static_cast<std::uint32_t>(kind) << kKindShift |
                            static_cast<std::uint32_t>(outcome) << kOutcomeShift;
  return static_cast<std::uint64_t>(tag) << 32;
}

// The whole record in eight stores, most of them pairs: a place in the ring, and what is known at the vector. The last
// two words as they are stored: SPSR and a duration of 0; the number, and above it the tag. Returns the place; the
// caller publishes the number.
[[gnu::always_inline]] inline trace::Record& write_at(std::uint64_t time, trace::RingCursor ring, std::uint64_t number,
                                                      std::uint64_t tag, std::uint64_t pc, std::uint64_t esr,
                                                      std::uint64_t far, std::uint64_t hpfar, std::uint64_t data,
                                                      std::uint64_t spsr) noexcept {
  using Word [[gnu::may_alias]] = std::uint64_t;
  trace::Record& record = ring.place_of(number);
  record.time = time;
  record.pc = pc;
  record.esr = esr;
  record.far = far;
  record.hpfar = hpfar;
  record.data = data;
  *reinterpret_cast<Word*>(&record.spsr) = static_cast<std::uint32_t>(spsr);
  *reinterpret_cast<Word*>(&record.sequence) = tag + static_cast<std::uint32_t>(number);
  return record;
}
[[gnu::always_inline]] inline trace::Record& write(trace::RingCursor ring, std::uint64_t number, std::uint64_t tag,
                                                   std::uint64_t pc, std::uint64_t esr, std::uint64_t far,
                                                   std::uint64_t hpfar, std::uint64_t data,
                                                   std::uint64_t spsr) noexcept {
  return write_at(hw::counter_ticks(), ring, number, tag, pc, esr, far, hpfar, data, spsr);
}

// At the vector. The outcome is the one that most exits have; leave(), inject_*() and a panic say otherwise.
inline void begin(VCpuContext& context) noexcept {
  const trace::RingCursor ring = context.trace_cursor;
  if (VCPU_TRACE == 0 || ring.written == nullptr) {
    return;
  }
  const std::uint64_t number = *ring.written;
  const std::uint64_t tag = context.trace_tag | static_cast<std::uint64_t>(context.kind) << (32 + kKindShift);
  context.open_record = &write(ring, number, tag, context.frame.elr, context.esr.raw, context.far, context.hpfar.raw,
                               data_of(context), context.frame.spsr.raw);
  ring.publish(number);
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

inline void set_outcome(VCpuContext& context, trace::Outcome outcome) noexcept {
  if (VCPU_TRACE != 0 && context.open_record != nullptr) {
    context.open_record->outcome = outcome;
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

// The tag of an event that is not an exit, of the vCPU that has this trace_tag.
[[nodiscard]] constexpr std::uint64_t event_tag(std::uint64_t trace_tag, trace::Kind kind) noexcept {
  constexpr std::uint64_t kWho = std::uint64_t{0xFFFF} << 32;
  return (trace_tag & kWho) | static_cast<std::uint64_t>(kind) << (32 + kKindShift);
}
// One that has no syndrome.
[[gnu::always_inline]] inline void event(const VCpuContext& context, trace::Kind kind, std::uint64_t pc,
                                         std::uint64_t data, std::uint64_t far = 0, std::uint64_t hpfar = 0) noexcept {
  const trace::RingCursor ring = context.trace_cursor;
  if (VCPU_TRACE == 0 || ring.written == nullptr) {
    return;
  }
  const std::uint64_t number = *ring.written;
  (void)write(ring, number, event_tag(context.trace_tag, kind), pc, 0, far, hpfar, data, 0);
  ring.publish(number);
}

// `from` is at a WFI, and `to` goes on in its place, with `delivered` (an ICH_LR<n>_EL2; 0: none) in list register 0:
// the exit and what comes of it, at once.
[[gnu::always_inline]] inline void hand_over(const VCpuContext& from, const VCpuContext& to,
                                             std::uint64_t delivered) noexcept {
  const trace::RingCursor ring = from.trace_cursor;
  if (VCPU_TRACE == 0 || ring.written == nullptr) {
    return;
  }
  constexpr std::uint64_t kWaits = tag_of(0, 0, {}, trace::Outcome::handled) ^ tag_of(0, 0, {}, trace::Outcome::waits);
  const std::uint64_t time = hw::counter_ticks();
  std::uint64_t number = *ring.written;
  (void)write_at(time, ring, number, from.trace_tag ^ kWaits, from.frame.elr, from.esr.raw, 0, 0, 0,
                 from.frame.spsr.raw);
  ++number;
  const std::uint64_t tag = event_tag(to.trace_tag, trace::Kind::vcpu_scheduled);
  (void)write_at(time, ring, number, tag, to.frame.elr, 0, 0, 0, 1, 0);
  if (delivered != 0) {
    constexpr std::uint64_t kDelivered =
        event_tag(0, trace::Kind::vcpu_scheduled) ^ event_tag(0, trace::Kind::irq_delivered);
    ++number;
    (void)write_at(time, ring, number, tag ^ kDelivered, 0, 0, 0, delivered, static_cast<std::uint32_t>(delivered), 0);
  }
  ring.publish(number);
}

// An event of this vCPU, in which `event` has what its kind needs; time, VM and vCPU are added.
inline void event(VCpuContext& context, trace::Record event) noexcept {
  const trace::RingCursor ring = context.trace_cursor;
  if (VCPU_TRACE == 0 || ring.written == nullptr) {
    return;
  }
  const std::uint64_t number = *ring.written;
  event.time = hw::counter_ticks();
  event.sequence = static_cast<std::uint32_t>(number);
  event.vm = static_cast<std::uint8_t>(context.trace_tag >> 32);
  event.vcpu = static_cast<std::uint8_t>(context.trace_tag >> 40);
  ring.place_of(number) = event;
  ring.publish(number);
}

}  // namespace arm_vcpu::recorder
