// SPDX-License-Identifier: Apache-2.0
// What an exception syndrome says to a hypervisor.
#include "arm_vcpu/arch/sysreg_id.hpp"
#include "arm_vcpu/decode.hpp"
#include "arm_vcpu/text.hpp"
#include "arm_vcpu/trace/explain.hpp"
#include "arm_vcpu/trace/explain_sysreg.hpp"

namespace arm_vcpu::explain {
namespace {

void put_gpr(TextBuffer& out, unsigned number, bool is64) noexcept {
  if (number == 31) {
    out.put(is64 ? "XZR" : "WZR");
  } else {
    format_to(out, "{}{}", is64 ? 'X' : 'W', number);
  }
}

void explain_access(TextBuffer& out, DataAbortIss iss) noexcept {
  const bool write = iss.get<DataAbortIss::WnR>();
  if (iss.get<DataAbortIss::CM>()) {
    out.put("a cache maintenance or address translation instruction; WnR says nothing\n");
    return;
  }
  if (!iss.get<DataAbortIss::ISV>()) {
    format_to(out,
              "a {} that the syndrome does not describe (ISV is 0): a pair, a writeback, SIMD, an exclusive or an "
              "atomic, or a fault of stage 1; to emulate it, the instruction at ELR_EL2 is decoded\n",
              write ? "write" : "read");
    return;
  }
  const unsigned bytes = 1U << iss.get<DataAbortIss::SAS>();
  const bool ordered = iss.get<DataAbortIss::AR>();
  format_to(out, "{} of {} byte{} {} ",
            write ? (ordered ? "a store-release" : "a store") : (ordered ? "a load-acquire" : "a load"), bytes,
            bytes == 1 ? "" : "s", write ? "from" : "to");
  put_gpr(out, iss.get<DataAbortIss::SRT>(), iss.get<DataAbortIss::SF>());
  if (!write && iss.get<DataAbortIss::SSE>()) out.put(", sign-extended");
  out.put('\n');
}

// Which address registers hold something, for a fault that came to EL2 from below.
void explain_addresses(TextBuffer& out, Fsc fsc, bool on_walk, bool far_invalid, bool lower) noexcept {
  const FaultKind kind = fault_status(fsc).kind;
  if (far_invalid) {
    out.put("FAR_EL2 is not valid (FnV)\n");
  } else {
    out.put("FAR_EL2 holds the virtual address\n");
  }
  if (!lower) return;
  const bool stage2_kind = kind == FaultKind::translation || kind == FaultKind::access_flag ||
                           kind == FaultKind::permission || kind == FaultKind::address_size;
  if (!stage2_kind) {
    out.put("HPFAR_EL2 is not valid\n");
  } else if (hpfar_is_valid(fsc, on_walk)) {
    out.put(on_walk ? "HPFAR_EL2 is valid: the page of the stage-1 descriptor that stage 2 refused; FAR_EL2 is the "
                      "address that was being translated\n"
                    : "HPFAR_EL2 is valid: the page of the faulting IPA; the offset in the page is FAR_EL2[11:0]\n");
  } else {
    out.put("HPFAR_EL2 is UNKNOWN for a permission fault: translate FAR_EL2 (AT S1E1R) to learn the IPA\n");
  }
}

void explain_cause(TextBuffer& out, Fsc fsc) noexcept {
  switch (fault_status(fsc).kind) {
    case FaultKind::translation:
      out.put("nothing is mapped there: emulated MMIO, or memory that the VM was not given\n");
      return;
    case FaultKind::permission: out.put("it is mapped, without the permission that the access needs\n"); return;
    case FaultKind::access_flag:
      out.put("it is mapped with AF 0, and hardware management of the Access flag is off\n");
      return;
    case FaultKind::address_size:
      out.put("an address in the tables, or the table base, is beyond the output size\n");
      return;
    case FaultKind::external_abort:
      out.put("the memory system answered with an error: no device there, or a device that refused the access\n");
      return;
    case FaultKind::alignment:
      out.put("unaligned: an access to Device memory, an exclusive or atomic, or SCTLR_ELx.A is 1\n");
      return;
    case FaultKind::tlb_conflict:
      out.put("two TLB entries match: a live entry was replaced without break-before-make\n");
      return;
    default: return;
  }
}

void explain_data_abort(TextBuffer& out, std::uint64_t esr, bool lower) noexcept {
  const auto iss = DataAbortIss::from(Esr::from(esr).get<Esr::ISS>());
  const Fsc fsc = iss.get<DataAbortIss::DFSC>();
  explain_access(out, iss);
  explain_cause(out, fsc);
  explain_addresses(out, fsc, iss.get<DataAbortIss::S1PTW>(), iss.get<DataAbortIss::FnV>(), lower);
}

void explain_instruction_abort(TextBuffer& out, std::uint64_t esr, bool lower) noexcept {
  const auto iss = InstructionAbortIss::from(Esr::from(esr).get<Esr::ISS>());
  const Fsc fsc = iss.get<InstructionAbortIss::IFSC>();
  out.put("an instruction fetch: the PC is where nothing can be executed\n");
  explain_cause(out, fsc);
  explain_addresses(out, fsc, iss.get<InstructionAbortIss::S1PTW>(), iss.get<InstructionAbortIss::FnV>(), lower);
}

void explain_sysreg(TextBuffer& out, std::uint64_t esr) noexcept {
  const auto iss = SysRegIss::from(Esr::from(esr).get<Esr::ISS>());
  const SysRegId id = SysRegId::from_iss(iss);
  const bool read = iss.get<SysRegIss::Direction>();
  if (id.op0() == 1) {
    out.put("the instruction ");
  } else {
    out.put(read ? "a read of " : "a write of ");
  }
  append_encoding(out, id, read);
  const unsigned rt = iss.get<SysRegIss::Rt>();
  if (id.op0() != 1) {
    out.put(read ? " to " : " from ");
    put_gpr(out, rt, true);
  } else if (rt != 31) {
    out.put(" with ");
    put_gpr(out, rt, true);
  }
  out.put('\n');
  for_each_trap(id, read, [&](std::string_view bit) noexcept { format_to(out, "trapped by {}\n", bit); });
  out.put("ELR_EL2 is the address of the instruction: add 4 when it has been emulated\n");
}

}  // namespace

void append_esr_meaning(TextBuffer& out, std::uint64_t esr) noexcept {
  const Esr image = Esr::from(esr);
  const auto iss = image.get<Esr::ISS>();
  switch (image.get<Esr::EC>()) {
    case Ec::unknown:
      out.put(
          "an instruction or register access that is UNDEFINED at this Exception level, or HVC and SMC that are "
          "disabled\n");
      return;
    case Ec::wfx: {
      const auto ti = WfxIss::from(iss).get<WfxIss::TI>();
      format_to(out, "the vCPU waits for {}; schedule another, or wait for an interrupt of this one\n",
                (ti & 1) == 0 ? "an interrupt" : "an event");
      format_to(out, "trapped by HCR_EL2.{}\n", (ti & 1) == 0 ? "TWI" : "TWE");
      out.put("ELR_EL2 is the address of the instruction: add 4 to go on behind it\n");
      return;
    }
    case Ec::fp_access:
      out.put(
          "trapped by CPTR_EL2.TFP (or FPEN, with E2H), or CPACR_EL1.FPEN when HCR_EL2.TGE is 1: restore the "
          "vCPU's FP registers, or inject EC 0x00\n");
      return;
    case Ec::sve: out.put("trapped by CPTR_EL2.TZ (or ZEN, with E2H): inject EC 0x00 if the VM has no SVE\n"); return;
    case Ec::sme: out.put("trapped by CPTR_EL2.TSM (or SMEN, with E2H): inject EC 0x00 if the VM has no SME\n"); return;
    case Ec::pauth_use:
      out.put("trapped because HCR_EL2.API is 0: set API and APK, and switch the keys, or inject EC 0x00\n");
      return;
    case Ec::eret: out.put("a guest hypervisor returns from an exception (HCR_EL2.NV, or HFGITR_EL2.ERET)\n"); return;
    case Ec::hvc64:
    case Ec::hvc32:
      out.put(
          "the guest called the hypervisor: X0 has the function ID\n"
          "ELR_EL2 is the address behind the HVC: return there\n");
      return;
    case Ec::smc64:
    case Ec::smc32:
      out.put(
          "the guest called the firmware, trapped by HCR_EL2.TSC: X0 has the function ID\n"
          "ELR_EL2 is the address of the SMC: add 4 to return behind it\n");
      return;
    case Ec::svc64:
    case Ec::svc32: out.put("a system call that came to EL2: HCR_EL2.TGE is 1, or HFGITR_EL2.SVC_ELx\n"); return;
    case Ec::sysreg: explain_sysreg(out, esr); return;
    case Ec::data_abort_lower: explain_data_abort(out, esr, true); return;
    case Ec::data_abort_same: explain_data_abort(out, esr, false); return;
    case Ec::instruction_abort_lower: explain_instruction_abort(out, esr, true); return;
    case Ec::instruction_abort_same: explain_instruction_abort(out, esr, false); return;
    case Ec::illegal_state:
      out.put("PSTATE.IL was 1: an exception return with an SPSR that asks for a state which is not allowed\n");
      return;
    case Ec::pc_alignment: out.put("the PC is not a multiple of 4; FAR_EL2 holds it\n"); return;
    case Ec::sp_alignment: out.put("SP was used as a base and is not a multiple of 16, with SCTLR_ELx.SA 1\n"); return;
    case Ec::branch_target: out.put("an indirect branch into a guarded page met no BTI of its type\n"); return;
    case Ec::pauth_fail:
      out.put("an address failed authentication: a corrupted pointer, or keys of another context\n");
      return;
    case Ec::serror: out.put("an asynchronous error: the instruction at ELR_EL2 need not have caused it\n"); return;
    case Ec::brk64: format_to(out, "BRK #{:x}\n", iss & 0xFFFF); return;
    case Ec::memory_operation:
      out.put("the registers of a CPY* or SET* do not fit this PE: run it again from the prologue\n");
      return;
    case Ec::breakpoint_lower:
    case Ec::step_lower:
    case Ec::watchpoint_lower: out.put("a debug exception, routed here by MDCR_EL2.TDE\n"); return;
    default: return;
  }
}

void append_esr(TextBuffer& out, std::uint64_t esr, bool all) noexcept {
  const Esr image = Esr::from(esr);
  const Ec ec = image.get<Esr::EC>();
  const bool data_abort = ec == Ec::data_abort_lower || ec == Ec::data_abort_same;
  format_to(out, "ESR_EL2 = {:x}: EC {:x}, {}\n", esr, ec, ec_text(static_cast<std::uint8_t>(ec)));
  visit(register_of(find_register("ESR_EL2")), esr, [&](const FieldView& field) noexcept {
    if (field.name == "ISS2" && (field.value == 0 || data_abort) && !all) return;
    if (field.name == "ISS" && !all) return;
    out.put(field.state == FieldState::field ? "  " : "! ");
    append(out, field);
    out.put('\n');
  });
  append(out, iss_encoding(ec), image.get<Esr::ISS>(), all);
  if (data_abort && image.get<Esr::ISS2>() != 0) {
    append(out, register_of(find_register("ISS2_DATA_ABORT")), image.get<Esr::ISS2>(), all);
  }
  char storage[1024];
  TextBuffer meaning{storage};
  append_esr_meaning(meaning, esr);
  if (!meaning.view().empty()) out.put("means:\n");
  for (std::string_view rest = meaning.view(); !rest.empty();) {
    const std::size_t end = rest.find('\n');
    format_to(out, "  {}\n", rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
}

}  // namespace arm_vcpu::explain
