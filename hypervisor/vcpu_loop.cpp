// SPDX-License-Identifier: Apache-2.0
#include "vcpu_loop.hpp"

#include <utility>

#include "arm_vcpu/el2/sysreg.hpp"
#include "arm_vcpu/vm/vgic_cpu_interface.hpp"
#include "check.hpp"
#include "console.hpp"
#include "gic.hpp"
#include "physical_cpus.hpp"
#include "simulate.hpp"
#include "smp.hpp"
#include "trace_area.hpp"

namespace arm_vcpu::hv {
namespace {

LoopInterrupts g_interrupts;

// How often the EL2 timer looks at a guest that runs: a guest that is caught in its own vectors makes no exits.
constexpr std::uint64_t kSamplesPerSecond = 50;
// And how many samples apart the state of its timer and its interrupts is looked at.
constexpr unsigned kSamplesPerHealthCheck = 25;

// CNTHP: the EL2 physical timer, which stands in for the guest's physical timer, and takes samples.
void program_hypervisor_timer(std::optional<std::uint64_t> deadline) noexcept {
  if (deadline) {
    VCPU_WRITE_SYSREG(cnthp_cval_el2, *deadline);
    VCPU_WRITE_SYSREG(cnthp_ctl_el2, 1);
  } else {
    VCPU_WRITE_SYSREG(cnthp_ctl_el2, 0);
  }
  el2::isb();
}

}  // namespace

void set_loop_interrupts(const LoopInterrupts& interrupts) noexcept {
  g_interrupts = interrupts;
}

void VcpuLoop::run() noexcept {
  while (wait_for_start()) {
    run_until_off();
    if (vm_.state() != Vm::State::running) vm_.arrive();
  }
}

// Until a CPU_ON, or a reset, starts this vCPU. False: the VM has ended.
bool VcpuLoop::wait_for_start() noexcept {
  for (;;) {
    switch (vm_.state()) {
      case Vm::State::ended: return false;
      case Vm::State::stopping: vm_.arrive(); continue;
      case Vm::State::running: break;
    }
    if (vm_.power_->state(slot_.index) == PowerState::on) return true;  // the boot CPU
    if (const auto start = vm_.power_->pending_start(slot_.index)) {
      // The entry was checked when CPU_ON was accepted.
      CHECK(vcpu().reset(start->entry, start->context_id).has_value());
      {
        const LockGuard guard{vm_.lock_};
        vgic().reset_cpu_interface(slot_.index);
      }
      slot_.physical_timer = {};
      CHECK(vm_.power_->mark_on(slot_.index));
      return true;
    }
    wait_for_interrupt();
  }
}

void VcpuLoop::run_until_off() noexcept {
  if (const Result<> bound = vcpu().bind(physical_cpu()); !bound) {
    char storage[200];
    TextBuffer line{storage};
    append(line, bound.error());
    log(Level::error, "vm{} vcpu{}: {}", vm_.id(), slot_.index, line.view());
    vm_.fail("a vCPU cannot be bound");
    return;
  }
  {
    const LockGuard guard{vm_.lock_};
    vgic().load(slot_.index, gic_);
    vgic().mark_dirty(slot_.index);
  }
  vgic().direct(slot_.index).doorbell.store(gic::sgi_request(smp::cpu(slot_.cpu).mpidr, kDoorbellSgi));
  next_sample_ = el2::counter_ticks() + el2::counter_hz() / kSamplesPerSecond;
  waits_ = false;
  update_physical_timer();
  vcpu().set_mmio_responder(physical_cpu().vectors() == Vectors::answering ? this : nullptr);
  simulate::vcpu_starts(slot_);
  bool goes_on =
      !simulate::is_chosen(simulate::Failure::serror) ||
      handle_failure({.esr = Esr{}.with<Esr::EC>(Ec::serror).with<Esr::IL>(true), .far = 0, .is_serror = true});
  while (goes_on && vm_.state() == Vm::State::running) {
    trace_area::print_live();
    trace_area::stream();
    if (vgic().needs_flush(slot_.index)) flush();
    CHECK(vcpu().enter().has_value());
    const Exit& exit = vcpu().last_exit();
    ++slot_.exits[static_cast<unsigned>(kind_of(exit))];
    goes_on = act_on(exit);
  }
  vgic().direct(slot_.index).doorbell.store(0);
  program_hypervisor_timer(std::nullopt);
  (void)slot_.watch.look(slot_, vm_.doctor_);  // what came since the last sample
  waits_ = true;
  look_at_.reset();
  VgicCpuMask raised{};
  {
    const LockGuard guard{vm_.lock_};
    raised = vgic().save(slot_.index, gic_);
  }
  vm_.kick(raised, slot_.index);
  CHECK(vcpu().unbind().has_value());
  VCPU_WRITE_SYSREG(cntv_ctl_el0, 0);  // saved; must not fire for nobody
  el2::isb();
  if (vm_.state() == Vm::State::running) (void)vm_.power_->cpu_off(slot_.index);
}

void VcpuLoop::flush() noexcept {
  VgicCpuMask raised{};
  {
    const LockGuard guard{vm_.lock_};
    raised = vgic().flush(slot_.index, gic_);
  }
  vm_.kick(raised, slot_.index);
}

bool VcpuLoop::act_on(const Exit& exit) noexcept {
  switch (kind_of(exit)) {
    case ExitKind::Nothing: return true;
    case ExitKind::MmioRead: read_mmio(*exit.get_if<Exit::MmioRead>()); return true;
    case ExitKind::MmioWrite: write_mmio(*exit.get_if<Exit::MmioWrite>()); return true;
    case ExitKind::SysRegRead: read_sysreg(*exit.get_if<Exit::SysRegRead>()); return true;
    case ExitKind::SysRegWrite: write_sysreg(*exit.get_if<Exit::SysRegWrite>()); return true;
    case ExitKind::ExternalInterrupt: handle_interrupt(exit.get_if<Exit::ExternalInterrupt>()->vector); return true;
    case ExitKind::SendIPI: send_sgi(*exit.get_if<Exit::SendIPI>()); return true;
    case ExitKind::Halt: halt(exit.get_if<Exit::Halt>()->is_wfe); return true;
    case ExitKind::Hypercall: refuse_call(*exit.get_if<Exit::Hypercall>()); return true;
    case ExitKind::NestedPageFault: handle_page_fault(*exit.get_if<Exit::NestedPageFault>()); return true;
    case ExitKind::FailEntry: return handle_failure(*exit.get_if<Exit::FailEntry>());
    case ExitKind::CpuUp:
      if (const auto target = vm_.power_->index_of(exit.get_if<Exit::CpuUp>()->target_cpu)) {
        vm_.kick(VgicCpuMask{1} << *target, slot_.index);
      }
      return true;
    case ExitKind::CpuDown: return false;
    case ExitKind::SystemDown: vm_.stop(Vm::Ending::power_off); return false;
    case ExitKind::SystemReset: vm_.stop(Vm::Ending::reset); return false;
  }
  return true;
}

void VcpuLoop::send_sgi(const Exit::SendIPI& ipi) noexcept {
  VgicCpuMask raised{};
  {
    const LockGuard guard{vm_.lock_};
    raised = vgic().send_sgi(slot_.index, ipi);
  }
  for (unsigned target = 0; target < vm_.vcpu_count(); ++target) {
    if ((raised >> target & 1) != 0) record_injection(ipi.vector, target, true);
  }
  vm_.kick(raised, slot_.index);
}

void VcpuLoop::record_injection(std::uint32_t intid, unsigned target, bool by_edge) noexcept {
  trace_area::record({.far = by_edge ? 1U : 0U,
                      .data = intid,
                      .vm = static_cast<std::uint8_t>(vm_.id()),
                      .vcpu = static_cast<std::uint8_t>(target),
                      .kind = trace::Kind::irq_injected});
}

// WFI: the CPU sleeps until something is there for the guest. Physical interrupts wake it, the virtual timer's too.
void VcpuLoop::halt(bool is_wfe) noexcept {
  VgicCpuMask raised{};
  {
    const LockGuard guard{vm_.lock_};
    raised = vgic().park(slot_.index, gic_);
  }
  vm_.kick(raised, slot_.index);
  vgic().mark_dirty(slot_.index);
  vcpu().record({.pc = vcpu().trap_frame().exception_pc(), .data = is_wfe ? 2U : 1U, .kind = trace::Kind::vcpu_parked});
  const std::uint64_t since = el2::counter_ticks();
  waits_ = true;
  look_at_ = since + el2::counter_hz();
  arm_timer();
  while (vm_.state() == Vm::State::running) {
    {
      const LockGuard guard{vm_.lock_};
      (void)vgic().accept_posted(slot_.index);
      if (vgic().has_deliverable(slot_.index)) break;
    }
    if (look_at_ && el2::counter_ticks() >= *look_at_) {
      look_at_.reset();
      look_at_sleeper(since);
      arm_timer();
    }
    wait_for_interrupt();
  }
  waits_ = false;
  vcpu().record({.pc = vcpu().trap_frame().exception_pc(), .kind = trace::Kind::vcpu_woken});
  arm_timer();
}

// A wait of a second is nothing special, but it gives time to see whether it can end.
void VcpuLoop::look_at_sleeper(std::uint64_t since) noexcept {
  watch();
  const VmDoctor::Past past{.parked_since = since};
  if (vm_.doctor_.sleeps_for_good(slot_)) {
    log(Level::warn, "vm{} vcpu{}: asleep for good at PC {:x}: no interrupt is enabled, and no other vCPU is on",
        vm_.id(), slot_.index, vcpu().trap_frame().exception_pc());
    (void)vm_.doctor_.examine(&slot_, diag::trigger::Inspection{}, past);
  } else {
    (void)vm_.doctor_.examine(&slot_, diag::trigger::HealthCheck{}, past);
  }
}

// The reference hypervisor offers no calls of its own. [smccc] "Unknown Function Identifier"
void VcpuLoop::refuse_call(const Exit::Hypercall& call) noexcept {
  vcpu().refuse_hypercall();
  {
    const LockGuard guard{vm_.lock_};
    if (!vm_.doctor_.is_first_call(vcpu().trap_frame().exception_pc(), call.nr)) return;
  }
  (void)vm_.doctor_.examine(&slot_, diag::trigger::Call{.x = {call.nr, call.args[0], call.args[1], call.args[2]},
                                                        .conduit = diag::Conduit::hvc,
                                                        .immediate = call.imm,
                                                        .answer = -1});
}

void VcpuLoop::handle_page_fault(const Exit::NestedPageFault& fault) noexcept {
  (void)vm_.doctor_.examine(&slot_, diag::trigger::StageTwoFault{fault});
  CHECK((fault.is_fetch ? vcpu().inject_instruction_abort(fault.gva)
                        : vcpu().inject_data_abort(fault.gva, Fsc::external, fault.is_write))
            .has_value());
  watch();
}

bool VcpuLoop::handle_failure(const Exit::FailEntry& failure) noexcept {
  (void)vm_.doctor_.examine(&slot_, diag::trigger::FailedEntry{failure});
  if (failure.is_serror) {
    log(Level::warn, "vm{} vcpu{}: SError (ESR {:x}) while the guest ran; it gets it", vm_.id(), slot_.index,
        failure.esr.raw);
    CHECK(vcpu().inject_serror().has_value());
    return true;
  }
  vm_.fail("a fault that no access of the guest explains: ESR {:x}, FAR {:x}", failure.esr.raw, failure.far);
  return false;
}

void VcpuLoop::undefined(SysRegId id, bool is_write) noexcept {
  char storage[40];
  TextBuffer name{storage};
  append(name, id);
  log(Level::debug, "vm{} vcpu{}: {} of {} at PC {:x} is undefined here", vm_.id(), slot_.index,
      is_write ? "write" : "read", name.view(), vcpu().trap_frame().exception_pc());
  (void)vm_.doctor_.examine(&slot_, diag::trigger::UndefinedInjected{});
  CHECK(vcpu().inject_undefined().has_value());
  watch();
}

void VcpuLoop::read_sysreg(const Exit::SysRegRead& read) noexcept {
  const SysRegId id = SysRegId::from_iss(SysRegIss::from(read.addr));
  if (const auto value = slot_.physical_timer.access(id, false, 0, el2::counter_ticks())) {
    CHECK(vcpu().complete_sysreg_read(*value).has_value());
    return;
  }
  undefined(id, false);
}

void VcpuLoop::write_sysreg(const Exit::SysRegWrite& write) noexcept {
  const SysRegId id = SysRegId::from_iss(SysRegIss::from(write.addr));
  if (slot_.physical_timer.access(id, true, write.value, el2::counter_ticks())) {
    update_physical_timer();
    CHECK(vcpu().complete_sysreg_write().has_value());
    return;
  }
  if (id == sysreg::ICC_DIR_EL1) {
    VgicCpuMask raised{};
    {
      const LockGuard guard{vm_.lock_};
      raised = vgic().deactivate(slot_.index, gic_, static_cast<std::uint32_t>(write.value & 0xFF'FFFF));
    }
    vm_.kick(raised, slot_.index);
    CHECK(vcpu().complete_sysreg_write().has_value());
    return;
  }
  undefined(id, true);
}

void VcpuLoop::update_physical_timer() noexcept {
  const std::uint64_t now = el2::counter_ticks();
  const bool line = slot_.physical_timer.line(now);
  if (line != slot_.physical_timer_line) {
    slot_.physical_timer_line = line;
    if (line) record_injection(guest_machine::kPhysicalTimerIntid, slot_.index, false);
    VgicCpuMask raised{};
    {
      const LockGuard guard{vm_.lock_};
      raised = vgic().set_ppi_level(slot_.index, guest_machine::kPhysicalTimerIntid, line).value_or(0);
    }
    vm_.kick(raised, slot_.index);
  }
  arm_timer();
}

// When CNTHP has to fire: the guest's physical timer, or the next look at the guest.
std::optional<std::uint64_t> VcpuLoop::next_deadline() const noexcept {
  return vm::earlier(slot_.physical_timer.next_deadline(el2::counter_ticks()),
                     waits_ ? look_at_ : std::optional{next_sample_});
}

void VcpuLoop::arm_timer() noexcept {
  program_hypervisor_timer(next_deadline());
}

void VcpuLoop::sample_guest() noexcept {
  next_sample_ = el2::counter_ticks() + el2::counter_hz() / kSamplesPerSecond;
  vcpu().record({.pc = vcpu().trap_frame().exception_pc(),
                 .esr = VCPU_READ_SYSREG(esr_el1),
                 .far = VCPU_READ_SYSREG(far_el1),
                 .hpfar = VCPU_READ_SYSREG(elr_el1),
                 .data = VCPU_READ_SYSREG(vbar_el1),
                 .spsr = static_cast<std::uint32_t>(vcpu().trap_frame().spsr.raw),
                 .kind = trace::Kind::guest_sample});
  watch();
  if (++samples_ % kSamplesPerHealthCheck == 0) {
    (void)vm_.doctor_.examine(&slot_, diag::trigger::HealthCheck{});
  }
}

// What a device did. The list registers follow before the guest runs again.
// No stack guard: there is no array in its frame, and it is in the way of every access.
template <bool kIsWrite>
[[gnu::always_inline]] inline VcpuLoop::Answer VcpuLoop::access(std::uint64_t ipa, AccessWidth width,
                                                                std::uint64_t data) noexcept {
  Answer answer{};
  VgicCpuMask raised{};
  {
    const LockGuard guard{vm_.lock_};
    if (vgic().contains(ipa)) {
      if (vgic().has_news(slot_.index)) raised = vgic().sync(slot_.index, gic_);
      if constexpr (kIsWrite) {
        raised |= vgic().mmio_write(slot_.index, ipa, width, data);
      } else {
        answer.value = vgic().mmio_read(slot_.index, ipa, width).value;
      }
    } else {
      const MmioReply reply =
          kIsWrite ? vm_.bus_.write(ipa, width, slot_.index, data) : vm_.bus_.read(ipa, width, slot_.index);
      answer = {reply.outcome, reply.value};
    }
    raised |= std::exchange(vm_.raised_, 0);
  }
  if ((raised & ~(VgicCpuMask{1} << slot_.index)) != 0) vm_.kick(raised, slot_.index);
  return answer;
}

[[gnu::no_stack_protector]] MmioResponder::Reply VcpuLoop::read(std::uint64_t ipa, AccessWidth width) noexcept {
  const Answer answer = access<false>(ipa, width, 0);
  if (answer.outcome != MmioOutcome::done) return {};
  ++slot_.exits[static_cast<unsigned>(ExitKind::MmioRead)];
  go_on();
  return {.done = true, .value = answer.value};
}

[[gnu::no_stack_protector]] bool VcpuLoop::write(std::uint64_t ipa, AccessWidth width, std::uint64_t data) noexcept {
  const Answer answer = access<true>(ipa, width, data);
  if (answer.outcome != MmioOutcome::done) return false;
  ++slot_.exits[static_cast<unsigned>(ExitKind::MmioWrite)];
  go_on();
  return true;
}

// Before the guest runs again without the loop.
[[gnu::always_inline]] inline void VcpuLoop::go_on() noexcept {
  ++slot_.answered;
  if (console::has_input(vm_.id())) vm_.pump_input();
  if (vgic().needs_flush(slot_.index)) flush();
}

void VcpuLoop::read_mmio(const Exit::MmioRead& read) noexcept {
  const Answer reply = access<false>(read.addr, read.width, 0);
  if (reply.outcome != MmioOutcome::done) {
    refuse_access({.ipa = read.addr, .width = read.width, .is_write = false, .data = 0, .outcome = reply.outcome});
    return;
  }
  CHECK(vcpu().complete_mmio_read(reply.value).has_value());
  vm_.pump_input();
}

void VcpuLoop::write_mmio(const Exit::MmioWrite& write) noexcept {
  const Answer reply = access<true>(write.addr, write.width, write.data);
  if (reply.outcome != MmioOutcome::done) {
    refuse_access(
        {.ipa = write.addr, .width = write.width, .is_write = true, .data = write.data, .outcome = reply.outcome});
    return;
  }
  CHECK(vcpu().complete_mmio_write().has_value());
  vm_.pump_input();
}

void VcpuLoop::refuse_access(const diag::trigger::MmioFailure& failure) noexcept {
  (void)vm_.doctor_.examine(&slot_, failure);
  CHECK(vcpu().inject_data_abort(vcpu().exit_frame().far, Fsc::external, failure.is_write).has_value());
  watch();
}

// After the guest got an exception from us, and at the samples: is it going round in circles?
void VcpuLoop::watch() noexcept {
  switch (slot_.watch.look(slot_, vm_.doctor_)) {
    case VcpuWatch::Finding::none: return;
    case VcpuWatch::Finding::exit_loop:
      (void)vm_.doctor_.examine(&slot_, diag::trigger::Inspection{});
      vm_.fail("AV0002, an infinite exception loop at PC {:x}", vcpu().trap_frame().exception_pc());
      return;
    case VcpuWatch::Finding::storm:
      (void)vm_.doctor_.examine(&slot_, diag::trigger::Inspection{});
      if (slot_.watch.is_hopeless()) {
        vm_.fail("AV0002, an infinite exception loop in the guest, VBAR_EL1 {:x}", VCPU_READ_SYSREG(vbar_el1));
      }
      return;
  }
}

// A physical interrupt that is the guest's. Not deactivated here: the list register does that when the guest is done
// with it, and until then a level that is still asserted is not seen again.
void VcpuLoop::raise_linked(std::uint32_t intid) noexcept {
  record_injection(intid, slot_.index, false);
  VgicCpuMask raised{};
  {
    const LockGuard guard{vm_.lock_};
    raised = vgic().set_ppi_level(slot_.index, intid, true).value_or(0);
  }
  vm_.kick(raised, slot_.index);
}

void VcpuLoop::handle_interrupt(std::uint32_t intid) noexcept {
  if (intid == gic::kSpurious) return;
  gic::priority_drop(intid);
  if (intid == g_interrupts.virtual_timer) return raise_linked(guest_machine::kVirtualTimerIntid);
  if (intid == g_interrupts.pmu && vcpu().has_pmu()) return raise_linked(guest_machine::kPmuIntid);
  if (intid == g_interrupts.hypervisor_timer) {
    update_physical_timer();
  } else if (intid == g_interrupts.maintenance) {
    flush();
  } else if (intid == g_interrupts.uart) {
    handle_console_input();
  }
  // A kick needs nothing but the exit itself.
  gic::deactivate(intid);
  // At each interrupt, not only at the timer's own: one that comes without end may keep that from being taken.
  if (vcpu().is_bound() && !waits_ && el2::counter_ticks() >= next_sample_) {
    sample_guest();
    arm_timer();
  }
}

void VcpuLoop::wait_for_interrupt() noexcept {
  // An unfinished line of output waits for its time; the timer is free for that as far as the guest does not need it.
  if (const auto wake = console::poll()) {
    program_hypervisor_timer(vm::earlier(wake, next_deadline()));
  }
  el2::wfi();  // a pending physical interrupt ends it, although EL2 masks them
  for (;;) {
    const std::uint32_t intid = gic::acknowledge();
    if (intid == gic::kSpurious) return;
    handle_interrupt(intid);
    // Time to look at the sleeper; until that is done its timer keeps firing.
    if (look_at_ && el2::counter_ticks() >= *look_at_) return;
  }
}

}  // namespace arm_vcpu::hv
