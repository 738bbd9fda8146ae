// SPDX-License-Identifier: Apache-2.0
// A write of the guest, from its address to the function that does it. It only jumps there: compiled without frame
// pointers, so that no frame is made and undone on the way. What is written beyond the width is not looked at.
#include "vm/vgic/register_block.hpp"

namespace arm_vcpu {

VgicCpuMask Vgic::mmio_write(unsigned cpu, std::uint64_t ipa, AccessWidth width, std::uint64_t data) noexcept {
  if (!bits::aligned(ipa, bytes_of(width))) return 0;
  const std::uint64_t in_gicd = ipa - gicd_base_;
  if (in_gicd < gicd_bytes_) {
    const auto offset = static_cast<std::uint32_t>(in_gicd);
    if (is_v2()) return write_gicd_v2(offset, width, data, cpu);
    if (in_bit_banks(offset) && width == AccessWidth::word) {
      const auto bits = static_cast<std::uint32_t>(data);
      return concerned_bits(offset, bits) != 0 ? write_bits(gic::kPrivateCount, intid_end(), 0, offset, bits) : 0;
    }
    return write_gicd(offset, width, data);
  }
  const std::uint64_t in_gicr = ipa - gicr_base_;
  if (in_gicr >= gicr_bytes_) return 0;
  return is_v2() ? write_gicc_dir(in_gicr, width, data, cpu) : write_gicr(in_gicr, width, data);
}

}  // namespace arm_vcpu
