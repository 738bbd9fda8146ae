// SPDX-License-Identifier: Apache-2.0
// How a VM stops, restarts and ends.
#include "arm_vcpu/el2/sysreg.hpp"
#include "check.hpp"
#include "console.hpp"
#include "gic.hpp"
#include "smp.hpp"
#include "trace_area.hpp"
#include "vcpu_loop.hpp"
#include "vm.hpp"

namespace arm_vcpu::hv {

void Vm::run_vcpu(unsigned index) noexcept { VcpuLoop{slots_[index]}.run(); }

void Vm::describe(trace::VmInfo& info) const noexcept {
  for (std::size_t i = 0; i < info.name.size() && i < config_.name.size(); ++i) info.name[i] = config_.name[i];
  info.vcpus = vcpu_count_;
  info.ram_ipa = ram_.ipa;
  info.ram_pa = ram_.pa;
  info.ram_bytes = ram_.bytes;
  info.entry = layout_.entry;
  info.dtb = layout_.dtb.base;
  info.vttbr_el2 = memory_->vttbr().raw;
  info.vtcr_el2 = memory_->layout().vtcr().raw;
}

void Vm::kick(VgicCpuMask vcpus, unsigned self) noexcept {
  for (unsigned i = 0; vcpus != 0 && i < vcpu_count_; ++i, vcpus >>= 1) {
    if ((vcpus & 1) != 0 && i != self) gic::send_sgi(smp::cpu(slots_[i].cpu).mpidr, kKickSgi);
  }
}

// All vCPUs leave their loops; the last to arrive() carries `ending` out.
void Vm::stop(Ending ending) noexcept {
  State expected = State::running;
  {
    const LockGuard guard{lock_};
    if (!state_.compare_exchange_strong(expected, State::stopping, std::memory_order_acq_rel)) return;
    ending_ = ending;
  }
  kick(~VgicCpuMask{0}, kMaxVcpus);
}

void Vm::fail(std::string_view pattern, std::uint64_t a, std::uint64_t b) noexcept {
  {
    const LockGuard guard{lock_};
    if (failure_.view().empty()) format_to(failure_, pattern, a, b);
  }
  stop(Ending::failure);
}

void Vm::arrive() noexcept {
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == vcpu_count_) {
    bool ended = true;
    if (ending_ == Ending::reset) {
      ++resets_;
      trace_area::record_vm_event(id_, trace::VmEvent::reset);
      log(Level::info, "vm{} ({}): reset", id_, name());
      if (const Result<> loaded = load()) {
        ended = false;
      } else {
        failure_.put("the reset failed");
      }
    }
    arrived_.store(0, std::memory_order_relaxed);
    state_.store(ended ? State::ended : State::running, std::memory_order_release);
    el2::sev();
    if (ended) {
      trace_area::record_vm_event(id_, failure().empty() ? trace::VmEvent::powered_off : trace::VmEvent::failed);
      vm_ended(*this);
    }
    return;
  }
  while (state_.load(std::memory_order_acquire) == State::stopping) el2::wfe();
}

}  // namespace arm_vcpu::hv
