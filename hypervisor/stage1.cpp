// SPDX-License-Identifier: Apache-2.0
#include "stage1.hpp"

namespace arm_vcpu::hv {
namespace {

using D = Stage1Descriptor;

constexpr unsigned shift_of(unsigned level) noexcept {
  return 39 - 9 * level;
}
constexpr std::uint64_t bytes_of(unsigned level) noexcept {
  return std::uint64_t{1} << shift_of(level);
}

constexpr bool is_table(std::uint64_t entry) noexcept {
  return (entry & 3) == 3;
}

Stage1Map::Table& table_of(std::uint64_t entry) noexcept {
  return *reinterpret_cast<Stage1Map::Table*>(entry & D::output::kMask);
}

constexpr bool reachable(Range range) noexcept {
  return range.end() >= range.base && range.end() <= std::uint64_t{1} << kStage1VaBits;
}

}  // namespace

std::uint64_t Stage1Map::attribute_bits(Stage1Attributes attributes) const noexcept {
  const bool executes = attributes.access == Stage1Access::read_execute;
  return D{}
      .with<D::valid>(true)
      .with<D::AttrIndx>(static_cast<std::uint8_t>(attributes.memory))
      .with<D::AP1>(!options_.two_privilege_levels)
      .with<D::AP2>(attributes.access != Stage1Access::read_write)
      .with<D::SH>(std::uint8_t{3})  // Inner Shareable; ignored for Device memory
      .with<D::AF>(true)
      .with<D::GP>(executes && options_.guarded_pages)
      .with<D::XN>(!executes)
      .raw;
}

Stage1Map::Table* Stage1Map::next_table(std::uint64_t& entry) noexcept {
  if (is_table(entry)) return &table_of(entry);
  if (entry != 0 || used_ == pool_.size()) return nullptr;
  Table& table = pool_[used_++];
  // A walker on another CPU may follow the entry at once: what it points to (zeros) must be seen first. The pool was
  // zeroed before the tables were in use, so that is so.
  entry = reinterpret_cast<std::uintptr_t>(&table) | 3;
  return &table;
}

Result<> Stage1Map::map(Range range, Stage1Attributes attributes, Occupied occupied) noexcept {
  if (!bits::aligned(range.base | range.bytes, kPageBytes)) {
    return fail(Errc::unaligned_address, range.base | range.bytes, kPageBytes);
  }
  if (!reachable(range)) return fail(Errc::address_out_of_range, range.end(), std::uint64_t{1} << kStage1VaBits);
  const std::uint64_t leaf = attribute_bits(attributes);

  for (std::uint64_t at = range.base; at < range.end();) {
    Table* table = pool_.data();
    for (unsigned level = 0;; ++level) {
      std::uint64_t& entry = (*table)[at >> shift_of(level) & 511];
      const bool block_fits =
          level == 3 || (level > 0 && bits::aligned(at, bytes_of(level)) && range.end() - at >= bytes_of(level));
      if (entry == 0 && block_fits) {
        entry = at | leaf | (level == 3 ? D::table_or_page::kMask : 0);
        at += bytes_of(level);
        break;
      }
      if (entry != 0 && (level == 3 || !is_table(entry))) {
        if (occupied == Occupied::is_an_error) return fail(Errc::already_mapped, at);
        at = bits::align_down(at, bytes_of(level)) + bytes_of(level);
        break;
      }
      table = next_table(entry);
      if (table == nullptr) return fail(Errc::out_of_table_memory, used_ + 1);
    }
  }
  return {};
}

Result<> Stage1Map::guard(std::uint64_t page) noexcept {
  if (!bits::aligned(page, kPageBytes)) return fail(Errc::unaligned_address, page, kPageBytes);
  if (!reachable({page, kPageBytes})) return fail(Errc::address_out_of_range, page, std::uint64_t{1} << kStage1VaBits);
  Table* table = pool_.data();
  for (unsigned level = 0; level < 3; ++level) {
    std::uint64_t& entry = (*table)[page >> shift_of(level) & 511];
    if (entry != 0 && !is_table(entry)) return fail(Errc::already_mapped, page);
    table = next_table(entry);
    if (table == nullptr) return fail(Errc::out_of_table_memory, used_ + 1);
  }
  std::uint64_t& entry = (*table)[page >> shift_of(3) & 511];
  if (entry != 0) return fail(Errc::already_mapped, page);
  entry = D::guard::kMask;
  return {};
}

std::uint64_t Stage1Map::lookup(std::uint64_t address) const noexcept {
  if (address >> kStage1VaBits != 0) return 0;
  const Table* table = pool_.data();
  for (unsigned level = 0;; ++level) {
    const std::uint64_t entry = (*table)[address >> shift_of(level) & 511];
    if (level == 3 || !is_table(entry)) return (entry & 1) != 0 ? entry : 0;
    table = &table_of(entry);
  }
}

}  // namespace arm_vcpu::hv
