// SPDX-License-Identifier: Apache-2.0
// From a vCPU that waits to the next one, inside the exit: what two vCPUs that talk to each other on one CPU do all the
// time. It is wait(), unload(), load() and wakes_up() of CpuLoop for the case in which each of them finds nothing
// special; anything special, and the exit leaves the guest and goes through those. [ADR] docs/adr/0023-hand-over.md
#include "arm_vcpu/el2/sysreg.hpp"
#include "arm_vcpu/vm/vgic_cpu_interface.hpp"
#include "cpu_loop.hpp"
#include "guest_gic.hpp"
#include "guest_timer.hpp"

namespace arm_vcpu::hv {

// Nobody wants this CPU's attention; the next one sleeps in WFI, and is to run without being looked at. No timer has
// expired: of the one, its interrupt is here, or on its way; of the other, it would have to be raised.
[[gnu::always_inline]] inline VcpuSlot* CpuLoop::who_goes_on(const VcpuSlot& slot, std::uint64_t now) noexcept {
  if (!hands_over_ || must_leave_ || noted_ != 0 || scheduler_.is_requested() || !scheduler_.others_wait())
    return nullptr;
  VcpuSlot& next = *slots_[scheduler_.next()];
  if (!next.waits || next.looks || now >= next.timer_at || !slot.vcpu->can_hand_over_to(*next.vcpu)) return nullptr;
  return is_up(VCPU_READ_SYSREG(cntv_ctl_el0)) || is_up(VCPU_READ_SYSREG(cntp_ctl_el0)) ? nullptr : &next;
}

[[gnu::always_inline]] inline Aarch64VCpu* CpuLoop::on_wait(VcpuSlot& slot) noexcept {
  const std::uint64_t now = el2::counter_ticks();
  VcpuSlot* const next = who_goes_on(slot, now);
  if (next == nullptr) return nullptr;
  Vm& vm = *slot.vm;
  Vm& next_vm = *next->vm;

  VgicCpuMask raised{};
  vm.lock_.lock();
  RecordingGic<el2::GicHw> gic{slot};
  if (!vm.vgic_->save_quiet(slot.index, gic, raised)) {
    vm.lock_.unlock();
    vm.kick(raised, slot.index);
    return nullptr;
  }
  slot.vcpu->hand_over(*next->vcpu);
  loaded_ = next;
  if (&vm != &next_vm) {
    vm.lock_.unlock();
    next_vm.lock_.lock();
  }
  RecordingGic<el2::GicHw> next_gic{*next};
  const VgicCpuMask next_raised = next_vm.vgic_->resume(next->index, next_gic, doorbell_);
  next_vm.lock_.unlock();
  forget_sibling(*next);

  ++slot.answered_waits;
  slot.ran += scheduler_.hand_over(next->place, now);
  slot.waits = true;
  slot.wait_deadline = Deadlines::kNever;
  slot.waits_since = now;
  slot.look_at = now + el2::counter_hz();
  slot.timer_at = earliest_timer(slot.vcpu->system_registers(), now);
  const std::uint64_t ends = slot.timer_at < slot.look_at ? slot.timer_at : slot.look_at;
  waits_.set(slot.place, ends);

  next->waits = false;
  next->stolen_time.on_scheduled(now);
  late_samples_ = 0;
  is_overdue_ = false;
  // The next sample is of who runs then.
  if (ends < programmed_ || scheduler_.others_wait()) arm();
  if ((raised | next_raised) != 0) [[unlikely]] {
    vm.kick(raised, slot.index);
    next_vm.kick(next_raised, next->index);
  }
  return &*next->vcpu;
}

// No stack guard, as in load().
[[gnu::no_stack_protector]] Aarch64VCpu* VcpuLoop::on_wait(Aarch64VCpu& /*vcpu*/) noexcept {
  return cpu_.on_wait(slot_);
}

}  // namespace arm_vcpu::hv
