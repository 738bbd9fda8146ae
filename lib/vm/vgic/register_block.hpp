// SPDX-License-Identifier: Apache-2.0
// What the Distributor's and the Redistributor's register maps have in common.
#pragma once

#include <cstdint>

#include "arm_vcpu/vm/vgic.hpp"

namespace arm_vcpu {

// The INTIDs that a frame's per-interrupt registers show; the bits of all others are RAZ/WI.
struct Vgic::Block {
  unsigned first{};
  unsigned end{};
  unsigned cpu{};  // whose SGIs and PPIs

  static constexpr Block sgi_frame(unsigned cpu) noexcept { return {0, gic::kPrivateCount, cpu}; }

  [[nodiscard]] constexpr bool shows(unsigned intid) const noexcept { return intid >= first && intid < end; }
};

// One bit for each INTID: registers of 32, in banks that begin with INTID 0.
inline constexpr std::uint32_t kBitBankBytes = 0x80;

constexpr bool in_bit_banks(std::uint32_t offset) noexcept {
  return offset >= gic::GIC_IGROUPR && offset < gic::GIC_IPRIORITYR;
}

// The bits of a word written to one of them that mean something: a zero does to IGROUPR only.
constexpr std::uint32_t concerned_bits(std::uint32_t offset, std::uint32_t data) noexcept {
  return offset < gic::GIC_IGROUPR + kBitBankBytes ? ~std::uint32_t{0} : data;
}

namespace vgic_ids {

// An Arm implementer code, because software matches on it before it trusts ArchRev; the product is this model.
inline constexpr gic::GicIidr kIidr =
    gic::GicIidr{}.with<gic::GicIidr::ProductID>(0x56).with<gic::GicIidr::Revision>(1).with<gic::GicIidr::Implementer>(
        0x43B);

// The last 12 words of each frame, from PIDR4 on. `part_low` tells the Distributor (0x92) from the Redistributor
// (0x93).
constexpr std::uint64_t id_register(std::uint32_t offset, std::uint8_t part_low, unsigned arch_rev = 3) noexcept {
  const auto pidr2 = gic::GicPidr2{}
                         .with<gic::GicPidr2::ArchRev>(arch_rev)
                         .with<gic::GicPidr2::JEDEC>(true)
                         .with<gic::GicPidr2::DES_1>(3);
  // PIDR4-7: a frame of 64 KiB, of a GICv2 of 4, and the JEP106 continuation of Arm; PIDR0-3; CIDR0-3
  const std::uint8_t bytes[] = {static_cast<std::uint8_t>(arch_rev == 2 ? 0x04 : 0x44),
                                0x00,
                                0x00,
                                0x00,
                                part_low,
                                0xB4,
                                static_cast<std::uint8_t>(pidr2.raw),
                                0x00,
                                0x0D,
                                0xF0,
                                0x05,
                                0xB1};
  return bytes[offset % 0x40 / 4 - 4];
}

}  // namespace vgic_ids
}  // namespace arm_vcpu
