// SPDX-License-Identifier: Apache-2.0
#include "device_tree.hpp"

extern "C" {
#include <libfdt.h>
}

#include <algorithm>

#include "arm_vcpu/vm/device_tree_structure.hpp"

namespace arm_vcpu::hv::dt {
namespace {

// All nodes in their order, each with its parent. Calls `visit` until that returns true; the node then, or one that
// does not exist.
template <class Visit>
Node find_node(const void* tree, Visit visit) noexcept {
  constexpr int kMaxDepth = 32;
  int ancestors[kMaxDepth];
  int depth = -1;
  for (int at = fdt_next_node(tree, -1, &depth); at >= 0 && depth >= 0; at = fdt_next_node(tree, at, &depth)) {
    const int parent = depth == 0 ? -1 : depth <= kMaxDepth ? ancestors[depth - 1] : Node::kParentUnknown;
    if (depth < kMaxDepth) ancestors[depth] = at;
    if (const Node node{tree, at, parent}; visit(node)) return node;
  }
  return {tree, -1, -1};
}

// The node with this phandle. What was found last is asked first: most devices have the same interrupt controller.
int node_of_phandle(const void* tree, std::uint32_t phandle) noexcept {
  static constinit int last = -1;
  if (last < 0 || fdt_get_phandle(tree, last) != phandle) last = fdt_node_offset_by_phandle(tree, phandle);
  return last;
}

}  // namespace

bool is_whole(std::span<const std::byte> tree) noexcept {
  return structure_ends(tree) && fdt_check_full(tree.data(), tree.size()) == 0;
}

std::uint32_t Cells::at(unsigned index) const noexcept {
  if (index >= count_) return 0;
  const unsigned char* cell = bytes_ + 4 * index;
  return std::uint32_t{cell[0]} << 24 | std::uint32_t{cell[1]} << 16 | std::uint32_t{cell[2]} << 8 | cell[3];
}

std::uint64_t Cells::number(unsigned index, unsigned cells) const noexcept {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < cells; ++i) value = value << 32 | at(index + i);
  return value;
}

Node Node::parent() const noexcept {
  if (parent_ != kParentUnknown) return {tree_, parent_};
  const int found = find_node(tree_, [this](const Node& node) noexcept { return node.offset_ == offset_; }).parent_;
  return {tree_, found != kParentUnknown ? found : fdt_parent_offset(tree_, offset_)};
}

bool Node::has(const char* property) const noexcept {
  return exists() && fdt_getprop(tree_, offset_, property, nullptr) != nullptr;
}

Cells Node::cells(const char* property) const noexcept {
  if (!exists()) return {};
  int length = 0;
  const void* bytes = fdt_getprop(tree_, offset_, property, &length);
  return bytes == nullptr ? Cells{} : Cells{bytes, length};
}

std::string_view Node::text(const char* property) const noexcept {
  if (!exists()) return {};
  int length = 0;
  const auto* bytes = static_cast<const char*>(fdt_getprop(tree_, offset_, property, &length));
  if (bytes == nullptr || length <= 0) return {};
  const std::string_view all{bytes, static_cast<std::size_t>(length)};
  return all.substr(0, all.find('\0'));
}

bool Node::is_compatible(Names with_any) const noexcept {
  if (!exists()) return false;
  int length = 0;
  const auto* bytes = static_cast<const char*>(fdt_getprop(tree_, offset_, "compatible", &length));
  return bytes != nullptr && std::ranges::any_of(with_any, [=](const char* name) noexcept {
           return fdt_stringlist_contains(bytes, length, name) != 0;
         });
}

bool Node::is_enabled() const noexcept {
  const std::string_view status = text("status");
  return status.empty() || status == "okay" || status == "ok";
}

std::optional<Range> Node::registers(unsigned index) const noexcept {
  Node bus = parent();
  if (!bus.exists()) return std::nullopt;
  int address_cells = fdt_address_cells(tree_, bus.offset());
  int size_cells = fdt_size_cells(tree_, bus.offset());
  if (address_cells <= 0 || size_cells < 0) return std::nullopt;
  const Cells reg = cells("reg");
  const auto address_width = static_cast<unsigned>(address_cells);
  const auto size_width = static_cast<unsigned>(size_cells);
  const unsigned first = index * (address_width + size_width);
  if (first + address_width + size_width > reg.count()) return std::nullopt;
  Range range{reg.number(first, address_width), reg.number(first + address_width, size_width)};

  // Up to the root: each bus maps child addresses to its parent's by `ranges`; an empty one is the identity.
  while (bus.offset() != 0) {
    const Node above = bus.parent();
    if (!above.exists() || !bus.has("ranges")) return std::nullopt;
    const int above_cells = fdt_address_cells(tree_, above.offset());
    if (above_cells <= 0) return std::nullopt;
    const Cells map = bus.cells("ranges");
    const auto child_width = static_cast<unsigned>(address_cells);
    const auto parent_width = static_cast<unsigned>(above_cells);
    const auto length_width = static_cast<unsigned>(size_cells);
    const unsigned entry = child_width + parent_width + length_width;
    bool translated = map.count() == 0;
    for (unsigned at = 0; !translated && at + entry <= map.count(); at += entry) {
      const Range window{map.number(at, child_width), map.number(at + child_width + parent_width, length_width)};
      if (!window.contains(range.base)) continue;
      range.base = range.base - window.base + map.number(at + child_width, parent_width);
      translated = true;
    }
    if (!translated) return std::nullopt;
    bus = above;
    address_cells = above_cells;
    size_cells = fdt_size_cells(tree_, above.offset());
    if (size_cells < 0) return std::nullopt;
  }
  return range;
}

bool Node::is_gic_v2() const noexcept {
  return is_compatible(kGicV2Compatibles);
}

std::optional<Interrupt> Node::interrupt(unsigned index) const noexcept {
  // The interrupt parent is inherited from the nearest ancestor that names one; interrupts-extended names one each.
  const bool extended = has("interrupts-extended");
  const Cells list = cells(extended ? "interrupts-extended" : "interrupts");
  Node controller{tree_, -1};
  if (!extended) {
    Node from = *this;
    while (from.exists() && !from.has("interrupt-parent")) from = from.parent();
    if (!from.exists()) return std::nullopt;
    controller = {tree_, node_of_phandle(tree_, from.cells("interrupt-parent").at(0))};
  }
  for (unsigned at = 0;; --index) {
    if (extended) controller = {tree_, node_of_phandle(tree_, list.at(at++))};
    const unsigned width = controller.cells("#interrupt-cells").at(0);
    if (width == 0 || at + width > list.count()) return std::nullopt;
    if (index != 0) {
      at += width;
      continue;
    }
    if (width < 3 || !(controller.is_compatible("arm,gic-v3") || controller.is_gic_v2())) return std::nullopt;
    // [dtbinding] "ARM Generic Interrupt Controller, version 3", and "v1 and v2" without extended ones: type,
    // number, flags.
    constexpr std::uint32_t kFirst[] = {32, 16, 4096, 1056};  // SPI, PPI, extended SPI, extended PPI
    const std::uint32_t type = list.at(at);
    if (type >= 4) return std::nullopt;
    return Interrupt{kFirst[type] + list.at(at + 1), (list.at(at + 2) & 3) != 0};
  }
}

std::optional<unsigned> Node::index_of(const char* property, const char* name) const noexcept {
  if (!exists()) return std::nullopt;
  const int index = fdt_stringlist_search(tree_, offset_, property, name);
  return index < 0 ? std::nullopt : std::optional{static_cast<unsigned>(index)};
}

Node find_compatible(const void* tree, Node::Names names, bool (*suits)(const Node& node) noexcept) noexcept {
  return find_node(tree, [=](const Node& node) noexcept {
    return node.is_compatible(names) && node.is_enabled() && (suits == nullptr || suits(node));
  });
}

}  // namespace arm_vcpu::hv::dt
