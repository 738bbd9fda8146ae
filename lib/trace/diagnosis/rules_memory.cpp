// SPDX-License-Identifier: Apache-2.0
// Aborts that stage 2 reports: devices, tables, mappings.
#include "opcode.hpp"
#include "rules.hpp"
#include "stage1.hpp"

namespace arm_vcpu::diag {
namespace {

// One access that failed, however it was reported.
struct Access {
  std::uint64_t ipa{};
  std::uint64_t va{};
  unsigned bytes{};  // 0: not known
  bool is_write{};
  bool is_fetch{};
  bool on_walk{};

  [[nodiscard]] std::string_view verb() const noexcept { return is_fetch ? "fetch" : is_write ? "write" : "read"; }
};

const DeviceRange* device_at(const CapturedState& state, std::uint64_t ipa) noexcept {
  if (state.configuration == nullptr) return nullptr;
  for (const DeviceRange& device : state.configuration->devices) {
    if (device.contains(ipa)) return &device;
  }
  return nullptr;
}

const RamRange* ram_at(const CapturedState& state, std::uint64_t ipa) noexcept {
  if (state.configuration == nullptr) return nullptr;
  for (const RamRange& ram : state.configuration->ram) {
    if (ram.contains(ipa)) return &ram;
  }
  return nullptr;
}

const Range* promised_at(const CapturedState& state, std::uint64_t ipa) noexcept {
  if (state.configuration == nullptr || state.configuration->device_tree == nullptr) return nullptr;
  const DeviceTreeFacts& facts = *state.configuration->device_tree;
  for (std::size_t i = 0; i < facts.memory_count && i < facts.memory.size(); ++i) {
    if (facts.memory[i].contains(ipa)) return &facts.memory[i];
  }
  return nullptr;
}

void append_widths(TextBuffer& out, AccessWidths widths) noexcept {
  bool first = true;
  for (const auto width : {AccessWidth::byte, AccessWidth::halfword, AccessWidth::word, AccessWidth::doubleword}) {
    if (!widths.contains(width)) continue;
    format_to(out, "{}{}", first ? "" : ", ", bytes_of(width));
    first = false;
  }
}

void add_neighbours(Report& report, const CapturedState& state, std::uint64_t ipa) noexcept {
  if (state.configuration == nullptr) return;
  const DeviceRange* below = nullptr;
  const DeviceRange* above = nullptr;
  for (const DeviceRange& device : state.configuration->devices) {
    if (device.base <= ipa && (below == nullptr || device.base > below->base)) below = &device;
    if (device.base > ipa && (above == nullptr || device.base < above->base)) above = &device;
  }
  if (below != nullptr) {
    Words<64> widths;
    append_widths(widths.out(), below->widths);
    const std::uint64_t offset = ipa - below->base;
    if (offset < below->bytes) {
      report.value("device", below->base, Evidence::Form::hex,
                   "{}: the access is at offset {:x} of {:x}; it takes {} bytes", below->name, offset, below->bytes,
                   widths.view());
    } else {
      report.value("device below", below->base, Evidence::Form::hex, "{}: the access is {:x} past its last byte",
                   below->name, offset - below->bytes + 1);
    }
  }
  if (above != nullptr) {
    report.value("device above", above->base, Evidence::Form::hex, "{}: the access is {:x} below it", above->name,
                 above->base - ipa);
  }
  const RamRange* nearest = nullptr;
  for (const RamRange& ram : state.configuration->ram) {
    if (ram.ipa <= ipa && (nearest == nullptr || ram.ipa > nearest->ipa)) nearest = &ram;
  }
  if (nearest != nullptr && !nearest->contains(ipa)) {
    report.value("RAM below", nearest->ipa, Evidence::Form::hex, "{}: the access is {:x} past its last byte",
                 nearest->name, ipa - nearest->ipa - nearest->bytes + 1);
  } else if (nearest != nullptr) {
    report.value("RAM", nearest->ipa, Evidence::Form::hex, "{}, {:x} bytes, {}", nearest->name, nearest->bytes,
                 nearest->writable ? "writable" : "read-only");
  }
}

void add_access(Report& report, const CapturedState& state, const Access& access) noexcept {
  if (state.exit != nullptr) {
    report.value("PC", state.exit->frame.elr, Evidence::Form::code);
    report.value("ESR_EL2", state.exit->esr.raw, Evidence::Form::hex, "{}", Syndrome{state.exit->esr}.view());
    report.value("FAR_EL2", access.va);
  }
  report.value("IPA", access.ipa);
  add_walks(report, state, state.exit != nullptr && !access.on_walk ? std::optional{access.va} : std::nullopt,
            access.ipa);
}

std::uint64_t pc_of(const CapturedState& state) noexcept {
  return state.exit != nullptr ? state.exit->frame.elr : 0;
}

Ec class_of(const CapturedState& state) noexcept {
  return state.exit != nullptr ? state.exit->esr.get<Esr::EC>() : Ec::unknown;
}

// "read of 4 bytes at IPA 0x9010000, PC 0x40080010".
struct Story : Words<120> {
  Story(const CapturedState& state, const Access& access) noexcept {
    format_to(out(), "{}", access.verb());
    if (access.bytes != 0) format_to(out(), " of {} byte{}", access.bytes, access.bytes == 1 ? "" : "s");
    format_to(out(), " at IPA {:x}", access.ipa);
    if (state.exit != nullptr) format_to(out(), ", PC {:x}", pc_of(state));
  }
};

// --- AV0034, AV0036 -------------------------------------------------------------------------------------------------

bool explain_promised_memory(const CapturedState& state, const Access& access, DiagnosisList& out) noexcept {
  const Range* node = promised_at(state, access.ipa);
  if (node == nullptr || ram_at(state, access.ipa) != nullptr) return false;
  Report report{state, Code::memory_node, Confidence::certain};
  report.what("{}: {}, which the device tree lists as memory and stage 2 does not map", Who{state}.view(),
              Story{state, access}.view());
  report.value("/memory", node->base, Evidence::Form::hex, "{:x} bytes, up to {:x}", node->bytes, node->last());
  add_neighbours(report, state, access.ipa);
  add_access(report, state, access);
  report.rejects(Code::mmio_failure, "the address is RAM as far as the guest can know");
  report.done(out);
  return true;
}

// The guest has done nothing yet but run from its entry: no exit completed, MMU off.
bool is_first_step(const CapturedState& state) noexcept {
  if (state.registers != nullptr && !state.registers_are_sampled &&
      SctlrEl1::from(state.registers->sctlr_el1).get<SctlrEl1::M>()) {
    return false;
  }
  bool started = state.records.empty();
  unsigned exits = 0;
  for (const trace::Record& record : state.records) {
    if (!is_ours(state, record)) continue;
    started = started || record.kind == trace::Kind::vcpu_scheduled || record.kind == trace::Kind::vm_event ||
              record.sequence == 0;
    exits += record.kind == trace::Kind::exit_sync;
  }
  return started && exits <= 1;
}

// The address is in the image, if that lay elsewhere: link addresses are round. Only a small image can tell that from
// chance.
bool is_moved_image(const VmConfiguration& vm, std::uint64_t ipa) noexcept {
  constexpr std::uint64_t kRound = std::uint64_t{1} << 20;
  for (const Range& range : vm.loaded) {
    if (range.contains(vm.entry) && range.bytes <= kRound / 2) return (ipa - range.base) % kRound < range.bytes;
  }
  return false;
}

void explain_link_address(const CapturedState& state, const Access& access, DiagnosisList& out) noexcept {
  constexpr std::uint64_t kNear = 0x10'000;
  if (state.configuration == nullptr || state.exit == nullptr || !is_first_step(state)) return;
  const std::uint64_t entry = state.configuration->entry;
  const bool near = pc_of(state) - entry < kNear;
  // A jump away from the entry leaves its origin in no register; a call leaves it in the link register.
  const bool jumped = access.is_fetch && pc_of(state) == access.va;
  if (!near && !jumped) return;
  // Devices lie below RAM: a data access there is one to a device that is not there.
  std::uint64_t lowest_ram = ~std::uint64_t{0};
  for (const RamRange& ram : state.configuration->ram) lowest_ram = ram.ipa < lowest_ram ? ram.ipa : lowest_ram;
  if (!access.is_fetch && access.ipa < lowest_ram) return;
  if (device_at(state, access.ipa) != nullptr || ram_at(state, access.ipa) != nullptr) return;
  const bool moved = is_moved_image(*state.configuration, access.ipa);
  Report report{state, Code::linked_elsewhere, access.is_fetch || moved ? Confidence::likely : Confidence::possible};
  report.what("{}: the first exit after the entry {:x} is a {} outside its memory", Who{state}.view(), entry,
              Story{state, access}.view());
  report.value("entry", entry);
  report.value("distance", access.ipa > entry ? access.ipa - entry : entry - access.ipa, Evidence::Form::hex,
               "{} the entry", access.ipa > entry ? "above" : "below");
  add_access(report, state, access);
  if (jumped) report.code_at("X30", state.exit->frame.gpr[30]);
  if (moved) report.note("image", "the address lies in it, if it was linked a round distance away");
  report.rejects(Code::guest_bug, "an absolute address in the first instructions is most often a link address");
  report.done(out);
}

// --- AV0003 ---------------------------------------------------------------------------------------------------------

void explain_hole(const CapturedState& state, const Access& access, MmioOutcome outcome, DiagnosisList& out) noexcept {
  const DeviceRange* device = device_at(state, access.ipa);
  const RamRange* ram = ram_at(state, access.ipa);
  // Who was found before tells why the guest goes there at all.
  const bool known_why = !out.empty() && out[0].confidence() >= Confidence::likely;
  Report report{state, Code::mmio_failure, known_why ? Confidence::likely : Confidence::certain};
  std::string_view problem = name_of(outcome);
  if (ram != nullptr && access.is_write && !ram->writable) {
    problem = "the memory is read-only";
    report.cause("the guest writes to read-only memory ({})", ram->name);
    report.advice("flash and ROM take no writes here: load or link the image's data to RAM");
  } else if (device != nullptr && outcome == MmioOutcome::hole) {
    problem = "the access passes the device's end";
    report.cause("the access begins in {} and passes its end", device->name);
  } else if (outcome == MmioOutcome::hole) {
    report.cause("no device has this address, and it is not RAM");
  } else if (outcome == MmioOutcome::bad_width && device != nullptr) {
    Words<64> widths;
    append_widths(widths.out(), device->widths);
    report.cause("{} takes accesses of {} bytes, this one has {}", device->name, widths.view(), access.bytes);
    report.advice("access this device with one of its widths (readl and writel are 4 bytes)");
  } else if (outcome == MmioOutcome::unaligned) {
    report.cause("the address is not a multiple of the width; devices are Device memory, where that faults");
  } else if (outcome == MmioOutcome::refused) {
    report.cause("{} has no such register, or not for this direction", device != nullptr ? device->name : "the device");
  }
  report.what("{}: {}: {}", Who{state}.view(), Story{state, access}.view(), problem);
  if (state.exit != nullptr) report.value("PC", pc_of(state), Evidence::Form::code);
  add_neighbours(report, state, access.ipa);
  if (state.exit != nullptr) {
    report.value("ESR_EL2", state.exit->esr.raw, Evidence::Form::hex, "{}", Syndrome{state.exit->esr}.view());
  }
  add_walks(report, state, state.exit != nullptr ? std::optional{access.va} : std::nullopt, access.ipa);
  add_instruction(report, state, pc_of(state));
  if (device != nullptr && device->passthrough) {
    report.rejects(Code::start_level, "{} is passed through, yet the access left the guest: see the stage-2 walk",
                   device->name);
  }
  if (state.configuration != nullptr && state.configuration->device_tree != nullptr) {
    report.rejects(Code::memory_node, "no memory node of the device tree lists this address");
  }
  report.done(out);
}

// --- AV0007, AV0008, AV0010: the tables allow what the hardware refused
// -----------------------------------------------

bool allows(const stage2::Walk& walk, const Access& access) noexcept {
  if (!walk.translated()) return false;
  const stage2::Attributes& attributes = walk.attributes;
  return access.is_fetch ? attributes.execute : access.is_write ? attributes.write : attributes.read;
}

void add_walk_shape(Report& report, const GuestSystemRegisters& registers) noexcept {
  const Vtcr vtcr = Vtcr::from(registers.vtcr_el2);
  report.value("VTCR_EL2", vtcr.raw, Evidence::Form::hex, "T0SZ {} ({} bits of IPA), SL0 {}, PS {}",
               vtcr.get<Vtcr::T0SZ>(), 64 - vtcr.get<Vtcr::T0SZ>(), vtcr.get<Vtcr::SL0>(), vtcr.get<Vtcr::PS>());
  report.value("VTTBR_EL2", registers.vttbr_el2, Evidence::Form::hex, "VMID {}",
               Vttbr::from(registers.vttbr_el2).get<Vttbr::VMID>());
}

// True: VTCR_EL2 itself is what is wrong.
bool explain_shape(const CapturedState& state, const Access& access, FaultStatus status, const stage2::Walk* walk,
                   DiagnosisList& out) noexcept {
  if (state.registers == nullptr || state.registers_are_sampled || status.kind != FaultKind::translation) return false;
  const Vtcr vtcr = Vtcr::from(state.registers->vtcr_el2);
  const Result<stage2::Layout> layout = stage2::layout_of(vtcr);
  const bool below_start = layout && status.level && *status.level < layout->start_level;
  const bool beyond = layout && access.ipa >= layout->ipa_limit();
  const bool found = walk != nullptr && walk->translated() && status.level && *status.level <= 1 && layout &&
                     walk->level > static_cast<unsigned>(*status.level) && *status.level <= layout->start_level;
  if (layout && !found && (!below_start || beyond)) return false;
  Report report{state, Code::start_level, Confidence::certain};
  report.what("{}: {}: {}", Who{state}.view(), Story{state, access}.view(),
              layout ? "the hardware's walk fails where the tables begin, a software walk goes on"
                     : "VTCR_EL2 describes no table that this granule can have");
  add_walk_shape(report, *state.registers);
  if (status.level)
    report.value("level of the fault", static_cast<std::uint64_t>(*status.level), Evidence::Form::decimal);
  if (layout) {
    report.value("start level", layout->start_level, Evidence::Form::decimal, "{} root table{}", layout->root_tables,
                 layout->root_tables == 1 ? "" : "s");
  } else {
    report.note("legal start levels", "level {} with {} root tables for {} bits of IPA",
                stage2::root_tables_for(64U - static_cast<unsigned>(vtcr.get<Vtcr::T0SZ>()), 1) != 0 ? 1 : 0,
                stage2::root_tables_for(64U - static_cast<unsigned>(vtcr.get<Vtcr::T0SZ>()), 1) != 0
                    ? stage2::root_tables_for(64U - static_cast<unsigned>(vtcr.get<Vtcr::T0SZ>()), 1)
                    : 1U,
                64 - vtcr.get<Vtcr::T0SZ>());
  }
  if (state.capabilities != nullptr) {
    report.value("PA bits of this CPU", state.capabilities->pa_bits(), Evidence::Form::decimal,
                 "a start at level 0 needs 44 or more");
  }
  add_access(report, state, access);
  report.rejects(Code::stale_tlb, "the fault's level is the table's root, which no TLB entry holds");
  report.done(out);
  return true;
}

// True: explained. The walk allows the access, or says why it does not.
bool explain_mapped(const CapturedState& state, const Access& access, FaultStatus status, DiagnosisList& out) noexcept {
  const std::optional<stage2::Walk> walk =
      state.memory != nullptr ? state.memory->translate(access.ipa) : std::optional<stage2::Walk>{};
  if (explain_shape(state, access, status, walk ? &*walk : nullptr, out)) return true;
  if (!walk || !walk->translated()) return false;
  if (status.kind != FaultKind::permission && status.kind != FaultKind::translation &&
      status.kind != FaultKind::access_flag) {
    return false;
  }
  if (status.kind == FaultKind::permission && !allows(*walk, access)) return false;

  const auto stage1 = access.on_walk || state.exit == nullptr ? std::nullopt : walk_stage1(state, access.va);
  const bool known = stage1 && stage1->translated();
  const bool other_ipa = known && stage1->output_address >> 12 != access.ipa >> 12;
  if (status.kind == FaultKind::permission && !access.on_walk && other_ipa) {
    Report report{state, Code::stale_fault_address, Confidence::certain};
    report.what("{}: {}: that IPA allows it, the access was to IPA {:x}", Who{state}.view(),
                Story{state, access}.view(), stage1->output_address);
    add_access(report, state, access);
    report.value("HPFAR_EL2", state.exit->hpfar.raw, Evidence::Form::hex, "UNKNOWN for this fault");
    add_walks(report, state, std::nullopt, stage1->output_address);
    report.rejects(Code::stale_tlb, "the address is another one");
    report.done(out);
    return true;
  }
  Report report{state, Code::stale_tlb, Confidence::likely};
  report.what("{}: {}: the hardware refused what the tables allow", Who{state}.view(), Story{state, access}.view());
  add_access(report, state, access);
  if (state.registers != nullptr && !state.registers_are_sampled) add_walk_shape(report, *state.registers);
  report.rejects(Code::stale_fault_address,
                 known ? "the stage-1 walk gives the same IPA" : "no stage-1 walk at hand to compare");
  report.rejects(Code::start_level, "the fault is not at the start level");
  report.done(out);
  return true;
}

// --- AV0005, AV0006, AV0009 -----------------------------------------------------------------------------------------

void explain_no_syndrome(const CapturedState& state, const Access& access, const DeviceRange& device,
                         DiagnosisList& out) noexcept {
  const auto opcode = instruction_at(state, pc_of(state));
  const OpcodeClass what = opcode ? classify(*opcode) : OpcodeClass::other;
  const bool known = opcode && has_no_syndrome(what);
  Report report{state, Code::no_syndrome, known ? Confidence::certain : Confidence::likely};
  report.what("{}: {} in {}: the CPU gives no syndrome for it (ISV 0), and it is not emulated{}{}", Who{state}.view(),
              Story{state, access}.view(), device.name, known ? ", " : "", known ? name_of(what) : "");
  add_access(report, state, access);
  add_neighbours(report, state, access.ipa);
  if (!add_instruction(report, state, pc_of(state))) report.note("instruction", "cannot be read");
  if (known) report.cause("the instruction is {}, of a form that is not emulated", name_of(what));
  report.rejects(Code::mmio_failure, "the address belongs to {}", device.name);
  report.done(out);
}

void explain_table_walk(const CapturedState& state, const Access& access, FaultStatus status,
                        DiagnosisList& out) noexcept {
  const RamRange* ram = ram_at(state, access.ipa);
  const bool known = state.configuration != nullptr && !state.configuration->ram.empty();
  Report report{state, Code::table_walk_fault, known ? Confidence::certain : Confidence::likely};
  report.what("{}: the walk for VA {:x} reads a table at IPA {:x}{}, PC {:x}", Who{state}.view(), access.va, access.ipa,
              !known           ? ""
              : ram == nullptr ? ", which is no memory of the guest"
                               : ", which may not be accessed so",
              pc_of(state));
  add_access(report, state, access);
  if (state.registers != nullptr && !state.registers_are_sampled) {
    const bool upper = bits::extract(access.va, 55, 55) != 0;
    report.value(upper ? "TTBR1_EL1" : "TTBR0_EL1", upper ? state.registers->ttbr1_el1 : state.registers->ttbr0_el1);
    report.value("TCR_EL1", state.registers->tcr_el1);
    if (const auto walk = walk_stage1(state, access.va)) {
      for (const stage1::Step& step : walk->steps()) {
        report.value("stage-1 descriptor", step.descriptor.raw, Evidence::Form::hex, "level {} @IPA {:x}",
                     static_cast<int>(step.level), step.at);
      }
    }
  }
  if (status.kind == FaultKind::permission) {
    report.cause(
        "the walk writes to its table (hardware management of the Access flag or of dirty state), and stage 2 "
        "maps the table read-only");
  } else if (ram == nullptr && known) {
    add_neighbours(report, state, access.ipa);
    report.cause("the guest's tables lead outside its memory: a base register or a table entry is wrong");
  }
  report.rejects(Code::mmio_failure, "the program did not name this address, the table walk did");
  report.done(out);
}

void explain_address_size(const CapturedState& state, const Access& access, FaultStatus status,
                          DiagnosisList& out) noexcept {
  Report report{state, Code::address_size, Confidence::certain};
  report.what("{}: {}: an address is larger than the tables may hold", Who{state}.view(), Story{state, access}.view());
  add_access(report, state, access);
  if (state.registers != nullptr && !state.registers_are_sampled) {
    const Vtcr vtcr = Vtcr::from(state.registers->vtcr_el2);
    add_walk_shape(report, *state.registers);
    report.value("VTCR_EL2.PS", vtcr.get<Vtcr::PS>(), Evidence::Form::decimal, "{} bits of PA",
                 pa_bits_of(vtcr.get<Vtcr::PS>()));
    report.value("TCR_EL1.IPS", bits::extract(state.registers->tcr_el1, 34, 32), Evidence::Form::decimal,
                 "{} bits of IPA",
                 pa_bits_of(static_cast<std::uint8_t>(bits::extract(state.registers->tcr_el1, 34, 32))));
  }
  if (state.capabilities != nullptr) {
    report.value("PA bits of this CPU", state.capabilities->pa_bits(), Evidence::Form::decimal);
  }
  if (status.kind == FaultKind::translation) {
    report.cause("the IPA is beyond the size that VTCR_EL2.T0SZ gives; hardware reports that as a level-0 fault");
  }
  report.done(out);
}

void explain_bad_fetch(const CapturedState& state, const Access& access, DiagnosisList& out) noexcept {
  const DeviceRange* device = device_at(state, access.ipa);
  const bool vectors = state.registers != nullptr && in_vectors(pc_of(state), state.registers->vbar_el1);
  if (vectors) {
    Report report{state, Code::exception_loop, Confidence::likely};
    report.what("{}: the exception vector at {:x} cannot be fetched", Who{state}.view(), pc_of(state));
    report.value("VBAR_EL1", state.registers->vbar_el1);
    report.value("ELR_EL1", state.registers->elr_el1, Evidence::Form::code, "where the exception was taken");
    report.value("ESR_EL1", state.registers->esr_el1, Evidence::Form::hex, "{}",
                 Syndrome{Esr::from(state.registers->esr_el1)}.view());
    add_access(report, state, access);
    add_neighbours(report, state, access.ipa);
    report.cause("VBAR_EL1 points to no memory: the abort that the guest gets is taken to the same vector");
    report.rejects(Code::linked_elsewhere, "the address is VBAR_EL1's, not a branch's");
    report.done(out);
    return;
  }
  Report report{state, Code::guest_bug, Confidence::likely};
  report.what("{}: {}: {}", Who{state}.view(), Story{state, access}.view(),
              device != nullptr ? "it executes a device" : "it executes where no memory is");
  add_access(report, state, access);
  add_neighbours(report, state, access.ipa);
  add_guest_backtrace(report, state, 8);
  report.cause("the guest has branched to a wrong address: a null or overwritten function pointer, or a bad return");
  report.rejects(Code::exception_loop, "the address is not in the vector table");
  report.done(out);
}

bool is_beyond_ipa_size(const CapturedState& state, std::uint64_t ipa) noexcept {
  if (state.registers == nullptr || state.registers_are_sampled) return false;
  const Result<stage2::Layout> layout = stage2::layout_of(Vtcr::from(state.registers->vtcr_el2));
  return layout && ipa >= layout->ipa_limit();
}

}  // namespace

void explain(const CapturedState& state, const trigger::MmioFailure& why, DiagnosisList& out) noexcept {
  const Access access{.ipa = why.ipa,
                      .va = state.exit != nullptr ? state.exit->far : why.ipa,
                      .bytes = bytes_of(why.width),
                      .is_write = why.is_write};
  if (explain_promised_memory(state, access, out)) return;
  if (is_beyond_ipa_size(state, access.ipa)) {
    const Fsc fsc = state.exit != nullptr
                        ? DataAbortIss::from(state.exit->esr.get<Esr::ISS>()).get<DataAbortIss::DFSC>()
                        : Fsc::translation_l0;
    return explain_address_size(state, access, fault_status(fsc), out);
  }
  if (const RamRange* ram = ram_at(state, why.ipa); ram != nullptr && (ram->writable || !why.is_write)) {
    const Fsc fsc = state.exit != nullptr
                        ? DataAbortIss::from(state.exit->esr.get<Esr::ISS>()).get<DataAbortIss::DFSC>()
                        : Fsc::translation_l3;
    if (explain_mapped(state, access, fault_status(fsc), out)) return;
  }
  explain_link_address(state, access, out);
  explain_hole(state, access, why.outcome, out);
}

void explain(const CapturedState& state, const trigger::StageTwoFault& why, DiagnosisList& out) noexcept {
  const AxVCpuExitReason::NestedPageFault& fault = why.fault;
  const Access access{.ipa = fault.addr,
                      .va = fault.gva,
                      .is_write = fault.is_write,
                      .is_fetch = fault.is_fetch,
                      .on_walk = fault.on_table_walk};
  const FaultStatus status = fault_status(static_cast<Fsc>(fault.fsc));
  if (status.kind == FaultKind::address_size) return explain_address_size(state, access, status, out);
  if (explain_promised_memory(state, access, out) && !access.on_walk) return;
  if (!access.on_walk && explain_mapped(state, access, status, out)) return;
  if (access.on_walk) return explain_table_walk(state, access, status, out);
  if (is_beyond_ipa_size(state, access.ipa)) return explain_address_size(state, access, status, out);
  if (access.is_fetch) {
    explain_link_address(state, access, out);
    explain_bad_fetch(state, access, out);
    return;
  }
  if (const DeviceRange* device = device_at(state, access.ipa)) return explain_no_syndrome(state, access, *device, out);
  explain_link_address(state, access, out);
  explain_hole(state, access, MmioOutcome::hole, out);
}

void explain(const CapturedState& state, const trigger::FailedEntry& why, DiagnosisList& out) noexcept {
  const AxVCpuExitReason::FailEntry& failure = why.failure;
  if (failure.is_serror || failure.esr.get<Esr::EC>() == Ec::serror) return explain_serror(state, failure.esr, out);
  const Ec ec = failure.esr.get<Esr::EC>();
  if (ec != Ec::data_abort_lower && ec != Ec::instruction_abort_lower) return;
  const auto fsc = DataAbortIss::from(failure.esr.get<Esr::ISS>()).get<DataAbortIss::DFSC>();
  const FaultKind kind = fault_status(fsc).kind;
  if (kind == FaultKind::tlb_conflict) {
    Report report{state, Code::stale_tlb, Confidence::certain};
    report.what("{}: TLB conflict for VA {:x}, PC {:x}: two entries match", Who{state}.view(), failure.far,
                pc_of(state));
    report.value("ESR", failure.esr.raw, Evidence::Form::hex, "{}", Syndrome{failure.esr}.view());
    add_walks(report, state, failure.far, std::nullopt);
    if (state.registers != nullptr && !state.registers_are_sampled) add_walk_shape(report, *state.registers);
    report.cause("a mapping changed size or type without break-before-make, in the guest (stage 1) or here (stage 2)");
    report.done(out);
  } else if (kind == FaultKind::parity || kind == FaultKind::external_abort) {
    explain_serror(state, failure.esr, out);
  } else if (class_of(state) == ec && fault_status(fsc).kind == FaultKind::address_size) {
    explain_address_size(state, {.ipa = failure.far, .va = failure.far}, fault_status(fsc), out);
  }
}

}  // namespace arm_vcpu::diag
