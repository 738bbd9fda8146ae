// SPDX-License-Identifier: Apache-2.0
// A virtual GICv3, or GICv2: Distributor and Redistributors emulated, CPU interfaces in hardware by the list registers.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>

#include "arm_vcpu/arch/gic_v2.hpp"
#include "arm_vcpu/exit_reason.hpp"
#include "arm_vcpu/result.hpp"
#include "arm_vcpu/vm/vgic_hyp_interface.hpp"
#include "arm_vcpu/vm/vgic_state.hpp"

namespace arm_vcpu {

struct VgicConfig {
  // 3, or 2 where the list registers are a GICv2's. Then there are up to 8 vCPUs, the Distributor has 4 KiB, and the
  // guest's CPU interface is the first page of GICV, which the caller maps at `gicc_base`. The second page, which has
  // nothing but GICC_DIR, is emulated: a vCPU may deactivate what another one took, or what is in no list register.
  unsigned version{3};
  std::uint64_t gicd_base{};                    // IPA, 64 KiB aligned
  std::uint64_t gicr_base{};                    // IPA, 64 KiB aligned; 0x20000 bytes per vCPU; GICv3 only
  std::uint64_t gicc_base{};                    // IPA, 64 KiB aligned; GICv2 only
  std::span<const std::uint64_t> affinities{};  // MPIDR_EL1 of each vCPU; bits that are not affinity are ignored
  gic::IchVtr vtr{};                            // ICH_VTR_EL2 of the physical CPUs, or gic::ich_vtr() of GICH_VTR
  // Whether a vCPU whose GICR_WAKER.ProcessorSleep is 1 gets no interrupts, as the specification has it. QEMU and KVM
  // deliver them, and small guests that were only run there never wake their Redistributor.
  bool honours_sleep{};
};

// What a read of the guest gives. `stale` names vCPUs in whose list registers the answer may have changed since they
// were last folded (ISPENDR, ISACTIVER and their clear forms only). They are marked dirty; a caller that wants the
// exact answer kicks them, waits until needs_flush() is false for each, and reads again.
struct VgicRead {
  std::uint64_t value{};
  VgicCpuMask stale{};
};

// Life of a vCPU's CPU interface, each call on the physical CPU that runs it:
//
//   load(cpu, h)                      at bind
//   loop:
//     if (needs_flush(cpu)) flush(cpu, h)     the last thing before the guest; false costs one load, no lock
//     run the guest
//     maintenance interrupt:          flush(cpu, h), whatever needs_flush() says
//     access in contains():           sync(cpu, h), then mmio_read or mmio_write
//     WFI:                            park(cpu, h), then wait until has_deliverable(cpu)
//     write to ICC_DIR_EL1 (trapped): deactivate(cpu, h, intid)
//     SendIPI:                        send_sgi(cpu, ipi); GICv2: an access in contains()
//   save(cpu, h)                      at unbind
//
// Every call that returns a VgicCpuMask names the vCPUs that must leave the guest, or their wait, and flush: send each
// of the others a physical SGI. The caller's own bit needs none. All calls on one Vgic are serialised by the caller
// (one lock per VM), except needs_flush() and mark_dirty(), which any CPU may call at any time.
class Vgic {
 public:
  // `cpus` has one entry per affinity, 1 to 64. `spis` has the SPIs from INTID 32 on: a multiple of 32, or all 988.
  // Both are value-initialised, and live as long as the Vgic. Errors: out_of_slots, conflicting_configuration,
  // unaligned_address, overlap.
  [[nodiscard]] static Result<Vgic> create(const VgicConfig& config, std::span<VgicCpu> cpus,
                                           std::span<VgicIrq> spis) noexcept;

  // Interrupt sources. Error of all: bad_interrupt_id.

  // An input changed its level. A rising edge makes an edge-triggered interrupt pending; a level-sensitive one is
  // pending while its line is high. For a linked interrupt, `true` means: the physical one was acknowledged and not
  // deactivated; `false`: its source went low before the guest took it.
  [[nodiscard]] Result<VgicCpuMask> set_spi_level(unsigned intid, bool level) noexcept;
  [[nodiscard]] Result<VgicCpuMask> set_ppi_level(unsigned cpu, unsigned intid, bool level) noexcept;
  // Up and down. Leaves an edge-triggered interrupt pending, and a level-sensitive one as it was.
  [[nodiscard]] Result<VgicCpuMask> pulse(unsigned cpu, unsigned intid) noexcept;
  // Makes any interrupt pending once, however it is configured: an SGI or PPI at `cpu`, an SPI where it is routed.
  [[nodiscard]] Result<VgicCpuMask> inject(unsigned cpu, unsigned intid) noexcept;
  // The PPI of `cpu`, or the SPI, is from now on the physical interrupt `physical_intid`: the guest's deactivation
  // deactivates it. Use it for the virtual timer. Survives resets.
  [[nodiscard]] Result<> link_physical(unsigned cpu, unsigned intid, std::uint16_t physical_intid) noexcept;

  // A guest wrote ICC_SGI1R_EL1, ICC_SGI0R_EL1 or ICC_ASGI1R_EL1. [gicv3] "Software Generated Interrupts"
  [[nodiscard]] VgicCpuMask send_sgi(unsigned sender, const AxVCpuExitReason::SendIPI& ipi) noexcept;

  // The memory-mapped registers. An access that the specification does not allow is RAZ/WI. `cpu` is the accessing
  // vCPU; fold its list registers with sync() first, or reads show them as they were.
  [[nodiscard]] bool contains(std::uint64_t ipa) const noexcept {
    return ipa - gicd_base_ < gicd_bytes_ || ipa - gicr_base_ < gicr_bytes_;
  }
  [[nodiscard]] VgicRead mmio_read(unsigned cpu, std::uint64_t ipa, AccessWidth width) noexcept;
  [[nodiscard]] VgicCpuMask mmio_write(unsigned cpu, std::uint64_t ipa, AccessWidth width, std::uint64_t data) noexcept;

  // The CPU interface. Defined in vgic_cpu_interface.hpp.

  // Once on each physical CPU, before the first load() there: after power-on anything may be in its list registers.
  template <GicHypInterface H>
  static void clear_list_registers(unsigned count, H& h) noexcept;
  // Precondition: the list registers are empty, as clear_list_registers() and save() leave them.
  template <GicHypInterface H>
  void load(unsigned cpu, H& h) noexcept;
  template <GicHypInterface H>
  [[nodiscard]] VgicCpuMask save(unsigned cpu, H& h) noexcept;
  // The two for a vCPU that waits and makes room for another on the same CPU, by state(). save_quiet() is save() if the
  // vCPU has nothing left that could end its wait, or that is a physical interrupt's; false: nothing but sync() was
  // done. What save() returns is added to `kick`, in either case. resume() is load(), and flush() for a vCPU for which
  // an SGI waits and nothing else: it returns what it has written to ICH_LR0_EL2. 0: flush() has to come. They keep
  // direct().doorbell, too.
  template <GicHypInterface H>
  [[nodiscard]] bool save_quiet(VgicCpu& c, H& h, VgicCpuMask& kick) noexcept;
  template <GicHypInterface H>
  [[nodiscard]] std::uint64_t resume(VgicCpu& c, H& h, std::uint64_t doorbell) noexcept;
  // Folds what the guest did to the list registers. Idempotent; flush() must follow before the guest runs again.
  template <GicHypInterface H>
  [[nodiscard]] VgicCpuMask sync(unsigned cpu, H& h) noexcept;
  // Makes the list registers hold what the vCPU should see now. Folds them first where that is needed.
  template <GicHypInterface H>
  [[nodiscard]] VgicCpuMask flush(unsigned cpu, H& h) noexcept;
  // sync(), and keeps the CPU interface's masks for has_deliverable(). flush() must follow before the guest runs again.
  template <GicHypInterface H>
  [[nodiscard]] VgicCpuMask park(unsigned cpu, H& h) noexcept;
  // For a vCPU that waits and stays loaded, on its own CPU, without the caller's lock. False: take the long way.
  // They do what the vector does while the guest runs.
  template <GicHypInterface H>
  [[nodiscard]] bool deliver_timer(unsigned cpu, H& h) noexcept;
  template <GicHypInterface H>
  [[nodiscard]] bool deliver_posted(unsigned cpu, H& h) noexcept;
  // The guest wrote `intid` to ICC_DIR_EL1 and the write was trapped (ICH_HCR_EL2.TDIR).
  template <GicHypInterface H>
  [[nodiscard]] VgicCpuMask deactivate(unsigned cpu, H& h, std::uint32_t intid) noexcept;

  // Whether an interrupt would end the WFI of a parked or saved vCPU: PSTATE does not count; groups, priority mask and
  // running priority do.
  [[nodiscard]] bool has_deliverable(unsigned cpu) const noexcept;

  // Where needs_flush() and has_news() look, for a caller that asks both.
  [[nodiscard]] const VgicCpu& cpu(unsigned cpu) const noexcept { return cpus_[cpu]; }
  [[nodiscard]] VgicCpu& state(unsigned cpu) noexcept { return cpus_[cpu]; }

  [[nodiscard]] bool needs_flush(unsigned cpu) const noexcept { return needs_flush(cpus_[cpu]); }
  [[nodiscard]] static bool needs_flush(const VgicCpu& c) noexcept {
    return c.dirty.load(std::memory_order_acquire) || load_relaxed(c.direct.posted) != 0;
  }
  // False: sync() would find nothing.
  [[nodiscard]] bool has_news(unsigned cpu) const noexcept { return has_news(cpus_[cpu]); }
  [[nodiscard]] static bool has_news(const VgicCpu& c) noexcept {
    return c.lrs_live || load_relaxed(c.direct.delivered) != 0 || load_relaxed(c.direct.posted) != 0 ||
           !c.releases.empty();
  }
  void mark_dirty(unsigned cpu) noexcept { cpus_[cpu].dirty.store(true, std::memory_order_release); }

  // What the vector needs to deliver private interrupts of `cpu` by itself, for Aarch64VCpu::set_vector_answers().
  // flush() arms it when nothing else waits; the caller keeps `doorbell` while the vCPU is on a physical CPU.
  [[nodiscard]] DirectInterrupts& direct(unsigned cpu) noexcept { return cpus_[cpu].direct; }
  // The SGIs that other vCPUs posted become pending here. sync() does it too; before has_deliverable() call this.
  VgicCpuMask accept_posted(unsigned cpu) noexcept;
  // Registers that do not change while the VM lives.
  void publish(PublishedRegisters& registers) const noexcept;

  // The physical PPIs that are active on behalf of this vCPU, bit n for INTID n. A physical CPU that several vCPUs
  // share has one active state for all of them: whoever switches deactivates these after save(), and makes them active
  // again before load() and before the vCPU's timer runs. Precondition: saved; of a vCPU that is loaded, list registers
  // know more. What the guest has no use for any more is dropped: nothing is active at the physical GIC.
  [[nodiscard]] std::uint32_t take_physical_ppis(unsigned cpu) noexcept;

  // Cold reset, of the whole or of one vCPU's Redistributor and CPU interface. No vCPU concerned is loaded. Input
  // lines and links stay as they are; physical interrupts still active for a link are deactivated at the next flush.
  void reset() noexcept;
  void reset_cpu(unsigned cpu) noexcept;
  // What a reset of the PE alone does, as CPU_ON: the Redistributor keeps its state.
  void reset_cpu_interface(unsigned cpu) noexcept;

  [[nodiscard]] unsigned cpu_count() const noexcept { return static_cast<unsigned>(cpus_.size()); }
  // One more than the highest INTID.
  [[nodiscard]] unsigned intid_end() const noexcept { return gic::kPrivateCount + static_cast<unsigned>(spis_.size()); }

 private:
  struct Block;  // the INTIDs that one frame shows
  struct LrPlan {
    std::array<gic::IchLr, gic::kMaxListRegisters> lr{};
    std::uint32_t used{};
    gic::IchHcr hcr{};
  };

  Vgic(const VgicConfig& config, std::span<VgicCpu> cpus, std::span<VgicIrq> spis) noexcept;

  [[nodiscard]] static constexpr VgicCpuMask bit(unsigned cpu) noexcept { return VgicCpuMask{1} << cpu; }
  [[nodiscard]] VgicIrq& irq(unsigned cpu, unsigned intid) noexcept {
    return intid < gic::kPrivateCount ? cpus_[cpu].irqs[intid] : spis_[intid - gic::kPrivateCount];
  }
  [[nodiscard]] const VgicIrq& irq(unsigned cpu, unsigned intid) const noexcept {
    return intid < gic::kPrivateCount ? cpus_[cpu].irqs[intid] : spis_[intid - gic::kPrivateCount];
  }
  [[nodiscard]] bool group_enabled(const VgicIrq& irq) const noexcept;
  [[nodiscard]] bool deliverable_at(const VgicIrq& irq, unsigned cpu) const noexcept;

  // State changes: every one ends in requeue(), which keeps the sets right and says who must look again.
  [[nodiscard]] VgicCpuMask requeue(VgicIrq& irq, unsigned intid) noexcept;
  [[nodiscard]] VgicCpuMask set_line(VgicIrq& irq, unsigned intid, bool level) noexcept;
  [[nodiscard]] VgicCpuMask set_pending(VgicIrq& irq, unsigned intid) noexcept;
  [[nodiscard]] VgicCpuMask clear_pending(VgicIrq& irq, unsigned intid) noexcept;
  [[nodiscard]] VgicCpuMask set_active(VgicIrq& irq, unsigned intid) noexcept;
  [[nodiscard]] VgicCpuMask clear_active(VgicIrq& irq, unsigned intid) noexcept;
  [[nodiscard]] VgicCpuMask set_enabled(VgicIrq& irq, unsigned intid, bool enabled) noexcept;
  [[nodiscard]] VgicCpuMask set_pending_from(VgicIrq& irq, unsigned intid, std::uint8_t sources) noexcept;
  [[nodiscard]] VgicCpuMask clear_pending_from(VgicIrq& irq, unsigned intid, std::uint8_t sources) noexcept;
  [[nodiscard]] bool pending_now(const VgicIrq& irq) const noexcept;
  [[nodiscard]] bool active_now(const VgicIrq& irq) const noexcept;
  [[nodiscard]] std::uint8_t route(const VgicIrq& irq) const noexcept;
  void reset_irq(VgicIrq& irq, unsigned intid, std::uint8_t target) noexcept;

  [[nodiscard]] bool is_v2() const noexcept { return version_ == 2; }

  // Registers of a GICv2, which are banked: those of INTIDs below 32 are the accessing vCPU's.
  [[nodiscard]] std::uint64_t read_gicd_v2(std::uint32_t offset, AccessWidth width, unsigned reader,
                                           VgicCpuMask& stale) noexcept;
  [[nodiscard]] VgicCpuMask write_gicd_v2(std::uint32_t offset, AccessWidth width, std::uint64_t data,
                                          unsigned writer) noexcept;
  [[nodiscard]] std::uint8_t read_gicd_v2_byte(std::uint32_t offset, unsigned reader) noexcept;
  [[nodiscard]] VgicCpuMask write_gicd_v2_byte(std::uint32_t offset, std::uint8_t data, unsigned writer) noexcept;
  [[nodiscard]] VgicCpuMask write_gicc_dir(std::uint64_t offset, AccessWidth width, std::uint64_t data,
                                           unsigned writer) noexcept;
  [[nodiscard]] VgicCpuMask write_sgir(gic::GicdSgir value, unsigned sender) noexcept;
  [[nodiscard]] std::uint8_t all_targets() const noexcept {
    return static_cast<std::uint8_t>(bits::mask(cpu_count() - 1, 0));
  }

  // Registers of a GICv3.
  [[nodiscard]] std::uint64_t read_gicd(std::uint32_t offset, AccessWidth width, unsigned reader,
                                        VgicCpuMask& stale) noexcept;
  [[nodiscard]] VgicCpuMask write_gicd(std::uint32_t offset, AccessWidth width, std::uint64_t data) noexcept;
  [[nodiscard]] VgicCpuMask write_gicd_ctlr(gic::GicdCtlr value) noexcept;
  [[nodiscard]] VgicCpuMask write_irouter(unsigned intid, std::uint64_t data, std::uint64_t mask) noexcept;
  [[nodiscard]] gic::GicrTyper gicr_typer(unsigned cpu) const noexcept;
  [[nodiscard]] std::uint64_t read_rd(unsigned cpu, std::uint32_t offset, AccessWidth width) const noexcept;
  [[nodiscard]] VgicCpuMask write_gicr(std::uint64_t in_range, AccessWidth width, std::uint64_t data) noexcept;
  [[nodiscard]] VgicCpuMask write_rd(unsigned cpu, std::uint32_t offset, AccessWidth width,
                                     std::uint64_t data) noexcept;
  [[nodiscard]] std::uint64_t read_block(const Block& block, std::uint32_t offset, AccessWidth width, unsigned reader,
                                         VgicCpuMask& stale) noexcept;
  [[nodiscard]] VgicCpuMask write_block(const Block& block, std::uint32_t offset, AccessWidth width,
                                        std::uint64_t data) noexcept;
  [[nodiscard]] VgicCpuMask write_bits(unsigned first_shown, unsigned end, unsigned cpu, std::uint32_t offset,
                                       std::uint32_t data) noexcept;

  // List registers.
  [[nodiscard]] gic::IchHcr idle_hcr() const noexcept { return idle_hcr_; }
  // Keeps VMCR and the active priorities, or puts them back.
  template <GicHypInterface H>
  void keep_interface(VgicCpu& c, H& h) noexcept;
  template <GicHypInterface H>
  static void empty_list_registers(const VgicCpu& c, H& h) noexcept;
  template <GicHypInterface H>
  void restore_interface(const VgicCpu& c, H& h) noexcept;
  // The one interrupt that waits, when it is alone and needs no choice: pending, deliverable, not active.
  [[nodiscard]] unsigned the_only_one(unsigned cpu) const noexcept;
  // The same of an SGI, whose list register the vector's table has: it is written, and returned. 0: there is none.
  template <GicHypInterface H>
  [[nodiscard]] static std::uint64_t deliver_lone_sgi(VgicCpu& c, H& h) noexcept;
  template <GicHypInterface H>
  void put_first(VgicCpu& c, H& h, gic::IchLr lr) noexcept;
  [[nodiscard]] LrPlan plan(unsigned cpu, gic::IchVmcr vmcr) noexcept;
  [[nodiscard]] gic::IchLr pack(VgicIrq& irq, unsigned intid, unsigned cpu, unsigned slot) noexcept;
  [[nodiscard]] VgicCpuMask fold(unsigned cpu) noexcept;
  [[nodiscard]] VgicCpuMask fold_slot(unsigned cpu, unsigned slot) noexcept;
  // What the vector delivers. [ADR] docs/adr/0015-answers-at-the-vector.md
  [[nodiscard]] VgicCpuMask adopt(unsigned cpu) noexcept;
  void arm(unsigned cpu) noexcept;
  [[nodiscard]] VgicCpuMask unknown_at(const VgicIrq& irq, unsigned intid, unsigned reader) const noexcept;
  void refresh_direct(unsigned cpu) noexcept;
  [[nodiscard]] VgicCpuMask disarm(unsigned cpu) noexcept;
  [[nodiscard]] VgicCpuMask retire_outside(unsigned cpu, unsigned count) noexcept;
  [[nodiscard]] VgicCpuMask deactivate_model(unsigned cpu, std::uint32_t intid) noexcept;
  template <GicHypInterface H>
  [[nodiscard]] bool deliver(unsigned cpu, H& h, std::uint64_t lr) noexcept;
  template <GicHypInterface H>
  void flush_by_plan(unsigned cpu, H& h) noexcept;
  template <GicHypInterface H>
  void release_physical(unsigned cpu, H& h) noexcept;

  std::span<VgicCpu> cpus_;
  std::span<VgicIrq> spis_;
  std::uint64_t gicd_base_;
  std::uint64_t gicr_base_;  // of a GICv2: the page of GICC_DIR
  std::uint64_t gicd_bytes_;
  std::uint64_t gicr_bytes_;
  unsigned version_;
  gic::IchVtr vtr_;
  unsigned active_priority_registers_;  // of each group
  gic::IchHcr idle_hcr_;                // nothing waits for a list register
  gic::GicdCtlr ctlr_{};                // the two group enables
  bool honours_sleep_;
};

}  // namespace arm_vcpu
