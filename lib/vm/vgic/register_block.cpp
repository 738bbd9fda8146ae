// SPDX-License-Identifier: Apache-2.0
// The per-interrupt registers: one bit, one byte or two bits for each INTID.
#include "vm/vgic/register_block.hpp"

namespace arm_vcpu {
namespace {

constexpr bool in_priorities(std::uint32_t offset) noexcept {
  return offset >= gic::GIC_IPRIORITYR && offset < gic::GIC_ITARGETSR;
}
constexpr bool in_configurations(std::uint32_t offset) noexcept {
  return offset >= gic::GIC_ICFGR && offset < gic::GIC_IGRPMODR;
}

}  // namespace

std::uint64_t Vgic::read_block(const Block& block, std::uint32_t offset, AccessWidth width, unsigned reader,
                               VgicCpuMask& stale) noexcept {
  if (in_bit_banks(offset) && width == AccessWidth::word) {
    const unsigned first = offset % kBitBankBytes * 8;
    const std::uint32_t kind = offset - offset % kBitBankBytes;
    std::uint64_t value = 0;
    for (unsigned n = 0; n < 32; ++n) {
      if (!block.shows(first + n)) continue;
      const VgicIrq& i = irq(block.cpu, first + n);
      bool set = false;
      switch (kind) {
        case gic::GIC_IGROUPR: set = i.group1; break;
        case gic::GIC_ISENABLER:
        case gic::GIC_ICENABLER: set = i.enabled; break;
        case gic::GIC_ISPENDR:
        case gic::GIC_ICPENDR:
          set = pending_now(i);
          stale |= unknown_at(i, first + n, reader);
          break;
        default:  // GIC_ISACTIVER, GIC_ICACTIVER
          set = active_now(i);
          stale |= unknown_at(i, first + n, reader);
          break;
      }
      value |= std::uint64_t{set} << n;
    }
    return value;
  }
  if (in_priorities(offset) && (width == AccessWidth::word || width == AccessWidth::byte)) {
    std::uint64_t value = 0;
    for (unsigned n = 0; n < bytes_of(width); ++n) {
      const unsigned intid = offset - gic::GIC_IPRIORITYR + n;
      if (block.shows(intid)) value |= std::uint64_t{irq(block.cpu, intid).priority} << 8 * n;
    }
    return value;
  }
  if (in_configurations(offset) && width == AccessWidth::word) {
    std::uint64_t value = 0;
    for (unsigned n = 0; n < 16; ++n) {
      const unsigned intid = (offset - gic::GIC_ICFGR) * 4 + n;
      if (block.shows(intid) && irq(block.cpu, intid).edge) value |= std::uint64_t{2} << 2 * n;
    }
    return value;
  }
  return 0;
}

// A word of one of the banks.
VgicCpuMask Vgic::write_bits(unsigned first_shown, unsigned end, unsigned cpu, std::uint32_t offset,
                             std::uint32_t data) noexcept {
  const std::uint32_t kind = offset - offset % kBitBankBytes;
  VgicCpuMask kick = 0;
  for (std::uint32_t rest = concerned_bits(offset, data); rest != 0; rest &= rest - 1) {
    const auto n = static_cast<unsigned>(__builtin_ctz(rest));
    const unsigned intid = offset % kBitBankBytes * 8 + n;
    if (intid < first_shown || intid >= end) continue;
    VgicIrq& i = irq(cpu, intid);
    switch (kind) {
      case gic::GIC_IGROUPR:
        if (const bool group1 = (data >> n & 1) != 0; i.group1 != group1) {
          i.group1 = group1;
          kick |= requeue(i, intid);
        }
        break;
      case gic::GIC_ISENABLER: kick |= set_enabled(i, intid, true); break;
      case gic::GIC_ICENABLER: kick |= set_enabled(i, intid, false); break;
      case gic::GIC_ISPENDR: kick |= set_pending(i, intid); break;
      case gic::GIC_ICPENDR: kick |= clear_pending(i, intid); break;
      case gic::GIC_ISACTIVER: kick |= set_active(i, intid); break;
      default: kick |= clear_active(i, intid); break;  // GIC_ICACTIVER
    }
  }
  return kick;
}

VgicCpuMask Vgic::write_block(const Block& block, std::uint32_t offset, AccessWidth width,
                              std::uint64_t data) noexcept {
  VgicCpuMask kick = 0;
  if (in_bit_banks(offset) && width == AccessWidth::word) {
    kick = write_bits(block.first, block.end, block.cpu, offset, static_cast<std::uint32_t>(data));
  } else if (in_priorities(offset) && (width == AccessWidth::word || width == AccessWidth::byte)) {
    const unsigned implemented = 0xFFU << (8 - vtr_.priority_bits()) & 0xFFU;
    for (unsigned n = 0; n < bytes_of(width); ++n) {
      const unsigned intid = offset - gic::GIC_IPRIORITYR + n;
      if (!block.shows(intid)) continue;
      VgicIrq& i = irq(block.cpu, intid);
      const auto priority = static_cast<std::uint8_t>(data >> 8 * n & implemented);
      if (i.priority == priority) continue;
      i.priority = priority;
      kick |= requeue(i, intid);
    }
  } else if (in_configurations(offset) && width == AccessWidth::word) {
    for (unsigned n = 0; n < 16; ++n) {
      const unsigned intid = (offset - gic::GIC_ICFGR) * 4 + n;
      // SGIs are edge-triggered for good. [gicv3] "GICR_ICFGR0"
      if (!block.shows(intid) || intid < gic::kSgiCount) continue;
      VgicIrq& i = irq(block.cpu, intid);
      const bool edge = (data >> (2 * n + 1) & 1) != 0;
      if (i.edge == edge) continue;
      i.edge = edge;
      kick |= requeue(i, intid);
    }
  }
  return kick;
}

}  // namespace arm_vcpu
