// SPDX-License-Identifier: Apache-2.0
// Stage-1 walks in words, and the check of permissions.
#include "arm_vcpu/text.hpp"
#include "arm_vcpu/trace/explain.hpp"
#include "arm_vcpu/trace/stage1_walk.hpp"

namespace arm_vcpu::stage1 {
namespace {

enum class FaultBase : std::uint8_t { address_size = 0x00, translation = 0x04, access_flag = 0x08, permission = 0x0C };

// Level -1 has codes of its own.
constexpr Fsc code_of(FaultBase base, int level) noexcept {
  if (level < 0) return base == FaultBase::address_size ? Fsc::address_size_lm1 : Fsc::translation_lm1;
  return static_cast<Fsc>(static_cast<unsigned>(base) + static_cast<unsigned>(level));
}

std::string_view why_translation(const Walk& walk) noexcept {
  if (walk.reason != Reason::none) return meaning_of(walk.reason);
  if (walk.step_count != 0 && walk.steps().back().kind == StepKind::reserved) {
    return "the descriptor's encoding is reserved at its level";
  }
  return "the descriptor is invalid: nothing is mapped there";
}

std::string_view why_denied(const Registers& registers, const Request& request, const Walk& walk) noexcept {
  const Permissions& allowed = walk.permissions;
  const bool wxn = SctlrEl1::from(registers.sctlr_el1).get<SctlrEl1::WXN>();
  constexpr unsigned kEpan = 57;
  const bool epan = (registers.sctlr_el1 >> kEpan & 1) != 0;
  const bool el0 = request.el == 0;
  if (request.access == Access::fetch) {
    if (el0 ? allowed.el0_execute : allowed.el1_execute) return {};
    const bool table = el0 ? walk.uxn_table : walk.pxn_table;
    const bool leaf = el0 ? walk.leaf.get<Descriptor::UXN>() : walk.leaf.get<Descriptor::PXN>();
    if (leaf) return el0 ? "UXN is 1 in the descriptor" : "PXN is 1 in the descriptor";
    if (table) return el0 ? "UXNTable is 1 in a table descriptor" : "PXNTable is 1 in a table descriptor";
    if (!el0 && allowed.el0_write) return "EL0 can write the page, so EL1 never executes it";
    return wxn ? "the page is writable, and SCTLR_EL1.WXN is 1" : "the page is not executable";
  }
  if (el0) {
    if (!allowed.el0_read) {
      return (walk.leaf.get<Descriptor::AP>() & 1) == 0 ? "AP[1] is 0: the page is EL1's only"
                                                        : "APTable[0] is 1 in a table descriptor: EL1's only";
    }
  } else if (request.pan && (allowed.el0_read || (epan && allowed.el0_execute))) {
    return allowed.el0_read ? "PSTATE.PAN is 1, and EL0 can access the page"
                            : "PSTATE.PAN and SCTLR_EL1.EPAN are 1, and EL0 can execute the page";
  }
  if (request.access == Access::write && !(el0 ? allowed.el0_write : allowed.el1_write)) {
    return (walk.ap_table & 2) != 0 ? "APTable[1] is 1 in a table descriptor: read only"
                                    : "AP[2] is 1: the page is read only";
  }
  return {};
}

std::string_view name_of(StepKind kind) noexcept {
  switch (kind) {
    case StepKind::table: return "table";
    case StepKind::block: return "block";
    case StepKind::page: return "page";
    case StepKind::invalid: return "invalid";
    case StepKind::reserved: return "reserved encoding";
  }
  return {};
}

void append_rights(TextBuffer& out, bool read, bool write, bool execute) noexcept {
  format_to(out, "{}{}{}", read ? 'r' : '-', write ? 'w' : '-', execute ? 'x' : '-');
}

void append_step(TextBuffer& out, const Step& step) noexcept {
  format_to(out, "  L{} @{:x}: 0x{:016x} {}", static_cast<int>(step.level), step.at, step.descriptor.raw,
            name_of(step.kind));
  if (step.kind == StepKind::table) {
    const auto ap = step.descriptor.get<Descriptor::APTable>();
    if ((ap & 1) != 0) out.put(", not for EL0 (APTable)");
    if ((ap & 2) != 0) out.put(", read only (APTable)");
    if (step.descriptor.get<Descriptor::UXNTable>()) out.put(", UXNTable");
    if (step.descriptor.get<Descriptor::PXNTable>()) out.put(", PXNTable");
  }
  out.put('\n');
}

}  // namespace

Verdict judge(const Registers& registers, const Request& request, const Walk& walk) noexcept {
  switch (walk.outcome) {
    case Outcome::unreadable: return {false, std::nullopt, "the descriptor cannot be read"};
    case Outcome::reserved_granule:
      return {false, std::nullopt, "TCR_EL1.TG0 or TG1 holds a reserved value: what the CPU does is its own choice"};
    case Outcome::translation_fault: return {false, code_of(FaultBase::translation, walk.level), why_translation(walk)};
    case Outcome::address_size_fault:
      return {false, code_of(FaultBase::address_size, walk.level),
              walk.reason != Reason::none ? meaning_of(walk.reason)
                                          : "the descriptor holds an address beyond the output size, TCR_EL1.IPS"};
    case Outcome::access_flag_fault:
      return {false, code_of(FaultBase::access_flag, walk.level), "AF is 0, and TCR_EL1.HA is 0"};
    case Outcome::mmu_off: return {true, std::nullopt, "stage 1 is off: the output is the input"};
    case Outcome::translated: break;
  }
  const std::string_view why = why_denied(registers, request, walk);
  if (why.empty()) return {true, std::nullopt, "allowed"};
  return {false, code_of(FaultBase::permission, walk.level), why};
}

std::string_view name_of(Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::translated: return "translated";
    case Outcome::mmu_off: return "MMU off";
    case Outcome::translation_fault: return "translation fault";
    case Outcome::address_size_fault: return "address size fault";
    case Outcome::access_flag_fault: return "access flag fault";
    case Outcome::unreadable: return "descriptor not readable";
    case Outcome::reserved_granule: return "reserved granule";
  }
  return {};
}

std::string_view name_of(Access access) noexcept {
  switch (access) {
    case Access::read: return "read";
    case Access::write: return "write";
    case Access::fetch: return "fetch";
  }
  return {};
}

std::string_view meaning_of(Reason reason) noexcept {
  switch (reason) {
    case Reason::none: return {};
    case Reason::not_canonical:
      return "the bits above the VA size are not all equal to bit 55: no range has this address";
    case Reason::walks_disabled: return "TCR_EL1.EPD0 or EPD1 disables walks of this range";
    case Reason::e0pd: return "TCR_EL1.E0PD0 or E0PD1 keeps EL0 out of this range";
    case Reason::size_reserved: return "TCR_EL1.T0SZ or T1SZ is out of the range of this granule";
    case Reason::base_too_large: return "TTBR0_EL1 or TTBR1_EL1 is beyond the output size, TCR_EL1.IPS";
    case Reason::beyond_pa: return "the MMU is off, and the address has more bits than any physical address";
  }
  return {};
}

void append_attributes(TextBuffer& out, const Registers& registers, const Walk& walk) noexcept {
  if (walk.outcome == Outcome::mmu_off) {
    const bool cached = SctlrEl1::from(registers.sctlr_el1).get<SctlrEl1::I>();
    format_to(out, "EL1 rwx, EL0 rwx, data Device-nGnRnE, instructions {} (with HCR_EL2.DC, Normal Write-Back)",
              cached ? "Normal Write-Through" : "Normal Non-cacheable");
    return;
  }
  const Permissions& allowed = walk.permissions;
  out.put("EL1 ");
  append_rights(out, allowed.el1_read, allowed.el1_write, allowed.el1_execute);
  out.put(", EL0 ");
  append_rights(out, allowed.el0_read, allowed.el0_write, allowed.el0_execute);
  out.put(", ");
  explain::append_mair(out, walk.mair_attr);
  format_to(out, " (AttrIndx {})", walk.leaf.get<Descriptor::AttrIndx>());
  constexpr std::string_view kShareability[] = {"Non-shareable", "reserved shareability", "Outer Shareable",
                                                "Inner Shareable"};
  // With 52-bit addresses of LPA2 the bits hold an address, and TCR_EL1.SHn the shareability.
  const bool ds = TcrEl1::from(registers.tcr_el1).get<TcrEl1::DS>() && walk.granule_shift != 16;
  const unsigned sh =
      ds ? static_cast<unsigned>(registers.tcr_el1 >> (walk.ttbr1 ? 28 : 12) & 3) : walk.leaf.get<Descriptor::SH>();
  const bool normal = walk.mair_attr >> 4 != 0;
  if (normal) format_to(out, ", {}", kShareability[sh]);
  out.put(walk.leaf.get<Descriptor::nG>() ? ", of one ASID" : ", global");
  if (walk.leaf.get<Descriptor::Contiguous>()) out.put(", contiguous");
  if (walk.leaf.get<Descriptor::GP>()) out.put(", guarded (BTI)");
  if (walk.hardware_sets_af) out.put(", AF set by hardware on access");
  if (walk.writable_clean) out.put(", clean: the first write makes it dirty");
}

void append(TextBuffer& out, const Registers& registers, const Walk& walk) noexcept {
  if (walk.outcome == Outcome::mmu_off || walk.granule_shift == 0) {
    format_to(out, "stage 1: {}", name_of(walk.outcome));
  } else {
    format_to(out, "stage 1: TTBR{}_EL1, {} KiB granule, {} bits of VA, {} bits out", walk.ttbr1 ? 1 : 0,
              (std::uint64_t{1} << walk.granule_shift) >> 10, walk.va_bits, walk.output_bits);
    if (walk.step_count != 0) {
      format_to(out, ", root {:x} at level {}", walk.table, static_cast<int>(walk.start_level));
    }
    out.put('\n');
    for (const Step& step : walk.steps()) append_step(out, step);
    format_to(out, "  {}, level {}", name_of(walk.outcome), static_cast<int>(walk.level));
  }
  if (walk.translated() || walk.outcome == Outcome::access_flag_fault) {
    format_to(out, ", ipa {:x}, ", walk.output_address);
    append_attributes(out, registers, walk);
  }
  if (walk.reason != Reason::none) format_to(out, ": {}", meaning_of(walk.reason));
  out.put('\n');
}

}  // namespace arm_vcpu::stage1
