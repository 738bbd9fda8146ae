// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/per_cpu.hpp"

#include "vcpu/hw.hpp"

namespace arm_vcpu {

Result<> Aarch64PerCpu::hardware_enable(Vectors vectors) noexcept {
  if (enabled_) {
    return fail(Errc::cpu_already_enabled);
  }
  capabilities_ = probe();
  // The GIC is a vCPU's concern, not the CPU's: a guest may own it.
  if (const Result<> supported = check_hardware_support(capabilities_, Requirements{.virtual_gic = false});
      !supported) {
    return supported;
  }
  const hw::HostRegisters host = hw::save_host();
  host_vbar_el2_ = host.vbar_el2;
  host_hcr_el2_ = host.hcr_el2;
  host_cptr_el2_ = host.cptr_el2;
  host_mdcr_el2_ = host.mdcr_el2;
  host_os_lock_ = host.os_lock;
  vectors_ = vectors;
  hw::take_el2(vectors);
  sve_lengths_ = capabilities_.sve() ? hw::probe_sve_lengths() : 0;
  enabled_ = true;
  return {};
}

Result<> Aarch64PerCpu::hardware_disable() noexcept {
  if (!enabled_) {
    return fail(Errc::cpu_not_enabled);
  }
  if (current_ != nullptr) {
    return fail(Errc::already_bound);
  }
  hw::restore_host({host_vbar_el2_, host_hcr_el2_, host_cptr_el2_, host_mdcr_el2_, host_os_lock_});
  enabled_ = false;
  return {};
}

}  // namespace arm_vcpu
