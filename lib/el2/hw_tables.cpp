// SPDX-License-Identifier: Apache-2.0
// The parts of the vCPU's seam that go through a table of registers: ID registers and list registers.
#include "arm_vcpu/arch/gic.hpp"
#include "arm_vcpu/el2/gic_hw.hpp"
#include "arm_vcpu/el2/id_hw.hpp"
#include "vcpu/hw.hpp"

namespace arm_vcpu::hw {

std::uint64_t read_id_register(SysRegId id) noexcept {
  return el2::read_id_register(id);
}

Result<> pend_in_list_register(std::uint32_t intid) noexcept {
  constexpr std::uint8_t kPriority = 0xA0;
  const unsigned count = el2::GicHw::read_ich_vtr().get<gic::IchVtr::ListRegs>() + 1U;
  for (unsigned n = 0; n < count; ++n) {
    if (!el2::GicHw::read_ich_lr(n).empty()) {
      continue;
    }
    el2::GicHw::write_ich_lr(n, gic::IchLr{}
                                    .with<gic::IchLr::State>(gic::LrState::pending)
                                    .with<gic::IchLr::Group>(true)
                                    .with<gic::IchLr::Priority>(kPriority)
                                    .with<gic::IchLr::vINTID>(intid));
    el2::GicHw::write_ich_hcr(el2::GicHw::read_ich_hcr().with<gic::IchHcr::En>(true));
    return {};
  }
  return fail(Errc::out_of_slots, 1, count);
}

}  // namespace arm_vcpu::hw
