// SPDX-License-Identifier: Apache-2.0
// The Distributor of a GICv2 without Security Extensions, and the one register of its CPU interface that is emulated.
// [gicv2] "Distributor register descriptions"
#include "vm/vgic/register_block.hpp"

namespace arm_vcpu {
namespace {

constexpr std::uint32_t kSgiBits = 0xFFFF;

constexpr bool in_targets(std::uint32_t offset) noexcept {
  return offset >= gic::GIC_ITARGETSR && offset < gic::GIC_ICFGR;
}
constexpr bool in_cpendsgir(std::uint32_t offset) noexcept {
  return offset >= gic::GICD_CPENDSGIR && offset < gic::GICD_SPENDSGIR;
}
constexpr bool in_spendsgir(std::uint32_t offset) noexcept {
  return offset >= gic::GICD_SPENDSGIR && offset < gic::GICD_SPENDSGIR + gic::kSgiCount;
}
// One byte each, which may be accessed alone or four at a time. Priorities are read_block()'s.
constexpr bool in_bytes(std::uint32_t offset, AccessWidth width) noexcept {
  return (in_targets(offset) || in_cpendsgir(offset) || in_spendsgir(offset)) &&
         (width == AccessWidth::byte || width == AccessWidth::word);
}
// Of SGIs these have read-only bits: always enabled, made pending and cleared by registers of their own.
constexpr bool has_fixed_sgis(std::uint32_t offset) noexcept {
  return offset == gic::GIC_ISENABLER || offset == gic::GIC_ICENABLER || offset == gic::GIC_ISPENDR ||
         offset == gic::GIC_ICPENDR;
}

}  // namespace

std::uint64_t Vgic::read_gicd_v2(std::uint32_t offset, AccessWidth width, unsigned reader,
                                 VgicCpuMask& stale) noexcept {
  if (in_bytes(offset, width)) {
    std::uint64_t value = 0;
    for (unsigned n = 0; n < bytes_of(width); ++n) {
      value |= std::uint64_t{read_gicd_v2_byte(offset + n, reader)} << 8 * n;
    }
    return value;
  }
  if (width == AccessWidth::word) {
    if (offset >= gic::GICV2_PIDR4) return vgic_ids::id_register(offset, 0x90, 2);
    switch (offset) {
      case gic::GICD_CTLR: return ctlr_.raw;
      case gic::GICD_TYPER:
        return gic::GicdTyperV2{}
            .with<gic::GicdTyperV2::ITLinesNumber>((intid_end() + 31) / 32 - 1)
            .with<gic::GicdTyperV2::CPUNumber>(cpu_count() - 1)
            .raw;
      case gic::GICD_IIDR: return vgic_ids::kIidr.raw;
      default: break;  // SGIR is write-only; NSACR is of the Security Extensions
    }
  }
  return read_block({0, intid_end(), reader}, offset, width, reader, stale);
}

VgicCpuMask Vgic::write_gicd_v2(std::uint32_t offset, AccessWidth width, std::uint64_t data, unsigned writer) noexcept {
  if (in_bytes(offset, width)) {
    VgicCpuMask kick = 0;
    for (unsigned n = 0; n < bytes_of(width); ++n) {
      kick |= write_gicd_v2_byte(offset + n, static_cast<std::uint8_t>(data >> 8 * n), writer);
    }
    return kick;
  }
  if (width == AccessWidth::word) {
    if (offset == gic::GICD_CTLR) return write_gicd_ctlr(gic::GicdCtlr::from(data));
    if (offset == gic::GICD_SGIR) return write_sgir(gic::GicdSgir::from(data), writer);
    if (has_fixed_sgis(offset)) data &= ~std::uint64_t{kSgiBits};
  }
  const VgicCpuMask kick = disarm(writer);  // it may be one of its private interrupts that changes
  return kick | write_block({0, intid_end(), writer}, offset, width, data);
}

std::uint8_t Vgic::read_gicd_v2_byte(std::uint32_t offset, unsigned reader) noexcept {
  if (!in_targets(offset)) {  // either of the two gives the senders
    const unsigned sgi = offset % gic::kSgiCount;
    const VgicIrq& i = irq(reader, sgi);
    const bool held = i.in_lr && pending_now(i);
    return static_cast<std::uint8_t>(i.sources | (held ? 1U << i.source : 0U));
  }
  const unsigned intid = offset - gic::GIC_ITARGETSR;
  // With one CPU these are RAZ/WI. [gicv2] "GICD_ITARGETSRn"
  if (intid >= intid_end() || cpu_count() == 1) return 0;
  return static_cast<std::uint8_t>(intid < gic::kPrivateCount ? 1U << reader : irq(reader, intid).affinity);
}

VgicCpuMask Vgic::write_gicd_v2_byte(std::uint32_t offset, std::uint8_t data, unsigned writer) noexcept {
  if (!in_targets(offset)) {
    const unsigned sgi = offset % gic::kSgiCount;
    const auto sources = static_cast<std::uint8_t>(data & all_targets());
    return in_spendsgir(offset) ? set_pending_from(irq(writer, sgi), sgi, sources)
                                : clear_pending_from(irq(writer, sgi), sgi, sources);
  }
  const unsigned intid = offset - gic::GIC_ITARGETSR;
  if (intid < gic::kPrivateCount || intid >= intid_end() || cpu_count() == 1) return 0;
  VgicIrq& i = irq(writer, intid);
  const std::uint32_t targets = data & all_targets();
  if (i.affinity == targets) return 0;
  i.affinity = targets;
  i.target = route(i);
  return requeue(i, intid);
}

// With EOImode 0 the effect is UNPREDICTABLE. Here it is the same. [gicv2] "GICV_DIR"
VgicCpuMask Vgic::write_gicc_dir(std::uint64_t offset, AccessWidth width, std::uint64_t data,
                                 unsigned writer) noexcept {
  if (offset != 0 || width != AccessWidth::word) return 0;
  return deactivate_model(writer, gic::GiccIar::from(data).get<gic::GiccIar::INTID>());
}

// [gicv2] "GICD_SGIR, Software Generated Interrupt Register"
VgicCpuMask Vgic::write_sgir(gic::GicdSgir value, unsigned sender) noexcept {
  const auto self = static_cast<std::uint8_t>(1U << sender);
  std::uint8_t targets = 0;
  switch (value.get<gic::GicdSgir::TargetListFilter>()) {
    case gic::SgiTargets::listed: targets = value.get<gic::GicdSgir::CPUTargetList>() & all_targets(); break;
    case gic::SgiTargets::all_others: targets = all_targets() & static_cast<std::uint8_t>(~self); break;
    case gic::SgiTargets::self: targets = self; break;
    case gic::SgiTargets::reserved: break;
  }
  const unsigned intid = value.get<gic::GicdSgir::SGIINTID>();
  VgicCpuMask kick = 0;
  for (unsigned rest = targets; rest != 0; rest &= rest - 1) {
    kick |= set_pending_from(irq(static_cast<unsigned>(__builtin_ctz(rest)), intid), intid, self);
  }
  return kick;
}

VgicCpuMask Vgic::set_pending_from(VgicIrq& irq, unsigned intid, std::uint8_t sources) noexcept {
  // One that the list register still has as pending merges with it when that is folded.
  if ((sources & ~irq.sources) == 0) return 0;
  irq.sources |= sources;
  irq.latch = true;
  return requeue(irq, intid);
}

VgicCpuMask Vgic::clear_pending_from(VgicIrq& irq, unsigned intid, std::uint8_t sources) noexcept {
  const bool held = irq.in_lr && irq.lr_latch && (sources >> irq.source & 1) != 0;
  if ((sources & irq.sources) == 0 && !held) return 0;
  irq.sources = static_cast<std::uint8_t>(irq.sources & ~sources);
  irq.latch = irq.sources != 0;
  irq.drop_pending |= held;
  return requeue(irq, intid);
}

}  // namespace arm_vcpu
