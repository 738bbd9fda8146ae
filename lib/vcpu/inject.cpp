// SPDX-License-Identifier: Apache-2.0
// Exceptions and interrupts into the guest.
#include "vcpu/hw.hpp"
#include "vcpu/recorder.hpp"

namespace arm_vcpu {
namespace {

void take(VCpuContext& context, const Capabilities& caps, Esr esr, std::optional<std::uint64_t> far) noexcept {
  const El1Entry entry = take_exception_to_el1(context.frame, hw::read_el1_state(), caps);
  hw::write_el1_entry(entry, esr, far);
  context.frame.elr = entry.pc;
  context.frame.spsr = entry.pstate;
  recorder::set_outcome(context, trace::Outcome::injected);
}

// SGIs, PPIs, SPIs and LPIs; 1020 to 1023 are special, 1024 to 8191 reserved or extended ranges that are not offered.
constexpr bool is_interrupt_id(std::uint32_t intid) noexcept {
  return intid < 1020 || (intid >= 8192 && intid < (1U << 24));
}

}  // namespace

void Aarch64VCpu::inject_syndrome(Esr syndrome) noexcept {
  drop_access();
  take(*this, capabilities_, syndrome, {});
}

Result<> Aarch64VCpu::inject_undefined() noexcept {
  if (cpu_ == nullptr) {
    return fail(Errc::not_bound);
  }
  inject_syndrome(undefined_syndrome());
  return {};
}

Result<> Aarch64VCpu::inject_data_abort(std::uint64_t fault_address, Fsc fsc, bool is_write) noexcept {
  if (cpu_ == nullptr) {
    return fail(Errc::not_bound);
  }
  drop_access();
  take(*this, capabilities_, data_abort_syndrome(frame, fsc, is_write), fault_address);
  return {};
}

Result<> Aarch64VCpu::inject_instruction_abort(std::uint64_t fault_address, Fsc fsc) noexcept {
  if (cpu_ == nullptr) {
    return fail(Errc::not_bound);
  }
  drop_access();
  take(*this, capabilities_, instruction_abort_syndrome(frame, fsc), fault_address);
  return {};
}

Result<> Aarch64VCpu::inject_serror() noexcept {
  if (cpu_ == nullptr) {
    return fail(Errc::not_bound);
  }
  hw::pend_serror();
  return {};
}

Result<> Aarch64VCpu::inject_interrupt(std::uint32_t intid) noexcept {
  if (!is_interrupt_id(intid)) {
    return fail(Errc::bad_interrupt_id, intid, 1019);
  }
  if (setup_.interrupts != nullptr) {
    return setup_.interrupts->inject(setup_.index, intid);
  }
  if (cpu_ == nullptr) {
    return fail(Errc::not_bound);
  }
  return hw::pend_in_list_register(intid);
}

}  // namespace arm_vcpu
