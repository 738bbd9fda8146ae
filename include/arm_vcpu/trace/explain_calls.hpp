// SPDX-License-Identifier: Apache-2.0
// Calls to firmware and hypervisor in words: who owns a function ID, and what PSCI's functions take and answer.
#pragma once

#include <cstdint>
#include <string_view>

#include "arm_vcpu/arch/smccc.hpp"

namespace arm_vcpu {

class TextBuffer;

namespace explain {

// What a PSCI function does; empty for a number that has none.
[[nodiscard]] std::string_view purpose_of(PsciFunction function) noexcept;

struct PsciArgument {
  std::string_view name;  // as [psci] spells it
  std::string_view meaning;
};
// Of X1 (index 0), X2, X3; empty beyond the function's last.
[[nodiscard]] PsciArgument argument_of(PsciFunction function, unsigned index) noexcept;

// What an answer of this function says: "ALREADY_ON", "OFF"; the general meaning where the function has none of its
// own.
[[nodiscard]] std::string_view answer_of(PsciFunction function, std::int64_t answer) noexcept;

// The decimal or hexadecimal range that an ID lies in: "PSCI, SMC32", "SDEI", "vendor hypervisor service".
[[nodiscard]] std::string_view range_of(FunctionId id) noexcept;

// Several lines: name, version, conduit, arguments by meaning, answers; for an ID without a function, the range it is
// in.
void append_call(TextBuffer& out, FunctionId id) noexcept;
// With values: "  X1 target_cpu = 0x1: MPIDR affinity ...".
void append_call(TextBuffer& out, FunctionId id, std::uint64_t x1, std::uint64_t x2, std::uint64_t x3) noexcept;

}  // namespace explain
}  // namespace arm_vcpu
