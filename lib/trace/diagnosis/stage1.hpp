// SPDX-License-Identifier: Apache-2.0
// The guest's own translation, walked in software: for an instruction's bytes, and for the evidence of a fault.
// [armarm] "The AArch64 Virtual Memory System Architecture"
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "arm_vcpu/trace/diagnosis_state.hpp"

namespace arm_vcpu {
class TextBuffer;
}

namespace arm_vcpu::diag {

struct Stage1Walk {
  enum class Outcome : std::uint8_t {
    unknown,  // registers or memory are not at hand, or a format that is not walked here (52-bit)
    mmu_off,  // IPA == VA
    translated,
    out_of_range,       // the VA belongs to neither half
    disabled,           // EPD0 or EPD1
    translation_fault,  // an invalid descriptor
    access_flag_fault,
    table_unreadable,  // the descriptor's IPA is not in the guest's memory
  };
  struct Step {
    std::uint8_t level{};
    std::uint64_t descriptor_ipa{};
    std::uint64_t descriptor{};
  };
  Outcome outcome{};
  std::uint8_t level{};  // of the leaf or the fault
  std::uint64_t ipa{};   // translated and mmu_off; table_unreadable: of the descriptor
  std::uint64_t descriptor{};
  std::array<Step, 4> steps{};
  std::uint8_t step_count{};

  [[nodiscard]] bool has_ipa() const noexcept { return outcome == Outcome::translated || outcome == Outcome::mmu_off; }
};

// Needs state.registers (all of them) and state.memory. Permissions are not checked.
[[nodiscard]] Stage1Walk walk_stage1(const CapturedState& state, std::uint64_t va) noexcept;

// "MMU off: IPA = VA", "-> IPA 0x..., level 3, descriptor 0x...", "translation fault at level 2, descriptor 0x0 @0x...".
void append(TextBuffer& out, const Stage1Walk& walk) noexcept;

// The instruction at a virtual address, when it can be read.
[[nodiscard]] std::optional<std::uint32_t> instruction_at(const CapturedState& state, std::uint64_t va) noexcept;
// 8 bytes of data at a virtual address.
[[nodiscard]] std::optional<std::uint64_t> word_at(const CapturedState& state, std::uint64_t va) noexcept;

}  // namespace arm_vcpu::diag
