// SPDX-License-Identifier: Apache-2.0
// What a record says, through the library's own decoders: the exit's inputs are put back into an ExitFrame.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "arm_vcpu/decode.hpp"
#include "arm_vcpu/trace/record.hpp"
#include "direct_cache.hpp"

namespace arm_vcpu::scope {

// The frame that the vCPU's decoders saw, as far as they read it.
[[nodiscard]] ExitFrame exit_frame(const trace::Record& record) noexcept;

// What the decoders make of an exit; Nothing for an exit that they leave to the vCPU (fp_access, svc64 ...).
[[nodiscard]] AxVCpuExitReason exit_reason(const trace::Record& record) noexcept;

// The IPA of an abort, when the syndrome tells it.
[[nodiscard]] std::optional<std::uint64_t> abort_ipa(const trace::Record& record) noexcept;

// Why a record was made, as one number: an exit's ExitKind, or, for exits which the decoders leave to the vCPU, psci,
// smccc, or 64 + the exception class; an event is 128 + its kind.
enum class Reason : std::uint8_t { psci = 32, smccc = 33, first_class = 64, first_event = 128 };

[[nodiscard]] constexpr Reason reason_of(ExitKind kind) noexcept {
  return static_cast<Reason>(kind);
}
[[nodiscard]] constexpr Reason reason_of(Ec ec) noexcept {
  return static_cast<Reason>(static_cast<unsigned>(Reason::first_class) + static_cast<unsigned>(ec));
}
[[nodiscard]] constexpr Reason reason_of(trace::Kind kind) noexcept {
  return static_cast<Reason>(static_cast<unsigned>(Reason::first_event) + (static_cast<unsigned>(kind) & 0x7F));
}
// "MmioRead", "Psci", "fp_access", "irq_injected"; "EC 0x2a" and "kind 99" for what no table names.
[[nodiscard]] std::string_view name_of(Reason reason) noexcept;

// The part of a record's text that its ESR alone decides, made once for each ESR.
struct Syndrome {
  Reason reason{};
  bool has_ipa{};  // an abort whose HPFAR_EL2 is valid
  bool is_mmio{};  // MmioRead or MmioWrite
  bool on_walk{};  // S1PTW: the IPA's offset in its page is unknown
  bool is_write{};
  AccessWidth width{};  // of an MMIO access
  std::string text;     // "read4", "mrs x3, ICC_IAR1_EL1", "WFI"
  std::string target;   // the system register's name; empty otherwise
};

class Syndromes {
 public:
  // `record` is an exit. The reference is good until the next call.
  [[nodiscard]] const Syndrome& of(const trace::Record& record);
  // Of any record.
  [[nodiscard]] Reason reason(const trace::Record& record);

 private:
  DirectCache<Syndrome> cache_;
};

}  // namespace arm_vcpu::scope
