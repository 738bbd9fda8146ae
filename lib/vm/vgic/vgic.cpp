// SPDX-License-Identifier: Apache-2.0
// Construction, reset, and the split of the MMIO ranges into frames for a read; mmio_write.cpp has the writes.
#include "arm_vcpu/vm/vgic.hpp"

#include "vm/vgic/register_block.hpp"

namespace arm_vcpu {
namespace {

// ICC_SGI1R_EL1 without INTID that names one CPU. [gicv3] "ICC_SGI1R_EL1"
constexpr std::uint64_t sgi_address(std::uint32_t affinity) noexcept {
  const std::uint64_t aff0 = affinity & 0xFF;
  const std::uint64_t aff1 = affinity >> 8 & 0xFF;
  const std::uint64_t aff2 = affinity >> 16 & 0xFF;
  const std::uint64_t aff3 = affinity >> 24;
  return aff3 << 48 | aff0 / 16 << 44 | aff2 << 32 | aff1 << 16 | std::uint64_t{1} << aff0 % 16;
}

}  // namespace

Vgic::Vgic(const VgicConfig& config, std::span<VgicCpu> cpus, std::span<VgicIrq> spis) noexcept
    : cpus_{cpus},
      spis_{spis},
      gicd_base_{config.gicd_base},
      gicr_base_{config.version == 2 ? config.gicc_base + gic::kGicV2CpuInterfaceBytes : config.gicr_base},
      gicd_bytes_{config.version == 2 ? gic::kGicV2DistributorBytes : gic::kFrameBytes},
      gicr_bytes_{config.version == 2 ? gic::kGicV2CpuInterfaceBytes : cpus.size() * gic::kRedistributorBytes},
      version_{config.version},
      vtr_{config.vtr},
      active_priority_registers_{config.vtr.active_priority_registers()},
      // With EOImode 1 a vCPU may deactivate an SPI that another one took; nothing but a trap tells. A guest with
      // EOImode 0 does not write ICC_DIR_EL1, so this costs it nothing.
      idle_hcr_{gic::IchHcr{}.with<gic::IchHcr::En>(true).with<gic::IchHcr::TDIR>(config.vtr.get<gic::IchVtr::TDS>() &&
                                                                                  cpus.size() > 1)},
      honours_sleep_{config.honours_sleep && config.version != 2} {}

Result<Vgic> Vgic::create(const VgicConfig& config, std::span<VgicCpu> cpus, std::span<VgicIrq> spis) noexcept {
  constexpr std::size_t kMaxSpis = gic::kSpiEnd - gic::kPrivateCount;
  const unsigned most_cpus = config.version == 2 ? gic::kGicV2MaxCpus : kVgicMaxCpus;
  if (cpus.empty() || cpus.size() > most_cpus) return fail(Errc::out_of_slots, cpus.size(), most_cpus);
  if (config.version != 2 && config.version != 3) return fail(Errc::conflicting_configuration, config.version, 3);
  if (spis.size() > kMaxSpis) return fail(Errc::out_of_slots, spis.size(), kMaxSpis);
  if (config.affinities.size() != cpus.size()) {
    return fail(Errc::conflicting_configuration, config.affinities.size(), cpus.size());
  }
  // GICD_TYPER.ITLinesNumber counts in 32s; its highest value means 1020.
  if (spis.size() % 32 != 0 && spis.size() != kMaxSpis) return fail(Errc::conflicting_configuration, spis.size(), 32);
  const std::uint64_t other = config.version == 2 ? config.gicc_base : config.gicr_base;
  for (const std::uint64_t base : {config.gicd_base, other}) {
    if (!bits::aligned(base, gic::kFrameBytes)) return fail(Errc::unaligned_address, base, gic::kFrameBytes);
  }
  const std::uint64_t end = other + (config.version == 2 ? gic::kFrameBytes : cpus.size() * gic::kRedistributorBytes);
  if (config.gicd_base < end && other < config.gicd_base + gic::kFrameBytes) {
    return fail(Errc::overlap, other, config.gicd_base);
  }
  for (std::size_t n = 0; n < cpus.size(); ++n) {
    cpus[n].affinity = gic::affinity_of_mpidr(config.affinities[n]);
    cpus[n].direct.address = sgi_address(cpus[n].affinity);
    for (std::size_t earlier = 0; earlier < n; ++earlier) {
      if (cpus[earlier].affinity == cpus[n].affinity) {
        return fail(Errc::conflicting_configuration, config.affinities[n], config.affinities[earlier]);
      }
    }
  }
  Vgic vgic{config, cpus, spis};
  vgic.reset();
  return vgic;
}

void Vgic::reset() noexcept {
  ctlr_ = {};
  for (unsigned cpu = 0; cpu < cpu_count(); ++cpu) {
    cpus_[cpu].lrs_live = false;  // what a list register still holds is of the past
    reset_cpu(cpu);
  }
  for (unsigned intid = gic::kPrivateCount; intid < intid_end(); ++intid) {
    VgicIrq& i = irq(0, intid);
    i.any_cpu = false;
    i.affinity = 0;
    reset_irq(i, intid, route(i));
  }
}

void Vgic::reset_cpu(unsigned cpu) noexcept {
  VgicCpu& c = cpus_[cpu];
  c.asleep = true;
  static_cast<void>(disarm(cpu));
  c.direct.delivered.store(0, std::memory_order_relaxed);
  c.direct.posted.store(0, std::memory_order_relaxed);
  c.waits_gicd = c.waits_gicr = false;
  for (unsigned intid = 0; intid < gic::kPrivateCount; ++intid) {
    reset_irq(c.irqs[intid], intid, static_cast<std::uint8_t>(cpu));
  }
  reset_cpu_interface(cpu);
}

void Vgic::reset_cpu_interface(unsigned cpu) noexcept {
  // [gicv3] "ICC_BPR0_EL1", "ICC_BPR1_EL1": the least binary points reset to what the preemption bits allow. So do
  // those of a GICv2. [gicv2] "GICV_BPR, VM Binary Point Register", "GICV_ABPR, VM Aliased Binary Point Register"
  const unsigned bpr0 = 7 - vtr_.preemption_bits() % 8;
  VgicCpu& c = cpus_[cpu];
  c.vmcr =
      gic::IchVmcr{}.with<gic::IchVmcr::VBPR0>(bpr0).with<gic::IchVmcr::VBPR1>(bpr0 + 1).with<gic::IchVmcr::VFIQEn>(
          !is_v2());  // VFIQEn is RES1 for a guest with system registers
  c.ap0r = {};
  c.ap1r = {};
  mark_dirty(cpu);
}

void Vgic::reset_irq(VgicIrq& irq, unsigned intid, std::uint8_t target) noexcept {
  if (irq.queued_at != kVgicNoCpu) {
    cpus_[irq.queued_at].waiting.erase(intid);
    cpus_[irq.queued_at].releases.erase(intid);
  }
  VgicIrq fresh{};
  fresh.target = target;
  fresh.edge = intid < gic::kSgiCount;
  fresh.line = irq.line;
  fresh.linked = irq.linked;
  fresh.physical_intid = irq.physical_intid;
  fresh.physical_active = irq.physical_active || (irq.in_lr && irq.lr_physical);
  if (fresh.physical_active && intid < gic::kPrivateCount) cpus_[target].has_active_ppis = true;
  // The SGIs of a GICv2 are always enabled: IMPLEMENTATION DEFINED. [gicv2] "GICD_ISENABLERn"
  fresh.by_source = fresh.enabled = is_v2() && intid < gic::kSgiCount;
  irq = fresh;
  static_cast<void>(requeue(irq, intid));  // at most a release; no vCPU runs that could be kicked
}

VgicRead Vgic::mmio_read(unsigned cpu, std::uint64_t ipa, AccessWidth width) noexcept {
  VgicRead read{};
  if (!contains(ipa) || !bits::aligned(ipa, bytes_of(width))) return read;
  if (const std::uint64_t offset = ipa - gicd_base_; offset < gicd_bytes_) {
    read.value = is_v2() ? read_gicd_v2(static_cast<std::uint32_t>(offset), width, cpu, read.stale)
                         : read_gicd(static_cast<std::uint32_t>(offset), width, cpu, read.stale);
  } else if (!is_v2()) {  // GICC_DIR is write-only
    const std::uint64_t in_range = ipa - gicr_base_;
    const auto owner = static_cast<unsigned>(in_range / gic::kRedistributorBytes);
    const auto in_frame = static_cast<std::uint32_t>(in_range % gic::kFrameBytes);
    read.value = in_range % gic::kRedistributorBytes < gic::kFrameBytes
                     ? read_rd(owner, in_frame, width)
                     : read_block(Block::sgi_frame(owner), in_frame, width, cpu, read.stale);
  }
  for (VgicCpuMask stale = read.stale; stale != 0; stale &= stale - 1) {
    mark_dirty(static_cast<unsigned>(__builtin_ctzll(stale)));
  }
  return read;
}

}  // namespace arm_vcpu
