// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/trace/explain_calls.hpp"

#include <cstddef>
#include <span>

#include "arm_vcpu/text.hpp"

namespace arm_vcpu::explain {
namespace {

struct CallRow {
  enum class Kind : std::uint8_t { function, argument, answer } kind{};
  std::int64_t value{};  // the function's number, or an answer
  std::string_view name{};
  std::string_view text{};
};

constexpr CallRow kRows[] = {
#define VCPU_PSCI_FUNCTION(name, purpose) \
  {CallRow::Kind::function, static_cast<std::int64_t>(PsciFunction::name), #name, purpose},
#define VCPU_PSCI_ARGUMENT(name, meaning) {CallRow::Kind::argument, 0, #name, meaning},
#define VCPU_PSCI_ANSWER(value, meaning) {CallRow::Kind::answer, value, {}, meaning},
#include "arm_vcpu/arch/psci_meaning.def"
#undef VCPU_PSCI_FUNCTION
#undef VCPU_PSCI_ARGUMENT
#undef VCPU_PSCI_ANSWER
};

struct Rows {
  const CallRow* first{};
  const CallRow* last{};
  [[nodiscard]] const CallRow* begin() const noexcept { return first; }
  [[nodiscard]] const CallRow* end() const noexcept { return last; }
};

// The rows behind a function's own.
Rows rows_of(PsciFunction function) noexcept {
  const CallRow* const end = kRows + sizeof kRows / sizeof kRows[0];
  for (const CallRow* at = kRows; at != end; ++at) {
    if (at->kind != CallRow::Kind::function || at->value != static_cast<std::int64_t>(function)) continue;
    const CallRow* stop = at + 1;
    while (stop != end && stop->kind != CallRow::Kind::function) ++stop;
    return {at, stop};
  }
  return {end, end};
}

struct Since {
  unsigned major{}, minor{};
  bool smc32{}, smc64{};
};

Since since(PsciFunction function) noexcept {
  switch (function) {
#define VCPU_PSCI(name, number, smc32, smc64, major, minor, arguments) \
  case PsciFunction::name: return {major, minor, smc32, smc64};
#include "arm_vcpu/arch/psci.def"
#undef VCPU_PSCI
  }
  return {};
}

void append_function(TextBuffer& out, FunctionId id, std::span<const std::uint64_t> values) noexcept {
  const PsciFunction function{id.get<FunctionId::Number>()};
  const Since version = since(function);
  const bool is64 = id.get<FunctionId::SMC64>();
  format_to(out, "  {}\n", purpose_of(function));
  format_to(out, "  PSCI {}.{} and later; as {}\n", version.major, version.minor,
            version.smc32 && version.smc64 ? "SMC32 and SMC64"
            : version.smc64                ? "SMC64 only"
                                           : "SMC32 only");
  if (is64 ? !version.smc64 : !version.smc32) {
    format_to(out, "  ! it does not exist as {}: the answer is NOT_SUPPORTED\n", is64 ? "SMC64" : "SMC32");
  }
  unsigned index = 0;
  for (const CallRow& row : rows_of(function)) {
    if (row.kind != CallRow::Kind::argument) continue;
    const char prefix = is64 ? 'X' : 'W';
    if (index < values.size()) {
      const std::uint64_t value = is64 ? values[index] : values[index] & 0xFFFF'FFFF;
      format_to(out, "  {}{} {} = {:x}: {}\n", prefix, index + 1, row.name, value, row.text);
    } else {
      format_to(out, "  {}{} {}: {}\n", prefix, index + 1, row.name, row.text);
    }
    ++index;
  }
  for (const CallRow& row : rows_of(function)) {
    if (row.kind == CallRow::Kind::answer) {
      if (row.value > 9) {
        format_to(out, "  answers {:x}: {}\n", row.value, row.text);
      } else {
        format_to(out, "  answers {}: {}\n", row.value, row.text);
      }
    }
  }
}

void append_any(TextBuffer& out, FunctionId id, std::span<const std::uint64_t> values) noexcept {
  const std::string_view name = name_of(id);
  format_to(out, "{:x}: {}\n", id.raw, name.empty() ? std::string_view{"no function that this library knows"} : name);
  format_to(out, "  range: {}\n", range_of(id));
  format_to(out, "  {} call, {}, owner {}, number {:x}\n", id.get<FunctionId::Fast>() ? "fast" : "yielding",
            id.get<FunctionId::SMC64>() ? "64-bit arguments (SMC64)" : "32-bit arguments (SMC32)",
            static_cast<unsigned>(id.get<FunctionId::Owner>()), id.get<FunctionId::Number>());
  if (id.get<FunctionId::Fast>() && (id.raw >> 16 & 0xFE) != 0) {
    out.put("  ! bits 23:17 must be 0 in a fast call\n");
  } else if (id.get<FunctionId::Fast>() && (id.raw >> 16 & 1) != 0) {
    out.put("  bit 16 is the caller's hint that it has no live SVE state\n");
  }
  if (is_psci_call(id)) {
    if (purpose_of(PsciFunction{id.get<FunctionId::Number>()}).empty()) {
      out.put("  no function has this number: the answer is NOT_SUPPORTED (-1)\n");
    } else {
      append_function(out, id, values);
    }
  } else if (name.empty()) {
    out.put("  a callee that does not know it answers NOT_SUPPORTED (-1) in X0\n");
  }
  if (is_psci_call(id) || is_arch_call(id)) {
    out.put("  conduit: HVC or SMC, as `method` of /psci in the guest's device tree says\n");
  }
}

}  // namespace

std::string_view purpose_of(PsciFunction function) noexcept {
  const Rows rows = rows_of(function);
  return rows.begin() == rows.end() ? std::string_view{} : rows.begin()->text;
}

PsciArgument argument_of(PsciFunction function, unsigned index) noexcept {
  for (const CallRow& row : rows_of(function)) {
    if (row.kind == CallRow::Kind::argument && index-- == 0) return {row.name, row.text};
  }
  return {};
}

std::string_view answer_of(PsciFunction function, std::int64_t answer) noexcept {
  for (const CallRow& row : rows_of(function)) {
    if (row.kind == CallRow::Kind::answer && row.value == answer) return row.text;
  }
  return answer <= 0 && answer >= -9 ? name_of(static_cast<PsciStatus>(answer)) : std::string_view{};
}

// [smccc] "Allocation of Function Identifier values" and the specifications of the services named.
std::string_view range_of(FunctionId id) noexcept {
  const bool fast = id.get<FunctionId::Fast>();
  const auto number = id.get<FunctionId::Number>();
  const auto owner = static_cast<unsigned>(id.get<FunctionId::Owner>());
  if (!fast) {
    if (id.raw <= 0x0100'FFFF) return "yielding calls from before the convention";
    if (id.raw < 0x0200'0000) return "reserved";
    return id.raw <= 0x1FFF'FFFF ? "Trusted OS yielding calls" : "reserved for more Trusted OS yielding calls";
  }
  switch (owner) {
    case 0: return "Arm Architecture Calls";
    case 1: return "CPU service calls";
    case 2: return "SiP (silicon provider) service calls";
    case 3: return "OEM service calls";
    case 4:
      if (number <= 0x1F) return "PSCI";
      if (number <= 0x3F) return "SDEI";
      if (number <= 0x4F) return "MM (Management Mode)";
      if (number <= 0x5F) return "TRNG";
      if (number <= 0xEF) return "FF-A (Firmware Framework)";
      if (number <= 0x10F) return "errata management";
      if (number >= 0x150 && number <= 0x1CF) return "RMI and RSI (realms)";
      return "standard secure service calls";
    case 5:
      return number >= 0x20 && number <= 0x3F ? "PV time (paravirtualized time)" : "standard hypervisor service calls";
    case 6: return "vendor-specific hypervisor service calls";
    case 48:
    case 49: return "Trusted Application calls";
    default: return owner >= 50 ? "Trusted OS calls" : "reserved";
  }
}

void append_call(TextBuffer& out, FunctionId id) noexcept {
  append_any(out, id, {});
}

void append_call(TextBuffer& out, FunctionId id, std::uint64_t x1, std::uint64_t x2, std::uint64_t x3) noexcept {
  const std::uint64_t values[] = {x1, x2, x3};
  append_any(out, id, values);
}

}  // namespace arm_vcpu::explain
