// SPDX-License-Identifier: Apache-2.0
// A trace in any of its three forms: a streamed file, a memory dump that holds the recorder's area somewhere, or a
// console log with a framed dump. What is damaged is left out and told in problems().
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "arm_vcpu/trace/record.hpp"
#include "mapped_file.hpp"

namespace arm_vcpu::scope {

static_assert(std::endian::native == std::endian::little, "records are read in place");

struct CpuTrace {
  std::uint32_t cpu{};
  std::vector<std::span<const trace::Record>> runs;  // in the order of recording
  std::uint64_t records{};
  std::uint64_t lost{};  // numbered by the recorder and not in `runs`, before or between them
  std::uint64_t next{};  // number of the record after the last

  // Records `first` and on; a gap to what is there already is counted as lost.
  void append(std::uint64_t first, std::span<const trace::Record> run);
};

class TraceFile {
 public:
  // Throws Failure when there is no record in the file, or no such file.
  explicit TraceFile(const std::string& path);

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] const trace::Header& header() const noexcept { return header_; }
  [[nodiscard]] std::span<const CpuTrace> cpus() const noexcept { return cpus_; }
  [[nodiscard]] std::span<const std::string> problems() const noexcept { return problems_; }
  [[nodiscard]] std::uint64_t records() const noexcept;
  [[nodiscard]] std::uint64_t lost() const noexcept;
  [[nodiscard]] std::uint64_t first_time() const noexcept { return first_time_; }  // the lowest Record::time
  [[nodiscard]] std::uint64_t last_time() const noexcept { return last_time_; }    // the highest time + duration

  // "linux", or "vm2" for a VM that the header does not name.
  [[nodiscard]] std::string vm_name(unsigned vm) const;
  [[nodiscard]] std::uint64_t ns(std::uint64_t ticks) const noexcept {
    // Two steps: exact for years, and no 128-bit division.
    return ticks / hz_ * 1'000'000'000 + ticks % hz_ * 1'000'000'000 / hz_;
  }

 private:
  [[nodiscard]] CpuTrace& cpu(std::uint32_t number);
  [[nodiscard]] std::optional<std::size_t> find_area(std::span<const std::byte> bytes);
  void read_stream(std::span<const std::byte> bytes);
  void read_memory(std::span<const std::byte> bytes);
  bool read_console(std::string_view log);
  void finish();

  std::string path_;
  MappedFile file_;
  trace::Header header_{};
  std::vector<CpuTrace> cpus_;
  std::vector<std::string> problems_;
  std::deque<std::vector<trace::Record>> owned_;  // records that are not in the file as they are in memory
  std::uint64_t hz_{1'000'000'000};
  std::uint64_t first_time_{};
  std::uint64_t last_time_{};
};

// Calls visit(CpuTrace, Record) for every record, CPUs merged by time; the order of each CPU is kept.
template <class Visit>
void for_each_by_time(const TraceFile& file, Visit&& visit) {
  struct Head {
    const CpuTrace* cpu;
    std::size_t run;
    const trace::Record* at;
    const trace::Record* end;
  };
  std::vector<Head> heads;
  const auto settle = [](Head& head) {  // on the next run that has a record; false when there is none
    while (head.at == head.end) {
      if (++head.run == head.cpu->runs.size()) return false;
      head.at = head.cpu->runs[head.run].data();
      head.end = head.at + head.cpu->runs[head.run].size();
    }
    return true;
  };
  for (const CpuTrace& cpu : file.cpus()) {
    if (cpu.runs.empty()) continue;
    Head head{&cpu, 0, cpu.runs[0].data(), cpu.runs[0].data() + cpu.runs[0].size()};
    if (settle(head)) heads.push_back(head);
  }
  while (!heads.empty()) {
    std::size_t least = 0;
    std::uint64_t limit = ~std::uint64_t{0};  // the earliest of the others
    for (std::size_t i = 1; i < heads.size(); ++i) {
      if (heads[i].at->time < heads[least].at->time) {
        limit = std::min(limit, heads[least].at->time);
        least = i;
      } else {
        limit = std::min(limit, heads[i].at->time);
      }
    }
    Head& head = heads[least];
    bool more = true;
    do {
      visit(*head.cpu, *head.at++);
      more = settle(head);
    } while (more && head.at->time <= limit);
    if (!more) heads.erase(heads.begin() + static_cast<std::ptrdiff_t>(least));
  }
}

}  // namespace arm_vcpu::scope
