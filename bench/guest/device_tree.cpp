// SPDX-License-Identifier: Apache-2.0
// As much of a device-tree reader as the benchmark needs. What the tree does not have stays zero.
#include "machine.hpp"

namespace bench {
namespace {

constexpr unsigned kDeepest = 8;

u32 big_endian(const u32* at) noexcept {
  return __builtin_bswap32(*at);
}

// The value of `cells` cells.
u64 number(const u32* at, u32 cells) noexcept {
  u64 value = 0;
  for (u32 i = 0; i < cells; ++i) value = value << 32 | big_endian(at + i);
  return value;
}

bool equal(const char* a, const char* b) noexcept {
  while (*a != '\0' && *a == *b) ++a, ++b;
  return *a == *b;
}

// Is `wanted` one of the strings in the property?
bool lists(const char* strings, u32 bytes, const char* wanted) noexcept {
  for (const char* const end = strings + bytes; strings < end;) {
    if (equal(strings, wanted)) return true;
    while (strings < end && *strings != '\0') ++strings;
    ++strings;
  }
  return false;
}

bool contains(const char* text, u32 bytes, const char* word) noexcept {
  for (u32 i = 0; i < bytes; ++i) {
    u32 n = 0;
    while (i + n < bytes && word[n] != '\0' && text[i + n] == word[n]) ++n;
    if (word[n] == '\0') return true;
  }
  return false;
}

struct Node {
  const char* compatible{};
  u32 compatible_bytes{};
  const u32* reg{};
  bool is_cpu{};
  bool by_smc{};
  u32 address_cells{2};  // of its children
  u32 size_cells{1};
};

void note(Machine& machine, const Node& node, const Node& parent) noexcept {
  if (node.is_cpu && node.reg != nullptr) {
    if (machine.cpus < 2) machine.mpidr[machine.cpus] = number(node.reg, parent.address_cells);
    ++machine.cpus;
  }
  if (node.compatible == nullptr) return;
  const auto is = [&](const char* wanted) { return lists(node.compatible, node.compatible_bytes, wanted); };
  if (node.reg != nullptr && is("arm,gic-v3")) {
    machine.gicd = number(node.reg, parent.address_cells);
    machine.gicr = number(node.reg + parent.address_cells + parent.size_cells, parent.address_cells);
  } else if (node.reg != nullptr && is("arm,pl011")) {
    machine.uart = number(node.reg, parent.address_cells);
  } else if (is("arm,psci-1.0") || is("arm,psci-0.2")) {
    machine.psci_by_smc = node.by_smc;
  }
}

void take_property(Machine& machine, Node& node, const char* name, const u32* value, u32 bytes) noexcept {
  const auto* const text = reinterpret_cast<const char*>(value);
  if (equal(name, "compatible")) {
    node.compatible = text;
    node.compatible_bytes = bytes;
  } else if (equal(name, "reg")) {
    node.reg = value;
  } else if (equal(name, "device_type")) {
    node.is_cpu = equal(text, "cpu");
  } else if (equal(name, "method")) {
    node.by_smc = equal(text, "smc");
  } else if (equal(name, "#address-cells")) {
    node.address_cells = big_endian(value);
  } else if (equal(name, "#size-cells")) {
    node.size_cells = big_endian(value);
  } else if (equal(name, "bootargs")) {
    machine.idle = contains(text, bytes, "idle");
    machine.one_physical_cpu = contains(text, bytes, "one-cpu");
  }
}

}  // namespace

void read_device_tree(u64 tree, Machine& machine) noexcept {
  constexpr u32 kBeginNode = 1;
  constexpr u32 kEndNode = 2;
  constexpr u32 kProperty = 3;
  constexpr u32 kNop = 4;
  const auto* const header = reinterpret_cast<const u32*>(tree);
  if (big_endian(header) != 0xD00D'FEED) return;
  const u32* token = reinterpret_cast<const u32*>(tree + big_endian(header + 2));
  const auto* const strings = reinterpret_cast<const char*>(tree + big_endian(header + 3));
  Node nodes[kDeepest]{};  // [0] is the parent of the root
  unsigned depth = 0;
  for (;;) {
    switch (big_endian(token++)) {
      case kBeginNode: {
        const auto* name = reinterpret_cast<const char*>(token);
        u32 length = 0;
        while (name[length] != '\0') ++length;
        token += length / 4 + 1;
        if (++depth == kDeepest) return;
        nodes[depth] = {};
        break;
      }
      case kProperty: {
        const u32 bytes = big_endian(token);
        take_property(machine, nodes[depth], strings + big_endian(token + 1), token + 2, bytes);
        token += 2 + (bytes + 3) / 4;
        break;
      }
      case kEndNode:
        if (depth == 0) return;
        note(machine, nodes[depth], nodes[depth - 1]);
        --depth;
        break;
      case kNop: break;
      default: return;  // the end, or no tree
    }
  }
}

}  // namespace bench
