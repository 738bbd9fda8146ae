// SPDX-License-Identifier: Apache-2.0
// Which records a command looks at, and the options that all commands have.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "command_line.hpp"
#include "symbols.hpp"
#include "syndrome.hpp"
#include "trace_file.hpp"

namespace arm_vcpu::scope {

struct SelectionOptions {
  std::vector<std::string> vcpus{};
  std::vector<std::string> reasons{};
  std::vector<std::string> kinds{};
  std::string address{};
  std::string from{};
  std::string to{};

  void add_to(const Command& command);
};

// SelectionOptions for one file. Throws Failure for a value that means nothing in it.
class Selection {
 public:
  Selection(const SelectionOptions& options, const TraceFile& file);

  [[nodiscard]] bool all() const noexcept { return all_; }
  [[nodiscard]] bool takes(const trace::Record& record, Syndromes& syndromes) const;

 private:
  bool all_{true};
  std::vector<std::array<int, 2>> vcpus_;         // VM and vCPU; -1: every
  std::optional<std::array<bool, 256>> reasons_;  // by Reason
  std::vector<std::string> targets_;              // of calls: "CPU_ON"
  std::optional<std::array<bool, 256>> kinds_;    // by trace::Kind
  std::optional<std::array<std::uint64_t, 2>> address_;
  std::uint64_t from_{};  // ticks
  std::uint64_t to_{~std::uint64_t{0}};
};

struct SymbolOptions {
  std::vector<std::string> files;
  std::string hypervisor;

  void add_to(const Command& command);
  [[nodiscard]] Symbols load(const trace::Header& header) const;
};

// Opens the file and says on stderr what is wrong with it.
[[nodiscard]] TraceFile open_trace(const std::string& path);

}  // namespace arm_vcpu::scope
