// SPDX-License-Identifier: Apache-2.0
// What is seen of a guest that makes no exits: samples, by CNTHP, of one that runs; a look at one that sleeps.
//
// A vCPU that has its CPU to itself sleeps in the guest (HCR_EL2.TWI is 0), as long as nobody wants a record of each
// WFI. Then the samples find out that it sleeps: the instruction before its PC is the WFI. They come less often the
// longer it does, once a second in the end. [ADR] docs/adr/0022-wfi-in-the-guest.md
#include <algorithm>

#include "arm_vcpu/el2/sysreg.hpp"
#include "console.hpp"
#include "cpu_loop.hpp"
#include "vcpu_loop.hpp"

namespace arm_vcpu::hv {
namespace {

// How often a guest is looked at, in its own time: one that is caught in its own vectors makes no exits.
constexpr std::uint64_t kSamplesPerSecond = 50;
// How many samples apart the state of its timer and its interrupts is looked at.
constexpr unsigned kSamplesPerHealthCheck = 25;

std::uint64_t shortest_period() noexcept {
  return el2::counter_hz() / kSamplesPerSecond;
}

// Grows with each exit, by whatever way it was answered.
std::uint64_t exits_of(const VcpuSlot& slot) noexcept {
  std::uint64_t sum = slot.vcpu->handled_exits();
  for (const std::uint64_t count : slot.exits) sum += count;
  return sum;
}

}  // namespace

// Once, before the first vCPU runs. A terminal without an interrupt is polled by CPU 0 when it idles.
void CpuLoop::let_guest_sleep() noexcept {
  const bool polls = this_cpu().index == 0 && !console::interrupt();
  if (count_ != 1 || !answers_ || polls) return;
  slots_[0]->sleeps_in_guest = true;
  slots_[0]->vcpu->sleep_in_guest(true);
}

void CpuLoop::begin_samples(VcpuSlot& slot) noexcept {
  slot.sample_in = slot.sample_period = shortest_period();
  slot.was_asleep = false;
}

void CpuLoop::look_by(std::uint64_t at) noexcept {
  if (!in_guest_ || next_sample_ <= at) return;
  next_sample_ = at;
  arm();
}

void CpuLoop::sample_guest(VcpuSlot& slot, std::uint64_t now) noexcept {
  if (slot.sleeps_in_guest && slot.vcpu->is_behind_wfi()) return found_asleep(slot, now);
  found_awake(slot, now);
}

// Nothing but the samples has interrupted it since the last one: it has slept all the time, whatever it sleeps for.
void CpuLoop::found_asleep(VcpuSlot& slot, std::uint64_t now) noexcept {
  const std::uint64_t pc = slot.vcpu->trap_frame().exception_pc();
  const std::uint64_t exits = exits_of(slot);
  // This sample is an exit.
  const bool sleeps_on = slot.was_asleep && exits == slot.exits_by_then + 1;
  slot.exits_by_then = exits;
  if (!sleeps_on) {
    slot.was_asleep = true;
    slot.note_asleep(now);
    slot.vcpu->record({.pc = pc, .data = 1, .kind = trace::Kind::vcpu_parked});
    slot.loop->watch();
  } else if (now >= slot.look_at) {
    slot.look_at = Deadlines::kNever;
    look_at_sleeper(slot);
  }
  slot.sample_period = std::min(2 * slot.sample_period, el2::counter_hz());
  next_sample_ = std::min(now + slot.sample_period, slot.look_at);
  late_ = {};
}

void CpuLoop::found_awake(VcpuSlot& slot, std::uint64_t now) noexcept {
  const std::uint64_t pc = slot.vcpu->trap_frame().exception_pc();
  if (slot.was_asleep) slot.vcpu->record({.pc = pc, .kind = trace::Kind::vcpu_woken});
  slot.was_asleep = false;
  slot.sample_period = shortest_period();
  next_sample_ = now + slot.sample_period;
  slot.vcpu->record({.pc = pc,
                     .esr = VCPU_READ_SYSREG(esr_el1),
                     .far = VCPU_READ_SYSREG(far_el1),
                     .hpfar = VCPU_READ_SYSREG(elr_el1),
                     .data = VCPU_READ_SYSREG(vbar_el1),
                     .spsr = static_cast<std::uint32_t>(slot.vcpu->trap_frame().spsr.raw),
                     .kind = trace::Kind::guest_sample});
  slot.loop->watch();
  const bool was_overdue = late_.is_overdue != 0;
  late_.is_overdue = late_.samples != 0 && !must_leave_ && scheduler_.kept_waiting(now) >= 2 * scheduler_.slice();
  if (++slot.samples % kSamplesPerHealthCheck == 0 || (late_.is_overdue != 0 && !was_overdue)) {
    (void)slot.vm->doctor_.examine(&slot, diag::trigger::HealthCheck{});
  }
  late_.samples = scheduler_.must_yield(now) && !must_leave_ ? late_.samples + 1 : 0;
}

// A wait of a second is nothing special, but it gives time to see whether it can end.
void CpuLoop::look_at_sleeper(VcpuSlot& slot) noexcept {
  VmDoctor& doctor = slot.vm->doctor_;
  slot.loop->watch();
  const VmDoctor::Past past{.parked_since = slot.waits_since};
  if (doctor.sleeps_for_good(slot)) {
    log(Level::warn, "vm{} vcpu{}: asleep for good at PC {:x}: no interrupt is enabled, and no other vCPU is on",
        slot.vm->id(), slot.index, slot.vcpu->trap_frame().exception_pc());
    (void)doctor.examine(&slot, diag::trigger::Inspection{}, past);
  } else {
    (void)doctor.examine(&slot, diag::trigger::HealthCheck{}, past);
  }
}

}  // namespace arm_vcpu::hv
