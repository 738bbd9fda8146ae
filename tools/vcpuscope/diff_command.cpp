// SPDX-License-Identifier: Apache-2.0
// `vcpuscope diff`: two traces side by side, the greatest change first.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <tuple>

#include "command.hpp"
#include "json.hpp"
#include "statistics.hpp"
#include "table.hpp"
#include "text.hpp"

namespace arm_vcpu::scope {
namespace {

struct Options {
  std::string files[2];
  SelectionOptions selection;
  SymbolOptions symbols;
  std::string by{"count"};
  std::size_t top{20};
  bool json{};
};

struct Side {
  std::uint64_t count{};
  std::uint64_t median_ns{};
  std::uint64_t total_ns{};
};

struct Change {
  std::string table;
  std::string name;
  Side sides[2];
  double size{};  // of the change, by which the list is sorted
};

double measure(const Side& side, const std::string& by) {
  if (by == "median") return static_cast<double>(side.median_ns);
  return static_cast<double>(by == "time" ? side.total_ns : side.count);
}

std::string signed_percent(double before, double after) {
  if (before == after) return "=";
  if (before == 0) return "new";
  if (after == 0) return "gone";
  return fmt::format("{:+.1f}%", 100 * (after - before) / before);
}

std::vector<Change> changes(const Options& options, Statistics (&stats)[2], const Symbols& symbols) {
  std::map<std::pair<std::string, std::string>, Change> all;
  for (int side = 0; side < 2; ++side) {
    const TraceFile& file = stats[side].file();
    const auto add = [&](const char* table, const std::vector<Statistics::Row>& rows) {
      for (const auto& row : rows) {
        // A symbol's offset and the addresses around it move from build to build; its name does not.
        const std::string name =
            row.note.empty() || row.note.starts_with("0x") ? row.name : row.note.substr(0, row.note.find('+'));
        Change& change = all[{table, name}];
        change.table = table;
        change.name = name;
        Side& s = change.sides[side];
        const Durations& d = row.thing->durations;
        if (row.thing->count > s.count) s.median_ns = file.ns(d.quantile(0.5));  // of the most frequent of its PCs
        s.count += row.thing->count;
        s.total_ns += file.ns(d.sum());
      }
    };
    add("reason", stats[side].reasons());
    add("event", stats[side].events());
    add("device", stats[side].targets(Target::device));
    add("sysreg", stats[side].targets(Target::system_register));
    add("call", stats[side].targets(Target::call));
    add("pc", stats[side].pcs(symbols, 100'000));
  }
  std::vector<Change> list;
  for (auto& [key, change] : all) {
    change.size = std::abs(measure(change.sides[1], options.by) - measure(change.sides[0], options.by));
    if (change.size != 0) list.push_back(std::move(change));
  }
  std::sort(list.begin(), list.end(), [](const Change& a, const Change& b) {
    return std::tie(b.size, a.table, a.name) < std::tie(a.size, b.table, b.name);
  });
  return list;
}

void run(const Options& options) {
  const TraceFile files[] = {open_trace(options.files[0]), open_trace(options.files[1])};
  const Symbols symbols = options.symbols.load(files[1].header());
  Statistics stats[] = {{files[0], options.selection}, {files[1], options.selection}};
  const std::vector<Change> list = changes(options, stats, symbols);
  Text out{STDOUT_FILENO};
  if (options.json) {
    nlohmann::json array = nlohmann::json::array();
    for (const Change& c : list) {
      const auto side = [](const Side& s) {
        return nlohmann::json{{"count", s.count}, {"median_ns", s.median_ns}, {"total_ns", s.total_ns}};
      };
      array.push_back({{"table", c.table}, {"name", c.name}, {"a", side(c.sides[0])}, {"b", side(c.sides[1])}});
    }
    out.put(nlohmann::json{{"a", options.files[0]}, {"b", options.files[1]}, {"changes", std::move(array)}}.dump(2));
    out.put('\n');
    return out.flush();
  }
  for (int i = 0; i < 2; ++i) {
    out.format("{}  {}: {} exits in {:.6f} s\n", i == 0 ? 'A' : 'B', options.files[i], count_text(stats[i].exits()),
               stats[i].seconds());
  }
  if (list.empty()) {
    out.put("\nNo difference.\n");
    return out.flush();
  }
  out.format("\nChanges from A to B, by {} ({}{})\n", options.by, list.size(),
             list.size() > options.top ? fmt::format(", the first {}", options.top) : "");
  Table table{{{"", Table::left},
               {"", Table::left},
               {"count A", Table::right},
               {"count B", Table::right},
               {"change", Table::right},
               {"median A", Table::right},
               {"median B", Table::right},
               {"change", Table::right},
               {"total A", Table::right},
               {"total B", Table::right}}};
  for (const Change& c : list) {
    if (table.size() == options.top) break;
    const auto& [a, b] = c.sides;
    const bool timed = c.table != "event";
    const auto time = [&](const Side& s, std::uint64_t ns) { return timed && s.count != 0 ? duration_text(ns) : "-"; };
    table.add({c.table, c.name, count_text(a.count), count_text(b.count),
               signed_percent(static_cast<double>(a.count), static_cast<double>(b.count)), time(a, a.median_ns),
               time(b, b.median_ns),
               timed && a.count != 0 && b.count != 0
                   ? signed_percent(static_cast<double>(a.median_ns), static_cast<double>(b.median_ns))
                   : "-",
               time(a, a.total_ns), time(b, b.total_ns)});
  }
  table.write(out);
  out.flush();
}

}  // namespace

void register_diff(const Command& root) {
  auto options = std::make_shared<Options>();
  const Command command = root.subcommand("diff", "What changed between two traces, the greatest change first");
  command.option("A", options->files[0], "trace, dump or log").required();
  command.option("B", options->files[1], "the one to compare with it").required();
  options->symbols.add_to(command);
  options->selection.add_to(command);
  command.option("--by", options->by, "what a change is measured by (count)").one_of({"count", "time", "median"});
  command.option("--top", options->top, "lines to show (20)");
  command.flag("--json", options->json, "all changes as one JSON object");
  command.on_parsed([options] { run(*options); });
}

}  // namespace arm_vcpu::scope
