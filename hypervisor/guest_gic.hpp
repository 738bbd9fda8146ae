// SPDX-License-Identifier: Apache-2.0
// The list registers of this CPU, for the vCPU that is loaded on it: those of the GIC that the machine has.
#pragma once

#include "arm_vcpu/el2/gic_hw.hpp"
#include "arm_vcpu/el2/gic_v2.hpp"
#include "arm_vcpu/el2/sysreg.hpp"
#include "vm.hpp"

namespace arm_vcpu::hv {

// The GIC's hypervisor registers, with a trace record of each interrupt that goes into a list register.
template <class Gic>
class RecordingGic : public Gic {
 public:
  explicit RecordingGic(VcpuSlot& slot) noexcept : slot_{slot} {}

  void write_ich_lr(unsigned n, arm_vcpu::gic::IchLr lr) noexcept {
    Gic::write_ich_lr(n, lr);
    if (lr.get<arm_vcpu::gic::IchLr::Pending>()) {
      slot_.vcpu->record(trace::Kind::irq_delivered, 0, lr.get<arm_vcpu::gic::IchLr::vINTID>(), n, lr.raw);
    }
  }

 private:
  VcpuSlot& slot_;
};

namespace detail {

// The guest's writes to GICV have arrived before GICH is read, and what is written to GICH before the guest goes on.
// Not inlined: the way to system registers is the one that must be short.
template <class Use>
[[gnu::noinline]] auto with_gic_v2(VcpuSlot& slot, Use use) noexcept {
  RecordingGic<el2::GicV2Hw> gic{slot};
  el2::dsb_sy();
  auto result = use(gic);
  el2::dsb_sy();
  return result;
}

}  // namespace detail

// use(gic), where `gic` is a GicHypInterface. What it returns is returned.
template <class Use>
[[gnu::always_inline]] inline auto with_gic(VcpuSlot& slot, Use use) noexcept {
  if (el2::gic_v2().is_present()) [[unlikely]]
    return detail::with_gic_v2(slot, use);
  RecordingGic<el2::GicHw> gic{slot};
  return use(gic);
}

}  // namespace arm_vcpu::hv
