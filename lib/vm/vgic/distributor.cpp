// SPDX-License-Identifier: Apache-2.0
// The Distributor, as of one Security state (GICD_CTLR.DS is 1) with affinity routing always on (ARE is 1).
#include "vm/vgic/register_block.hpp"

namespace arm_vcpu {
namespace {

constexpr std::uint32_t kIrouterEnd = gic::GICD_IROUTER + 8 * gic::kSpiEnd;
constexpr std::uint64_t kIrouterMask =
    gic::GicdIrouter::Aff3::kMask | gic::GicdIrouter::Aff2_0::kMask | gic::GicdIrouter::Interrupt_Routing_Mode::kMask;

// 64 bits, or either half.
constexpr bool is_irouter(std::uint32_t offset, AccessWidth width) noexcept {
  return offset >= gic::GICD_IROUTER + 8 * gic::kPrivateCount && offset < kIrouterEnd &&
         (width == AccessWidth::word || width == AccessWidth::doubleword);
}

}  // namespace

std::uint64_t Vgic::read_gicd(std::uint32_t offset, AccessWidth width, unsigned reader, VgicCpuMask& stale) noexcept {
  if (is_irouter(offset, width)) {
    const unsigned intid = (offset - gic::GICD_IROUTER) / 8;
    if (intid >= intid_end()) return 0;
    const VgicIrq& i = irq(0, intid);
    return truncate(gic::GicdIrouter::to(i.affinity, i.any_cpu).raw >> (offset % 8 * 8), width);
  }
  if (width == AccessWidth::word) {
    if (offset >= gic::GIC_PIDR4) return vgic_ids::id_register(offset, 0x92);
    switch (offset) {
      case gic::GICD_CTLR: {
        bool waits = false;
        for (const VgicCpu& c : cpus_) waits |= c.waits_gicd;
        return ctlr_.with<gic::GicdCtlr::ARE>(true).with<gic::GicdCtlr::DS>(true).with<gic::GicdCtlr::RWP>(waits).raw;
      }
      case gic::GICD_TYPER:
        return gic::GicdTyper{}
            .with<gic::GicdTyper::ITLinesNumber>((intid_end() + 31) / 32 - 1)
            .with<gic::GicdTyper::IDbits>(9)  // INTIDs below 1024: there are no LPIs
            .with<gic::GicdTyper::A3V>(true)
            .with<gic::GicdTyper::RSS>(true)
            .raw;
      case gic::GICD_IIDR: return vgic_ids::kIidr.raw;
      default: break;  // TYPER2 and STATUSR: no optional features
    }
  }
  return read_block({gic::kPrivateCount, intid_end(), 0}, offset, width, reader, stale);
}

VgicCpuMask Vgic::write_gicd(std::uint32_t offset, AccessWidth width, std::uint64_t data) noexcept {
  if (is_irouter(offset, width)) {
    const unsigned shift = offset % 8 * 8;
    return write_irouter((offset - gic::GICD_IROUTER) / 8, data << shift, truncate(~std::uint64_t{0}, width) << shift);
  }
  if (offset == gic::GICD_CTLR && width == AccessWidth::word) return write_gicd_ctlr(gic::GicdCtlr::from(data));
  return write_block({gic::kPrivateCount, intid_end(), 0}, offset, width, data);
}

VgicCpuMask Vgic::write_gicd_ctlr(gic::GicdCtlr value) noexcept {
  const gic::GicdCtlr old = ctlr_;
  ctlr_ = gic::GicdCtlr{}
              .with<gic::GicdCtlr::EnableGrp0>(value.get<gic::GicdCtlr::EnableGrp0>())
              .with<gic::GicdCtlr::EnableGrp1>(value.get<gic::GicdCtlr::EnableGrp1>());
  if (ctlr_ == old) return 0;
  const bool disables = (old.raw & ~ctlr_.raw) != 0;
  VgicCpuMask kick = 0;
  for (unsigned cpu = 0; cpu < cpu_count(); ++cpu) {
    VgicCpu& c = cpus_[cpu];
    kick |= disarm(cpu);
    if (c.waiting.empty() && !c.lrs_live) continue;
    c.waits_gicd |= disables && c.lrs_live;
    mark_dirty(cpu);
    kick |= bit(cpu);
  }
  return kick;
}

VgicCpuMask Vgic::write_irouter(unsigned intid, std::uint64_t data, std::uint64_t mask) noexcept {
  if (intid >= intid_end()) return 0;
  VgicIrq& i = irq(0, intid);
  const std::uint64_t old = gic::GicdIrouter::to(i.affinity, i.any_cpu).raw;
  const auto now = gic::GicdIrouter::from(((old & ~mask) | (data & mask)) & kIrouterMask);
  if (now.raw == old) return 0;
  i.affinity = now.affinity();
  i.any_cpu = now.get<gic::GicdIrouter::Interrupt_Routing_Mode>();
  i.target = route(i);
  return requeue(i, intid);
}

std::uint8_t Vgic::route(const VgicIrq& irq) const noexcept {
  if (is_v2()) {
    // Any of the targets may get it: the first. With one CPU there is nothing to choose.
    // [gicv2] "Interrupt handling models": 1-N
    if (cpu_count() == 1) return 0;
    return irq.affinity != 0 ? static_cast<std::uint8_t>(__builtin_ctz(irq.affinity)) : kVgicNoCpu;
  }
  for (unsigned cpu = 0; cpu < cpu_count(); ++cpu) {
    const VgicCpu& c = cpus_[cpu];
    if (irq.any_cpu ? !c.asleep : c.affinity == irq.affinity) return static_cast<std::uint8_t>(cpu);
  }
  // 1-of-N while all sleep: the boot CPU. Otherwise there is no such CPU, and the interrupt stays pending.
  return irq.any_cpu ? std::uint8_t{0} : kVgicNoCpu;
}

}  // namespace arm_vcpu
