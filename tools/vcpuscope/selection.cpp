// SPDX-License-Identifier: Apache-2.0
#include "selection.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>

#include "arm_vcpu/arch/smccc.hpp"
#include "failure.hpp"

namespace arm_vcpu::scope {
namespace {

__extension__ using Wide = unsigned __int128;  // ISO C++ has no 128-bit type

using trace::Record;

bool same(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::uint64_t parse_address(const std::string& text) {
  char* end = nullptr;
  const std::uint64_t value = std::strtoull(text.c_str(), &end, 0);
  if (text.empty() || *end != '\0' || text[0] == '-') throw Failure(fmt::format("{}: not an address", text));
  return value;
}

// "1.5", "10ms", "250us", "12ns": nanoseconds.
std::uint64_t parse_time(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  const std::string_view unit{end};
  const double scale = unit.empty() || unit == "s" ? 1e9
                       : unit == "ms"              ? 1e6
                       : unit == "us"              ? 1e3
                       : unit == "ns"              ? 1
                                                   : 0;
  if (end == text.c_str() || scale == 0 || !(value >= 0)) {
    throw Failure(fmt::format("{}: not a time (1.5, 10ms, 250us or 12ns after the first record)", text));
  }
  return static_cast<std::uint64_t>(value * scale);
}

int parse_vm(const std::string& text, const TraceFile& file) {
  for (unsigned vm = 0; vm < trace::kMaxVms; ++vm) {
    if (text == file.vm_name(vm)) return static_cast<int>(vm);
  }
  if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos || text.size() > 3) {
    throw Failure(fmt::format("{}: no such VM", text));
  }
  return std::stoi(text);
}

}  // namespace

void SelectionOptions::add_to(const Command& command) {
  constexpr auto kGroup = "Which records";
  command.option("--vcpu", vcpus, "only this vCPU: VM.VCPU or VM, by name or number (again for more)").group(kGroup);
  command
      .option("--reason", reasons,
              "only this exit reason, exception class, event or call: MmioWrite, fp_access, "
              "irq_injected, CPU_ON ... (again for more)")
      .group(kGroup);
  command.option("--kind", kinds, "only this kind of record: exit_sync, irq_injected ... (again for more)")
      .group(kGroup);
  command.option("--address", address, "only records with this PC, FAR or IPA: ADDRESS or LOW-HIGH").group(kGroup);
  command.option("--from", from, "from this time after the first record: 1.5, 10ms, 250us, 12ns").group(kGroup);
  command.option("--to", to, "up to this time").group(kGroup);
}

Selection::Selection(const SelectionOptions& options, const TraceFile& file) {
  for (const std::string& text : options.vcpus) {
    const auto dot = text.rfind('.');
    const std::string vcpu = dot == std::string::npos ? "" : text.substr(dot + 1);
    if (dot != std::string::npos &&
        (vcpu.empty() || vcpu.find_first_not_of("0123456789") != std::string::npos || vcpu.size() > 3)) {
      throw Failure(fmt::format("--vcpu {}: VM.VCPU or VM is wanted", text));
    }
    vcpus_.push_back({parse_vm(text.substr(0, dot), file), dot == std::string::npos ? -1 : std::stoi(vcpu)});
  }
  for (const std::string& text : options.reasons) {
    if (!reasons_) reasons_.emplace();
    bool known = false;
    for (unsigned i = 0; i < 256; ++i) {
      if (same(text, name_of(static_cast<Reason>(i)))) known = (*reasons_)[i] = true;
    }
#define VCPU_PSCI(name, ...) known = known || same(text, #name);
#include "arm_vcpu/arch/psci.def"
#undef VCPU_PSCI
    if (!known && !text.starts_with("SMCCC_")) {
      throw Failure(fmt::format("--reason {}: no such reason, class, event or call", text));
    }
    targets_.push_back(text);
  }
  for (const std::string& text : options.kinds) {
    if (!kinds_) kinds_.emplace();
    bool known = false;
    for (unsigned i = 0; i < 256; ++i) {
      if (same(text, trace::name_of(static_cast<trace::Kind>(i)))) known = (*kinds_)[i] = true;
    }
    if (!known) throw Failure(fmt::format("--kind {}: no such kind", text));
  }
  if (!options.address.empty()) {
    const auto dash = options.address.find('-');
    const std::uint64_t low = parse_address(options.address.substr(0, dash));
    address_ = {low, dash == std::string::npos ? low : parse_address(options.address.substr(dash + 1))};
  }
  const auto ticks = [&](const std::string& text) {
    const std::uint64_t hz = file.header().counter_hz == 0 ? 1'000'000'000 : file.header().counter_hz;
    const auto product = static_cast<Wide>(parse_time(text)) * hz / 1'000'000'000;
    return file.first_time() + static_cast<std::uint64_t>(product);
  };
  if (!options.from.empty()) from_ = ticks(options.from);
  if (!options.to.empty()) to_ = ticks(options.to);
  all_ = vcpus_.empty() && !reasons_ && !kinds_ && !address_ && options.from.empty() && options.to.empty();
}

bool Selection::takes(const Record& record, Syndromes& syndromes) const {
  if (all_) return true;
  if (record.time < from_ || record.time > to_) return false;
  if (kinds_ && !(*kinds_)[static_cast<unsigned>(record.kind)]) return false;
  if (!vcpus_.empty() && std::none_of(vcpus_.begin(), vcpus_.end(), [&](const auto& v) {
        return v[0] == record.vm && (v[1] < 0 || v[1] == record.vcpu);
      })) {
    return false;
  }
  if (address_) {
    const auto inside = [&](std::uint64_t value) { return value >= (*address_)[0] && value <= (*address_)[1]; };
    const auto ipa = abort_ipa(record);
    const bool has_far = record.kind == trace::Kind::exit_sync ? ipa.has_value() || record.far != 0
                                                               : record.kind >= trace::Kind::stage2_map;
    if (!inside(record.pc) && !(has_far && inside(record.far)) && !(ipa && inside(*ipa))) return false;
  }
  if (reasons_) {
    const Reason reason = syndromes.reason(record);
    if ((*reasons_)[static_cast<unsigned>(reason)]) return true;
    if (record.kind == trace::Kind::exit_sync &&  // the class, whatever the decoders made of it
        (*reasons_)[static_cast<unsigned>(reason_of(Esr::from(record.esr).get<Esr::EC>()))]) {
      return true;
    }
    if (reason != Reason::psci && reason != Reason::smccc && record.kind != trace::Kind::psci_call) return false;
    const auto function = name_of(FunctionId::from_x0(record.data));
    return std::any_of(targets_.begin(), targets_.end(), [&](const auto& t) { return same(t, function); });
  }
  return true;
}

void SymbolOptions::add_to(const Command& command) {
  command.option("--symbols", files,
                 "the guest's symbols: an ELF file or a System.map; FILE@OFFSET where it was moved");
  command.option("--hypervisor", hypervisor, "the hypervisor's ELF file");
}

Symbols SymbolOptions::load(const trace::Header& header) const {
  Symbols symbols;
  for (const std::string& file : files) symbols.add(file);
  if (!hypervisor.empty()) {
    std::string complaint;
    symbols.add_hypervisor(hypervisor, header, complaint);
    if (!complaint.empty()) warn(complaint);
  }
  return symbols;
}

TraceFile open_trace(const std::string& path) {
  TraceFile file{path};
  if (!file.problems().empty()) {
    const std::size_t more = file.problems().size() - 1;
    warn(fmt::format("{}: {}{}; {} records are usable", path, file.problems().front(),
                     more == 0 ? "" : fmt::format(" (and {} more such places)", more), file.records()));
  }
  return file;
}

}  // namespace arm_vcpu::scope
