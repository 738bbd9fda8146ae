// SPDX-License-Identifier: Apache-2.0
// Exceptions that the guest gets: undefined instructions, illegal state, its own faults; and answers put into its
// registers.
#include "features.hpp"
#include "opcode.hpp"
#include "rules.hpp"
#include "stage1.hpp"

namespace arm_vcpu::diag {
namespace {

bool is_el0(const CapturedState& state) noexcept {
  if (state.exit == nullptr) return false;
  const Spsr spsr = state.exit->frame.spsr;
  return spsr.get<Spsr::nRW>() || spsr.get<Spsr::M>() == kModeEl0t;
}

void add_feature(Report& report, const Feature& feature, Visibility visibility) noexcept {
  Words<40> id;
  append(id.out(), feature.id);
  report.note("feature", "{}; {}.{} {}; kept away by {}", feature.name, id.view(), feature.field,
              visibility == Visibility::advertised ? "shows it to the guest"
              : visibility == Visibility::hidden   ? "hides it from the guest"
                                                   : "is shown as the CPU has it",
              feature.trap);
}

void add_feature_cause(Report& report, const Feature& feature, Visibility visibility) noexcept {
  Words<40> id;
  append(id.out(), feature.id);
  if (visibility == Visibility::hidden) {
    report.cause("the guest uses {} although {}.{} says that it is not there", feature.name, id.view(), feature.field);
    report.advice("fix the guest: it has to read the ID register first");
  } else if (visibility == Visibility::advertised) {
    report.confidence(Confidence::certain);
    report.cause("{}.{} advertises {}, and nothing virtualizes it", id.view(), feature.field, feature.name);
    report.advice("hide the field in id_policy.def, or handle the trap");
  }
}

void explain_sysreg(const CapturedState& state, DiagnosisList& out) noexcept {
  const SysRegIss iss = SysRegIss::from(state.exit->esr.get<Esr::ISS>());
  const SysRegId id = SysRegId::from_iss(iss);
  const bool is_read = iss.get<SysRegIss::Direction>();
  const bool is_instruction = id.op0() == 1;
  const unsigned rt = iss.get<SysRegIss::Rt>();
  const Feature* feature = feature_of(id);
  const Visibility visibility = feature != nullptr ? visibility_of(*feature, state.capabilities) : Visibility::unknown;
  // A program may try; its kernel answers SIGILL. That is nobody's failure.
  if (is_el0(state) && visibility != Visibility::advertised) return;

  Words<48> name;
  append(name.out(), id);
  Report report{state, Code::sysreg_unhandled, Confidence::likely};
  report.what("{}: {} {}, PC {:x}: undefined instruction exception", Who{state}.view(),
              is_instruction ? "system instruction"
              : is_read      ? "read of"
                             : "write of",
              name.view(), state.exit->frame.elr);
  report.value("PC", state.exit->frame.elr, Evidence::Form::code);
  report.value("ESR_EL2", state.exit->esr.raw, Evidence::Form::hex, "op0 {} op1 {} CRn {} CRm {} op2 {}, {} Rt {}",
               id.op0(), id.op1(), id.crn(), id.crm(), id.op2(), is_read ? "to" : "from", rt);
  if (!is_read) report.value("value", state.exit->frame.gpr(rt), Evidence::Form::hex, "{}", rt == 31 ? "XZR" : "of Rt");
  if (feature != nullptr) {
    add_feature(report, *feature, visibility);
    add_feature_cause(report, *feature, visibility);
  } else {
    report.note("feature", "none that an ID register tells of");
  }
  report.rejects(Code::undefined_instruction, "the access was trapped to EL2 (EC 0x18), not undefined at EL1");
  report.done(out);
}

void explain_trapped_feature(const CapturedState& state, DiagnosisList& out) noexcept {
  const Ec ec = state.exit->esr.get<Esr::EC>();
  const Feature* feature = feature_of(ec);
  const Visibility visibility = feature != nullptr ? visibility_of(*feature, state.capabilities) : Visibility::unknown;
  if (is_el0(state) && visibility != Visibility::advertised) return;
  Report report{state, Code::undefined_instruction, feature != nullptr ? Confidence::likely : Confidence::possible};
  report.what("{}: {}, PC {:x}: undefined instruction exception", Who{state}.view(), Syndrome{state.exit->esr}.view(),
              state.exit->frame.elr);
  report.value("PC", state.exit->frame.elr, Evidence::Form::code);
  report.value("ESR_EL2", state.exit->esr.raw);
  add_instruction(report, state, state.exit->frame.elr);
  if (feature != nullptr) {
    add_feature(report, *feature, visibility);
    add_feature_cause(report, *feature, visibility);
  }
  if (state.registers != nullptr && !state.registers_are_sampled) {
    report.value("CPTR_EL2", state.registers->cptr_el2);
    report.value("HCR_EL2", state.registers->hcr_el2);
  }
  report.done(out);
}

// An exit of EC 0x0E: an illegal return that the hypervisor made for the guest.
void explain_illegal_state(const CapturedState& state, std::uint64_t esr, std::uint64_t elr, std::uint64_t spsr,
                           std::string_view which, DiagnosisList& out) noexcept {
  Report report{state, Code::illegal_state, Confidence::certain};
  const Spsr saved = Spsr::from(spsr);
  report.what("{}: illegal execution state at {:x}, taken to {}", Who{state}.view(), elr, which);
  report.value("ESR", esr, Evidence::Form::hex, "{}", Syndrome{Esr::from(esr)}.view());
  report.value("ELR", elr, Evidence::Form::code);
  report.value("SPSR", spsr, Evidence::Form::hex, "M {:x}{}, IL {}", saved.get<Spsr::M>(),
               saved.get<Spsr::nRW>() ? " AArch32" : "", saved.get<Spsr::IL>() ? 1 : 0);
  if (state.registers != nullptr && !state.registers_are_sampled) {
    const Hcr hcr = Hcr::from(state.registers->hcr_el2);
    report.value("HCR_EL2", hcr.raw, Evidence::Form::hex, "RW {}: EL1 is {}", hcr.get<Hcr::RW>() ? 1 : 0,
                 hcr.get<Hcr::RW>() ? "AArch64" : "AArch32");
  }
  report.cause("an ERET whose SPSR asked for a mode that cannot be entered; ELR is where it went, not the ERET");
  report.done(out);
}

void add_el1_exception(Report& report, const GuestSystemRegisters& registers) noexcept {
  report.value("ESR_EL1", registers.esr_el1, Evidence::Form::hex, "{}", Syndrome{Esr::from(registers.esr_el1)}.view());
  report.value("ELR_EL1", registers.elr_el1, Evidence::Form::code, "where it was taken");
  report.value("FAR_EL1", registers.far_el1);
  report.value("VBAR_EL1", registers.vbar_el1);
}

// EC 0 at EL1: the CPU or the hypervisor gave the guest an undefined instruction exception.
void explain_el1_undefined(const CapturedState& state, DiagnosisList& out) noexcept {
  const GuestSystemRegisters& registers = *state.registers;
  const auto opcode = instruction_at(state, registers.elr_el1);
  const OpcodeClass what = opcode ? classify(*opcode) : OpcodeClass::other;
  const Hcr hcr = Hcr::from(registers.hcr_el2);
  if (opcode && (what == OpcodeClass::hvc || what == OpcodeClass::smc)) {
    Report report{state, Code::call_unanswered, Confidence::certain};
    report.what("{}: {} at {:x} is undefined here", Who{state}.view(), name_of(what), registers.elr_el1);
    add_el1_exception(report, registers);
    report.value("instruction", *opcode, Evidence::Form::hex, "{}", name_of(what));
    report.value("HCR_EL2", hcr.raw, Evidence::Form::hex, "HCD {}, TSC {}", hcr.get<Hcr::HCD>() ? 1 : 0,
                 hcr.get<Hcr::TSC>() ? 1 : 0);
    report.cause(
        what == OpcodeClass::hvc
            ? (hcr.get<Hcr::HCD>() ? "HCR_EL2.HCD makes HVC undefined" : "HVC was executed where it is undefined")
            : (hcr.get<Hcr::TSC>() ? "SMC was executed at EL0"
                                   : "HCR_EL2.TSC is clear, so SMC goes to EL3, and there is none or it is off"));
    report.advice("use the conduit of /psci `method`; set HCR_EL2.TSC and clear HCD");
    report.done(out);
    return;
  }
  const Feature* feature = opcode ? feature_of_opcode(*opcode) : nullptr;
  const bool plain = opcode && feature == nullptr && what != OpcodeClass::udf && what != OpcodeClass::unallocated &&
                     what != OpcodeClass::system_register && what != OpcodeClass::system_instruction &&
                     what != OpcodeClass::sve && what != OpcodeClass::sme;
  if (plain) {
    // Every CPU executes these: what was fetched was something else.
    Report report{state, Code::stale_instructions, Confidence::possible};
    report.what("{}: undefined instruction at {:x}, where memory holds {}", Who{state}.view(), registers.elr_el1,
                name_of(what));
    add_el1_exception(report, registers);
    report.value("instruction", *opcode, Evidence::Form::hex, "as memory has it now: {}", name_of(what));
    add_walks(report, state, registers.elr_el1, std::nullopt);
    report.rejects(Code::undefined_instruction, "the instruction belongs to no optional feature that is known here");
    report.done(out);
    return;
  }
  Report report{state, Code::undefined_instruction, Confidence::likely};
  report.what("{}: EL1 took an undefined instruction exception at {:x}{}{}", Who{state}.view(), registers.elr_el1,
              opcode ? ": " : "", opcode ? name_of(what) : "");
  add_el1_exception(report, registers);
  if (opcode) report.value("instruction", *opcode, Evidence::Form::hex, "{}", name_of(what));
  if (opcode && what == OpcodeClass::system_register) {
    Words<48> name;
    append(name.out(), sysreg_of(*opcode));
    report.note("register", "{}, {}", name.view(), is_sysreg_read(*opcode) ? "read" : "write");
  }
  if (feature != nullptr) {
    const Visibility visibility = visibility_of(*feature, state.capabilities);
    add_feature(report, *feature, visibility);
    add_feature_cause(report, *feature, visibility);
  } else if (what == OpcodeClass::udf || what == OpcodeClass::unallocated) {
    report.cause("{}: the guest executes data, a bug trap, or erased memory", name_of(what));
    report.advice("look where the guest came from");
  }
  add_guest_backtrace(report, state, 6);
  if (opcode) report.rejects(Code::stale_instructions, "the instruction in memory is undefined by itself, or optional");
  report.done(out);
}

constexpr bool is_fatal_exception(Ec ec) noexcept {
  return is_own_fault(ec) || ec == Ec::brk64;
}

// Between the exception and now the guest did not return: it is in a handler, or beyond.
bool is_still_in_exception(const CapturedState& state) noexcept {
  if (state.exit == nullptr) return true;
  return in_vectors(state.exit->frame.elr, state.registers->vbar_el1) ||
         (!is_el0(state) && (state.exit->frame.spsr.get<Spsr::I>() || state.exit->frame.spsr.get<Spsr::D>()));
}

}  // namespace

void explain(const CapturedState& state, const trigger::UndefinedInjected&, DiagnosisList& out) noexcept {
  if (state.exit == nullptr) return;
  switch (state.exit->esr.get<Esr::EC>()) {
    case Ec::sysreg: return explain_sysreg(state, out);
    case Ec::illegal_state:
      return explain_illegal_state(state, state.exit->esr.raw, state.exit->frame.elr, state.exit->frame.spsr.raw, "EL2",
                                   out);
    default: return explain_trapped_feature(state, out);
  }
}

void check_guest_exception(const CapturedState& state, DiagnosisList& out) noexcept {
  if (state.registers == nullptr) return;
  const GuestSystemRegisters& registers = *state.registers;
  const Ec ec = Esr::from(registers.esr_el1).get<Esr::EC>();
  // Reset leaves ESR_EL1 and ELR_EL1 0: no exception yet.
  // 0 is of no exception: IL is 1 where the reason is unknown. An interrupt writes ELR_EL1 only.
  if (!is_fatal_exception(ec) || registers.esr_el1 == 0) return;
  if (!is_still_in_exception(state)) return;
  switch (ec) {
    case Ec::illegal_state:
      return explain_illegal_state(state, registers.esr_el1, registers.elr_el1, registers.spsr_el1, "EL1", out);
    case Ec::unknown: return explain_el1_undefined(state, out);
    default: break;
  }
  Report report{state, Code::guest_bug, Confidence::likely};
  report.what("{}: EL1 took {} at {:x} and has not recovered", Who{state}.view(),
              Syndrome{Esr::from(registers.esr_el1)}.view(), registers.elr_el1);
  add_el1_exception(report, registers);
  const bool is_abort = ec == Ec::data_abort_same || ec == Ec::instruction_abort_same;
  if (is_abort) add_walks(report, state, registers.far_el1, std::nullopt);
  add_instruction(report, state, registers.elr_el1);
  add_guest_backtrace(report, state, 8);
  report.note("hypervisor", "vCPU state consistent: no loop of exits, no lost interrupt, no refused mapping");
  report.rejects(Code::exception_loop, "no exception repeats in the records");
  if (is_abort) report.rejects(Code::mmio_failure, "the abort is the guest's own stage 1, or was looked at already");
  report.done(out);
}

// --- AV0016, AV0017 -------------------------------------------------------------------------------------------------

namespace {

std::uint64_t loaded_value(const AxVCpuExitReason::MmioRead& read, std::uint64_t value) noexcept {
  std::uint64_t result = truncate(value, read.width);
  if (read.signed_ext) result = bits::sign_extend(result, bits_of(read.width));
  return truncate(result, read.reg_width);
}

}  // namespace

void explain(const CapturedState& state, const trigger::CompletedRead& why, DiagnosisList& out) noexcept {
  if (why.before == nullptr || why.after == nullptr) return;
  const unsigned rt = why.read.reg;
  const std::uint64_t expected = loaded_value(why.read, why.value);
  for (unsigned n = 0; n < 31; ++n) {
    const std::uint64_t should = n == rt ? expected : why.before->gpr[n];
    const std::uint64_t is = why.after->gpr[n];
    if (is == should) continue;
    const bool sign =
        n == rt && why.read.signed_ext && truncate(is, why.read.width) == truncate(should, why.read.width);
    Report report{state, sign ? Code::sign_extension : Code::zero_register, Confidence::certain};
    report.what("{}: a read of {} bytes at IPA {:x} into {}{} left x{} as {:x}, not {:x}", Who{state}.view(),
                bytes_of(why.read.width), why.read.addr, rt == 31 ? "XZR, register " : "x", rt, n, is, should);
    report.value("value of the device", why.value);
    report.value("Rt", rt, Evidence::Form::decimal);
    report.value("SSE", why.read.signed_ext, Evidence::Form::decimal);
    report.value("SF", why.read.reg_width == AccessWidth::doubleword, Evidence::Form::decimal);
    report.done(out);
    return;
  }
  if (why.after->sp_el0 != why.before->sp_el0) {
    Report report{state, Code::zero_register, Confidence::certain};
    report.what("{}: a read at IPA {:x} into register {} changed SP_EL0", Who{state}.view(), why.read.addr, rt);
    report.value("SP_EL0 before", why.before->sp_el0).value("SP_EL0 after", why.after->sp_el0);
    report.done(out);
  }
}

}  // namespace arm_vcpu::diag
