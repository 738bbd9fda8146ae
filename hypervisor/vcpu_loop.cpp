// SPDX-License-Identifier: Apache-2.0
#include "vcpu_loop.hpp"

#include <utility>

#include "arm_vcpu/el2/sysreg.hpp"
#include "arm_vcpu/trace/stage1_walk.hpp"
#include "arm_vcpu/vm/vgic_cpu_interface.hpp"
#include "check.hpp"
#include "console.hpp"
#include "cpu_loop.hpp"
#include "guest_gic.hpp"
#include "simulate.hpp"
#include "trace_area.hpp"

namespace arm_vcpu::hv {

void VcpuLoop::begin() noexcept {
  simulate::vcpu_starts(slot_);
  if (simulate::is_chosen(simulate::Failure::serror)) {
    (void)handle_failure({.esr = Esr{}.with<Esr::EC>(Ec::serror).with<Esr::IL>(true), .far = 0, .is_serror = true});
  }
}

void VcpuLoop::respond() noexcept {
  vcpu().set_exit_responder(this);
}

// No stack guard here, in flush() and in halt(), as in CpuLoop::load(): no array.
[[gnu::no_stack_protector]] VcpuLoop::Leave VcpuLoop::run(CpuLoop& cpu) noexcept {
  for (VcpuSlot* slot = &cpu.loaded(); slot->vm->state() == Vm::State::running;) {
    if (!cpu.answers()) {  // who streams or prints the trace has the plain vectors
      if (log_level() >= Level::trace) trace_area::print_live();
      trace_area::stream();
    }
    if (slot->vm->vgic_->needs_flush(slot->index)) slot->loop->flush();
    const Exit* exit{};
    CHECK(slot->vcpu->run(exit).has_value());
    slot = &cpu.loaded();
    ++slot->exits[static_cast<unsigned>(kind_of(*exit))];
    if (!slot->loop->act_on(*exit)) return slot->loop->leave_;
  }
  return Leave::stops;
}

[[gnu::no_stack_protector]] void VcpuLoop::flush() noexcept {
  VgicCpuMask raised{};
  {
    const LockGuard guard{vm_.lock_};
    raised = with_gic(slot_, [this](auto& gic) noexcept { return vgic().flush(slot_.index, gic); });
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
    case ExitKind::ExternalInterrupt:
      return !cpu_.handle_interrupt(exit.get_if<Exit::ExternalInterrupt>()->vector) || leave(Leave::asked);
    case ExitKind::SendIPI: send_sgi(*exit.get_if<Exit::SendIPI>()); return true;
    case ExitKind::Halt: return halt(*exit.get_if<Exit::Halt>());
    case ExitKind::CacheFlush: vm_.flush_caches(); return true;
    case ExitKind::Hypercall: refuse_call(*exit.get_if<Exit::Hypercall>()); return true;
    case ExitKind::NestedPageFault: handle_page_fault(*exit.get_if<Exit::NestedPageFault>()); return true;
    case ExitKind::FailEntry: return handle_failure(*exit.get_if<Exit::FailEntry>());
    case ExitKind::CpuUp:
      if (const auto target = vm_.power_->index_of(exit.get_if<Exit::CpuUp>()->target_cpu)) {
        vm_.kick(VgicCpuMask{1} << *target, slot_.index);
      }
      return true;
    case ExitKind::CpuDown: return leave(Leave::turned_off);
    case ExitKind::SystemDown: vm_.stop(Vm::Ending::power_off); return leave(Leave::stops);
    case ExitKind::SystemReset: vm_.stop(Vm::Ending::reset); return leave(Leave::stops);
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
    if ((raised >> target & 1) != 0) record_injection(slot_, ipi.vector, target, true);
  }
  vm_.kick(raised, slot_.index);
}

void record_injection(const VcpuSlot& slot, std::uint32_t intid, unsigned target, bool by_edge) noexcept {
  trace_area::record({.far = by_edge ? 1U : 0U,
                      .data = intid,
                      .vm = static_cast<std::uint8_t>(slot.vm->id()),
                      .vcpu = static_cast<std::uint8_t>(target),
                      .kind = trace::Kind::irq_injected});
}

// WFI: the vCPU waits until something is there for the guest. WFE, where it traps: it lets others run.
[[gnu::no_stack_protector]] bool VcpuLoop::halt(const Exit::Halt& wait) noexcept {
  if (wait.is_wfe) return !cpu_.others_wait() || leave(Leave::yields);
  slot_.wait_deadline = wait.has_deadline ? wait.deadline : Deadlines::kNever;
  VgicCpuMask raised{};
  bool wakes = false;
  {
    const LockGuard guard{vm_.lock_};
    raised = with_gic(slot_, [this](auto& gic) noexcept { return vgic().park(slot_.index, gic); });
    wakes = vgic().has_deliverable(slot_.index);
  }
  vm_.kick(raised, slot_.index);
  return wakes || leave(Leave::waits);
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

// What a machine without stage 2 says of a table where no memory is: an external abort on the walk, with the level of
// the table. The syndrome has the level of stage 2. [armarm] "External abort on a translation table walk"
Fsc VcpuLoop::fault_on_walk(std::uint64_t va) noexcept {
  vcpu().refresh_system_registers();
  const GuestSystemRegisters& live = vcpu().system_registers();
  const auto walk = stage1::walk({.tcr_el1 = live.tcr_el1,
                                  .ttbr0_el1 = live.ttbr0_el1,
                                  .ttbr1_el1 = live.ttbr1_el1,
                                  .mair_el1 = live.mair_el1,
                                  .sctlr_el1 = live.sctlr_el1},
                                 {.va = va}, [this](std::uint64_t ipa) -> std::optional<std::uint64_t> {
                                   const Vm::Backing& ram = vm_.ram_;
                                   if (ipa < ram.ipa || ipa - ram.ipa > ram.bytes - sizeof(std::uint64_t)) return {};
                                   return *reinterpret_cast<const volatile std::uint64_t*>(ram.at(ipa));
                                 });
  constexpr Fsc kLevels[] = {Fsc::external_walk_l0, Fsc::external_walk_l1, Fsc::external_walk_l2,
                             Fsc::external_walk_l3};
  return walk.level >= 0 && walk.level <= 3 ? kLevels[walk.level] : Fsc::external_walk_lm1;
}

void VcpuLoop::handle_page_fault(const Exit::NestedPageFault& fault) noexcept {
  (void)vm_.doctor_.examine(&slot_, diag::trigger::StageTwoFault{fault});
  const Fsc fsc = fault.on_table_walk ? fault_on_walk(fault.gva) : Fsc::external;
  CHECK((fault.is_fetch ? vcpu().inject_instruction_abort(fault.gva, fsc)
                        : vcpu().inject_data_abort(fault.gva, fsc, fault.is_write))
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
  return leave(Leave::stops);
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
  undefined(SysRegId::from_iss(SysRegIss::from(read.addr)), false);
}

void VcpuLoop::write_sysreg(const Exit::SysRegWrite& write) noexcept {
  const SysRegId id = SysRegId::from_iss(SysRegIss::from(write.addr));
  if (id == sysreg::ICC_DIR_EL1) {
    VgicCpuMask raised{};
    {
      const LockGuard guard{vm_.lock_};
      const auto intid = static_cast<std::uint32_t>(write.value & 0xFF'FFFF);
      raised = with_gic(slot_, [&](auto& gic) noexcept { return vgic().deactivate(slot_.index, gic, intid); });
    }
    vm_.kick(raised, slot_.index);
    CHECK(vcpu().complete_sysreg_write().has_value());
    return;
  }
  undefined(id, true);
}

// What a device did. The list registers follow before the guest runs again.
// No stack guard: there is no array in its frame, and it is in the way of every access.
template <bool IsWrite>
[[gnu::always_inline]] inline VcpuLoop::Answer VcpuLoop::access(const VgicCpu& here, std::uint64_t ipa,
                                                                AccessWidth width, std::uint64_t data) noexcept {
  Answer answer{};
  VgicCpuMask raised{};
  {
    const LockGuard guard{vm_.lock_};
    if (vgic().contains(ipa)) {
      if (Vgic::has_news(here)) {
        vm_.raised_ |= with_gic(slot_, [this](auto& gic) noexcept { return vgic().sync(slot_.index, gic); });
      }
      if constexpr (IsWrite) {
        raised = vgic().mmio_write(slot_.index, ipa, width, data);
      } else {
        answer.value = vgic().mmio_read(slot_.index, ipa, width).value;
      }
    } else {
      const MmioReply reply =
          IsWrite ? vm_.bus_.write(ipa, width, slot_.index, data) : vm_.bus_.read(ipa, width, slot_.index);
      answer = {reply.outcome, reply.value};
    }
    raised |= std::exchange(vm_.raised_, 0);
  }
  if (raised != 0 && (raised & ~(VgicCpuMask{1} << slot_.index)) != 0) vm_.kick(raised, slot_.index);
  return answer;
}

[[gnu::no_stack_protector]] ExitResponder::Reply VcpuLoop::read(std::uint64_t ipa, AccessWidth width) noexcept {
  const VgicCpu& here = vgic().cpu(slot_.index);
  const Answer answer = access<false>(here, ipa, width, 0);
  if (answer.outcome != MmioOutcome::done) return {};
  ++slot_.answered_reads;
  go_on(here);
  return {.done = true, .value = answer.value};
}

[[gnu::no_stack_protector]] bool VcpuLoop::write(std::uint64_t ipa, AccessWidth width, std::uint64_t data) noexcept {
  const VgicCpu& here = vgic().cpu(slot_.index);
  const Answer answer = access<true>(here, ipa, width, data);
  if (answer.outcome != MmioOutcome::done) return false;
  ++slot_.answered_writes;
  go_on(here);
  return true;
}

// Before the guest runs again without the loop.
[[gnu::always_inline]] inline void VcpuLoop::go_on(const VgicCpu& here) noexcept {
  if (console::has_input(vm_.id())) vm_.pump_input();
  if (Vgic::needs_flush(here)) flush();
}

void VcpuLoop::read_mmio(const Exit::MmioRead& read) noexcept {
  const Answer reply = access<false>(vgic().cpu(slot_.index), read.addr, read.width, 0);
  if (reply.outcome != MmioOutcome::done) {
    refuse_access({.ipa = read.addr, .width = read.width, .is_write = false, .data = 0, .outcome = reply.outcome});
    return;
  }
  CHECK(vcpu().complete_mmio_read(reply.value).has_value());
  vm_.pump_input();
}

void VcpuLoop::write_mmio(const Exit::MmioWrite& write) noexcept {
  const Answer reply = access<true>(vgic().cpu(slot_.index), write.addr, write.width, write.data);
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

}  // namespace arm_vcpu::hv
