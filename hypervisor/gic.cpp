// SPDX-License-Identifier: Apache-2.0
#include "gic.hpp"

namespace arm_vcpu::hv::gic {

constinit Driver* detail::g_driver = nullptr;

Result<> init_distributor(const GicInfo& info) noexcept {
  detail::g_driver = info.version == 2 ? &v2() : &v3();
  return detail::g_driver->init_distributor(info);
}

}  // namespace arm_vcpu::hv::gic
