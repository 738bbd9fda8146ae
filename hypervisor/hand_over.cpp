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

// Nobody wants this CPU's attention; the next one is to run without being looked at. No timer of the one that waits has
// expired: its interrupt is on its way.
[[gnu::always_inline]] inline VcpuSlot* CpuLoop::who_goes_on(const VcpuSlot& slot, std::uint64_t now) noexcept {
  if (must_leave_ || scheduler_.is_requested() || !scheduler_.others_wait()) return nullptr;
  VcpuSlot& next = *slots_[scheduler_.next()];
  if (now >= next.resumes_until || !slot.vcpu->can_hand_over_to(*next.vcpu)) return nullptr;
  return is_up(VCPU_READ_SYSREG(cntv_ctl_el0)) || is_up(VCPU_READ_SYSREG(cntp_ctl_el0)) ? nullptr : &next;
}

[[gnu::always_inline]] inline Aarch64VCpu* CpuLoop::on_wait(VcpuSlot& slot) noexcept {
  // No ISB: the exit has synchronized.
  const std::uint64_t now = VCPU_READ_SYSREG(cntpct_el0);
  VcpuSlot* const next = who_goes_on(slot, now);
  if (next == nullptr) return nullptr;
  Vm& vm = *slot.vm;
  Vm& next_vm = *next->vm;

  el2::GicHw gic;
  vm.lock_.lock();
  VgicCpuMask raised{};
  if (!vm.vgic_->save_quiet(*slot.interrupts, gic, raised)) [[unlikely]] {
    vm.lock_.unlock();
    vm.kick(raised, slot.index);
    return nullptr;
  }
  if (&vm != &next_vm) {
    vm.lock_.unlock();
    next_vm.lock_.lock();
  }
  const std::uint64_t delivered = next_vm.vgic_->resume(*next->interrupts, gic, doorbell_);
  next_vm.lock_.unlock();
  slot.vcpu->hand_over(*next->vcpu, delivered);
  loaded_ = next;
  forget_sibling(*next);

  ++slot.answered_waits;
  slot.ran += scheduler_.hand_over(next->place, now);
  slot.waits = true;
  slot.note_asleep(now);
  slot.resumes_until = earliest_timer(slot.vcpu->system_registers(), now);
  const std::uint64_t ends = slot.resumes_until < slot.look_at ? slot.resumes_until : slot.look_at;
  if (!waits_.has_by(slot.place, ends)) waits_.set(slot.place, ends);

  next->waits = false;
  next->resumes_until = 0;
  next->stolen_time.on_scheduled(now);
  late_ = {};
  // The next sample is of who runs then.
  if (ends < programmed_ || scheduler_.others_wait()) arm();
  if (delivered == 0 || raised != 0) [[unlikely]] {
    if (delivered == 0) next->loop->flush();
    vm.kick(raised, slot.index);
  }
  return &*next->vcpu;
}

// No stack guard, as in load().
[[gnu::no_stack_protector]] Aarch64VCpu* VcpuLoop::on_wait(Aarch64VCpu& /*vcpu*/) noexcept {
  return cpu_.on_wait(slot_);
}

}  // namespace arm_vcpu::hv
