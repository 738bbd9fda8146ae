// SPDX-License-Identifier: Apache-2.0
// `vcpuscope diagnose`: names the failures in a trace, a dump or a log, by the rules that run at EL2.
#include <fmt/core.h>
#include <unistd.h>

#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "arm_vcpu/trace/diagnosis_replay.hpp"
#include "arm_vcpu/vm/guest_layout.hpp"
#include "command.hpp"
#include "diagnose_log.hpp"
#include "json.hpp"
#include "selection.hpp"
#include "text.hpp"

namespace arm_vcpu {

// The link-time seam of the library: a tool looks at captured CPUs, not at the one that it runs on.
Capabilities probe() noexcept {
  return {};
}

}  // namespace arm_vcpu

namespace arm_vcpu::scope {
namespace {

constexpr int kFound = 3;  // exit status

struct Options {
  std::string file;
  SymbolOptions symbols;
  bool json{};
};

class Names final : public diag::Symbolizer {
 public:
  explicit Names(const Symbols& symbols) : symbols_{symbols} {}

  bool symbolize(TextBuffer& out, std::uint64_t address, bool) const noexcept override {
    const std::string& name = symbols_.at(address);
    out.put(name);
    return !name.empty();
  }
  [[nodiscard]] const std::string& at(std::uint64_t address) const { return symbols_.at(address); }

 private:
  const Symbols& symbols_;
};

// The guest's machine; names as in its device tree.
constexpr diag::DeviceRange kDevices[] = {
    {"intc@8000000 (distributor)", guest_machine::kGicd.base, guest_machine::kGicd.bytes},
    {"intc@8000000 (redistributors)", guest_machine::kGicr.base, guest_machine::kGicr.bytes},
    {"pl011@9000000", guest_machine::kUart.base, guest_machine::kUart.bytes, kWidthsUpToWord},
};

std::string code_text(diag::Code code) {
  return fmt::format("AV{:04}", static_cast<unsigned>(code));
}

class Findings final : public diag::ReplaySink {
 public:
  explicit Findings(const Names& names) : names_{names} {}

  struct Finding {
    std::string text;
    nlohmann::json json;
  };
  struct Recorded {
    diag::Code code{};
    trace::Record record;
  };

  void found(const diag::Diagnosis& diagnosis, const diag::CapturedState& state) noexcept override {
    if (!told_.insert({diagnosis.code(), diagnosis.vm(), diagnosis.vcpu(), diagnosis.pc().value_or(0)}).second) return;
    struct Lines final : diag::LineSink {
      std::string all;
      void line(std::string_view line) noexcept override {
        all += line;
        all += '\n';
      }
    } lines;
    diag::render(diagnosis, state, lines, &names_);
    findings_.push_back({std::move(lines.all), json_of(diagnosis)});
  }
  void recorded(diag::Code code, const trace::Record& record) noexcept override {
    if (recorded_at_.insert({record.vm, record.vcpu, record.time}).second) recorded_.push_back({code, record});
  }

  [[nodiscard]] const std::vector<Finding>& findings() const noexcept { return findings_; }
  [[nodiscard]] const std::vector<Recorded>& recorded() const noexcept { return recorded_; }

 private:
  nlohmann::json json_of(const diag::Diagnosis& diagnosis) const {
    nlohmann::json evidence = nlohmann::json::array();
    for (std::size_t i = 0; i < diagnosis.evidence_count(); ++i) {
      const diag::Evidence one = diagnosis.evidence(i);
      nlohmann::json row{{"label", one.label}};
      if (one.form == diag::Evidence::Form::decimal) row["value"] = one.value;
      if (one.form == diag::Evidence::Form::hex) row["value"] = fmt::format("{:#x}", one.value);
      if (one.form == diag::Evidence::Form::code || one.form == diag::Evidence::Form::el2_code) {
        row["value"] = fmt::format("{:#x}", one.value);
        if (const std::string& name = names_.at(one.value); !name.empty()) row["symbol"] = name;
      }
      if (!one.text.empty()) row["text"] = one.text;
      evidence.push_back(std::move(row));
    }
    nlohmann::json considered = nlohmann::json::array();
    for (std::size_t i = 0; i < diagnosis.rejected_count(); ++i) {
      const diag::Rejected one = diagnosis.rejected(i);
      considered.push_back({{"code", code_text(one.code)}, {"why", one.why}});
    }
    nlohmann::json result{{"code", code_text(diagnosis.code())},
                          {"title", diag::info_of(diagnosis.code()).title},
                          {"vm", diagnosis.vm()},
                          {"vcpu", diagnosis.vcpu()},
                          {"what", diagnosis.what()},
                          {"evidence", std::move(evidence)},
                          {"cause", diagnosis.cause()},
                          {"confidence", diag::name_of(diagnosis.confidence())},
                          {"check", diagnosis.advice()},
                          {"considered", std::move(considered)}};
    if (diagnosis.pc()) {
      result["pc"] = fmt::format("{:#x}", *diagnosis.pc());
      if (const std::string& name = names_.at(*diagnosis.pc()); !name.empty()) result["symbol"] = name;
    }
    return result;
  }

  const Names& names_;
  std::vector<Finding> findings_;
  std::vector<Recorded> recorded_;
  std::set<std::tuple<diag::Code, unsigned, unsigned, std::uint64_t>> told_;
  std::set<std::tuple<unsigned, unsigned, std::uint64_t>> recorded_at_;
};

// The rules look back over contiguous records. A CPU's are put together in blocks, each beginning with the end of the
// one before, so that memory stays bounded and no loop is cut.
void replay_cpu(const CpuTrace& cpu, diag::ReplayContext context, Findings& findings) {
  constexpr std::size_t kBlock = std::size_t{1} << 20;
  constexpr std::size_t kOverlap = std::size_t{1} << 14;
  const bool unclean = context.reset_unclean;
  std::vector<trace::Record> block;
  std::uint64_t left = 0;
  for (const auto& run : cpu.runs) left += run.size();
  const auto look = [&](bool last) {
    context.reset_unclean = unclean && last;
    diag::replay(block, context, findings);
  };
  for (std::span<const trace::Record> run : cpu.runs) {
    while (!run.empty()) {
      const std::size_t n = std::min(run.size(), kBlock - block.size());
      block.insert(block.end(), run.begin(), run.begin() + static_cast<std::ptrdiff_t>(n));
      run = run.subspan(n);
      left -= n;
      if (block.size() < kBlock || left == 0) continue;
      look(false);
      block.erase(block.begin(), block.end() - static_cast<std::ptrdiff_t>(kOverlap));
    }
  }
  look(true);
}

void replay_file(const TraceFile& file, Findings& findings) {
  const trace::Header& header = file.header();
  diag::ReplayContext context{
      .counter_hz = header.counter_hz,
      .vms = std::span{header.vms}.first(std::min<std::size_t>(header.vm_count, trace::kMaxVms)),
      .devices = kDevices,
      .boot_count = header.boot_count};
  // A reset belongs to the machine: it is told once, for the CPU that wrote last.
  const CpuTrace* last = nullptr;
  std::uint64_t last_time = 0;
  for (const CpuTrace& cpu : file.cpus()) {
    if (cpu.runs.empty() || cpu.runs.back().empty() || cpu.runs.back().back().time < last_time) continue;
    last = &cpu;
    last_time = cpu.runs.back().back().time;
  }
  for (const CpuTrace& cpu : file.cpus()) {
    context.reset_unclean = &cpu == last && header.boot_count != 0 && header.clean_shutdown == 0;
    replay_cpu(cpu, context, findings);
  }
}

void put_text(Text& out, const std::vector<std::string>& said, const Findings& findings, const TraceFile* file) {
  for (const std::string& one : said) out.put(one);
  if (!said.empty() && !findings.findings().empty()) out.put("from the records:\n");
  for (const auto& finding : findings.findings()) out.put(finding.text);
  for (const auto& [code, record] : findings.recorded()) {
    out.format("recorded at EL2: {} {}: {} vcpu{}, PC {:#x}, {:.6f} s\n", code_text(code), diag::info_of(code).title,
               file->vm_name(record.vm), record.vcpu, record.pc,
               static_cast<double>(file->ns(record.time - file->first_time())) * 1e-9);
  }
  if (said.empty() && findings.findings().empty() && findings.recorded().empty()) {
    out.format("nothing found in {} records\n", file != nullptr ? file->records() : 0);
  }
}

nlohmann::json to_json(const std::vector<std::string>& said, const Findings& findings, const TraceFile* file) {
  nlohmann::json result{{"findings", nlohmann::json::array()}, {"recorded", nlohmann::json::array()}, {"log", said}};
  result["records"] = file != nullptr ? file->records() : 0;
  result["lost"] = file != nullptr ? file->lost() : 0;
  for (const auto& finding : findings.findings()) result["findings"].push_back(finding.json);
  for (const auto& [code, record] : findings.recorded()) {
    result["recorded"].push_back({{"code", code_text(code)},
                                  {"vm", record.vm},
                                  {"vcpu", record.vcpu},
                                  {"pc", fmt::format("{:#x}", record.pc)},
                                  {"time_ns", file->ns(record.time - file->first_time())}});
  }
  return result;
}

void run(const Options& options) {
  const std::vector<std::string> said = diagnoses_in_log(options.file);
  std::unique_ptr<TraceFile> file;
  try {
    file = std::make_unique<TraceFile>(open_trace(options.file));
  } catch (const Failure&) {
    if (said.empty()) throw;  // neither records nor messages
  }
  const Symbols symbols = options.symbols.load(file != nullptr ? file->header() : trace::Header{});
  const Names names{symbols};
  Findings findings{names};
  if (file != nullptr) replay_file(*file, findings);

  Text out{STDOUT_FILENO};
  if (options.json) {
    out.put(to_json(said, findings, file.get()).dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
    out.put('\n');
  } else {
    put_text(out, said, findings, file.get());
  }
  out.flush();
  if (!said.empty() || !findings.findings().empty() || !findings.recorded().empty()) throw ExitStatus{kFound};
}

}  // namespace

void register_diagnose(const Command& root) {
  auto options = std::make_shared<Options>();
  const Command command =
      root.subcommand("diagnose", "Names the failures in a trace, dump or log; exit status 3 when there is one");
  command.option("FILE", options->file, "trace, dump or log").required();
  options->symbols.add_to(command);
  command.flag("--json", options->json, "as one JSON object");
  command.on_parsed([options] { run(*options); });
}

}  // namespace arm_vcpu::scope
