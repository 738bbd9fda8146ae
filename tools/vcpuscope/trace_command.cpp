// SPDX-License-Identifier: Apache-2.0
// `vcpuscope trace`: one readable line, or one JSON object, for each record.
#include <unistd.h>

#include <array>
#include <deque>
#include <memory>
#include <string>

#include "command.hpp"
#include "describe.hpp"
#include "progress.hpp"
#include "selection.hpp"
#include "text.hpp"
#include "trace_file.hpp"

namespace arm_vcpu::scope {
namespace {

using trace::Outcome;
using trace::Record;

struct Options {
  std::string file;
  SelectionOptions selection;
  SymbolOptions symbols;
  std::uint64_t last{};
  bool json{};
};

class Printer {
 public:
  Printer(const TraceFile& file, const Symbols& symbols, Text& out) : file_{file}, symbols_{symbols}, out_{out} {
    for (unsigned vm = 0; vm < names_.size(); ++vm) names_[vm] = file.vm_name(vm);
  }

  [[nodiscard]] Describer& describer() noexcept { return describer_; }

  void heading() {
    out_.put("#       time CPU vCPU         reason            PC                 what it was, outcome, duration\n");
  }

  void line(const CpuTrace& cpu, const Record& record) {
    out_.mark();
    put_time(record.time);
    out_.put(' ');
    out_.dec(cpu.cpu, 3);
    out_.put(' ');
    out_.put(names_[record.vm]);
    out_.put('.');
    out_.dec(record.vcpu);
    out_.pad_to(29);
    out_.put(' ');
    out_.put(name_of(describer_.syndromes().reason(record)));
    out_.pad_to(47);
    out_.put(' ');
    out_.hex(record.pc, 16);
    out_.put(' ');
    if (!symbols_.empty()) {
      if (const std::string& name = symbols_.at(record.pc); !name.empty()) {
        out_.put(name);
        out_.put(' ');
      }
      out_.pad_to(100);
    }
    describer_.detail(out_, record);
    if (!trace::is_exit(record.kind)) {
      out_.trim();
    } else {
      out_.put(", ");
      out_.put(outcome(record));
      if (record.outcome != Outcome::open) {
        out_.put(", ");
        out_.dec(file_.ns(record.duration));
        out_.put(record.duration == ~0U ? " ns or more" : " ns");
      }
    }
    out_.put('\n');
  }

  void json(const CpuTrace& cpu, const Record& record) {
    out_.mark();
    out_.put(R"({"ns":)");
    out_.dec(file_.ns(record.time - file_.first_time()));
    out_.put(R"(,"ticks":)");
    out_.dec(record.time);
    out_.put(R"(,"cpu":)");
    out_.dec(cpu.cpu);
    out_.put(R"(,"sequence":)");
    out_.dec(record.sequence);
    out_.put(R"(,"vm":)");
    out_.dec(record.vm);
    out_.put(R"(,"vm_name":)");
    out_.json(names_[record.vm]);
    out_.put(R"(,"vcpu":)");
    out_.dec(record.vcpu);
    out_.put(R"(,"kind":")");
    const auto kind = trace::name_of(record.kind);
    if (kind.empty()) out_.dec(static_cast<unsigned>(record.kind));
    out_.put(kind);
    out_.put(R"(","reason":)");
    out_.json(name_of(describer_.syndromes().reason(record)));
    put_hex(R"(,"pc":")", record.pc);
    if (!symbols_.empty()) {
      out_.put(R"(,"symbol":)");
      out_.json(symbols_.at(record.pc));
    }
    put_hex(R"(,"esr":")", record.esr);
    put_hex(R"(,"far":")", record.far);
    put_hex(R"(,"hpfar":")", record.hpfar);
    put_hex(R"(,"data":")", record.data);
    put_hex(R"(,"spsr":")", record.spsr);
    if (const auto ipa = abort_ipa(record)) {
      put_hex(R"(,"ipa":")", *ipa);
      out_.put(R"(,"register":)");
      out_.json(describer_.register_at(*ipa));
    }
    out_.put(R"(,"what":")");
    describer_.detail(out_, record);  // made of the library's tables: nothing in it needs an escape
    out_.put('"');
    if (trace::is_exit(record.kind)) {
      out_.put(R"(,"outcome":")");
      out_.put(outcome(record));
      out_.put(R"(","duration_ns":)");
      out_.dec(file_.ns(record.duration));
    }
    out_.put("}\n");
  }

 private:
  static std::string_view outcome(const Record& record) {
    const auto name = trace::name_of(record.outcome);
    return name.empty() ? std::string_view{"unknown outcome"} : name;
  }
  void put_hex(std::string_view key, std::uint64_t value) {
    out_.put(key);
    out_.hex(value);
    out_.put('"');
  }
  void put_time(std::uint64_t time) {
    const std::uint64_t us = file_.ns(time - file_.first_time()) / 1000;
    out_.dec(us / 1'000'000, 5);
    out_.put('.');
    out_.dec(us % 1'000'000, 6, '0');
  }

  const TraceFile& file_;
  const Symbols& symbols_;
  Text& out_;
  std::array<std::string, 256> names_;
  Describer describer_;
};

void run(const Options& options) {
  const TraceFile file = open_trace(options.file);
  const Symbols symbols = options.symbols.load(file.header());
  const Selection selection{options.selection, file};
  Text out{STDOUT_FILENO};
  Printer printer{file, symbols, out};
  const auto print = [&](const CpuTrace& cpu, const Record& record) {
    options.json ? printer.json(cpu, record) : printer.line(cpu, record);
  };
  if (!options.json) printer.heading();
  std::deque<std::pair<const CpuTrace*, const Record*>> last;
  {
    Progress progress{"reading", file.records()};
    for_each_by_time(file, [&](const CpuTrace& cpu, const Record& record) {
      progress.advance();
      if (!selection.takes(record, printer.describer().syndromes())) return;
      if (options.last == 0) return print(cpu, record);
      if (last.size() == options.last) last.pop_front();
      last.emplace_back(&cpu, &record);
    });
  }
  for (const auto& [cpu, record] : last) print(*cpu, *record);
  out.flush();
}

}  // namespace

void register_trace(const Command& root) {
  auto options = std::make_shared<Options>();
  const Command command = root.subcommand("trace", "Every record in words, CPUs merged by time");
  command.option("FILE", options->file, "trace, dump or log; - for stdin").required();
  options->symbols.add_to(command);
  options->selection.add_to(command);
  command.option("--last", options->last, "only the last N of these records").positive();
  command.flag("--json", options->json, "one JSON object on each line");
  command.on_parsed([options] { run(*options); });
}

}  // namespace arm_vcpu::scope
