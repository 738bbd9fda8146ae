// SPDX-License-Identifier: Apache-2.0
// VMIDs: which VM an entry of the TLB belongs to. There may be more VMs than VMIDs, so they are handed out by
// generation.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>

namespace arm_vcpu {

// One per VM, zero at first, changed by VmidAllocator only: a generation above a VMID.
struct VmidTag {
  std::uint64_t value{};

  [[nodiscard]] constexpr std::uint16_t vmid() const noexcept { return static_cast<std::uint16_t>(value & 0xFFFF); }
  // Whether the VM ever had a VMID.
  [[nodiscard]] constexpr bool assigned() const noexcept { return value != 0; }
};

// For a caller that serializes all calls on the allocator itself.
struct NoLock {
  void lock() noexcept {}
  void unlock() noexcept {}
};

// Gives VMIDs 1, 2, 3... When they run out the next generation starts: `flush_all` (TLBI ALLE1IS; DSB ISH; ISB) is
// called once, and every VM gets a new VMID when it is next activated. The VMs that run at that moment cannot be told,
// so theirs are carried over: no other VM gets them in that generation. VMID 0 is given to nobody: it is what VTTBR_EL2
// holds before the first VM and while the host uses EL1.
//
// activate() is called on the CPU that is about to run the VM, before it writes VTTBR_EL2, and deactivate() after the
// VM has left it. Both take `Lock`, held over the flush too: a VM must not enter with a VMID of the new generation
// while entries of the old one remain. They are called when a vCPU is bound to a CPU and unbound, not on every exit, so
// one lock does.
template <std::size_t MaxCpus = 8, class Lock = NoLock>
class VmidAllocator {
 public:
  // `bits` is 16 where ID_AA64MMFR1_EL1.VMIDBits allows and VTCR_EL2.VS is set, else 8.
  constexpr explicit VmidAllocator(unsigned bits) noexcept : last_{bits == 16 ? 0xFFFFU : 0xFFU} {}

  // The VMID for `vm` on `cpu` (below MaxCpus), which stays valid until deactivate(cpu) or activate(cpu) for another
  // VM. The same on all CPUs that run the VM at a time. Where it differs from before, Stage2::set_vmid() has to learn
  // it.
  template <std::invocable F>
  [[nodiscard]] std::uint16_t activate(std::size_t cpu, VmidTag& vm, F&& flush_all) noexcept {
    const Guard guard{lock_};
    active_[cpu] = 0;  // what ran here does not any more, and is not to be carried over
    if (generation_of(vm.value) != generation_) {
      if (!carry_over(vm)) assign(vm, flush_all);
    }
    active_[cpu] = vm.value;
    return vm.vmid();
  }

  void deactivate(std::size_t cpu) noexcept {
    const Guard guard{lock_};
    active_[cpu] = 0;
  }

  // Rollovers since the start.
  [[nodiscard]] constexpr std::uint64_t rollovers() const noexcept { return generation_ - 1; }

 private:
  static constexpr unsigned kGenerationShift = 16;
  static_assert(MaxCpus < 0xFF, "every CPU may hold a VMID over a rollover, and one more has to be left");

  struct Guard {
    explicit Guard(Lock& held) noexcept : lock{held} { lock.lock(); }
    ~Guard() { lock.unlock(); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    Lock& lock;
  };

  [[nodiscard]] static constexpr std::uint64_t generation_of(std::uint64_t tag) noexcept {
    return tag >> kGenerationShift;
  }
  [[nodiscard]] constexpr std::uint64_t tag_of(std::uint32_t vmid) const noexcept {
    return generation_ << kGenerationShift | vmid;
  }

  // A VM that ran during the last rollover keeps its VMID in this generation. Its other CPUs may stay where they are
  // until the next rollover, so what is recorded for them follows the tag.
  [[nodiscard]] constexpr bool carry_over(VmidTag& vm) noexcept {
    const std::uint64_t old = vm.value;
    if (old == 0 || std::find(carried_.begin(), carried_.end(), old) == carried_.end()) return false;
    vm.value = tag_of(vm.vmid());
    std::replace(active_.begin(), active_.end(), old, vm.value);
    return true;
  }

  [[nodiscard]] constexpr bool is_carried(std::uint32_t vmid) const noexcept {
    return std::any_of(carried_.begin(), carried_.end(),
                       [vmid](std::uint64_t tag) { return tag != 0 && (tag & 0xFFFF) == vmid; });
  }

  template <class F>
  constexpr void assign(VmidTag& vm, F& flush_all) noexcept {
    if (!advance()) {
      ++generation_;
      carried_ = active_;
      next_ = 1;
      // The VM may itself be one of those that run, on another CPU. Its VMID then stays in use there, and it must not
      // have two.
      flush_all();
      if (carry_over(vm)) return;
      (void)advance();  // succeeds: fewer VMIDs are carried over than there are
    }
    vm.value = tag_of(next_++);
  }

  // Moves next_ to a VMID that is free in this generation.
  [[nodiscard]] constexpr bool advance() noexcept {
    while (next_ <= last_ && is_carried(next_)) ++next_;
    return next_ <= last_;
  }

  std::array<std::uint64_t, MaxCpus> active_{};   // tag of the VM on each CPU, 0 for none
  std::array<std::uint64_t, MaxCpus> carried_{};  // active_ at the last rollover
  std::uint64_t generation_ = 1;
  std::uint32_t last_;
  std::uint32_t next_ = 1;
  [[no_unique_address]] Lock lock_;
};

}  // namespace arm_vcpu
