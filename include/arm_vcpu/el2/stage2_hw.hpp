// SPDX-License-Identifier: Apache-2.0
// Stage-2 TLB maintenance with the CPU's own instructions, and the names under which EL2 uses the stage-2 module.
#pragma once

#include <cstddef>
#include <cstdint>

#include "arm_vcpu/el2/sysreg.hpp"
#include "arm_vcpu/vm/stage2.hpp"
#include "arm_vcpu/vm/stage2_pool.hpp"
#include "arm_vcpu/vm/stage2_tlb.hpp"

namespace arm_vcpu::el2 {

using stage2::PhysicalMemory;

template <std::size_t MaxTables>
using TablePool = stage2::TablePool<MaxTables, PhysicalMemory>;

// Models stage2::TlbMaintenance. Preconditions: EL2, HCR_EL2.{E2H,TGE} is not {1,1} (else the EL1 operations act on the
// host's own regime), and VTCR_EL2.VS is set as Layout::vtcr() has it (else only 8 bits of the VMID count). One object
// serves all CPUs: its features are those of every CPU, so construct it with the least common ones.
class TlbOps {
 public:
  constexpr TlbOps(stage2::IdAa64Isar0 isar0, stage2::IdAa64Mmfr2 mmfr2) noexcept
      : range_ops_{isar0.get<stage2::IdAa64Isar0::TLB>() >= 2},
        level_hint_{mmfr2.get<stage2::IdAa64Mmfr2::TTL>() != 0} {}

  // What the calling CPU has.
  [[nodiscard]] static TlbOps of_this_cpu() noexcept {
    return {stage2::IdAa64Isar0::from(VCPU_READ_SYSREG(id_aa64isar0_el1)),
            stage2::IdAa64Mmfr2::from(VCPU_READ_SYSREG(S3_0_C0_C7_2))};  // ID_AA64MMFR2_EL1
  }

  [[nodiscard]] bool has_range_ops() const noexcept { return range_ops_; }
  [[nodiscard]] bool has_level_hint() const noexcept { return level_hint_; }

  void dsb_ishst() noexcept { el2::dsb_ishst(); }
  void dsb_ish() noexcept { el2::dsb_ish(); }
  void isb() noexcept { el2::isb(); }

  void tlbi_ipas2e1is(std::uint64_t operand) noexcept {
    __asm__ volatile("tlbi ipas2e1is, %0" ::"r"(operand) : "memory");
  }
  // TLBI RIPAS2E1IS by its encoding: the assembler knows the name from Armv8.4 on only.
  void tlbi_ripas2e1is(std::uint64_t operand) noexcept {
    __asm__ volatile("sys #4, c8, c0, #2, %0" ::"r"(operand) : "memory");
  }
  void tlbi_vmalle1is() noexcept { __asm__ volatile("tlbi vmalle1is" ::: "memory"); }
  void tlbi_vmalls12e1is() noexcept { __asm__ volatile("tlbi vmalls12e1is" ::: "memory"); }

  // Stage 1 of whatever guest was here stays in the EL1 registers while another VMID is in place. That is safe: with
  // EL2 executing, the EL1&0 regime is out of context and nothing may walk its tables speculatively. CPUs with a
  // "speculative AT" erratum need TCR_EL1.EPD0 and EPD1 set around this.
  [[nodiscard]] std::uint64_t enter(std::uint64_t vttbr) noexcept {
    const std::uint64_t previous = VCPU_READ_SYSREG(vttbr_el2);
    switch_to(vttbr, previous);
    return previous;
  }
  void leave(std::uint64_t previous) noexcept { switch_to(previous, VCPU_READ_SYSREG(vttbr_el2)); }

 private:
  static void switch_to(std::uint64_t wanted, std::uint64_t current) noexcept {
    if (wanted == current) return;
    VCPU_WRITE_SYSREG(vttbr_el2, wanted);
    el2::isb();
  }

  bool range_ops_;
  bool level_hint_;
};

static_assert(stage2::TlbMaintenance<TlbOps>);
static_assert(Stage2Memory<TablePool<64>>);

// Stages 1 and 2 of all VMIDs, on all CPUs of the Inner Shareable domain: what VmidAllocator calls at a rollover. Table
// writes made before are visible to walkers first.
inline void flush_all_vmids() noexcept {
  dsb_ishst();
  __asm__ volatile("tlbi alle1is" ::: "memory");
  dsb_ish();
  isb();
}

// For a vCPU that is bound to this CPU, when another vCPU of the same VM ran here last. To the guest they are two PEs,
// whose TLBs know nothing of each other: mappings may differ under the same ASID, and CnP is not set for both. Here
// they share a VMID. So the translations of stage 1 go, on this CPU only; the broadcast of the guest's own maintenance
// has reached all others. The instruction cache goes with them: a vCPU whose MMU is off may have fetched past the data
// caches what another sees in them. [armarm] "Use of ASIDs and VMIDs to reduce TLB maintenance requirements", "Behavior
// of instruction fetches when stage 1 is disabled". No ISB behind it: the guest's instructions are fetched after the
// ERET.
inline void forget_sibling_vcpu() noexcept {
  isb();  // VTTBR_EL2 is this VM's
  __asm__ volatile("tlbi vmalle1\n\tic iallu\n\tdsb nsh" ::: "memory");
}

// The stage 2 of a VM whose tables come from a TablePool.
template <std::size_t MaxTables>
using GuestStage2 = Stage2<TablePool<MaxTables>, TlbOps>;

}  // namespace arm_vcpu::el2
