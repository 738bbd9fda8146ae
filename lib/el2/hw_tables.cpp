// SPDX-License-Identifier: Apache-2.0
// The parts of the vCPU's seam that go through a table of registers: ID registers and list registers.
#include "arm_vcpu/arch/gic.hpp"
#include "arm_vcpu/el2/gic_hw.hpp"
#include "arm_vcpu/el2/gic_v2.hpp"
#include "arm_vcpu/el2/id_hw.hpp"
#include "arm_vcpu/el2/sysreg.hpp"
#include "vcpu/hw.hpp"

namespace arm_vcpu::hw {
namespace {

template <class Gic>
Result<> pend_in_list_register_of(std::uint32_t intid) noexcept {
  constexpr std::uint8_t kPriority = 0xA0;
  const unsigned count = Gic::read_ich_vtr().list_registers();
  for (unsigned n = 0; n < count; ++n) {
    if (!Gic::read_ich_lr(n).empty()) {
      continue;
    }
    Gic::write_ich_lr(n, gic::IchLr{}
                             .with<gic::IchLr::State>(gic::LrState::pending)
                             .with<gic::IchLr::Group>(true)
                             .with<gic::IchLr::Priority>(kPriority)
                             .with<gic::IchLr::vINTID>(intid));
    Gic::write_ich_hcr(Gic::read_ich_hcr().template with<gic::IchHcr::En>(true));
    return {};
  }
  return fail(Errc::out_of_slots, 1, count);
}

}  // namespace

std::uint64_t read_id_register(SysRegId id) noexcept {
  return el2::read_id_register(id);
}

Result<> pend_in_list_register(std::uint32_t intid) noexcept {
  if (!el2::gic_v2().is_present()) {
    return pend_in_list_register_of<el2::GicHw>(intid);
  }
  el2::dsb_sy();
  const Result<> done = pend_in_list_register_of<el2::GicV2Hw>(intid);
  el2::dsb_sy();
  return done;
}

}  // namespace arm_vcpu::hw
