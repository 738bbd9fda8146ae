// SPDX-License-Identifier: Apache-2.0
// What the virtual GIC needs of this CPU's interrupt hardware. The A64 one is el2::GicHw; tests use a model.
#pragma once

#include <concepts>
#include <cstdint>

#include "arm_vcpu/arch/gic.hpp"

namespace arm_vcpu {

// Register numbers stay below what ICH_VTR_EL2 says. No accessor needs to synchronise: the exception entry before, and
// the ERET after, do. `deactivate` writes ICC_DIR_EL1 of the physical CPU interface, which runs with EOImode 1.
template <class H>
concept GicHypInterface = requires(H& h, unsigned n, std::uint32_t intid, std::uint64_t raw, gic::IchLr lr,
                                   gic::IchHcr hcr, gic::IchVmcr vmcr) {
  { h.read_ich_lr(n) } noexcept -> std::same_as<gic::IchLr>;
  { h.write_ich_lr(n, lr) } noexcept;
  { h.read_ich_hcr() } noexcept -> std::same_as<gic::IchHcr>;
  { h.write_ich_hcr(hcr) } noexcept;
  { h.read_ich_vmcr() } noexcept -> std::same_as<gic::IchVmcr>;
  { h.write_ich_vmcr(vmcr) } noexcept;
  { h.read_ich_ap0r(n) } noexcept -> std::same_as<std::uint64_t>;
  { h.write_ich_ap0r(n, raw) } noexcept;
  { h.read_ich_ap1r(n) } noexcept -> std::same_as<std::uint64_t>;
  { h.write_ich_ap1r(n, raw) } noexcept;
  { h.deactivate(intid) } noexcept;
};

}  // namespace arm_vcpu
