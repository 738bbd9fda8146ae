// SPDX-License-Identifier: Apache-2.0
// Names for addresses of code, from ELF files (libelf) and from lists as `nm` and System.map have them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "arm_vcpu/trace/record.hpp"
#include "direct_cache.hpp"

namespace arm_vcpu::scope {

struct Symbol {
  std::uint64_t address{};
  std::uint64_t bytes{};  // 0: unknown, up to the next symbol
  std::string name;
};

class Symbols {
 public:
  // Adds a file, "FILE" or "FILE@OFFSET": the offset, which may be negative, is added to every address, for code that
  // does not run where it was linked (a relocated kernel). Throws Failure.
  void add(const std::string& file);

  // Adds the hypervisor's ELF at its run-time address. When the ELF is not the build that made the trace, `complaint`
  // says so.
  void add_hypervisor(const std::string& file, const trace::Header& header, std::string& complaint);

  [[nodiscard]] bool empty() const noexcept { return symbols_.empty(); }

  // "do_idle+0x1c", demangled; empty when no symbol covers the address.
  [[nodiscard]] const std::string& at(std::uint64_t address) const;

 private:
  void sort();
  [[nodiscard]] std::string look_up(std::uint64_t address) const;

  std::vector<Symbol> symbols_;
  mutable DirectCache<std::string, 8192> cache_;
};

}  // namespace arm_vcpu::scope
