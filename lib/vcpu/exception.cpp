// SPDX-License-Identifier: Apache-2.0
// From the vector to the outcome of an exit; dispatch.cpp is between vmexit_handler() and the others.
#include <utility>

#include "arm_vcpu/decode.hpp"
#include "vcpu/exit_path.hpp"
#include "vcpu/hw.hpp"
#include "vcpu/plain_access.hpp"
#include "vcpu/rare_exits.hpp"
#include "vcpu/recorder.hpp"
#include "vcpu/vector_hw.hpp"

namespace arm_vcpu {
namespace {

using Pending = ExitPath::Pending;

// At the start of a page the access may have begun on the page before, which is memory; what is not aligned is several.
bool is_one_access_at(std::uint64_t far, std::uint64_t bytes) noexcept {
  return (far & 0xFFF) != 0 && bits::aligned(far, bytes);
}

// Whether the syndrome does not say all: there is none; or it was not one access, and that at FAR; or the data are
// big-endian.
bool needs_instruction(const ExitFrame& exit, DataAbortIss iss) noexcept {
  if (!iss.get<DataAbortIss::ISV>()) {
    return true;
  }
  const unsigned size = iss.get<DataAbortIss::SAS>();
  if (size != 0 && !is_one_access_at(exit.far, std::uint64_t{1} << size)) {
    return true;
  }
  const SctlrEl1 sctlr = hw::read_sctlr_el1();
  return exit.frame.spsr.get<Spsr::M>() == kModeEl0t ? sctlr.get<SctlrEl1::E0E>() : sctlr.get<SctlrEl1::EE>();
}

// Reports what `reason` asks, and remembers how its answer is to be stored.
bool leave_with_access(Aarch64VCpu& vcpu, const AxVCpuExitReason& reason) noexcept {
  Pending pending{};
  if (const auto* read = reason.get_if<AxVCpuExitReason::MmioRead>()) {
    pending = {Pending::Kind::mmio_read, read->reg, read->width, read->reg_width, read->signed_ext, false};
  } else if (reason.is<AxVCpuExitReason::MmioWrite>()) {
    pending.kind = Pending::Kind::mmio_write;
  } else if (const auto* mrs = reason.get_if<AxVCpuExitReason::SysRegRead>()) {
    pending = {.kind = Pending::Kind::sysreg_read, .reg = mrs->reg, .width = AccessWidth::doubleword};
  } else if (reason.is<AxVCpuExitReason::SysRegWrite>()) {
    pending.kind = Pending::Kind::sysreg_write;
  }
  return ExitPath::leave(vcpu, reason, pending);
}

}  // namespace

namespace {

// A plain access never needs_instruction(). Stricter than that, since it is asked for each access: bytes at the start
// of a page, and guests that are big-endian at either level, take the long way.
bool is_plain_access(const ExitFrame& exit) noexcept {
  constexpr std::uint64_t kBigEndian = SctlrEl1::EE::kMask | SctlrEl1::E0E::kMask;
  const unsigned bytes = bytes_of(AccessWidth{DataAbortIss::from(exit.esr.raw).get<DataAbortIss::SAS>()});
  return is_described_access(exit.esr) && is_plain_fault(exit.esr) && is_one_access_at(exit.far, bytes) &&
         (hw::live_sctlr_el1() & kBigEndian) == 0;
}

bool respond(Aarch64VCpu& vcpu, ExitResponder& responder) noexcept {
  const ExitFrame& exit = ExitPath::exit(vcpu);
  const auto iss = DataAbortIss::from(exit.esr.raw);
  const auto width = AccessWidth{iss.get<DataAbortIss::SAS>()};
  const unsigned rt = iss.get<DataAbortIss::SRT>();
  const std::uint64_t ipa = fault_ipa(exit.hpfar, exit.far, false);
  if (iss.get<DataAbortIss::WnR>()) {
    if (!responder.write(ipa, width, truncate(exit.frame.gpr(rt), width))) {
      return false;
    }
  } else {
    const ExitResponder::Reply reply = responder.read(ipa, width);
    if (!reply.done) {
      return false;
    }
    ExitPath::frame(vcpu).set_gpr(
        rt, extend_load(reply.value, width, iss.get<DataAbortIss::SSE>(), iss.get<DataAbortIss::SF>()));
  }
  ExitPath::advance(vcpu);
  ExitPath::hypervisor_answered(vcpu);
  return true;
}

bool handle_other_data_abort(Aarch64VCpu& vcpu) noexcept;

// HPFAR_EL2 is UNKNOWN after a permission fault that was not on a walk. [armarm] "HPFAR_EL2, Hypervisor IPA Fault
// Address Register"
bool only_stage1_has_the_ipa(FaultKind fault, Fsc fsc, bool on_walk) noexcept {
  return fault == FaultKind::permission && !hpfar_is_valid(fsc, on_walk);
}

// Empty: the guest changed its mapping meanwhile. The instruction is executed again.
[[gnu::noinline]] std::optional<std::uint64_t> ipa_by_stage1(const ExitFrame& exit, bool is_write) noexcept {
  const Spsr spsr = exit.frame.spsr;
  return hw::translate_stage1(exit.far, spsr.get<Spsr::nRW>() || spsr.get<Spsr::M>() == kModeEl0t, is_write);
}

}  // namespace

[[gnu::noinline, gnu::no_stack_protector]] bool handle_data_abort(Aarch64VCpu& vcpu) noexcept {
  ExitResponder* const responder = ExitPath::responder(vcpu);
  if (responder != nullptr && is_plain_access(ExitPath::exit(vcpu)) && respond(vcpu, *responder)) {
    return true;
  }
  return handle_other_data_abort(vcpu);
}

namespace {

[[gnu::noinline]] bool handle_other_data_abort(Aarch64VCpu& vcpu) noexcept {
  const ExitFrame& exit = ExitPath::exit(vcpu);
  const DataAbortIss iss = DataAbortIss::from(exit.esr.get<Esr::ISS>());
  const Fsc fsc = iss.get<DataAbortIss::DFSC>();
  const bool on_walk = iss.get<DataAbortIss::S1PTW>();
  const FaultKind fault = fault_kind(fsc);
  std::uint64_t ipa = fault_ipa(exit.hpfar, exit.far, on_walk);
  switch (abort_outcome(fault)) {
    case AbortOutcome::guests_own:
      return vcpu.inject_data_abort(exit.far, fsc, iss.get<DataAbortIss::WnR>()).has_value();
    case AbortOutcome::flush: hw::flush_guest_tlb(); return true;
    case AbortOutcome::unexplained: return ExitPath::leave(vcpu, decode_data_abort(exit, ipa));
    case AbortOutcome::stage_2: break;
  }
  if (only_stage1_has_the_ipa(fault, fsc, on_walk)) {
    const auto resolved = ipa_by_stage1(exit, iss.get<DataAbortIss::WnR>());
    if (!resolved) {
      return true;
    }
    ipa = *resolved;
  }
  if (iss.get<DataAbortIss::CM>() && !on_walk) {
    ExitPath::advance(vcpu);  // nothing is cached where nothing is mapped: maintenance is complete
    return true;
  }
  if (!on_walk && needs_instruction(exit, iss)) {
    return ExitPath::emulate(vcpu, ipa);
  }
  return leave_with_access(vcpu, decode_data_abort(exit, ipa));
}

}  // namespace

[[gnu::noinline]] bool handle_instruction_abort(Aarch64VCpu& vcpu) noexcept {
  const ExitFrame& exit = ExitPath::exit(vcpu);
  const InstructionAbortIss iss = InstructionAbortIss::from(exit.esr.get<Esr::ISS>());
  const Fsc fsc = iss.get<InstructionAbortIss::IFSC>();
  const bool on_walk = iss.get<InstructionAbortIss::S1PTW>();
  const FaultKind fault = fault_kind(fsc);
  switch (abort_outcome(fault)) {
    case AbortOutcome::guests_own: return vcpu.inject_instruction_abort(exit.far, fsc).has_value();
    case AbortOutcome::flush: hw::flush_guest_tlb(); return true;
    case AbortOutcome::unexplained:
    case AbortOutcome::stage_2: break;
  }
  std::uint64_t ipa = fault_ipa(exit.hpfar, exit.far, on_walk);
  if (only_stage1_has_the_ipa(fault, fsc, on_walk)) {
    const auto resolved = ipa_by_stage1(exit, false);
    if (!resolved) {
      return true;
    }
    ipa = *resolved;
  }
  return ExitPath::leave(vcpu, decode_instruction_abort(exit, ipa));
}

namespace {

[[gnu::noinline]] bool leave_with_sgi(Aarch64VCpu& vcpu, SysRegId id, std::uint8_t rt) noexcept {
  // A GICv2 has none, but a CPU may. [gicv3] "ICC_SRE_EL1": without SRE an access is UNDEFINED, unless it traps first.
  if (vcpu.capabilities().id.has_gich) {
    return refuse(vcpu);
  }
  ExitPath::advance(vcpu);
  return ExitPath::leave(vcpu, decode_sgi(id, ExitPath::exit(vcpu).frame.gpr(rt), ExitPath::mpidr(vcpu)));
}

[[gnu::noinline]] bool handle_debug_register(Aarch64VCpu& vcpu, SysRegId id, SysRegIss iss) noexcept {
  const std::uint8_t rt = iss.get<SysRegIss::Rt>();
  if (iss.get<SysRegIss::Direction>()) {
    const std::optional<std::uint64_t> value = ExitPath::debug(vcpu).read(id);
    if (!value) {
      return refuse(vcpu);
    }
    ExitPath::frame(vcpu).set_gpr(rt, *value);
  } else {
    if (!ExitPath::debug(vcpu).write(id, ExitPath::frame(vcpu).gpr(rt))) {
      return refuse(vcpu);
    }
    ExitPath::apply_debug(vcpu);
  }
  ExitPath::advance(vcpu);
  return true;
}

[[gnu::noinline]] bool leave_with_system_register(Aarch64VCpu& vcpu) noexcept {
  const auto iss = SysRegIss::from(ExitPath::exit(vcpu).esr.get<Esr::ISS>());
  if (const auto handled = handle_rare_system_register(vcpu, SysRegId::from_iss(iss), iss.get<SysRegIss::Rt>(),
                                                       iss.get<SysRegIss::Direction>())) {
    return *handled;
  }
  return leave_with_access(vcpu, decode_system_register(ExitPath::exit(vcpu)));
}

}  // namespace

[[gnu::noinline]] bool handle_system_register(Aarch64VCpu& vcpu) noexcept {
  const ExitFrame& exit = ExitPath::exit(vcpu);
  const SysRegIss iss = SysRegIss::from(exit.esr.get<Esr::ISS>());
  const SysRegId id = SysRegId::from_iss(iss);
  const std::uint8_t rt = iss.get<SysRegIss::Rt>();
  if (iss.get<SysRegIss::Direction>()) {
    if (id.op0() == 3 && id.op1() == 0 && id.crn() == 0 && id.crm() >= 1 && id.crm() <= 7) {
      ExitPath::frame(vcpu).set_gpr(rt, ExitPath::id_register(vcpu, id));
      ExitPath::advance(vcpu);
      return true;
    }
  } else if (is_sgi_register(id)) {
    return leave_with_sgi(vcpu, id, rt);
  }
  // RAZ/WI: nothing of the CPU's implementation shows. REVIDR_EL1 0 says that no erratum of MIDR_EL1's revision is
  // fixed.
  if (id == sysreg::ACTLR_EL1 || id == sysreg::REVIDR_EL1 || id == sysreg::AIDR_EL1) {
    ExitPath::frame(vcpu).set_gpr(iss.get<SysRegIss::Direction>() ? rt : 31, 0);
    ExitPath::advance(vcpu);
    return true;
  }
  if (id.op0() == 2 && id.op1() != 1) {  // op1 1 is the trace unit, which is hidden
    return handle_debug_register(vcpu, id, iss);
  }
  if (is_pmu_register(id) && ExitPath::claim_pmu(vcpu)) {
    return true;  // it is executed again
  }
  return leave_with_system_register(vcpu);
}

namespace {

bool handle_other_exit(Aarch64VCpu& vcpu, VCpuContext& context) noexcept {
  if (context.kind == TrapKind::serror) {
    return ExitPath::leave(vcpu, AxVCpuExitReason::FailEntry{context.esr, context.far, true});
  }
  // The vector has acknowledged what it could not answer.
  const std::uint32_t taken = std::exchange(context.acknowledged, 0);
  const std::uint32_t intid = taken != 0 ? taken - 1 : hw::acknowledge_interrupt(context.kind == TrapKind::fiq);
  recorder::set_interrupt(context, intid);
  return ExitPath::leave(vcpu, AxVCpuExitReason::ExternalInterrupt{intid});
}

}  // namespace

extern "C" VCpuContext* vmexit_handler(VCpuContext* context) noexcept {
  Aarch64VCpu& vcpu = ExitPath::from(context);
  recorder::begin(*context);
  const bool goes_on =
      context->kind == TrapKind::sync ? handle_exception_sync(vcpu) : handle_other_exit(vcpu, *context);
  if (!goes_on) {
    return nullptr;
  }
  ExitPath::count_handled(vcpu);
  recorder::end(*context);
  return context;
}

}  // namespace arm_vcpu
