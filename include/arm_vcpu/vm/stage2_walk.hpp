// SPDX-License-Identifier: Apache-2.0
// The stage-2 walk as the hardware does it, over whatever can read a descriptor: live tables or a dump.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "arm_vcpu/vm/stage2_descriptor.hpp"
#include "arm_vcpu/vm/stage2_layout.hpp"

namespace arm_vcpu {

class TextBuffer;

namespace stage2 {

// Reads the 64-bit descriptor at a physical address; empty where a dump does not hold it.
template <class R>
concept DescriptorReader = requires(R& reader, std::uint64_t pa) {
  { reader(pa) } -> std::convertible_to<std::optional<std::uint64_t>>;
};

enum class WalkOutcome : std::uint8_t {
  translated,
  translation_fault,
  access_flag_fault,
  address_size_fault,
  unreadable,  // the reader has no such descriptor
};

struct WalkStep {
  std::uint8_t level{};
  std::uint64_t descriptor_pa{};
  Descriptor descriptor{};
};

struct Walk {
  WalkOutcome outcome{};
  std::uint8_t level{};            // of the leaf, or of the fault as ESR_EL2 would give it
  Descriptor descriptor{};         // the last one read
  std::uint64_t output_address{};  // translated and access_flag_fault only
  std::uint64_t region_bytes{};    // what the last descriptor covers: the leaf, or the hole
  Attributes attributes{};         // translated and access_flag_fault only
  std::array<WalkStep, 4> storage{};
  std::uint8_t step_count{};

  [[nodiscard]] constexpr bool translated() const noexcept { return outcome == WalkOutcome::translated; }
  [[nodiscard]] constexpr std::span<const WalkStep> steps() const noexcept { return {storage.data(), step_count}; }
};

// Address of the descriptor for `ipa` in a table of `level`. Concatenated root tables are one array, so the index of
// the start level takes all bits up to the IPA size.
[[nodiscard]] constexpr std::uint64_t descriptor_address(const Layout& layout, std::uint64_t table, unsigned level,
                                                         std::uint64_t ipa) noexcept {
  const std::uint64_t index = (ipa & (layout.ipa_limit() - 1)) >> level_shift(level);
  return table + 8 * (level == layout.start_level ? index : index % kTableEntries);
}

// Translates `ipa` through the tables at `root`. Permissions are reported, not checked: they depend on the access.
template <DescriptorReader R>
[[nodiscard]] constexpr Walk walk(const Layout& layout, std::uint64_t root, std::uint64_t ipa, R&& reader) noexcept {
  Walk result{.outcome = WalkOutcome::translation_fault};
  // Hardware reports an input beyond the IPA size as a level-0 translation fault, wherever walks start.
  if (ipa >= layout.ipa_limit()) return result;

  std::uint64_t table = root;
  for (unsigned level = layout.start_level;; ++level) {
    const std::uint64_t at = descriptor_address(layout, table, level, ipa);
    result.level = static_cast<std::uint8_t>(level);
    result.region_bytes = level_bytes(level);
    const std::optional<std::uint64_t> raw = reader(at);
    if (!raw) {
      result.outcome = WalkOutcome::unreadable;
      return result;
    }
    const Descriptor descriptor = Descriptor::from(*raw);
    result.descriptor = descriptor;
    result.storage[result.step_count++] = {static_cast<std::uint8_t>(level), at, descriptor};

    if (!descriptor.is_table(level) && !descriptor.is_leaf(level)) return result;
    if (descriptor.table_address() >= layout.pa_limit()) {
      result.outcome = WalkOutcome::address_size_fault;
      return result;
    }
    if (descriptor.is_leaf(level)) {
      result.output_address = descriptor.leaf_address(level) | (ipa & (level_bytes(level) - 1));
      result.attributes = attributes_of(descriptor);
      result.outcome = descriptor.get<Descriptor::AF>() ? WalkOutcome::translated : WalkOutcome::access_flag_fault;
      return result;
    }
    table = descriptor.table_address();
  }
}

[[nodiscard]] std::string_view name_of(WalkOutcome outcome) noexcept;
[[nodiscard]] std::string_view name_of(MemoryType type) noexcept;  // empty for a type the library never writes

// "normal-wb rwx inner"; a dash for each permission that is missing.
void append(TextBuffer& out, const Attributes& attributes) noexcept;
// One line per step, then the result: "L1 @0x40000000: 0x0000000040001003 table".
void append(TextBuffer& out, const Walk& walk) noexcept;

}  // namespace stage2
}  // namespace arm_vcpu
