// SPDX-License-Identifier: Apache-2.0
// The guest's own translation, walked over a captured state: for an instruction's bytes, and for the evidence of a
// fault.
#pragma once

#include <cstdint>
#include <optional>

#include "arm_vcpu/trace/diagnosis_state.hpp"
#include "arm_vcpu/trace/stage1_walk.hpp"

namespace arm_vcpu {
class TextBuffer;
}

namespace arm_vcpu::diag {

// Empty: registers or memory are not at hand, or TCR_EL1 holds a reserved value. With the MMU off no memory is needed.
[[nodiscard]] std::optional<stage1::Walk> walk_stage1(const CapturedState& state, std::uint64_t va) noexcept;

// "MMU off: IPA = VA", "IPA 0x.., level 3, descriptor 0x..", "translation fault, level 2, descriptor 0x0 @IPA 0x..:
// why".
void append_stage1(TextBuffer& out, const CapturedState& state, std::uint64_t va, const stage1::Walk& walk) noexcept;

// The instruction at a virtual address, when it can be read.
[[nodiscard]] std::optional<std::uint32_t> instruction_at(const CapturedState& state, std::uint64_t va) noexcept;
// 8 bytes of data at a virtual address.
[[nodiscard]] std::optional<std::uint64_t> word_at(const CapturedState& state, std::uint64_t va) noexcept;

}  // namespace arm_vcpu::diag
