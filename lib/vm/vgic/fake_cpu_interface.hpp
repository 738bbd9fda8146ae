// SPDX-License-Identifier: Apache-2.0
// A model of the hardware: ICH_* registers as the hypervisor sees them, and the guest's CPU interface on top of them.
// Written from [gicv3] "Virtual Interrupt Handling and Prioritization", not from the code under test. With `is_v2` what
// is written and read goes through the images of a GICv2's registers, and one register has the active priorities.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "arm_vcpu/arch/gic_v2.hpp"
#include "arm_vcpu/vm/vgic_hyp_interface.hpp"

namespace arm_vcpu::test {

class FakeCpuInterface {
 public:
  explicit FakeCpuInterface(gic::IchVtr vtr, bool is_v2 = false) : vtr_{vtr}, is_v2_{is_v2} {}

  // The hypervisor's side. Counts accesses, so that a test can ask for none.
  gic::IchLr read_ich_lr(unsigned n) noexcept { return ++accesses, lr.at(check_lr(n)); }
  void write_ich_lr(unsigned n, gic::IchLr value) noexcept {
    ++accesses, ++lr_writes, lr.at(check_lr(n)) = is_v2_ ? gic::ich_lr(gic::gich_lr(value)) : value;
  }
  gic::IchHcr read_ich_hcr() noexcept { return ++accesses, hcr; }
  void write_ich_hcr(gic::IchHcr value) noexcept {
    ++accesses, hcr = is_v2_ ? gic::ich_hcr(gic::gich_hcr(value)) : value;
  }
  gic::IchVmcr read_ich_vmcr() noexcept { return ++accesses, vmcr; }
  void write_ich_vmcr(gic::IchVmcr value) noexcept {
    ++accesses, vmcr = is_v2_ ? gic::ich_vmcr(gic::gich_vmcr(value)) : value;
  }
  std::uint64_t read_ich_ap0r(unsigned n) noexcept { return ++accesses, ap.at(0).at(check_ap(n)); }
  void write_ich_ap0r(unsigned n, std::uint64_t value) noexcept {
    ++accesses, ap.at(0).at(check_ap(n)) = is_v2_ ? 0 : value;
  }
  std::uint64_t read_ich_ap1r(unsigned n) noexcept { return ++accesses, ap.at(1).at(check_ap(n)); }
  void write_ich_ap1r(unsigned n, std::uint64_t value) noexcept { ++accesses, ap.at(1).at(check_ap(n)) = value; }
  void deactivate(std::uint32_t intid) noexcept { physically_deactivated.push_back(intid); }

  // The guest's side.

  // ICC_HPPIR: the list register that the CPU interface would signal, if its group, the mask and preemption allow.
  [[nodiscard]] std::optional<unsigned> signalled() const {
    if (!hcr.get<gic::IchHcr::En>()) return {};
    std::optional<unsigned> best;
    for (unsigned n = 0; n < vtr_.list_registers(); ++n) {
      if (lr[n].get<gic::IchLr::State>() != gic::LrState::pending || !group_on(lr[n].get<gic::IchLr::Group>()))
        continue;
      if (!best || lr[n].get<gic::IchLr::Priority>() < lr[*best].get<gic::IchLr::Priority>()) best = n;
    }
    if (!best) return {};
    const unsigned priority = lr[*best].get<gic::IchLr::Priority>();
    if (priority >= vmcr.get<gic::IchVmcr::VPMR>()) return {};
    const unsigned mask = vmcr.group_priority_mask(lr[*best].get<gic::IchLr::Group>());
    if (const unsigned running = running_priority(); running != 0xFF && (priority & mask) >= (running & mask))
      return {};
    return best;
  }

  [[nodiscard]] unsigned running_priority() const {
    for (unsigned level = 0; level < 1U << vtr_.preemption_bits(); ++level) {
      if (((ap[0][level / 32] | ap[1][level / 32]) >> level % 32 & 1) != 0)
        return level << (8 - vtr_.preemption_bits());
    }
    return 0xFF;
  }

  // ICC_IAR0_EL1 or ICC_IAR1_EL1, whichever the signalled interrupt's group asks for.
  unsigned acknowledge() {
    const auto n = signalled();
    if (!n) return gic::kSpurious;
    const bool group1 = lr[*n].get<gic::IchLr::Group>();
    const unsigned mask = vmcr.group_priority_mask(group1);
    const unsigned level = (lr[*n].get<gic::IchLr::Priority>() & mask) >> (8 - vtr_.preemption_bits());
    ap[group1 || is_v2_][level / 32] |= std::uint64_t{1} << level % 32;
    lr[*n] = lr[*n].with<gic::IchLr::State>(gic::LrState::active);
    sender = lr[*n].get<gic::IchLr::CPUID>();
    return lr[*n].get<gic::IchLr::vINTID>();
  }

  // ICC_EOIR<n>_EL1: priority drop, and with EOImode 0 deactivation.
  void end(unsigned intid) {
    bool dropped = false;
    for (unsigned level = 0; level < 128 && !dropped; ++level) {
      const std::uint64_t bit = std::uint64_t{1} << level % 32;
      for (auto& group : ap) {
        dropped |= (group[level / 32] & bit) != 0;
        group[level / 32] &= ~bit;
      }
    }
    if (dropped && !vmcr.get<gic::IchVmcr::VEOIM>()) deactivate_virtual(intid);
  }

  // ICC_DIR_EL1. True: the write is trapped to EL2 and has done nothing.
  [[nodiscard]] bool deactivate_or_trap(unsigned intid) {
    if (hcr.get<gic::IchHcr::TDIR>()) return true;
    if (vmcr.get<gic::IchVmcr::VEOIM>()) deactivate_virtual(intid);
    return false;
  }

  [[nodiscard]] gic::IchMisr misr() const {
    bool eoi = false;
    bool pending = false;
    unsigned valid = 0;
    for (unsigned n = 0; n < vtr_.list_registers(); ++n) {
      const auto state = lr[n].get<gic::IchLr::State>();
      valid += state != gic::LrState::invalid;
      pending |= state == gic::LrState::pending;
      eoi |= state == gic::LrState::invalid && !lr[n].get<gic::IchLr::HW>() && lr[n].get<gic::IchLr::EOI>();
    }
    using H = gic::IchHcr;
    using M = gic::IchMisr;
    return M{}
        .with<M::EOI>(eoi)
        .with<M::U>(hcr.get<H::UIE>() && valid <= 1)
        .with<M::LRENP>(hcr.get<H::LRENPIE>() && hcr.get<H::EOIcount>() != 0)
        .with<M::NP>(hcr.get<H::NPIE>() && !pending)
        .with<M::VGrp0E>(hcr.get<H::VGrp0EIE>() && group_on(false))
        .with<M::VGrp0D>(hcr.get<H::VGrp0DIE>() && !group_on(false))
        .with<M::VGrp1E>(hcr.get<H::VGrp1EIE>() && group_on(true))
        .with<M::VGrp1D>(hcr.get<H::VGrp1DIE>() && !group_on(true));
  }
  [[nodiscard]] bool maintenance() const { return hcr.get<gic::IchHcr::En>() && misr().raw != 0; }

  [[nodiscard]] std::optional<gic::IchLr> find(unsigned intid) const {
    for (const gic::IchLr& one : lr) {
      if (one.get<gic::IchLr::State>() != gic::LrState::invalid && one.get<gic::IchLr::vINTID>() == intid) return one;
    }
    return {};
  }

  std::array<gic::IchLr, 16> lr{};
  gic::IchHcr hcr{};
  gic::IchVmcr vmcr{};
  std::array<std::array<std::uint64_t, 4>, 2> ap{};
  std::vector<std::uint32_t> physically_deactivated;  // by ICC_DIR_EL1 at EL2, or by a list register with HW == 1
  unsigned accesses{};
  unsigned lr_writes{};
  unsigned sender{};  // GICV_IAR.CPUID of the last acknowledge

 private:
  // A register that this CPU does not have is UNDEFINED.
  [[nodiscard]] unsigned check_lr(unsigned n) const { return n < vtr_.list_registers() ? n : ~0U; }
  [[nodiscard]] unsigned check_ap(unsigned n) const { return n < vtr_.active_priority_registers() ? n : ~0U; }

  [[nodiscard]] bool group_on(bool group1) const {
    return group1 ? vmcr.get<gic::IchVmcr::VENG1>() : vmcr.get<gic::IchVmcr::VENG0>();
  }

  void deactivate_virtual(unsigned intid) {
    for (gic::IchLr& one : lr) {
      if (!one.get<gic::IchLr::Active>() || one.get<gic::IchLr::vINTID>() != intid) continue;
      one = one.with<gic::IchLr::Active>(false);
      if (one.get<gic::IchLr::HW>()) physically_deactivated.push_back(one.get<gic::IchLr::pINTID>());
      return;
    }
    hcr = hcr.with<gic::IchHcr::EOIcount>(hcr.get<gic::IchHcr::EOIcount>() + 1);
  }

  gic::IchVtr vtr_;
  bool is_v2_;
};
static_assert(GicHypInterface<FakeCpuInterface>);

}  // namespace arm_vcpu::test
