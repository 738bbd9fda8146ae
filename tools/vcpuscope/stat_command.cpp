// SPDX-License-Identifier: Apache-2.0
// `vcpuscope stat`: what exits there were, how many, how long, and where from.
#include <fmt/core.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "command.hpp"
#include "html_page.hpp"
#include "json.hpp"
#include "statistics.hpp"
#include "table.hpp"
#include "text.hpp"

namespace arm_vcpu::scope {
namespace {

struct Options {
  std::string file;
  SelectionOptions selection;
  SymbolOptions symbols;
  std::size_t top{20};
  bool json{};
  std::string html;
  std::string chart_library;
};

void put_table(Text& out, const Statistics& stat, std::string_view title, const std::vector<Statistics::Row>& rows,
               std::size_t most, bool has_writes, std::uint64_t all) {
  if (rows.empty()) return;
  out.format("\n{} ({}{})\n", title, std::max<std::size_t>(rows.size(), all),
             std::max<std::size_t>(rows.size(), all) > most ? fmt::format(", the first {}", most) : "");
  Table table{{{"", Table::left},
               {"", Table::left},
               {"exits", Table::right},
               {"share", Table::right},
               {"time", Table::right},
               {has_writes ? "writes" : "", Table::right},
               {"min", Table::right},
               {"median", Table::right},
               {"p99", Table::right},
               {"max", Table::right}}};
  for (const auto& row : rows) {
    if (table.size() == most) break;
    const Durations& d = row.thing->durations;
    const auto time = [&](std::uint64_t ticks) { return duration_text(stat.file().ns(ticks)); };
    table.add({row.name, row.note, count_text(row.thing->count), percent_text(row.thing->count, stat.exits()),
               row.thing->waits ? "waiting" : percent_text(d.sum(), stat.ticks()),
               has_writes ? count_text(row.thing->writes) : "", time(d.least()), time(d.quantile(0.5)),
               time(d.quantile(0.99)), time(d.greatest())});
  }
  table.write(out);
}

void put_text(Text& out, Statistics& stat, const Symbols& symbols, std::size_t top) {
  const TraceFile& file = stat.file();
  out.format("{}: {} records, {} exits, {} CPUs, {:.6f} s", file.path(), count_text(stat.records()),
             count_text(stat.exits()), file.cpus().size(), stat.seconds());
  out.format("; lost {}\n", count_text(file.lost()));
  const auto span = static_cast<std::uint64_t>(stat.seconds() * 1e9);
  Table vcpus{{{"vCPU", Table::left},
               {"exits", Table::right},
               {"exits/s", Table::right},
               {"in hypervisor", Table::right},
               {"waiting", Table::right}}};
  for (const auto& row : stat.vcpus()) {
    vcpus.add({row.name, count_text(row.counts.exits),
               count_text(static_cast<std::uint64_t>(
                   stat.seconds() == 0 ? 0 : static_cast<double>(row.counts.exits) / stat.seconds())),
               percent_text(file.ns(row.counts.ticks), span), percent_text(file.ns(row.counts.wait_ticks), span)});
  }
  out.put('\n');
  vcpus.write(out);
  put_table(out, stat, "Exits by reason", stat.reasons(), 256, false, 0);
  put_table(out, stat, "Device registers", stat.targets(Target::device), top, true, 0);
  put_table(out, stat, "System registers", stat.targets(Target::system_register), top, true, 0);
  put_table(out, stat, "Calls", stat.targets(Target::call), top, false, 0);
  put_table(out, stat, "Exits by PC", stat.pcs(symbols, top), top, false, stat.pc_count());
  if (const auto events = stat.events(); !events.empty()) {
    out.put("\nEvents\n");
    Table table{{{"", Table::left}, {"count", Table::right}}};
    for (const auto& row : events) table.add({row.name, count_text(row.thing->count)});
    table.write(out);
  }
}

void run(const Options& options) {
  const TraceFile file = open_trace(options.file);
  const Symbols symbols = options.symbols.load(file.header());
  Statistics stat{file, options.selection};
  if (!options.html.empty()) return write_html(options.html, options.chart_library, stat, options.selection, symbols);
  Text out{STDOUT_FILENO};
  if (options.json) {
    out.put(stat.json(symbols, options.top).dump(2));
    out.put('\n');
  } else {
    put_text(out, stat, symbols, options.top);
  }
  out.flush();
}

}  // namespace

void register_stat(const Command& root) {
  auto options = std::make_shared<Options>();
  const Command command = root.subcommand("stat", "Exits per reason, PC and register: counts, shares, durations");
  command.option("FILE", options->file, "trace, dump or log; - for stdin").required();
  options->symbols.add_to(command);
  options->selection.add_to(command);
  command.option("--top", options->top, "lines of the tables of PCs and registers (20)");
  command.flag("--json", options->json, "as one JSON object");
  command.option("--html", options->html, "a page with charts, to this file; it needs nothing else, no network");
  command.option("--chart-library", options->chart_library, "echarts.min.js to put into the page")
      .environment("VCPUSCOPE_CHART_LIBRARY");
  command.on_parsed([options] { run(*options); });
}

}  // namespace arm_vcpu::scope
