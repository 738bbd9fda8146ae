// SPDX-License-Identifier: Apache-2.0
// What `explain` and `backtrace` share: numbers on the command line, a raw dump of RAM, and the registers that say how
// a guest's addresses are translated.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "arm_vcpu/trace/explain_walk.hpp"
#include "arm_vcpu/trace/record.hpp"
#include "command_line.hpp"
#include "mapped_file.hpp"

namespace arm_vcpu::scope {

// "0x84000003", "0x8400_0003", "0x8400'0003", "17". Throws Failure that names `what`.
[[nodiscard]] std::uint64_t parse_number(const std::string& text, const std::string& what);
[[nodiscard]] std::string hex(std::uint64_t value);

// RAM as it lies in a file: the first byte is at `base`.
class RamDump {
 public:
  RamDump(const std::string& path, std::uint64_t base);

  // The 64 bits at a physical address; empty beyond the file.
  [[nodiscard]] std::optional<std::uint64_t> operator()(std::uint64_t pa) const noexcept;
  [[nodiscard]] std::uint64_t base() const noexcept { return base_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return file_.bytes().size(); }
  // The exit recorder's header, if the dump holds one.
  [[nodiscard]] std::optional<trace::Header> find_header() const noexcept;

 private:
  MappedFile file_;
  std::uint64_t base_;
};

// How the addresses of a guest are translated, from the command line and from the dump.
struct TranslationOptions {
  std::string dump;
  std::string base;
  std::string vm;
  std::string vtcr, vttbr;
  std::string tcr, ttbr0, ttbr1, mair, sctlr;

  void add_to(const Command& command);
};

struct GuestMemory {
  std::unique_ptr<RamDump> dump;
  std::optional<explain::Stage2Tables> stage2;
  stage1::Registers stage1;
  bool has_stage1{};   // registers were given
  std::string source;  // where the stage-2 registers come from; empty when there is no stage 2

  // Throws Failure.
  explicit GuestMemory(const TranslationOptions& options);

  [[nodiscard]] explain::Translation translate(const stage1::Request& request) const;
  // The 64 bits at a virtual address, read as EL1 would without permission checks.
  [[nodiscard]] std::optional<std::uint64_t> word(std::uint64_t va) const;
};

// The guest's VA size on the upper range if it has one, else 48.
[[nodiscard]] unsigned va_bits_of(const GuestMemory& memory) noexcept;

}  // namespace arm_vcpu::scope
