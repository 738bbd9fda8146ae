// SPDX-License-Identifier: Apache-2.0
// Redistributors: the RD_base frame, in which little is left without LPIs, and the way to the SGI frame.
#include "vm/vgic/register_block.hpp"

namespace arm_vcpu {

gic::GicrTyper Vgic::gicr_typer(unsigned cpu) const noexcept {
  return gic::GicrTyper{}
      .with<gic::GicrTyper::Affinity_Value>(cpus_[cpu].affinity)
      .with<gic::GicrTyper::Processor_Number>(cpu)
      .with<gic::GicrTyper::Last>(cpu + 1 == cpu_count());
}

std::uint64_t Vgic::read_rd(unsigned cpu, std::uint32_t offset, AccessWidth width) const noexcept {
  const VgicCpu& c = cpus_[cpu];
  if (bits::align_down(offset, 8) == gic::GICR_TYPER &&
      (width == AccessWidth::word || width == AccessWidth::doubleword)) {
    return truncate(gicr_typer(cpu).raw >> (offset % 8 * 8), width);
  }
  if (width != AccessWidth::word) return 0;
  if (offset >= gic::GIC_PIDR4) return vgic_ids::id_register(offset, 0x93);
  switch (offset) {
    case gic::GICR_CTLR: return gic::GicrCtlr{}.with<gic::GicrCtlr::RWP>(c.waits_gicr).raw;
    case gic::GICR_IIDR: return vgic_ids::kIidr.raw;
    case gic::GICR_WAKER:
      return gic::GicrWaker{}
          .with<gic::GicrWaker::ProcessorSleep>(c.asleep)
          .with<gic::GicrWaker::ChildrenAsleep>(c.asleep)
          .raw;
    default: return 0;  // STATUSR is not implemented; PROPBASER and PENDBASER are RES0 without LPIs
  }
}

VgicCpuMask Vgic::write_gicr(std::uint64_t in_range, AccessWidth width, std::uint64_t data) noexcept {
  const auto owner = static_cast<unsigned>(in_range / gic::kRedistributorBytes);
  const auto in_frame = static_cast<std::uint32_t>(in_range % gic::kFrameBytes);
  if (in_range % gic::kRedistributorBytes < gic::kFrameBytes) return write_rd(owner, in_frame, width, data);
  const VgicCpuMask kick = disarm(owner);
  return kick | write_block(Block::sgi_frame(owner), in_frame, width, data);
}

VgicCpuMask Vgic::write_rd(unsigned cpu, std::uint32_t offset, AccessWidth width, std::uint64_t data) noexcept {
  if (offset != gic::GICR_WAKER || width != AccessWidth::word) return 0;
  VgicCpu& c = cpus_[cpu];
  const bool asleep = gic::GicrWaker::from(data).get<gic::GicrWaker::ProcessorSleep>();
  if (c.asleep == asleep) return 0;
  c.asleep = asleep;
  mark_dirty(cpu);
  VgicCpuMask kick = bit(cpu) | disarm(cpu);
  for (unsigned intid = gic::kPrivateCount; intid < intid_end(); ++intid) {
    VgicIrq& i = irq(cpu, intid);
    if (!i.any_cpu) continue;
    const std::uint8_t target = route(i);
    if (target == i.target) continue;
    i.target = target;
    kick |= requeue(i, intid);
  }
  return kick;
}

}  // namespace arm_vcpu
