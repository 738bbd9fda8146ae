// SPDX-License-Identifier: Apache-2.0
// Questions to a flattened device tree that libfdt has no function for. [dtspec] chapters "Devicetree Basics" and
// "Interrupts and Interrupt Mapping".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "board.hpp"
#include "ranges.hpp"

namespace arm_vcpu::hv::dt {

// One property's bytes as big-endian cells.
class Cells {
 public:
  constexpr Cells() noexcept = default;
  Cells(const void* bytes, int length) noexcept
      : bytes_{static_cast<const unsigned char*>(bytes)}, count_{length > 0 ? static_cast<unsigned>(length) / 4 : 0} {}

  [[nodiscard]] unsigned count() const noexcept { return count_; }
  // 0 beyond the end.
  [[nodiscard]] std::uint32_t at(unsigned index) const noexcept;
  // A number of `cells` cells; of more than two, the low 64 bits.
  [[nodiscard]] std::uint64_t number(unsigned index, unsigned cells) const noexcept;

 private:
  const unsigned char* bytes_{};
  unsigned count_{};
};

// Whether the other functions may look into it.
[[nodiscard]] bool is_whole(std::span<const std::byte> tree) noexcept;

// [dtbinding] "ARM Generic Interrupt Controller v1 and v2"
inline constexpr const char* kGicV2Compatibles[] = {"arm,gic-400", "arm,cortex-a15-gic", "arm,cortex-a7-gic",
                                                    "arm,cortex-a9-gic"};

class Node {
 public:
  // `parent`: the offset of its parent, for those who have come from there. To find it out takes a walk over the tree.
  static constexpr int kParentUnknown = -1000;
  Node(const void* tree, int offset, int parent = kParentUnknown) noexcept
      : tree_{tree}, offset_{offset}, parent_{parent} {}

  [[nodiscard]] int offset() const noexcept { return offset_; }
  [[nodiscard]] bool exists() const noexcept { return offset_ >= 0; }
  [[nodiscard]] Node parent() const noexcept;

  [[nodiscard]] bool has(const char* property) const noexcept;
  [[nodiscard]] Cells cells(const char* property) const noexcept;
  [[nodiscard]] std::string_view text(const char* property) const noexcept;  // the first string; empty without
  using Names = std::span<const char* const>;
  [[nodiscard]] bool is_compatible(Names with_any) const noexcept;
  [[nodiscard]] bool is_compatible(const char* with) const noexcept { return is_compatible({&with, 1}); }
  [[nodiscard]] bool is_gic_v2() const noexcept;
  [[nodiscard]] bool is_enabled() const noexcept;  // status

  // Entry `index` of `reg`, as the CPU sees it. Empty: no such entry, or no bus translates it.
  [[nodiscard]] std::optional<Range> registers(unsigned index) const noexcept;

  // Interrupt `index`, when it is wired to a GICv3 or a GICv2; node of the interrupt parent in `parent` if wanted.
  [[nodiscard]] std::optional<Interrupt> interrupt(unsigned index) const noexcept;
  // The index of a name in a list of strings such as interrupt-names.
  [[nodiscard]] std::optional<unsigned> index_of(const char* property, const char* name) const noexcept;

 private:
  const void* tree_;
  int offset_;
  int parent_;
};

// The first enabled node that is compatible with one of `names`, and that suits, if that is asked; exists() is false if
// there is none. One walk over the tree: libfdt looks at each byte of it.
[[nodiscard]] Node find_compatible(const void* tree, Node::Names names,
                                   bool (*suits)(const Node& node) noexcept = nullptr) noexcept;
[[nodiscard]] inline Node find_compatible(const void* tree, const char* name) noexcept {
  return find_compatible(tree, {&name, 1});
}

}  // namespace arm_vcpu::hv::dt
