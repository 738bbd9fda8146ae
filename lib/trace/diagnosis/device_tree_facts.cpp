// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/trace/diagnosis.hpp"
#include "arm_vcpu/vm/device_tree_structure.hpp"

extern "C" {
#include <libfdt.h>
}

namespace arm_vcpu::diag {
namespace {

constexpr int kMaxCells = 2;

std::uint64_t number(const void* bytes, int cells) noexcept {
  const auto* at = static_cast<const unsigned char*>(bytes);
  std::uint64_t value = 0;
  for (int i = 0; i < 4 * cells; ++i) value = value << 8 | at[i];
  return value;
}

// A property of 32 or 64 bits; 0 where there is none.
std::uint64_t number_of(const void* tree, int node, const char* name) noexcept {
  int bytes = 0;
  const void* value = fdt_getprop(tree, node, name, &bytes);
  return value != nullptr && (bytes == 4 || bytes == 8) ? number(value, bytes / 4) : 0;
}

bool is_text(const void* tree, int node, const char* name, std::string_view wanted) noexcept {
  int bytes = 0;
  const auto* value = static_cast<const char*>(fdt_getprop(tree, node, name, &bytes));
  return value != nullptr && bytes > 0 && std::string_view{value, static_cast<std::size_t>(bytes - 1)} == wanted;
}

int cells_of(int status) noexcept {
  return status >= 0 && status <= kMaxCells ? status : kMaxCells;
}

void add_memory(DeviceTreeFacts& facts, const void* tree, int node, int address_cells, int size_cells) noexcept {
  int bytes = 0;
  const auto* reg = static_cast<const unsigned char*>(fdt_getprop(tree, node, "reg", &bytes));
  const int entry = 4 * (address_cells + size_cells);
  for (int at = 0; reg != nullptr && entry > 0 && at + entry <= bytes; at += entry) {
    if (facts.memory_count == facts.memory.size()) return;
    facts.memory[facts.memory_count++] = {"memory", number(reg + at, address_cells),
                                          number(reg + at + 4 * address_cells, size_cells)};
  }
}

void add_cpus(DeviceTreeFacts& facts, const void* tree) noexcept {
  const int cpus = fdt_path_offset(tree, "/cpus");
  if (cpus < 0) return;
  const int address_cells = cells_of(fdt_address_cells(tree, cpus));
  int node = 0;
  fdt_for_each_subnode(node, tree, cpus) {
    int bytes = 0;
    const void* reg = fdt_getprop(tree, node, "reg", &bytes);
    if (!is_text(tree, node, "device_type", "cpu") || reg == nullptr || bytes != 4 * address_cells) continue;
    if (facts.cpu_count == facts.cpu_reg.size()) return;
    facts.cpu_reg[facts.cpu_count++] = number(reg, address_cells);
  }
}

}  // namespace

DeviceTreeFacts read_device_tree_facts(std::span<const std::byte> blob) noexcept {
  DeviceTreeFacts facts{};
  const void* tree = blob.data();
  // The smallest tree: header, empty reservation block, one node, end.
  constexpr std::size_t kSmallest = 72;
  if (blob.size() < kSmallest) {
    facts.status = -FDT_ERR_TRUNCATED;
    return facts;
  }
  facts.status = fdt_check_header(tree);
  if (facts.status == 0 && fdt_totalsize(tree) > blob.size()) facts.status = -FDT_ERR_TRUNCATED;
  if (facts.status == 0 && !structure_ends(blob)) facts.status = -FDT_ERR_BADSTRUCTURE;
  if (facts.status != 0) return facts;

  const int address_cells = cells_of(fdt_address_cells(tree, 0));
  const int size_cells = cells_of(fdt_size_cells(tree, 0));
  int node = 0;
  fdt_for_each_subnode(node, tree, 0) {
    if (is_text(tree, node, "device_type", "memory")) add_memory(facts, tree, node, address_cells, size_cells);
  }
  // The end of the list is FDT_ERR_NOTFOUND; anything else is damage.
  if (node != -FDT_ERR_NOTFOUND) {
    facts.status = node;
    return facts;
  }
  add_cpus(facts, tree);
  if (const int psci = fdt_path_offset(tree, "/psci"); psci >= 0) {
    facts.method = is_text(tree, psci, "method", "hvc")   ? Conduit::hvc
                   : is_text(tree, psci, "method", "smc") ? Conduit::smc
                                                          : Conduit::unknown;
  }
  if (const int chosen = fdt_path_offset(tree, "/chosen"); chosen >= 0) {
    facts.initrd_start = number_of(tree, chosen, "linux,initrd-start");
    facts.initrd_end = number_of(tree, chosen, "linux,initrd-end");
  }
  facts.valid = true;
  return facts;
}

}  // namespace arm_vcpu::diag
