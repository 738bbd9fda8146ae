// SPDX-License-Identifier: Apache-2.0
// `vcpuscope backtrace`: the calls that led to a PC, of a guest or of the hypervisor, from a dump of RAM; or the
// addresses of a panic report in a log, with names.
#include <fmt/core.h>

#include <charconv>
#include <string_view>
#include <vector>

#include "arm_vcpu/trace/backtrace.hpp"
#include "command.hpp"
#include "explain_input.hpp"
#include "json.hpp"
#include "symbols.hpp"

namespace arm_vcpu::scope {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string log;
  TranslationOptions translation;
  std::string pc, x29, x30;
  std::vector<std::string> symbols;
  std::string hypervisor;
  unsigned frames = 64;
  bool json{};
};

// Registers of a hypervisor's last report, and the calls that it lists itself.
struct Panic {
  std::optional<std::uint64_t> pc, x29, x30;
  std::vector<std::uint64_t> calls;  // offsets in the image
};

std::optional<std::uint64_t> hex_after(std::string_view text, std::string_view label) {
  const std::size_t at = text.find(label);
  if (at == std::string_view::npos) return std::nullopt;
  text.remove_prefix(at + label.size());
  if (text.starts_with("0x")) text.remove_prefix(2);
  std::uint64_t value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return error == std::errc{} && end != text.data() ? std::optional{value} : std::nullopt;
}

// The last report in the log: "panic: EL2 took an exception", then registers, then "backtrace".
Panic parse_panic(const std::string& path) {
  const MappedFile file{path};
  const std::string_view log{reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
  const std::size_t start = log.rfind("EL2 took an exception");
  if (start == std::string_view::npos) throw Failure(fmt::format("{}: no report of a panic in it", path));
  Panic panic;
  bool listing = false;
  for (std::size_t at = start; at < log.size();) {
    const std::size_t end = std::min(log.find('\n', at), log.size());
    const std::string_view line = log.substr(at, end - at);
    at = end + 1;
    if (!panic.pc) panic.pc = hex_after(line, "ELR_EL2 ");
    if (!panic.x29) panic.x29 = hex_after(line, "x29 ");
    if (!panic.x30) panic.x30 = hex_after(line, "x30 ");
    if (line.contains("backtrace")) {
      listing = true;
    } else if (listing) {
      const auto offset = hex_after(line, "image+");
      if (!offset) break;
      panic.calls.push_back(*offset);
    }
  }
  return panic;
}

Symbols load_symbols(const Options& options) {
  Symbols symbols;
  for (const std::string& file : options.symbols) symbols.add(file);
  return symbols;
}

void print_call(std::size_t number, std::uint64_t pc, std::string_view address, const Symbols& symbols) {
  const std::string& name = symbols.at(pc);
  fmt::print("#{:<3} {}{}{}\n", number, address, name.empty() ? "" : " ", name);
}

void print_report(const Panic& panic, const Options& options) {
  if (panic.calls.empty()) throw Failure("the report lists no calls; give --dump and --base to walk the stack");
  Symbols symbols = load_symbols(options);
  if (!options.hypervisor.empty()) symbols.add(options.hypervisor);  // the report's offsets are its link addresses
  Json calls = Json::array();
  for (std::size_t i = 0; i < panic.calls.size(); ++i) {
    if (options.json) {
      calls.push_back({{"offset", hex(panic.calls[i])}, {"symbol", symbols.at(panic.calls[i])}});
    } else {
      print_call(i, panic.calls[i], fmt::format("image+{:#x}", panic.calls[i]), symbols);
    }
  }
  if (options.json) fmt::print("{}\n", Json{{"calls", std::move(calls)}}.dump(2));
}

void run(const Options& options) {
  Panic panic;
  if (!options.log.empty()) panic = parse_panic(options.log);
  if (options.translation.dump.empty()) {
    if (options.log.empty()) throw Failure("backtrace: give a log with a panic report, or --dump with --pc and --x29");
    return print_report(panic, options);
  }
  const GuestMemory memory{options.translation};
  if (!options.pc.empty()) panic.pc = parse_number(options.pc, "--pc");
  if (!options.x29.empty()) panic.x29 = parse_number(options.x29, "--x29");
  if (!options.x30.empty()) panic.x30 = parse_number(options.x30, "--x30");
  if (!panic.pc || !panic.x29) throw Failure("backtrace: give --pc and --x29, or a log that has them");

  Symbols symbols = load_symbols(options);
  if (!options.hypervisor.empty()) {
    const auto header = memory.dump->find_header();
    if (!header) throw Failure("--hypervisor: the dump does not say where the image was; give --symbols ELF@OFFSET");
    std::string complaint;
    symbols.add_hypervisor(options.hypervisor, *header, complaint);
    if (!complaint.empty()) fmt::print(stderr, "vcpuscope: {}\n", complaint);
  }
  const trace::Backtrace found =
      trace::backtrace(*panic.pc, *panic.x29, panic.x30, {.frames = options.frames, .va_bits = va_bits_of(memory)},
                       [&memory](std::uint64_t va) { return memory.word(va); });
  if (options.json) {
    Json calls = Json::array();
    for (const trace::Frame& frame : found.frames()) {
      calls.push_back({{"pc", hex(frame.pc)}, {"record", hex(frame.record)}, {"symbol", symbols.at(frame.pc)}});
    }
    fmt::print("{}\n", Json{{"calls", std::move(calls)}, {"end", trace::meaning_of(found.end)}}.dump(2));
    return;
  }
  for (std::size_t i = 0; i < found.count; ++i) {
    print_call(i, found.frames()[i].pc, fmt::format("{:#018x}", found.frames()[i].pc), symbols);
  }
  if (found.end != trace::BacktraceEnd::complete) fmt::print("     {}\n", trace::meaning_of(found.end));
}

}  // namespace

void register_backtrace(const Command& root) {
  auto options = std::make_shared<Options>();
  const Command command = root.subcommand("backtrace", "The calls that led to a PC, from a dump or a panic report");
  command.option("LOG", options->log, "console log with the hypervisor's panic report");
  options->translation.add_to(command);
  command.option("--pc", options->pc, "PC, or ELR_ELx");
  command.option("--x29", options->x29, "frame pointer");
  command.option("--x30", options->x30, "link register, when the PC is in a function without a frame");
  command.option("--symbols", options->symbols, "ELF or System.map, FILE or FILE@OFFSET; more than once if wanted");
  command.option("--hypervisor", options->hypervisor, "the hypervisor's ELF");
  command.option("--frames", options->frames, "at most so many calls").between(1, 64);
  command.flag("--json", options->json, "as JSON");
  command.on_parsed([options] { run(*options); });
}

}  // namespace arm_vcpu::scope
