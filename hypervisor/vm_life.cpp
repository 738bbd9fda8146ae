// SPDX-License-Identifier: Apache-2.0
// How a VM stops, restarts and ends.
#include "arm_vcpu/el2/sysreg.hpp"
#include "console.hpp"
#include "cpu_loop.hpp"
#include "memory.hpp"
#include "trace_area.hpp"
#include "vm.hpp"

namespace arm_vcpu::hv {

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
  for (; vcpus != 0; vcpus &= vcpus - 1) {
    const auto i = static_cast<unsigned>(__builtin_ctzll(vcpus));
    if (i >= vcpu_count_) return;
    if (i == self) continue;
    if (slots_[i].cpu == this_cpu().index) {
      this_cpu_loop().note(slots_[i]);
    } else {
      cpu_loop(slots_[i].cpu).request(slots_[i]);
    }
  }
}

void Vm::flush_caches() noexcept {
  clean({ram_.pa, ram_.bytes});
}

// All vCPUs leave their CPUs; the last to arrive() carries `ending` out.
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
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 != vcpu_count_) return;
  // Whoever was at the devices from outside is gone after this, and comes back when the VM runs.
  {
    const LockGuard guard{lock_};
  }
  arrived_.store(0, std::memory_order_relaxed);
  ++life_;
  if (begin_next_life()) {
    log(Level::debug, "vm{} ({}): life {}; {} KiB of memory and {} stage-2 tables are free", id_, name(), life_,
        memory::bytes_left() >> 10, environment_->tables.free_tables());
    state_.store(State::running, std::memory_order_release);
    kick(~VgicCpuMask{0}, kMaxVcpus);
    return;
  }
  state_.store(State::ended, std::memory_order_release);
  trace_area::record_vm_event(id_, failure().empty() ? trace::VmEvent::powered_off : trace::VmEvent::failed);
  vm_ended(*this);
}

// After a reset, or a power-off that the bundle wants no end of.
bool Vm::begin_next_life() noexcept {
  if (ending_ == Ending::reset) {
    trace_area::record_vm_event(id_, trace::VmEvent::reset);
    log(Level::info, "vm{} ({}): reset", id_, name());
    if (load()) return true;
    failure_.put("the reset failed");
  } else if (ending_ == Ending::power_off && restarts_ < config_.restarts) {
    ++restarts_;
    trace_area::record_vm_event(id_, trace::VmEvent::powered_off);
    log(Level::info, "vm{} ({}): powered off; start {} of {} follows", id_, name(), restarts_ + 1,
        config_.restarts + 1);
    if (rebuild()) {
      trace_area::record_vm_event(id_, trace::VmEvent::created);
      return true;
    }
    failure_.put("the restart failed");
  }
  return false;
}

}  // namespace arm_vcpu::hv
