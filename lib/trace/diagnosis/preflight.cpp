// SPDX-License-Identifier: Apache-2.0
// The look before the first entry: CPU, configuration, and what was loaded.
#include "opcode.hpp"
#include "rules.hpp"
#include "stage1.hpp"

namespace arm_vcpu::diag {
namespace {

constexpr bool overlaps(std::uint64_t a, std::uint64_t a_bytes, std::uint64_t b, std::uint64_t b_bytes) noexcept {
  return a_bytes != 0 && b_bytes != 0 && a <= b + (b_bytes - 1) && b <= a + (a_bytes - 1);
}

struct VmName : Words<48> {
  explicit VmName(const CapturedState& state) noexcept {
    format_to(out(), "vm{}", state.vm);
    if (!state.vm_name.empty()) format_to(out(), " ({})", state.vm_name.substr(0, 32));
  }
};

// --- AV0001, AV0008, AV0009 -----------------------------------------------------------------------------------------

void check_hardware(const CapturedState& state, DiagnosisList& out) noexcept {
  if (state.capabilities == nullptr) return;
  const Requirements wanted = state.requirements != nullptr ? *state.requirements : Requirements{};
  if (const Result<> supported = check_hardware_support(*state.capabilities, wanted); !supported) {
    const ErrorText text = describe(supported.error().code);
    Report report{state, Code::hardware_missing, Confidence::certain};
    report.what("{}: {}", VmName{state}.view(), text.what);
    if (!text.asked.empty()) report.value(text.asked, supported.error().asked, Evidence::Form::decimal);
    if (!text.has.empty()) report.value(text.has, supported.error().has);
    add_hardware_figures(report, state);
    report.advice("{}", text.fix);
    report.done(out);
  }
}

void check_stage2_shape(const CapturedState& state, DiagnosisList& out) noexcept {
  if (state.registers == nullptr || state.registers->vtcr_el2 == 0) return;
  const Vtcr vtcr = Vtcr::from(state.registers->vtcr_el2);
  const Result<stage2::Layout> layout = stage2::layout_of(vtcr);
  const std::uint64_t root = Vttbr::from(state.registers->vttbr_el2).root();
  const bool aligned = !layout || bits::aligned(root, layout->root_alignment());
  const unsigned cpu_bits = state.capabilities != nullptr ? state.capabilities->pa_bits() : 64;
  const bool level0 = layout && layout->start_level == 0 && cpu_bits < stage2::kMinPaBitsForLevel0;
  if (layout && aligned && !level0) return;
  Report report{state, Code::start_level, Confidence::certain};
  report.what("{}: {}", VmName{state}.view(),
              !layout  ? "VTCR_EL2 describes no legal table"
              : level0 ? "stage 2 starts at level 0, and this CPU cannot"
                       : "the stage-2 root is not aligned to its size");
  report.value("VTCR_EL2", vtcr.raw, Evidence::Form::hex, "T0SZ {}, SL0 {}, TG0 {}", vtcr.get<Vtcr::T0SZ>(),
               vtcr.get<Vtcr::SL0>(), vtcr.get<Vtcr::TG0>());
  report.value("VTTBR_EL2", state.registers->vttbr_el2);
  if (layout) report.value("root", layout->root_bytes(), Evidence::Form::hex, "bytes, {} tables", layout->root_tables);
  add_hardware_figures(report, state);
  report.done(out);
}

void check_address_size(const CapturedState& state, DiagnosisList& out) noexcept {
  if (state.capabilities == nullptr) return;
  const unsigned pa_bits = state.capabilities->pa_bits();
  if (pa_bits == 0) return;
  for (const RamRange& ram : state.configuration->ram) {
    if (ram.bytes == 0) continue;
    const std::uint64_t last_pa = ram.pa + (ram.bytes - 1), last_ipa = ram.ipa + (ram.bytes - 1);
    const unsigned ipa_bits = state.configuration->ipa_bits;
    const bool bad_pa = last_pa >> pa_bits != 0;
    const bool bad_ipa = ipa_bits != 0 && ipa_bits < 64 && last_ipa >> ipa_bits != 0;
    if (!bad_pa && !bad_ipa) continue;
    Report report{state, Code::address_size, Confidence::certain};
    report.what("{}: {} ends at {} {:x}, beyond {} bits", VmName{state}.view(), ram.name, bad_pa ? "PA" : "IPA",
                bad_pa ? last_pa : last_ipa, bad_pa ? pa_bits : ipa_bits);
    report.value("IPA", ram.ipa).value("PA", ram.pa).value("bytes", ram.bytes);
    add_hardware_figures(report, state);
    report.done(out);
    return;
  }
}

// --- AV0013 ---------------------------------------------------------------------------------------------------------

void report_overlap(const CapturedState& state, std::string_view space, std::string_view a_name, std::uint64_t a,
                    std::uint64_t a_bytes, std::string_view b_name, std::uint64_t b, std::uint64_t b_bytes,
                    DiagnosisList& out) noexcept {
  const std::uint64_t from = a > b ? a : b;
  const std::uint64_t a_last = a + (a_bytes - 1), b_last = b + (b_bytes - 1);
  Report report{state, Code::overlap, Confidence::certain};
  report.what("{}: {} and {} overlap at {} {:x}", VmName{state}.view(), a_name, b_name, space, from);
  report.value("from", a, Evidence::Form::hex, "{}, {:x} bytes, up to {:x}", a_name, a_bytes, a_last);
  report.value("from", b, Evidence::Form::hex, "{}, {:x} bytes, up to {:x}", b_name, b_bytes, b_last);
  report.value("in both", (a_last < b_last ? a_last : b_last) - from + 1, Evidence::Form::hex, "bytes");
  report.advice("move {} or {}", a_name, b_name);
  report.done(out);
}

void check_overlaps(const CapturedState& state, DiagnosisList& out) noexcept {
  const VmConfiguration& vm = *state.configuration;
  for (std::size_t i = 0; i < vm.loaded.size(); ++i) {
    const Range& a = vm.loaded[i];
    for (std::size_t j = i + 1; j < vm.loaded.size(); ++j) {
      const Range& b = vm.loaded[j];
      if (overlaps(a.base, a.bytes, b.base, b.bytes)) {
        return report_overlap(state, "IPA", a.name, a.base, a.bytes, b.name, b.base, b.bytes, out);
      }
    }
  }
  for (std::size_t i = 0; i < vm.ram.size(); ++i) {
    const RamRange& ram = vm.ram[i];
    for (const DeviceRange& device : vm.devices) {
      if (overlaps(ram.ipa, ram.bytes, device.base, device.bytes)) {
        return report_overlap(state, "IPA", ram.name, ram.ipa, ram.bytes, device.name, device.base, device.bytes, out);
      }
    }
    for (const Range& own : vm.hypervisor) {
      if (overlaps(ram.pa, ram.bytes, own.base, own.bytes)) {
        return report_overlap(state, "PA", ram.name, ram.pa, ram.bytes, own.name, own.base, own.bytes, out);
      }
    }
    for (std::size_t j = i + 1; j < vm.ram.size(); ++j) {
      const RamRange& other = vm.ram[j];
      if (overlaps(ram.ipa, ram.bytes, other.ipa, other.bytes)) {
        return report_overlap(state, "IPA", ram.name, ram.ipa, ram.bytes, other.name, other.ipa, other.bytes, out);
      }
      if (overlaps(ram.pa, ram.bytes, other.pa, other.bytes)) {
        return report_overlap(state, "PA", ram.name, ram.pa, ram.bytes, other.name, other.pa, other.bytes, out);
      }
    }
  }
}

// The first byte of [base, base + bytes) that no RAM holds; empty when all of it is RAM.
std::optional<std::uint64_t> first_outside(std::span<const RamRange> ram, std::uint64_t base,
                                           std::uint64_t bytes) noexcept {
  if (bytes == 0) return std::nullopt;
  std::uint64_t at = base;
  const std::uint64_t last = base + (bytes - 1);
  for (std::size_t steps = 0; steps <= ram.size(); ++steps) {
    const RamRange* found = nullptr;
    for (const RamRange& range : ram) {
      if (range.contains(at)) found = &range;
    }
    if (found == nullptr) return at;
    const std::uint64_t end = found->ipa + (found->bytes - 1);
    if (end >= last) return std::nullopt;
    at = end + 1;
  }
  return at;
}

void check_loaded(const CapturedState& state, DiagnosisList& out) noexcept {
  const VmConfiguration& vm = *state.configuration;
  for (const Range& range : vm.loaded) {
    const auto outside = first_outside(vm.ram, range.base, range.bytes);
    if (!outside) continue;
    Report report{state, Code::overlap, Confidence::certain};
    report.what("{}: {} passes the end of the guest's memory at IPA {:x}", VmName{state}.view(), range.name, *outside);
    report.value("from", range.base, Evidence::Form::hex, "{}, {:x} bytes", range.name, range.bytes);
    for (const RamRange& ram : vm.ram) {
      report.value("RAM", ram.ipa, Evidence::Form::hex, "{}, {:x} bytes", ram.name, ram.bytes);
    }
    report.cause("it is loaded where there is no memory");
    report.advice("give the VM more memory, or load it elsewhere");
    report.done(out);
    return;
  }
}

// --- AV0036, AV0012, AV0011 -----------------------------------------------------------------------------------------

// What a kernel file is called by its first bytes, when it is no code.
std::string_view not_code(std::uint64_t first, std::uint64_t second) noexcept {
  if ((first & 0xFFFF'FFFF) == 0x464C'457F) return "an ELF header";
  if ((first & 0xFFFF) == 0x8B1F) return "gzip data";
  if ((first & 0xFFFF'FFFF) == 0xEDFE'0DD0) return "a device tree";
  if ((first & 0xFFFF'FFFF) == 0x5605'1927) return "a U-Boot legacy image";
  if ((first & 0xFFFF'FFFF) == 0xFD2F'B528) return "zstd data";
  if (first == 0 && second == 0) return "zeroes";
  if (~first == 0 && ~second == 0) return "erased flash (ones)";
  return {};
}

void check_entry(const CapturedState& state, DiagnosisList& out) noexcept {
  const VmConfiguration& vm = *state.configuration;
  const auto outside = first_outside(vm.ram, vm.entry, 4);
  const auto walk = state.memory != nullptr ? state.memory->translate(vm.entry) : std::nullopt;
  const bool aligned = vm.entry % 4 == 0;
  const bool executable = !walk || (walk->translated() && walk->attributes.execute && walk->attributes.read);
  if (outside || !aligned || !executable) {
    Report report{state, Code::linked_elsewhere, Confidence::certain};
    report.what("{}: the entry {:x} {}", VmName{state}.view(), vm.entry,
                !aligned  ? "is not a multiple of 4"
                : outside ? "is outside the guest's memory"
                          : "cannot be executed");
    for (const RamRange& ram : vm.ram) {
      report.value("RAM", ram.ipa, Evidence::Form::hex, "{}, {:x} bytes", ram.name, ram.bytes);
    }
    add_walks(report, state, std::nullopt, vm.entry);
    report.done(out);
    return;
  }
  if (state.memory == nullptr) return;
  const auto first = state.memory->read(vm.entry, 8), second = state.memory->read(vm.entry + 8, 8);
  if (!first || !second) return;
  const std::string_view what = not_code(*first, *second);
  const auto opcode = static_cast<std::uint32_t>(*first);
  const OpcodeClass opcode_class = classify(opcode);
  const bool undefined = opcode_class == OpcodeClass::udf || opcode_class == OpcodeClass::unallocated;
  if (what.empty() && !undefined) return;
  Report report{state, Code::boot_protocol, what.empty() ? Confidence::likely : Confidence::certain};
  report.what("{}: the entry {:x} holds {}, not code", VmName{state}.view(), vm.entry,
              what.empty() ? name_of(opcode_class) : what);
  report.value("first bytes", *first, Evidence::Form::hex, "then {:x}", *second);
  report.cause("the file is not a raw image, or it was not loaded here");
  report.advice("give a raw binary (objcopy -O binary), unpacked, and check its load address");
  report.rejects(Code::image_not_cleaned, "the bytes are those that the hypervisor sees");
  report.done(out);
}

void check_entry_bytes(const CapturedState& state, DiagnosisList& out) noexcept {
  if (!state.entry_bytes || state.entry_bytes->cached == state.entry_bytes->uncached) return;
  Report report{state, Code::image_not_cleaned, Confidence::certain};
  report.what("{}: the entry {:x} holds other bytes in memory than in the caches", VmName{state}.view(),
              state.configuration->entry);
  const auto add = [&](std::string_view label, const std::array<std::uint8_t, 16>& bytes) {
    Words<64> words;
    for (const std::uint8_t byte : bytes) {
      words.out().put_unsigned(byte, 16, 2);
      words.out().put(' ');
    }
    report.note(label, "{}", words.view());
  };
  add("cached", state.entry_bytes->cached);
  add("uncached", state.entry_bytes->uncached);
  report.done(out);
}

void report_protocol(const CapturedState& state, std::string_view what, std::string_view label, std::uint64_t is,
                     std::uint64_t should, DiagnosisList& out) noexcept {
  Report report{state, Code::boot_protocol, Confidence::certain};
  report.what("{}: {}", VmName{state}.view(), what);
  report.value(label, is, Evidence::Form::hex, "should be {:x}", should);
  report.done(out);
}

constexpr std::uint64_t kDtbMagic = 0xEDFE'0DD0;  // 0xD00DFEED, big-endian, read little-endian

void check_protocol(const CapturedState& state, DiagnosisList& out) noexcept {
  const VmConfiguration& vm = *state.configuration;
  if (state.registers != nullptr && !state.registers_are_sampled) {
    const auto sctlr = SctlrEl1::from(state.registers->sctlr_el1);
    if (sctlr.get<SctlrEl1::M>() || sctlr.get<SctlrEl1::C>()) {
      return report_protocol(state, "the MMU or the data cache is on at the entry", "SCTLR_EL1", sctlr.raw,
                             SctlrEl1::kReset, out);
    }
  }
  if (state.exit != nullptr) {
    const TrapFrame& frame = state.exit->frame;
    constexpr std::uint64_t kPstate = 0x3C5;  // EL1h, DAIF masked
    if (frame.elr != vm.entry) {
      return report_protocol(state, "the PC is not the entry point", "PC", frame.elr, vm.entry, out);
    }
    if ((frame.spsr.raw & 0x3DF) != kPstate) {
      return report_protocol(state, "the entry is not at EL1h with DAIF masked", "SPSR_EL2", frame.spsr.raw, kPstate,
                             out);
    }
    if (vm.dtb != 0 && frame.gpr[0] != vm.dtb) {
      return report_protocol(state, "x0 is not the device tree", "X0", frame.gpr[0], vm.dtb, out);
    }
  }
  if (vm.image_header != nullptr) {
    constexpr std::uint64_t kBoundary = std::uint64_t{2} << 20;
    const std::uint64_t offset = vm.image_header->text_offset % kBoundary;
    if (vm.entry % kBoundary != offset) {
      return report_protocol(state, "the kernel is not text_offset above a 2 MiB boundary", "entry", vm.entry,
                             bits::align_down(vm.entry, kBoundary) + offset, out);
    }
    if (vm.image_header->image_size != 0 && first_outside(vm.ram, vm.entry, vm.image_header->image_size)) {
      return report_protocol(state, "the kernel with its .bss (image_size) passes the end of RAM", "image_size",
                             vm.image_header->image_size, 0, out);
    }
  }
  if (vm.dtb == 0) return;
  if (vm.dtb % 8 != 0) {
    return report_protocol(state, "the device tree is not 8-byte aligned", "device tree", vm.dtb, vm.dtb & ~7ULL, out);
  }
  if (state.memory != nullptr) {
    const auto magic = state.memory->read(vm.dtb, 4);
    if (!magic || *magic != kDtbMagic) {
      return report_protocol(state, "there is no device tree where x0 points", "word at x0", magic.value_or(0),
                             kDtbMagic, out);
    }
  }
  if (vm.device_tree != nullptr && !vm.device_tree->valid) {
    return report_protocol(state, "the device tree is damaged", "libfdt status",
                           static_cast<std::uint64_t>(static_cast<std::int64_t>(vm.device_tree->status)), 0, out);
  }
}

// --- AV0034, AV0026, AV0003 -----------------------------------------------------------------------------------------

void check_memory_nodes(const CapturedState& state, DiagnosisList& out) noexcept {
  const VmConfiguration& vm = *state.configuration;
  if (vm.device_tree == nullptr || !vm.device_tree->valid) return;
  for (std::size_t i = 0; i < vm.device_tree->memory_count && i < vm.device_tree->memory.size(); ++i) {
    const Range& node = vm.device_tree->memory[i];
    const auto outside = first_outside(vm.ram, node.base, node.bytes);
    if (!outside) continue;
    Report report{state, Code::memory_node, Confidence::certain};
    report.what("{}: the device tree's memory {:x} to {:x} is not mapped from {:x} on", VmName{state}.view(), node.base,
                node.last(), *outside);
    report.value("/memory", node.base, Evidence::Form::hex, "{:x} bytes", node.bytes);
    for (const RamRange& ram : vm.ram) {
      report.value("RAM", ram.ipa, Evidence::Form::hex, "{}, {:x} bytes", ram.name, ram.bytes);
    }
    add_walks(report, state, std::nullopt, outside);
    report.done(out);
    return;
  }
}

void check_cpu_nodes(const CapturedState& state, DiagnosisList& out) noexcept {
  const VmConfiguration& vm = *state.configuration;
  if (vm.device_tree == nullptr || !vm.device_tree->valid || vm.mpidrs.empty()) return;
  for (std::size_t i = 0; i < vm.device_tree->cpu_count && i < vm.device_tree->cpu_reg.size(); ++i) {
    bool found = false;
    for (const std::uint64_t mpidr : vm.mpidrs) {
      found = found || (mpidr & kMpidrAffinityMask) == vm.device_tree->cpu_reg[i];
    }
    if (found) continue;
    Report report{state, Code::cpu_on_failed, Confidence::certain};
    report.what("{}: the device tree's CPU {:x} is no CPU of this VM", VmName{state}.view(),
                vm.device_tree->cpu_reg[i]);
    for (std::size_t n = 0; n < vm.mpidrs.size() && n < 8; ++n) report.value("vCPU affinity", vm.mpidrs[n]);
    report.cause("CPU_ON of this node's `reg` will answer INVALID_PARAMETERS");
    report.advice("make the cpu nodes' `reg` the affinities of the vCPUs");
    report.done(out);
    return;
  }
}

void check_devices(const CapturedState& state, DiagnosisList& out) noexcept {
  if (state.memory == nullptr) return;
  for (const DeviceRange& device : state.configuration->devices) {
    if (device.bytes == 0) continue;
    for (const std::uint64_t ipa : {device.base, device.base + (device.bytes - 1)}) {
      const auto walk = state.memory->translate(ipa);
      if (!walk || walk->outcome == stage2::WalkOutcome::unreadable) continue;
      if (walk->translated() == device.passthrough) continue;
      Report report{state, Code::mmio_failure, Confidence::certain};
      report.what("{}: {} is {}", VmName{state}.view(), device.name,
                  device.passthrough ? "passed through, and stage 2 does not map it"
                                     : "emulated, and a stage-2 mapping hides it");
      report.value("device", device.base, Evidence::Form::hex, "{:x} bytes", device.bytes);
      add_walks(report, state, std::nullopt, ipa);
      report.cause(device.passthrough ? "the mapping is missing or too short"
                                      : "accesses reach what is mapped there; the emulation never sees them");
      report.advice(device.passthrough ? "map the device's pages" : "unmap the device's pages at stage 2");
      report.done(out);
      return;
    }
  }
}

}  // namespace

void preflight(const CapturedState& state, DiagnosisList& out) noexcept {
  out.clear();
  check_hardware(state, out);
  check_stage2_shape(state, out);
  if (state.configuration == nullptr) return;
  check_address_size(state, out);
  check_overlaps(state, out);
  check_loaded(state, out);
  check_entry(state, out);
  check_entry_bytes(state, out);
  check_protocol(state, out);
  check_memory_nodes(state, out);
  check_cpu_nodes(state, out);
  check_devices(state, out);
  check_interrupts(state, out);
}

}  // namespace arm_vcpu::diag
