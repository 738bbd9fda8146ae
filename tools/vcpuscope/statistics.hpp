// SPDX-License-Identifier: Apache-2.0
// Counts and durations of a trace's exits.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "describe.hpp"
#include "direct_cache.hpp"
#include "durations.hpp"
#include "selection.hpp"
#include "symbols.hpp"
#include "trace_file.hpp"

namespace arm_vcpu::scope {

// What an exit was about, when it was about one thing.
enum class Target : std::uint8_t { none, device, system_register, call };

class Statistics {
 public:
  struct Thing {
    Durations durations;  // of exits whose end was recorded
    std::uint64_t count{};
    std::uint64_t writes{};  // of device and system registers
    bool waits{};            // Halt: its duration is the guest's idle time, not the hypervisor's work
    const trace::Record* example{};
  };
  struct Vcpu {
    std::uint64_t exits{};
    std::uint64_t records{};
    std::uint64_t ticks{};       // from exits to entries, waits left out
    std::uint64_t wait_ticks{};  // of Halt exits
  };

  // Reads the file once.
  Statistics(const TraceFile& file, const SelectionOptions& options);

  [[nodiscard]] const TraceFile& file() const noexcept { return file_; }
  [[nodiscard]] std::uint64_t records() const noexcept { return records_; }
  [[nodiscard]] std::uint64_t exits() const noexcept { return exits_; }
  [[nodiscard]] std::size_t pc_count() const noexcept { return pcs_.size(); }
  [[nodiscard]] std::uint64_t ticks() const noexcept { return ticks_; }  // of all exits, waits left out
  [[nodiscard]] double seconds() const noexcept;                         // first record to last

  struct Row {
    std::string name;
    std::string note;  // the symbol of a PC
    const Thing* thing{};
    std::uint64_t key{};
  };
  // Most frequent first. Names of VMs and symbols are made here, not while counting.
  [[nodiscard]] std::vector<Row> reasons() const;
  [[nodiscard]] std::vector<Row> events() const;
  [[nodiscard]] std::vector<Row> targets(Target target);
  [[nodiscard]] std::vector<Row> pcs(const Symbols& symbols, std::size_t most) const;
  struct VcpuRow {
    std::string name;
    Vcpu counts;
    unsigned vm{};
    unsigned vcpu{};
  };
  [[nodiscard]] std::vector<VcpuRow> vcpus() const;
  [[nodiscard]] std::array<std::uint64_t, 5> outcomes() const noexcept { return outcomes_; }

  // The same as an object; `most` limits the tables of PCs and registers.
  [[nodiscard]] nlohmann::json json(const Symbols& symbols, std::size_t most);

 private:
  void add(const trace::Record& record);

  const TraceFile& file_;
  Describer describer_;
  std::uint64_t records_{};
  std::uint64_t exits_{};
  std::uint64_t ticks_{};
  std::array<std::uint64_t, 5> outcomes_{};
  std::vector<Thing> reasons_ = std::vector<Thing>(256);
  FlatMap<Thing> pcs_;
  FlatMap<Thing> targets_;
  FlatMap<Vcpu> vcpus_;
};

}  // namespace arm_vcpu::scope
