// SPDX-License-Identifier: Apache-2.0
// The diagnosis from records alone: what a trace, a dump or a log still tells when the machine is gone.
#pragma once

#include <cstdint>
#include <span>

#include "arm_vcpu/trace/diagnosis.hpp"

namespace arm_vcpu::diag {

struct ReplayContext {
  std::uint64_t counter_hz{};              // 0: not known; rules that need time stay silent
  std::span<const trace::VmInfo> vms{};    // by Record::vm
  std::span<const DeviceRange> devices{};  // of the guests' machine, when it is known
  bool reset_unclean{};                    // the trace area's boot_count is not 0, clean_shutdown is 0
  std::uint64_t boot_count{};
};

class ReplaySink {
 public:
  // Found now. `state` is what the rule saw; both are valid during the call.
  virtual void found(const Diagnosis& diagnosis, const CapturedState& state) noexcept = 0;
  // Made at EL2 when it happened: a record of kind `diagnosis`.
  virtual void recorded(Code code, const trace::Record& record) noexcept = 0;

 protected:
  ~ReplaySink() = default;
};

// The kind of trigger that a record is, and the state that it gives. Empty: nothing failed in it.
class RecordState {
 public:
  explicit RecordState(const trace::Record& record) noexcept;

  [[nodiscard]] const ExitFrame& exit() const noexcept { return exit_; }
  // Without `devices`, an access outside RAM counts as one into a hole.
  [[nodiscard]] std::optional<Trigger> trigger(std::span<const DeviceRange> devices) const noexcept;

 private:
  trace::Record record_;
  ExitFrame exit_{};
};

// Looks at `records`, those of one CPU in order. Each failure is told once for a vCPU and PC, at most 64 of them.
void replay(std::span<const trace::Record> records, const ReplayContext& context, ReplaySink& sink) noexcept;

}  // namespace arm_vcpu::diag
