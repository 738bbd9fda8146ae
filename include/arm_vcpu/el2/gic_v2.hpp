// SPDX-License-Identifier: Apache-2.0
// A GICv2 with virtualization extensions in place of a GIC with system registers: where its frames are, and this CPU's
// virtual interface control registers, for Vgic. A64 at EL2 only.
#pragma once

#include <cstdint>

#include "arm_vcpu/arch/gic_v2.hpp"
#include "arm_vcpu/el2/mmio.hpp"
#include "arm_vcpu/vm/vgic_hyp_interface.hpp"

namespace arm_vcpu::el2 {

// Addresses at which EL2 has them mapped as Device memory.
struct GicV2Frames {
  std::uint64_t cpu_interface{};      // GICC, with GICC_DIR
  std::uint64_t interface_control{};  // GICH, that of the CPU that accesses it

  [[nodiscard]] bool is_present() const noexcept { return interface_control != 0; }
};

// As long as this is not called, probe(), the vCPUs and the exit path take the GIC to be one with system registers.
// Once, before the first of them.
void use_gic_v2(const GicV2Frames& frames) noexcept;

namespace detail {
extern GicV2Frames g_gic_v2;
}
[[nodiscard]] inline const GicV2Frames& gic_v2() noexcept {
  return detail::g_gic_v2;
}

// As el2::GicHw. The registers are memory: nothing orders an access with what the guest does in GICV, another frame,
// but a barrier before the first of a row of accesses and one behind the last. [armarm] "Device memory"
class GicV2Hw {
 public:
  [[nodiscard]] static gic::IchLr read_ich_lr(unsigned n) noexcept { return gic::ich_lr(read(gic::GICH_LR + 4 * n)); }
  static void write_ich_lr(unsigned n, gic::IchLr lr) noexcept { write(gic::GICH_LR + 4 * n, gic::gich_lr(lr)); }
  [[nodiscard]] static gic::IchHcr read_ich_hcr() noexcept { return gic::ich_hcr(read(gic::GICH_HCR)); }
  static void write_ich_hcr(gic::IchHcr hcr) noexcept { write(gic::GICH_HCR, gic::gich_hcr(hcr)); }
  [[nodiscard]] static gic::IchVtr read_ich_vtr() noexcept { return gic::ich_vtr(read(gic::GICH_VTR)); }
  [[nodiscard]] static gic::IchMisr read_ich_misr() noexcept { return gic::IchMisr::from(read(gic::GICH_MISR) & 0xFF); }
  [[nodiscard]] static gic::IchVmcr read_ich_vmcr() noexcept { return gic::ich_vmcr(read(gic::GICH_VMCR)); }
  static void write_ich_vmcr(gic::IchVmcr vmcr) noexcept { write(gic::GICH_VMCR, gic::gich_vmcr(vmcr)); }

  // GICH_APR has the active priorities of both groups. They are kept where Group 1's are.
  [[nodiscard]] static std::uint64_t read_ich_ap0r(unsigned) noexcept { return 0; }
  static void write_ich_ap0r(unsigned, std::uint64_t) noexcept {}
  [[nodiscard]] static std::uint64_t read_ich_ap1r(unsigned) noexcept { return read(gic::GICH_APR); }
  static void write_ich_ap1r(unsigned, std::uint64_t value) noexcept {
    write(gic::GICH_APR, static_cast<std::uint32_t>(value));
  }

  static void deactivate(std::uint32_t intid) noexcept { mmio::write32(gic_v2().cpu_interface + gic::GICC_DIR, intid); }

 private:
  [[nodiscard]] static std::uint32_t read(std::uint32_t offset) noexcept {
    return mmio::read32(gic_v2().interface_control + offset);
  }
  static void write(std::uint32_t offset, std::uint32_t value) noexcept {
    mmio::write32(gic_v2().interface_control + offset, value);
  }
};

static_assert(GicHypInterface<GicV2Hw>);

}  // namespace arm_vcpu::el2
