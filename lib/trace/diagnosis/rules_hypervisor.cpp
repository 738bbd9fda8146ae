// SPDX-License-Identifier: Apache-2.0
// The hypervisor's own failures, and those of the machine.
#include "opcode.hpp"
#include "rules.hpp"

namespace arm_vcpu::diag {
namespace {

using trace::Kind;
using trace::Record;

// The last exits of this state's records, newest first.
void add_last_exits(Report& report, const CapturedState& state, unsigned most) noexcept {
  for (std::size_t i = state.records.size(); i-- > 0 && most != 0;) {
    const Record& record = state.records[i];
    if (!trace::is_exit(record.kind)) continue;
    report.value("exit before", record.pc, Evidence::Form::code, "vm{} vcpu{}: {}", record.vm, record.vcpu,
                 record.kind == Kind::exit_sync ? Syndrome{Esr::from(record.esr)}.view() : name_of(record.kind));
    --most;
  }
}

}  // namespace

// --- AV0001 ---------------------------------------------------------------------------------------------------------

void add_hardware_figures(Report& report, const CapturedState& state) noexcept {
  if (state.requirements != nullptr) {
    report.note("asked", "{} bits of IPA, granule {} KiB{}", state.requirements->ipa_bits,
                state.requirements->granule_kib, state.requirements->virtual_gic ? ", a virtual GIC" : "");
  }
  if (state.capabilities == nullptr) return;
  const Capabilities& cpu = *state.capabilities;
  const auto mmfr0 = IdAa64Mmfr0::from(cpu.id.id_aa64mmfr0_el1);
  report.value("CurrentEL", cpu.id.current_el, Evidence::Form::decimal);
  report.value("ID_AA64MMFR0_EL1", mmfr0.raw, Evidence::Form::hex, "PARange {}: {} bits; stage 2 with{}{}{}",
               mmfr0.get<IdAa64Mmfr0::PARange>(), cpu.pa_bits(), cpu.stage2_4k() ? " 4 KiB" : "",
               cpu.stage2_16k() ? " 16 KiB" : "", cpu.stage2_64k() ? " 64 KiB" : "");
  report.note("GIC", "version {} by {}, {} list registers", cpu.gic_version(),
              cpu.id.has_gich ? "memory" : "system registers", cpu.list_registers());
  const unsigned pa = cpu.pa_bits() < stage2::kMaxAddressBits ? cpu.pa_bits() : stage2::kMaxAddressBits;
  if (pa < stage2::kMinIpaBits) return;
  const unsigned level1 = pa < 43 ? pa : 43;
  report.note("legal, 4 KiB", "level 1: {} to {} bits, T0SZ {} to {}, SL0 1, 1 to {} root tables", stage2::kMinIpaBits,
              level1, 64 - level1, 64 - stage2::kMinIpaBits, stage2::root_tables_for(level1, 1));
  if (pa >= stage2::kMinPaBitsForLevel0) {
    report.note("legal, 4 KiB", "level 0: {} to {} bits, T0SZ {} to {}, SL0 2, 1 root table", 40, pa, 64 - pa, 24);
  } else {
    report.note("legal, 4 KiB", "no start at level 0 (4 levels): that needs 44 bits of physical address");
  }
}

namespace {

Code code_of(Errc error) noexcept {
  switch (error) {
    case Errc::not_at_el2:
    case Errc::vhe_only:
    case Errc::no_el1_aarch64:
    case Errc::unsupported_ipa_size:
    case Errc::unsupported_granule:
    case Errc::no_gic_system_registers:
    case Errc::no_list_registers:
    case Errc::no_redistributor:
    case Errc::unsupported_table_levels: return Code::hardware_missing;
    case Errc::overlap:
    case Errc::already_mapped: return Code::overlap;
    case Errc::bad_entry:
    case Errc::no_entry: return Code::linked_elsewhere;
    case Errc::unaligned_stage2_root: return Code::start_level;
    case Errc::address_out_of_range: return Code::address_size;
    case Errc::conflicting_configuration: return Code::interrupts_contradict;
    case Errc::bad_image:
    case Errc::image_is_elf:
    case Errc::image_is_compressed:
    case Errc::image_is_wrapped:
    case Errc::bad_device_tree:
    case Errc::guest_dtb_too_large:
    case Errc::unaligned_ram: return Code::boot_protocol;
    case Errc::kernel_does_not_fit:
    case Errc::ramdisk_does_not_fit:
    case Errc::guest_dtb_does_not_fit:
    case Errc::firmware_too_large: return Code::memory_node;
    default: return Code::unknown;
  }
}

}  // namespace

void explain(const CapturedState& state, const trigger::StartUpError& why, DiagnosisList& out) noexcept {
  const ErrorText text = describe(why.error.code);
  const Code code = code_of(why.error.code);
  Report report{state, code, code == Code::unknown ? Confidence::possible : Confidence::certain};
  report.what("vm{}{}{}{}: {}", state.vm, state.vm_name.empty() ? "" : " (", state.vm_name,
              state.vm_name.empty() ? "" : ")", text.what);
  report.note("error", "{}", text.name);
  if (!text.asked.empty()) report.value(text.asked, why.error.asked, Evidence::Form::hex, "{}", why.error.asked);
  if (!text.has.empty()) report.value(text.has, why.error.has, Evidence::Form::hex, "{}", why.error.has);
  if (code == Code::hardware_missing) add_hardware_figures(report, state);
  report.cause("{}", text.what);
  report.advice("{}", text.fix);
  report.done(out);
}

// --- AV0028 ---------------------------------------------------------------------------------------------------------

void explain_serror(const CapturedState& state, Esr esr, DiagnosisList& out) noexcept {
  // [armarm] "ISS encoding for an SError interrupt"
  struct SerrorIss : bits::Image<SerrorIss> {
    using IDS = Flag<24>;
    using AET = Field<12, 10, unsigned>;
    using EA = Flag<9>;
    using DFSC = Field<5, 0, unsigned>;
  };
  constexpr std::string_view kAet[] = {"uncontainable", "unrecoverable", "restartable", "recoverable",
                                       "reserved",      "reserved",      "corrected",   "reserved"};
  const auto iss = SerrorIss::from(esr.get<Esr::ISS>());
  const bool serror = esr.get<Esr::EC>() == Ec::serror;
  Report report{state, Code::serror, Confidence::certain};
  report.what("{}: {} while the guest ran, PC {:x}", Who{state}.view(), serror ? "SError" : Syndrome{esr}.view(),
              state.exit != nullptr ? state.exit->frame.elr : 0);
  if (serror && iss.get<SerrorIss::IDS>()) {
    report.value("ESR_EL2", esr.raw, Evidence::Form::hex, "implementation defined syndrome");
  } else if (serror && iss.get<SerrorIss::DFSC>() == 0x11) {
    report.value("ESR_EL2", esr.raw, Evidence::Form::hex, "AET {}: {}, EA {}", iss.get<SerrorIss::AET>(),
                 kAet[iss.get<SerrorIss::AET>()], iss.get<SerrorIss::EA>() ? 1 : 0);
  } else {
    report.value("ESR_EL2", esr.raw, Evidence::Form::hex, "{}", serror ? "uncategorized" : Syndrome{esr}.view());
  }
  if (state.configuration != nullptr) {
    bool any = false;
    for (const DeviceRange& device : state.configuration->devices) {
      if (!device.passthrough) continue;
      any = true;
      report.value("passed through", device.base, Evidence::Form::hex, "{}", device.name);
    }
    if (!any) report.note("passed through", "no device: the error comes from memory, or from the monitor");
  }
  add_last_exits(report, state, 3);
  report.note("PC", "an SError is asynchronous: the access that failed is older than the PC");
  report.done(out);
}

// --- AV0014, AV0020, AV0021 and the rest of what EL2 itself can take
// ----------------------------------------------------

void explain(const CapturedState& state, const trigger::HypervisorCrash& why, DiagnosisList& out) noexcept {
  const Ec ec = why.esr.get<Esr::EC>();
  const bool abort = ec == Ec::data_abort_same || ec == Ec::instruction_abort_same;
  const bool known_stack = why.stack_top > why.stack_base;
  const bool in_guard = abort && known_stack && why.stack_base - why.far - 1 < why.guard_bytes;
  const bool sp_outside = known_stack && (why.sp < why.stack_base || why.sp > why.stack_top);

  const auto begin = [&](Code code, Confidence confidence) {
    Report report{state, code, confidence};
    report.pc(why.elr);
    return report;
  };
  const auto finish = [&](Report& report) {
    report.value("ESR_EL2", why.esr.raw, Evidence::Form::hex, "{}", Syndrome{why.esr}.view());
    report.value("ELR_EL2", why.elr, Evidence::Form::el2_code);
    if (why.instruction) {
      report.value("instruction", *why.instruction, Evidence::Form::hex, "{}", name_of(classify(*why.instruction)));
    }
    if (abort) report.value("FAR_EL2", why.far);
    report.value("SPSR_EL2", why.spsr);
    report.value("SP", why.sp, Evidence::Form::hex, "stack {:x} to {:x}", why.stack_base, why.stack_top);
    unsigned shown = 0;
    for (const std::uint64_t address : why.backtrace) {
      if (++shown > 8) break;
      report.value("called from", address, Evidence::Form::el2_code);
    }
    if (shown <= 4) add_last_exits(report, state, 3);
    report.done(out);
  };

  if (ec == Ec::fp_access || ec == Ec::sve || ec == Ec::sme) {
    Report report = begin(Code::fp_at_el2, Confidence::certain);
    report.what("EL2 executed {} at {:x}, which CPTR_EL2 traps",
                ec == Ec::sve   ? "an SVE instruction"
                : ec == Ec::sme ? "an SME instruction"
                                : "floating point or SIMD",
                why.elr);
    if (why.cptr_el2) {
      report.value("CPTR_EL2", *why.cptr_el2, Evidence::Form::hex, "TFP {}", bits::extract(*why.cptr_el2, 10, 10));
    }
    return finish(report);
  }
  if (why.on_sp_el0) {
    Report report = begin(Code::el2_stack, Confidence::certain);
    report.what("EL2 took an exception at {:x} with SPSel 0: it ran on SP_EL0", why.elr);
    report.cause("SPSel was left at 0, so EL2 uses the guest's SP_EL0 as its stack");
    report.advice("MSR SPSel, #1 before anything is pushed");
    return finish(report);
  }
  if (in_guard || sp_outside) {
    Report report = begin(Code::el2_stack, in_guard ? Confidence::certain : Confidence::likely);
    unsigned same = 0;
    for (const std::uint64_t address : why.backtrace) same += !why.backtrace.empty() && address == why.backtrace[0];
    report.what("EL2 {} at {:x}", in_guard ? "ran into the guard page below its stack" : "runs outside its stack",
                why.elr);
    if (in_guard)
      report.value("guard page", why.stack_base - why.guard_bytes, Evidence::Form::hex, "{:x} bytes", why.guard_bytes);
    if (same >= 3) {
      report.value("recursion", same, Evidence::Form::decimal,
                   "frames of the {} in the backtrace return to the same place", why.backtrace.size());
      report.cause("a function calls itself without end");
    } else {
      report.cause(in_guard ? "the stack is too small for this call, or a function has a large frame"
                            : "SP was changed to something that is not this CPU's stack");
    }
    return finish(report);
  }
  if (ec == Ec::illegal_state) {
    Report report = begin(Code::illegal_state, Confidence::certain);
    const Spsr saved = state.exit != nullptr ? state.exit->frame.spsr : Spsr{};
    report.what("EL2 returned to the guest with an SPSR_EL2 that cannot be entered; it arrived at {:x}", why.elr);
    if (state.exit != nullptr) {
      report.value("SPSR for the guest", saved.raw, Evidence::Form::hex, "M {:x}{}", saved.get<Spsr::M>(),
                   saved.get<Spsr::nRW>() ? " AArch32" : "");
    }
    if (state.registers != nullptr && !state.registers_are_sampled) {
      report.value("HCR_EL2", state.registers->hcr_el2, Evidence::Form::hex, "RW {}",
                   Hcr::from(state.registers->hcr_el2).get<Hcr::RW>() ? 1 : 0);
    }
    report.advice("give the guest M 0x5 (EL1h), 0x4 or 0x0, and HCR_EL2.RW 1");
    return finish(report);
  }
  if (ec == Ec::serror) return explain_serror(state, why.esr, out);
  Report report = begin(Code::unknown, Confidence::possible);
  report.what("EL2 took {} at {:x}", Syndrome{why.esr}.view(), why.elr);
  if (ec == Ec::brk64) {
    report.value("BRK immediate", why.esr.get<Esr::ISS>() & 0xFFFF);
    report.cause("the hypervisor checked itself and failed: a defect of the hypervisor, not of the guest");
    report.advice("the line before this one names the check; report it with this dump");
  }
  report.rejects(Code::el2_stack,
                 known_stack ? "SP is inside the stack, FAR is not in the guard page" : "stack not known");
  finish(report);
}

// --- AV0030, AV0031 -------------------------------------------------------------------------------------------------

void explain(const CapturedState& state, const trigger::StuckLock& why, DiagnosisList& out) noexcept {
  if (why.owner_cpu != why.this_cpu) return;  // somebody else holds it, and may give it back
  Report report{state, Code::self_deadlock, Confidence::certain};
  report.what("CPU {} waits for the lock \"{}\", which it holds itself", why.this_cpu, why.name);
  report.value("taken at", why.acquired_at, Evidence::Form::el2_code);
  report.value("wanted at", why.wanted_at, Evidence::Form::el2_code);
  add_last_exits(report, state, 3);
  report.rejects(Code::starvation, "the owner is this CPU: no other vCPU is in its way");
  report.done(out);
}

void explain(const CapturedState& state, const trigger::UncleanReset& why, DiagnosisList& out) noexcept {
  const Record* smc = nullptr;
  const Record* last = nullptr;
  std::size_t after = 0;
  for (const Record& record : state.records) {
    last = &record;
    ++after;
    if (record.kind == Kind::smc_forwarded) smc = &record, after = 0;
  }
  const bool close = smc != nullptr && after <= 4;
  Report report{state, Code::firmware_reset, close ? Confidence::likely : Confidence::possible};
  report.what("the machine was reset without an order (boot {} of this trace area){}", why.boot_count,
              close ? ", right after an SMC that was passed on" : "");
  if (smc != nullptr) {
    report.pc(smc->pc);
    report.value("last SMC passed on", smc->data, Evidence::Form::hex, "vm{} vcpu{}, {} records before the end",
                 smc->vm, smc->vcpu, after);
    report.value("SMC at", smc->pc, Evidence::Form::code);
  } else {
    report.note("last SMC passed on", "none in the records");
    report.cause(
        "no SMC of a guest was passed on: a watchdog, the power supply, or the hypervisor died without a report");
    report.advice("look at the last records and at the firmware's own log");
  }
  if (last != nullptr) {
    report.value("last record", last->time, Evidence::Form::decimal, "ticks, {}", name_of(last->kind));
  }
  add_last_exits(report, state, 4);
  report.done(out);
}

}  // namespace arm_vcpu::diag
