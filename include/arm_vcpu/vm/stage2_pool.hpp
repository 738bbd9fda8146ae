// SPDX-License-Identifier: Apache-2.0
// Memory for stage-2 tables out of a fixed area, and access to descriptors in memory that is mapped at its own address.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "arm_vcpu/arch/bits.hpp"
#include "arm_vcpu/result.hpp"
#include "arm_vcpu/vm/stage2_layout.hpp"

namespace arm_vcpu::stage2 {

// Descriptors by physical address where virtual and physical addresses are the same. The accesses are single-copy
// atomic and the compiler neither splits, merges nor invents them.
struct PhysicalMemory {
  [[nodiscard]] static std::uint64_t read(std::uint64_t pa) noexcept {
    return __atomic_load_n(reinterpret_cast<const std::uint64_t*>(pa), __ATOMIC_RELAXED);
  }
  static void write(std::uint64_t pa, std::uint64_t value) noexcept {
    __atomic_store_n(reinterpret_cast<std::uint64_t*>(pa), value, __ATOMIC_RELAXED);
  }
};

// The tables of one or more VMs, first fit over a bitmap, so that a concatenated root can be had again after others
// came and went. Models Stage2Memory. The caller serializes calls: one lock for all VMs that share the pool.
template <std::size_t MaxTables, class Access = PhysicalMemory>
class TablePool {
 public:
  // Hands out the whole 4 KiB pages of [base, base + bytes), as many as MaxTables. The area is mapped Inner Shareable
  // Write-Back and belongs to the pool alone.
  constexpr TablePool(std::uint64_t base, std::uint64_t bytes) noexcept : base_{bits::align_up(base, kPageBytes)} {
    const std::uint64_t lost = base_ - base;
    const std::uint64_t pages = bytes > lost ? (bytes - lost) / kPageBytes : 0;
    capacity_ = pages < MaxTables ? static_cast<std::size_t>(pages) : MaxTables;
    free_ = capacity_;
  }

  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] std::size_t free_tables() const noexcept { return free_; }

  // Errors: out_of_table_memory (tables asked, tables free).
  [[nodiscard]] Result<std::uint64_t> allocate_tables(unsigned count, std::uint64_t alignment) noexcept {
    const std::uint64_t step = alignment < kPageBytes ? kPageBytes : alignment;
    std::uint64_t pa = bits::align_up(base_ + (count == 1 ? hint_ * kPageBytes : 0), step);
    for (; index_of(pa) + count <= capacity_; pa += step) {
      if (!all_free(index_of(pa), count)) continue;
      for (std::size_t i = index_of(pa); i < index_of(pa) + count; ++i) set(i, true);
      free_ -= count;
      // Below the hint all is taken: single tables, the common case, need no search from the start.
      if (count == 1 && step == kPageBytes) hint_ = index_of(pa) + 1;
      for (std::uint64_t at = pa; at < pa + count * kPageBytes; at += 8) Access::write(at, 0);
      return pa;
    }
    return fail(Errc::out_of_table_memory, count, free_);
  }

  // Precondition: `pa` is a table of this pool and taken.
  void free_table(std::uint64_t pa) noexcept {
    const std::size_t index = index_of(pa);
    set(index, false);
    ++free_;
    if (index < hint_) hint_ = index;
  }

  [[nodiscard]] std::uint64_t read(std::uint64_t pa) const noexcept { return Access::read(pa); }
  void write(std::uint64_t pa, std::uint64_t value) noexcept { Access::write(pa, value); }

 private:
  [[nodiscard]] std::size_t index_of(std::uint64_t pa) const noexcept {
    return static_cast<std::size_t>((pa - base_) / kPageBytes);
  }
  [[nodiscard]] bool taken(std::size_t index) const noexcept { return ((map_[index / 64] >> (index % 64)) & 1) != 0; }
  void set(std::size_t index, bool value) noexcept {
    const std::uint64_t bit = std::uint64_t{1} << (index % 64);
    map_[index / 64] = value ? map_[index / 64] | bit : map_[index / 64] & ~bit;
  }
  [[nodiscard]] bool all_free(std::size_t first, unsigned count) const noexcept {
    for (std::size_t i = first; i < first + count; ++i) {
      if (taken(i)) return false;
    }
    return true;
  }

  std::array<std::uint64_t, (MaxTables + 63) / 64> map_{};
  std::uint64_t base_;
  std::size_t capacity_{};
  std::size_t free_{};
  std::size_t hint_{};  // no free table is below
};

}  // namespace arm_vcpu::stage2
