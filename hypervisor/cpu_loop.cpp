// SPDX-License-Identifier: Apache-2.0
#include "cpu_loop.hpp"

#include <algorithm>
#include <utility>

#include "arm_vcpu/el2/sysreg.hpp"
#include "arm_vcpu/vm/vgic_cpu_interface.hpp"
#include "check.hpp"
#include "console.hpp"
#include "gic.hpp"
#include "guest_gic.hpp"
#include "guest_timer.hpp"
#include "late.hpp"
#include "physical_cpus.hpp"
#include "simulate.hpp"
#include "smp.hpp"
#include "trace_area.hpp"
#include "vcpu_loop.hpp"

namespace arm_vcpu::hv {
namespace {

constinit LoopInterrupts g_interrupts;
constinit std::array<std::optional<VcpuLoop>, std::size_t{kMaxVms} * kMaxVcpus> g_vcpu_loops{};
constinit LateArray<CpuLoop, kMaxCpus> g_loops;

// Short against a guest's timer tick, long against the cost of a switch.
constexpr std::uint64_t kSlicesPerSecond = 200;
// A UART without an interrupt is looked at this often.
constexpr std::uint64_t kPollsPerSecond = 50;

}  // namespace

void construct_cpu_loops() noexcept {
  for (std::size_t cpu = 0; cpu < g_loops.size(); ++cpu) g_loops.construct(cpu);
}

CpuLoop& cpu_loop(unsigned cpu) noexcept {
  return g_loops[cpu];
}
CpuLoop& this_cpu_loop() noexcept {
  return g_loops[this_cpu().index];
}
void set_loop_interrupts(const LoopInterrupts& interrupts) noexcept {
  g_interrupts = interrupts;
}

bool CpuLoop::add(VcpuSlot& slot) noexcept {
  if (count_ == slots_.size()) return false;
  slot.place = count_;
  slot.loop = &g_vcpu_loops[slot.vm->id() * kMaxVcpus + slot.index].emplace(slot, *this);
  slots_[count_++] = &slot;
  return true;
}

// Nobody waits, to the diagnosis, while a slice is only about to end: the host of an emulated machine, or firmware, may
// have held this CPU for longer than that.
diag::SchedulerSnapshot CpuLoop::snapshot() const noexcept {
  const std::uint64_t now = el2::counter_ticks();
  const std::uint64_t end = scheduler_.slice_end().value_or(now);
  return {.waiting_vcpus = late_.is_overdue != 0 ? scheduler_.waiting_count() : 0,
          .slice_ticks = scheduler_.slice(),
          .running_ticks = scheduler_.kept_waiting(now),
          .cnthp_ctl_el2 = VCPU_READ_SYSREG(cnthp_ctl_el2),
          .armed_late_ticks = programmed_ != Deadlines::kNever && programmed_ > end ? programmed_ - end : 0};
}

// --- who can run ----------------------------------------------------------------------------------------------------

void CpuLoop::request(const VcpuSlot& slot) noexcept {
  if (scheduler_.request(slot.place)) gic::send_sgi(smp::cpu(slot.cpu), kKickSgi);
}

void CpuLoop::note(VcpuSlot& slot) noexcept {
  if (slot.vm->state() != Vm::State::running) {
    noted_ |= bit(slot);
    must_leave_ = true;
  } else if (scheduler_.is_blocked(slot.place) && can_run(slot)) {
    wake(slot);
  }
}

// What may take long, or end a VM: between two vCPUs.
void CpuLoop::settle() noexcept {
  must_leave_ = false;
  for (std::uint64_t rest = std::exchange(noted_, 0) | scheduler_.take_requests(); rest != 0; rest &= rest - 1) {
    settle(*slots_[static_cast<unsigned>(__builtin_ctzll(rest))]);
  }
}

void CpuLoop::settle(VcpuSlot& slot) noexcept {
  switch (slot.vm->state()) {
    case Vm::State::ended: return;
    case Vm::State::stopping:
      if (slot.arrived_in != slot.vm->life()) retire(slot);
      return;
    case Vm::State::running:
      if (scheduler_.is_blocked(slot.place) && can_run(slot)) wake(slot);
      return;
  }
}

// The VM stops: nothing of this vCPU stays on the CPU.
void CpuLoop::retire(VcpuSlot& slot) noexcept {
  const std::uint64_t now = el2::counter_ticks();
  if (scheduler_.running() == slot.place) slot.ran += scheduler_.block(now);
  scheduler_.remove(slot.place);
  slot.is_on = slot.waits = slot.looks = false;
  slot.resumes_until = 0;
  if (loaded_ == &slot) unload(now);
  waits_.clear(slot.place);
  // What the reset does to it may happen on another CPU.
  slot.vcpu->release_fp(*physical_);
  slot.arrived_in = slot.vm->life();
  slot.vm->arrive();
}

bool CpuLoop::can_run(VcpuSlot& slot) noexcept {
  if (!slot.is_on) return start(slot);
  const LockGuard guard{slot.vm->lock_};
  return has_deliverable(slot);
}

// Under the VM's lock.
bool CpuLoop::has_deliverable(VcpuSlot& slot) noexcept {
  Vgic& vgic = *slot.vm->vgic_;
  if (vgic.direct(slot.index).posted.load(std::memory_order_relaxed) != 0) (void)vgic.accept_posted(slot.index);
  return vgic.has_deliverable(slot.index);
}

// The boot CPU of a VM that was just loaded, or the target of a CPU_ON.
bool CpuLoop::start(VcpuSlot& slot) noexcept {
  Vm& vm = *slot.vm;
  if (vm.power_->state(slot.index) != PowerState::on) {
    const auto start = vm.power_->pending_start(slot.index);
    if (!start) return false;
    // The entry was checked when CPU_ON was accepted.
    CHECK(slot.vcpu->reset(start->entry, start->context_id).has_value());
    {
      const LockGuard guard{vm.lock_};
      vm.vgic_->reset_cpu_interface(slot.index);
    }
    CHECK(vm.power_->mark_on(slot.index));
  }
  slot.is_on = true;
  slot.is_new = true;
  begin_samples(slot);
  return true;
}

void CpuLoop::wake(VcpuSlot& slot) noexcept {
  const std::uint64_t now = el2::counter_ticks();
  // Its deadline stays: the next wait may well end no earlier, and on_due() finds what is over.
  scheduler_.wake(slot.place, now);
  slot.stolen_time.on_descheduled(now);  // from now on it could run
  if (in_guest_) arm();                  // the one that runs has a slice from now on
}

// --- running --------------------------------------------------------------------------------------------------------

void CpuLoop::run() noexcept {
  scheduler_.set_slice(el2::counter_hz() / kSlicesPerSecond);
  physical_ = &physical_cpu();
  answers_ = physical_->vectors() == Vectors::answering;
  hands_over_ = !el2::gic_v2().is_present();
  doorbell_ = gic::sgi_request(this_cpu(), kDoorbellSgi);
  for (unsigned place = 0; place < count_; ++place) noted_ |= std::uint64_t{1} << place;
  let_guest_sleep();
  if (answers_) {
    for (unsigned place = 0; place < count_; ++place) slots_[place]->loop->respond();
  }
  for (;;) {
    settle();
    const std::uint64_t now = el2::counter_ticks();
    if (scheduler_.running() == Scheduler::kNone) {
      late_ = {};
      if (scheduler_.pick(now) == Scheduler::kNone) {
        idle();
        continue;
      }
    }
    run_next(*slots_[scheduler_.running()], now);
  }
}

[[gnu::no_stack_protector]] void CpuLoop::run_next(VcpuSlot& slot, std::uint64_t now) noexcept {
  if (loaded_ != &slot && !load(slot, now)) return;
  if (noted_ != 0) return;  // the one that made room has an interrupt by now
  slot.stolen_time.on_scheduled(now);
  if (slot.waits && !wakes_up(slot)) return;
  if (slot.is_new) {
    slot.is_new = false;
    slot.loop->begin();
  }
  next_sample_ = now + slot.sample_in;
  in_guest_ = true;
  arm();
  const VcpuLoop::Leave why = VcpuLoop::run(*this);
  in_guest_ = false;
  leave_guest(*loaded_, why);
}

// The guest of the vCPU that is loaded now, and has not been for as long as run_next()'s.
[[gnu::no_stack_protector]] void CpuLoop::leave_guest(VcpuSlot& slot, VcpuLoop::Leave why) noexcept {
  const std::uint64_t now = el2::counter_ticks();
  slot.sample_in = next_sample_ > now ? next_sample_ - now : 0;
  switch (why) {
    case VcpuLoop::Leave::asked:
      if (scheduler_.must_yield(now)) preempt(slot, now);
      return;
    case VcpuLoop::Leave::yields:
      if (scheduler_.others_wait()) preempt(slot, now);
      return;
    case VcpuLoop::Leave::waits: return wait(slot, now);
    case VcpuLoop::Leave::turned_off: return turn_off(slot);
    case VcpuLoop::Leave::stops:
      (void)slot.watch.look(slot, slot.vm->doctor_);  // what came since the last sample
      noted_ |= bit(slot);
      return;
  }
}

void CpuLoop::preempt(VcpuSlot& slot, std::uint64_t now) noexcept {
  slot.ran += scheduler_.preempt(now);
  slot.stolen_time.on_descheduled(now);
}

// The end of a wait, or a look at the sleeper. False: it sleeps on.
[[gnu::no_stack_protector]] bool CpuLoop::wakes_up(VcpuSlot& slot) noexcept {
  if (std::exchange(slot.looks, false)) {
    look_at_sleeper(slot);
    if (slot.vm->state() != Vm::State::running) {
      noted_ |= bit(slot);
      return false;
    }
    VgicCpuMask raised{};
    bool wakes = false;
    {
      const LockGuard guard{slot.vm->lock_};
      raised = with_gic(slot, [&](auto& gic) noexcept { return slot.vm->vgic_->park(slot.index, gic); });
      wakes = has_deliverable(slot);
    }
    slot.vm->kick(raised, slot.index);
    if (!wakes) {
      slot.ran += scheduler_.block(el2::counter_ticks());
      return false;
    }
  }
  slot.waits = false;
  slot.resumes_until = 0;
  slot.wait_deadline = Deadlines::kNever;
  slot.vcpu->record(trace::Kind::vcpu_woken, slot.vcpu->trap_frame().exception_pc(), 0);
  return true;
}

// The vCPU stays loaded until another one needs the CPU. Until when it waits is worked out where it matters: when the
// CPU goes to sleep with it, or it is unloaded.
[[gnu::no_stack_protector]] void CpuLoop::wait(VcpuSlot& slot, std::uint64_t now) noexcept {
  slot.vcpu->record(trace::Kind::vcpu_parked, slot.vcpu->trap_frame().exception_pc(), 1);
  slot.ran += scheduler_.block(now);
  slot.waits = true;
  slot.note_asleep(now);
  // What came since the guest's WFI was looked at has made a request.
}

void CpuLoop::turn_off(VcpuSlot& slot) noexcept {
  slot.vcpu->record(trace::Kind::vcpu_parked, slot.vcpu->trap_frame().exception_pc(), 0);
  (void)slot.watch.look(slot, slot.vm->doctor_);
  const std::uint64_t now = el2::counter_ticks();
  slot.ran += scheduler_.block(now);
  unload(now);
  slot.is_on = false;
  (void)slot.vm->power_->cpu_off(slot.index);
}

// --- loading --------------------------------------------------------------------------------------------------------

[[gnu::noinline, gnu::cold]] void CpuLoop::report_unbound(VcpuSlot& slot, const Error& error) noexcept {
  char storage[200];
  TextBuffer line{storage};
  append(line, error);
  log(Level::error, "vm{} vcpu{}: {}", slot.vm->id(), slot.index, line.view());
  slot.vm->fail("a vCPU cannot be bound");
  noted_ |= bit(slot);
}

// Makes the CPU's registers those of the vCPU. False: it cannot be, and the VM stops.
// No stack guard here and in unload(), run_next(), wakes_up() and wait(): there is no array in their frames, and each
// is in the way of every switch.
[[gnu::no_stack_protector]] bool CpuLoop::load(VcpuSlot& slot, std::uint64_t now) noexcept {
  if (loaded_ != nullptr) unload(now, Aarch64VCpu::Next::vcpu);
  Vm& vm = *slot.vm;
  Vgic& vgic = *vm.vgic_;
  VgicCpuMask raised{};
  Result<> bound{};
  {
    const LockGuard guard{vm.lock_};
    // Instead of an exit for the timer as soon as it is back in the hardware.
    if (is_timer_due(slot.vcpu->system_registers(), now)) raised = raise_timers(slot, now);
    // Before the timer is in the hardware: an expired one would interrupt again.
    for (std::uint32_t rest = vgic.take_physical_ppis(slot.index); rest != 0; rest &= rest - 1) {
      gic::activate_private(static_cast<std::uint32_t>(__builtin_ctz(rest)));
    }
    bound = slot.vcpu->bind(*physical_);
    if (bound) {
      loaded_ = &slot;
      vgic.direct(slot.index).doorbell.store(doorbell_, std::memory_order_relaxed);
      raised |= with_gic(slot, [&](auto& gic) noexcept {
        vgic.load(slot.index, gic);
        return vgic.flush(slot.index, gic);
      });
    }
  }
  vm.kick(raised, slot.index);
  if (!bound) [[unlikely]] {
    report_unbound(slot, bound.error());
    return false;
  }
  forget_sibling(slot);
  // No CLREX: the ERET that enters the guest clears the exclusive monitor. [armarm] "Exclusive access instructions and
  // exception returns"
  return true;
}

[[gnu::no_stack_protector]] void CpuLoop::unload(std::uint64_t now, Aarch64VCpu::Next next) noexcept {
  VcpuSlot& slot = *loaded_;
  Vm& vm = *slot.vm;
  VgicCpuMask raised{};
  std::uint32_t active{};
  bool is_due{};
  // Who has read it before posts, and rings: on_doorbell() finds that.
  vm.vgic_->direct(slot.index).doorbell.store(0, std::memory_order_relaxed);
  const bool sleeps = slot.waits && scheduler_.is_blocked(slot.place);
  {
    const LockGuard guard{vm.lock_};
    raised = with_gic(slot, [&](auto& gic) noexcept { return vm.vgic_->save(slot.index, gic); });
    active = vm.vgic_->take_physical_ppis(slot.index);
    CHECK(slot.vcpu->unbind(next).has_value());
    loaded_ = nullptr;
    is_due = sleeps && is_timer_due(slot.vcpu->system_registers(), now);
    if (is_due) raised |= raise_timers(slot, now);
  }
  // Saved; must not fire for nobody.
  VCPU_WRITE_SYSREG(cntv_ctl_el0, 0);
  VCPU_WRITE_SYSREG(cntp_ctl_el0, 0);
  std::uint32_t expired = 0;
  if (is_up(slot.vcpu->system_registers().*kVirtualTimer.ctl)) expired |= 1U << kVirtualTimer.intid(g_interrupts);
  if (is_up(slot.vcpu->system_registers().*kPhysicalTimer.ctl)) expired |= 1U << kPhysicalTimer.intid(g_interrupts);
  if ((active | expired) != 0) {
    el2::isb();  // the line is low before the interrupt is inactive, or it would come again
    for (std::uint32_t rest = active; rest != 0; rest &= rest - 1) {
      gic::deactivate(static_cast<std::uint32_t>(__builtin_ctz(rest)));
    }
    // One that expired, and that nobody has acknowledged, would be the next vCPU's otherwise, at the vector.
    for (std::uint32_t rest = expired & ~active; rest != 0; rest &= rest - 1) {
      gic::wait_while_pending(static_cast<std::uint32_t>(__builtin_ctz(rest)));
    }
  }
  if (sleeps) {
    // From here on its timers are deadlines.
    waits_.set(slot.place, wait_ends(slot, now));
    const bool resumes = hands_over_ && active == 0 && !is_due && slot.wait_deadline == Deadlines::kNever;
    slot.resumes_until = resumes ? earliest_timer(slot.vcpu->system_registers(), now) : 0;
    if ((raised >> slot.index & 1) != 0) noted_ |= bit(slot);
  }
  vm.kick(raised, slot.index);
}

// --- time -----------------------------------------------------------------------------------------------------------

template <const GuestTimer& Timer>
[[gnu::always_inline]] inline VgicCpuMask CpuLoop::raise_timer(VcpuSlot& slot, std::uint64_t now) noexcept {
  const GuestSystemRegisters& saved = slot.vcpu->system_registers();
  if (!vm::timer_line(Timer.saved(saved), now - Timer.offset(saved))) [[likely]]
    return 0;
  if ((slot.vm->vgic_->take_physical_ppis(slot.index) >> Timer.intid(g_interrupts) & 1) != 0) return 0;
  record_injection(slot, Timer.guest_intid, slot.index, false);
  return slot.vm->vgic_->set_ppi_level(slot.index, Timer.guest_intid, true).value_or(0);
}

// The timers of a vCPU that is not loaded, as far as they have expired: as their physical interrupts would, once, until
// the guest has deactivated it. Under the VM's lock.
VgicCpuMask CpuLoop::raise_timers(VcpuSlot& slot, std::uint64_t now) noexcept {
  if (loaded_ == &slot) return 0;
  return raise_timer<kVirtualTimer>(slot, now) | raise_timer<kPhysicalTimer>(slot, now);
}

// When a vCPU that sleeps has to be looked at. Ticks.
std::uint64_t CpuLoop::wait_ends(const VcpuSlot& slot, std::uint64_t now) const noexcept {
  std::uint64_t at = slot.look_at;
  if (slot.wait_deadline < at) at = slot.wait_deadline;
  return loaded_ == &slot ? at : std::min(at, earliest_timer(slot.vcpu->system_registers(), now));
}

// Programs CNTHP, the EL2 physical timer, for the first thing that is due.
void CpuLoop::program(std::uint64_t at_the_latest) noexcept {
  std::uint64_t at = std::min(waits_.earliest(), at_the_latest);
  if (in_guest_) {
    at = std::min(at, next_sample_);
    if (const auto end = scheduler_.slice_end(); end && !simulate::is_chosen(simulate::Failure::starvation)) {
      at = std::min(at, *end);
    }
  }
  if (programmed_ <= at) return;
  programmed_ = at;
  VCPU_WRITE_SYSREG(cnthp_cval_el2, at);
  VCPU_WRITE_SYSREG(cnthp_ctl_el2, 1);
}

void CpuLoop::on_timer() noexcept {
  const std::uint64_t now = el2::counter_ticks();
  for (unsigned place = waits_.take_due(now); place != Scheduler::kNone; place = waits_.take_due(now)) {
    on_due(*slots_[place], now);
  }
  VCPU_WRITE_SYSREG(cnthp_ctl_el2, 0);
  programmed_ = Deadlines::kNever;
  if (in_guest_ && scheduler_.must_yield(now) && !simulate::is_chosen(simulate::Failure::starvation)) {
    must_leave_ = true;
  }
  // Before it is deactivated: the level is low by then.
  el2::isb();
}

// A vCPU that sleeps: its timer has expired, or it has slept for so long that it is worth a look.
void CpuLoop::on_due(VcpuSlot& slot, std::uint64_t now) noexcept {
  // It may have gone on since, or be off by now.
  if (slot.vm->state() != Vm::State::running || !slot.waits || !scheduler_.is_blocked(slot.place)) return;
  VgicCpuMask raised{};
  bool wakes = false;
  {
    const LockGuard guard{slot.vm->lock_};
    raised = raise_timers(slot, now);
    wakes = has_deliverable(slot) || now >= slot.wait_deadline;
  }
  slot.vm->kick(raised, slot.index);
  if (wakes) return wake(slot);
  if (now >= slot.look_at) {
    slot.look_at = Deadlines::kNever;
    slot.looks = true;
    slot.resumes_until = 0;
    return wake(slot);
  }
  waits_.set(slot.place, wait_ends(slot, now));
}

// --- interrupts -----------------------------------------------------------------------------------------------------

bool CpuLoop::handle_interrupt(std::uint32_t acknowledged) noexcept {
  const std::uint32_t intid = gic::intid_of(acknowledged);
  if (intid == gic::kSpurious) return false;
  gic::priority_drop(acknowledged);
  if (intid == g_interrupts.virtual_timer || intid == g_interrupts.physical_timer) {
    on_guest_timer(intid == g_interrupts.virtual_timer ? kVirtualTimer : kPhysicalTimer);
    return must_leave_;
  }
  if (intid == g_interrupts.pmu && intid != 0) {
    on_pmu();
    return must_leave_;
  }
  if (intid == kKickSgi) {
    // What the vCPU that runs has to look at needs nothing but the exit itself.
    for (std::uint64_t rest = scheduler_.take_requests(); rest != 0; rest &= rest - 1) {
      note(*slots_[static_cast<unsigned>(__builtin_ctzll(rest))]);
    }
  } else if (intid == kDoorbellSgi) {
    on_doorbell();
  } else if (intid == g_interrupts.hypervisor_timer) {
    on_timer();
  } else if (intid == g_interrupts.maintenance) {
    if (in_guest_) {
      loaded_->loop->flush();
    } else if (loaded_ != nullptr) {
      unload(el2::counter_ticks());  // asleep, and its list registers ask for attention that the guest will not give
    }
  } else if (intid == g_interrupts.uart) {
    handle_console_input();
  }
  gic::deactivate(acknowledged);
  // At each interrupt, not only at the timer's own: one that comes without end may keep that from being taken.
  if (in_guest_) {
    if (const std::uint64_t now = el2::counter_ticks(); now >= next_sample_) {
      sample_guest(*loaded_, now);
      if (const auto line = console::poll()) look_by(*line);
    }
    arm();
  }
  return must_leave_;
}

// A vCPU that waits and is loaded, with nothing but this: as the vector would have delivered it.
template <class Deliver>
bool CpuLoop::wakes_at_once(Deliver deliver) noexcept {
  VcpuSlot& slot = *loaded_;
  if (slot.looks || !scheduler_.is_blocked(slot.place) || !slot.waits) return false;
  if (!with_gic(slot, [&](auto& gic) noexcept { return deliver(*slot.vm->vgic_, slot.index, gic); })) return false;
  wake(slot);
  return true;
}

// Somebody posted SGIs for a vCPU that was loaded here when they looked. It may have made room for another one since.
void CpuLoop::on_doorbell() noexcept {
  if (loaded_ != nullptr && !in_guest_) {
    (void)wakes_at_once([](Vgic& vgic, unsigned vcpu, auto& gic) noexcept { return vgic.deliver_posted(vcpu, gic); });
  }
  for (unsigned place = 0; place < count_; ++place) {
    VcpuSlot& slot = *slots_[place];
    if (slot.vm->vgic_->direct(slot.index).posted.load(std::memory_order_relaxed) != 0) note(slot);
  }
}

// Not deactivated: the list register does that when the guest is done with it.
void CpuLoop::on_guest_timer(const GuestTimer& timer) noexcept {
  // One that became pending for the vCPU that was here before may still be delivered.
  const std::uint64_t ctl = timer.is_virtual ? VCPU_READ_SYSREG(cntv_ctl_el0) : VCPU_READ_SYSREG(cntp_ctl_el0);
  if (loaded_ == nullptr || !is_up(ctl)) return gic::deactivate(timer.intid(g_interrupts));
  if (timer.is_virtual && !in_guest_ &&
      wakes_at_once([](Vgic& vgic, unsigned vcpu, auto& gic) noexcept { return vgic.deliver_timer(vcpu, gic); })) {
    return;
  }
  raise_linked(timer.guest_intid);
}

// The counters of a vCPU that is not loaded stand still.
void CpuLoop::on_pmu() noexcept {
  const bool is_up = loaded_ != nullptr && loaded_->vcpu->has_pmu() &&
                     (VCPU_READ_SYSREG(pmovsset_el0) & VCPU_READ_SYSREG(pmintenset_el1)) != 0;
  if (!is_up) return gic::deactivate(g_interrupts.pmu);
  raise_linked(guest_machine::kPmuIntid);
}

void CpuLoop::raise_linked(std::uint32_t intid) noexcept {
  VcpuSlot& slot = *loaded_;
  record_injection(slot, intid, slot.index, false);
  VgicCpuMask raised{};
  {
    const LockGuard guard{slot.vm->lock_};
    raised = slot.vm->vgic_->set_ppi_level(slot.index, intid, true).value_or(0);
  }
  slot.vm->kick(raised, slot.index);
  if (!in_guest_) note(slot);
}

void CpuLoop::idle() noexcept {
  if (log_level() >= Level::trace) trace_area::print_live();
  const std::uint64_t now = el2::counter_ticks();
  if (loaded_ != nullptr && loaded_->waits) waits_.set(loaded_->place, wait_ends(*loaded_, now));
  // An unfinished line of output waits for its time.
  std::uint64_t latest = console::poll().value_or(Deadlines::kNever);
  if (g_interrupts.uart == 0 && this_cpu().index == 0) {
    handle_console_input();
    latest = std::min(latest, now + el2::counter_hz() / kPollsPerSecond);
  }
  arm(latest);
  el2::isb();
  el2::wfi();  // a pending physical interrupt ends it, although EL2 masks them
  for (gic::Acknowledged taken = gic::acknowledge(); taken != gic::kSpurious; taken = gic::acknowledge()) {
    (void)handle_interrupt(taken);
  }
}

}  // namespace arm_vcpu::hv
