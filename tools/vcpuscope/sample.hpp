// SPDX-License-Identifier: Apache-2.0
// Traces that no hypervisor made: the same options give the same bytes. For the tests and for measuring.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "arm_vcpu/trace/record.hpp"

namespace arm_vcpu::scope {

struct SampleOptions {
  std::uint64_t records{10'000};  // over all CPUs
  unsigned cpus{4};               // two VMs share them when there are several
  std::uint64_t seed{1};
};

// One CPU's records, as a Linux guest at work makes them.
class SampleCpu {
 public:
  SampleCpu(const SampleOptions& options, unsigned cpu) noexcept;
  [[nodiscard]] trace::Record next();

 private:
  [[nodiscard]] std::uint64_t random() noexcept;
  void exit(std::uint64_t pc, std::uint64_t syndrome, std::uint64_t duration);

  std::uint64_t state_;
  std::uint64_t time_;
  std::uint32_t sequence_{};
  std::uint8_t vm_;
  std::uint8_t vcpu_;
  std::vector<trace::Record> ready_;  // last first
  bool started_{};
};

[[nodiscard]] trace::Header sample_header(const SampleOptions& options);

using Sink = std::function<void(std::span<const std::byte>)>;
void write_sample_stream(const SampleOptions& options, const Sink& sink);
// The recorder's area alone; each ring holds `capacity` records (a power of two).
void write_sample_memory(const SampleOptions& options, std::uint64_t capacity, const Sink& sink);
void write_sample_console(const SampleOptions& options, const Sink& sink);

}  // namespace arm_vcpu::scope
