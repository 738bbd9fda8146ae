// SPDX-License-Identifier: Apache-2.0
#include "html_page.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <map>

#include "failure.hpp"
#include "html_parts.hpp"
#include "json.hpp"
#include "mapped_file.hpp"
#include "progress.hpp"
#include "text.hpp"

namespace arm_vcpu::scope {
namespace {

__extension__ using Wide = unsigned __int128;  // ISO C++ has no 128-bit type

using nlohmann::json;
using trace::Record;

constexpr std::size_t kBins = 600;
constexpr std::size_t kHeatBins = 150;
constexpr std::size_t kHeatRows = 30;
constexpr unsigned kLatencyPerOctave = 4;

// Counts per bin of time, and what the charts are made of.
class Timeline {
 public:
  Timeline(Statistics& statistics, const SelectionOptions& options) : file_{statistics.file()} {
    const Selection selection{options, file_};
    for (const auto& row : statistics.targets(Target::device)) {
      if (heat_names_.size() == kHeatRows) break;
      heat_rows_[row.key & ~(std::uint64_t{0xFF} << 56)] = heat_names_.size();
      heat_names_.push_back(fmt::format("{} {}", row.name, row.note));
      heat_.emplace_back();
    }
    span_ = std::max<std::uint64_t>(file_.last_time() - file_.first_time(), 1);
    Progress progress{"drawing", file_.records()};
    for (const CpuTrace& cpu : file_.cpus()) {
      for (const auto& run : cpu.runs) {
        for (const Record& record : run) {
          progress.advance();
          if (trace::is_exit(record.kind) && selection.takes(record, syndromes_)) add(record);
        }
      }
    }
  }

  [[nodiscard]] json timeline(const Statistics& statistics) const {
    json list = json::array();
    for (const auto& row : statistics.vcpus()) {
      const auto found = vcpus_.find(std::uint64_t{row.vm} << 8 | row.vcpu);
      if (found == vcpus_.end()) continue;
      json reasons = json::object();
      for (const auto& [reason, bins] : found->second) reasons[std::string{name_of(reason)}] = bins;
      list.push_back({{"name", row.name}, {"reasons", std::move(reasons)}});
    }
    return list;
  }

  [[nodiscard]] json heat() const {
    json cells = json::array();
    for (std::size_t row = 0; row < heat_.size(); ++row) {
      for (std::size_t bin = 0; bin < kHeatBins; ++bin) {
        if (heat_[row][bin] != 0) cells.push_back({bin, row, heat_[row][bin]});
      }
    }
    return {{"bins", kHeatBins}, {"registers", heat_names_}, {"cells", std::move(cells)}};
  }

  [[nodiscard]] double span_ns() const { return static_cast<double>(file_.ns(span_)); }

 private:
  [[nodiscard]] std::size_t bin(std::uint64_t time, std::size_t bins) const {
    const auto at = static_cast<Wide>(time - file_.first_time()) * bins / span_;
    return std::min(static_cast<std::size_t>(at), bins - 1);
  }

  void add(const Record& record) {
    if (record.time < file_.first_time()) return;
    ++vcpus_[std::uint64_t{record.vm} << 8 | record.vcpu][syndromes_.reason(record)][bin(record.time, kBins)];
    if (record.kind != trace::Kind::exit_sync || !syndromes_.of(record).is_mmio) return;
    if (const auto ipa = abort_ipa(record)) {
      if (const auto row = heat_rows_.find(*ipa); row != heat_rows_.end()) {
        ++heat_[row->second][bin(record.time, kHeatBins)];
      }
    }
  }

  const TraceFile& file_;
  Syndromes syndromes_;
  std::uint64_t span_{};
  std::map<std::uint64_t, std::map<Reason, std::array<std::uint32_t, kBins>>> vcpus_;
  std::map<std::uint64_t, std::size_t> heat_rows_;
  std::vector<std::string> heat_names_;
  std::vector<std::array<std::uint32_t, kHeatBins>> heat_;
};

// Exits per quarter octave of duration, for each reason.
json latency(const Statistics& statistics) {
  json list = json::array();
  for (const auto& row : statistics.reasons()) {
    std::map<int, std::uint64_t> counts;
    row.thing->durations.for_each([&](std::uint32_t ticks, std::uint32_t count) {
      const auto ns = static_cast<double>(std::max<std::uint64_t>(statistics.file().ns(ticks), 1));
      counts[static_cast<int>(std::floor(std::log2(ns) * kLatencyPerOctave))] += count;
    });
    json points = json::array();
    for (const auto& [bucket, count] : counts) {
      points.push_back({std::exp2(static_cast<double>(bucket) / kLatencyPerOctave), count});
    }
    list.push_back({{"name", row.name}, {"points", std::move(points)}});
  }
  return list;
}

// Text inside a script element ends at the first "</script", wherever it stands.
std::string for_script(std::string text) {
  for (std::size_t at = text.find("</"); at != std::string::npos; at = text.find("</", at + 3)) {
    text.insert(at + 1, 1, '\\');
  }
  return text;
}

}  // namespace

void write_html(const std::string& path, const std::string& library, Statistics& statistics,
                const SelectionOptions& selection, const Symbols& symbols) {
  const std::string library_path = library.empty() ? VCPUSCOPE_CHART_LIBRARY : library;
  if (::access(library_path.c_str(), R_OK) != 0) {
    throw Failure(
        fmt::format("--html needs the charting library, and {} is not there: run ./x setup, or give "
                    "echarts.min.js with --chart-library",
                    library_path));
  }
  const MappedFile chart_library{library_path};
  const std::string_view code{reinterpret_cast<const char*>(chart_library.bytes().data()),
                              chart_library.bytes().size()};
  if (code.find("echarts") == std::string_view::npos || code.find("</script") != std::string_view::npos) {
    throw Failure(fmt::format("{}: this is not the echarts.min.js that the page needs", library_path));
  }
  json data = statistics.json(symbols, 50);
  const Timeline timeline{statistics, selection};
  data["span_ns"] = timeline.span_ns();
  data["bins"] = kBins;
  data["timeline"] = timeline.timeline(statistics);
  data["heat"] = timeline.heat();
  data["latency"] = latency(statistics);
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) throw system_failure(path, errno);
  Text out{fd};
  const auto put = [&](std::string_view text) {
    for (; !text.empty(); text.remove_prefix(std::min<std::size_t>(text.size(), 65536))) out.put(text.substr(0, 65536));
  };
  std::string_view page = html::kPage;
  const auto put_until = [&](std::string_view mark) {
    const std::size_t at = page.find(mark);
    put(page.substr(0, at));
    page.remove_prefix(at + mark.size());
  };
  put_until("/*STYLE*/");
  put(html::kStyle);
  put_until("/*LIBRARY*/");
  put(code);
  put_until("/*DATA*/");
  put(for_script(data.dump(-1, ' ', false, json::error_handler_t::replace)));
  put_until("/*SCRIPT*/");
  put(html::kScript);
  put(page);
  out.flush();
  if (::close(fd) != 0) throw system_failure(path, errno);
}

}  // namespace arm_vcpu::scope
