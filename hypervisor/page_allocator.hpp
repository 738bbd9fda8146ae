// SPDX-License-Identifier: Apache-2.0
// Physical memory in whole pages: given out, and taken back. First fit over a set of free ranges, which holds no memory
// of its own. Taking back never fails: an allocation is refused when its return could need a range more than the set
// has room for.
#pragma once

#include <cstddef>
#include <cstdint>

#include "arm_vcpu/result.hpp"
#include "ranges.hpp"

namespace arm_vcpu::hv {

template <std::size_t Capacity>
class PageAllocator {
 public:
  static constexpr std::uint64_t kPageBytes = 4096;

  // At boot, before the first allocate(): memory that is free, and memory that is not. False: the set is full.
  [[nodiscard]] constexpr bool add(Range range) noexcept { return free_.add(range.rounded_in(kPageBytes)); }
  [[nodiscard]] constexpr bool keep_out(Range range) noexcept { return free_.remove(range.rounded_out(kPageBytes)); }

  // Whole pages; `alignment` is a power of two of at least a page. Errors: out_of_memory (`has` is the sum of what is
  // left, which may be in pieces); out_of_slots.
  [[nodiscard]] constexpr Result<Range> allocate(std::uint64_t bytes, std::uint64_t alignment) noexcept {
    const std::uint64_t whole = bits::align_up(bytes, kPageBytes);
    const auto found = whole != 0 && whole >= bytes ? free_.find(whole, alignment) : std::nullopt;
    if (!found) return fail(Errc::out_of_memory, bytes, free_.bytes());
    if (taken_ == 0) pieces_ = free_.view().size();
    // Every free range lies between two that are taken, or was there at the start.
    if (pieces_ + taken_ + 1 > Capacity || !free_.remove(*found)) {
      return fail(Errc::out_of_slots, taken_ + 1, Capacity - pieces_);
    }
    ++taken_;
    return *found;
  }

  // A whole range that allocate() gave. False, and no change: it is free, at least in part.
  [[nodiscard]] constexpr bool free(Range range) noexcept {
    if (taken_ == 0 || range.empty()) return false;
    for (const Range& member : free_.view()) {
      if (member.overlaps(range)) return false;
    }
    --taken_;
    return free_.add(range);
  }

  [[nodiscard]] constexpr std::uint64_t bytes_free() const noexcept { return free_.bytes(); }
  // Ranges that were given out and not taken back.
  [[nodiscard]] constexpr std::size_t taken() const noexcept { return taken_; }
  [[nodiscard]] constexpr std::span<const Range> view() const noexcept { return free_.view(); }

 private:
  RangeSet<Capacity> free_;
  std::size_t pieces_{};  // free ranges when nothing was taken
  std::size_t taken_{};
};

}  // namespace arm_vcpu::hv
