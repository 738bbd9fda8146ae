// SPDX-License-Identifier: Apache-2.0
#include "explain_input.hpp"

#include <fmt/core.h>

#include <charconv>
#include <cstring>

#include "arm_vcpu/text.hpp"
#include "command.hpp"

namespace arm_vcpu::scope {

std::uint64_t parse_number(const std::string& text, const std::string& what) {
  std::string digits;
  for (const char c : text) {
    if (c != '_' && c != '\'') digits += c;
  }
  int base = 10;
  if (digits.starts_with("0x") || digits.starts_with("0X")) {
    base = 16;
    digits.erase(0, 2);
  } else if (digits.starts_with("0b")) {
    base = 2;
    digits.erase(0, 2);
  }
  std::uint64_t value{};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (error != std::errc{} || end != digits.data() + digits.size()) {
    throw Failure(fmt::format("{}: \"{}\" is not a number of up to 64 bits", what, text));
  }
  return value;
}

std::string hex(std::uint64_t value) {
  return fmt::format("{:#x}", value);
}

RamDump::RamDump(const std::string& path, std::uint64_t base) : file_{path}, base_{base} {}

std::optional<std::uint64_t> RamDump::operator()(std::uint64_t pa) const noexcept {
  const auto bytes = file_.bytes();
  if (pa < base_ || pa - base_ >= bytes.size() || bytes.size() - (pa - base_) < sizeof(std::uint64_t)) {
    return std::nullopt;
  }
  std::uint64_t value{};
  std::memcpy(&value, bytes.data() + (pa - base_), sizeof value);
  return value;
}

std::optional<trace::Header> RamDump::find_header() const noexcept {
  const auto bytes = file_.bytes();
  for (std::size_t at = 0; at + sizeof(trace::Header) <= bytes.size(); at += alignof(trace::Header)) {
    trace::Header header;
    if (std::memcmp(bytes.data() + at, trace::kFileMagic.data(), trace::kFileMagic.size()) != 0) continue;
    std::memcpy(static_cast<void*>(&header), bytes.data() + at, sizeof header);
    // The magic is in the hypervisor's code too: what follows it there is no header.
    if (header.version == trace::kVersion && header.header_bytes == sizeof(trace::Header)) return header;
  }
  return std::nullopt;
}

void TranslationOptions::add_to(const Command& command) {
  command.option("--dump", dump, "raw dump of RAM (QEMU: pmemsave BASE SIZE FILE; gdb: dump memory)");
  command.option("--base", base, "physical address of the dump's first byte");
  command.option("--vm", vm, "take VTCR_EL2 and VTTBR_EL2 of this VM, a number or a name, from the dump");
  command.option("--vtcr", vtcr, "VTCR_EL2");
  command.option("--vttbr", vttbr, "VTTBR_EL2");
  command.option("--tcr", tcr, "TCR_EL1");
  command.option("--ttbr0", ttbr0, "TTBR0_EL1");
  command.option("--ttbr1", ttbr1, "TTBR1_EL1");
  command.option("--mair", mair, "MAIR_EL1");
  command.option("--sctlr", sctlr, "SCTLR_EL1; by default its MMU is on if --tcr is given");
}

namespace {

std::string name_of(const trace::VmInfo& vm) {
  return {vm.name.data(), strnlen(vm.name.data(), vm.name.size())};
}

const trace::VmInfo& find_vm(const trace::Header& header, const std::string& wanted) {
  std::string known;
  for (std::size_t i = 0; i < header.vms.size(); ++i) {
    const trace::VmInfo& vm = header.vms[i];
    if (vm.vcpus == 0) continue;
    if (wanted == std::to_string(i) || wanted == name_of(vm)) return vm;
    known += fmt::format("{}{} ({})", known.empty() ? "" : ", ", i, name_of(vm));
  }
  throw Failure(fmt::format("--vm {}: the dump has {}", wanted, known.empty() ? "no VM" : known));
}

explain::Stage2Tables make_tables(std::uint64_t vtcr, std::uint64_t vttbr) {
  const auto layout = stage2::layout_of(Vtcr::from(vtcr));
  if (!layout) {
    char storage[256];
    TextBuffer text{storage};
    append(text, layout.error());
    throw Failure(fmt::format("VTCR_EL2 {:#x}: {}", vtcr, text.view()));
  }
  return {*layout, Vttbr::from(vttbr).root()};
}

}  // namespace

GuestMemory::GuestMemory(const TranslationOptions& options) {
  if (options.dump.empty() || options.base.empty()) {
    throw Failure("a dump of RAM is needed: --dump FILE --base PA");
  }
  dump = std::make_unique<RamDump>(options.dump, parse_number(options.base, "--base"));
  if (options.vtcr.empty() != options.vttbr.empty()) throw Failure("--vtcr and --vttbr belong together");
  if (!options.vtcr.empty()) {
    stage2 = make_tables(parse_number(options.vtcr, "--vtcr"), parse_number(options.vttbr, "--vttbr"));
    source = "command line";
  } else if (!options.vm.empty()) {
    const auto header = dump->find_header();
    if (!header) throw Failure("--vm: the dump does not hold the exit recorder's header; give --vtcr and --vttbr");
    const trace::VmInfo& vm = find_vm(*header, options.vm);
    stage2 = make_tables(vm.vtcr_el2, vm.vttbr_el2);
    source = fmt::format("VM {} in the dump, VTCR_EL2 {:#x}, VTTBR_EL2 {:#x}", name_of(vm), vm.vtcr_el2, vm.vttbr_el2);
  }
  const auto number = [](const std::string& text, const char* what) {
    return text.empty() ? 0 : parse_number(text, what);
  };
  stage1.tcr_el1 = number(options.tcr, "--tcr");
  stage1.ttbr0_el1 = number(options.ttbr0, "--ttbr0");
  stage1.ttbr1_el1 = number(options.ttbr1, "--ttbr1");
  stage1.mair_el1 = number(options.mair, "--mair");
  has_stage1 = !options.tcr.empty() || !options.sctlr.empty();
  stage1.sctlr_el1 = !options.sctlr.empty()
                         ? parse_number(options.sctlr, "--sctlr")
                         : SctlrEl1::from(SctlrEl1::kReset).with<SctlrEl1::M>(!options.tcr.empty()).raw;
  if (SctlrEl1::from(stage1.sctlr_el1).get<SctlrEl1::M>() && options.tcr.empty()) {
    throw Failure("--sctlr says that the MMU is on: give --tcr, and --ttbr0 or --ttbr1");
  }
}

explain::Translation GuestMemory::translate(const stage1::Request& request) const {
  return explain::translate(stage1, stage2, request, *dump);
}

std::optional<std::uint64_t> GuestMemory::word(std::uint64_t va) const {
  const explain::Translation found = translate({.va = va, .access = stage1::Access::read, .el = 1});
  return found.allowed() ? (*dump)(found.pa) : std::nullopt;
}

unsigned va_bits_of(const GuestMemory& memory) noexcept {
  const auto size = TcrEl1::from(memory.stage1.tcr_el1).get<TcrEl1::T1SZ>();
  return memory.has_stage1 && size >= 12 && size <= 48 ? 64 - size : 48;
}

}  // namespace arm_vcpu::scope
