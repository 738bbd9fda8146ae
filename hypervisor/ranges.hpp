// SPDX-License-Identifier: Apache-2.0
// Sets of physical addresses: sorted, disjoint, never touching, of fixed capacity.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "arm_vcpu/arch/bits.hpp"

namespace arm_vcpu::hv {

// [base, base + bytes). The last byte of the address space is never part of a range, so end() does not wrap.
struct Range {
  std::uint64_t base{};
  std::uint64_t bytes{};

  [[nodiscard]] constexpr std::uint64_t end() const noexcept { return base + bytes; }
  [[nodiscard]] constexpr bool empty() const noexcept { return bytes == 0; }
  [[nodiscard]] constexpr bool contains(std::uint64_t address) const noexcept { return address - base < bytes; }
  [[nodiscard]] constexpr bool overlaps(Range other) const noexcept { return base < other.end() && other.base < end(); }

  // The smallest range of whole blocks around this one, and the largest within it.
  [[nodiscard]] constexpr Range rounded_out(std::uint64_t block) const noexcept {
    return from_to(bits::align_down(base, block), bits::align_up(end(), block));
  }
  [[nodiscard]] constexpr Range rounded_in(std::uint64_t block) const noexcept {
    return from_to(bits::align_up(base, block), bits::align_down(end(), block));
  }
  // Empty where first >= end.
  [[nodiscard]] static constexpr Range from_to(std::uint64_t first, std::uint64_t end) noexcept {
    return first < end ? Range{first, end - first} : Range{};
  }
  friend constexpr bool operator==(Range, Range) noexcept = default;
};

template <std::size_t Capacity>
class RangeSet {
 public:
  // False, and no change, when the set is full or the range wraps.
  [[nodiscard]] constexpr bool add(Range range) noexcept {
    if (range.empty()) return true;
    if (range.end() < range.base) return false;
    // Members first to last - 1 touch the new range: they become one with it.
    std::size_t first = 0;
    while (first < count_ && members_[first].end() < range.base) ++first;
    std::size_t last = first;
    while (last < count_ && members_[last].base <= range.end()) ++last;
    if (first == last && count_ == Capacity) return false;
    if (first != last) {
      const std::uint64_t base = range.base < members_[first].base ? range.base : members_[first].base;
      const std::uint64_t end = range.end() > members_[last - 1].end() ? range.end() : members_[last - 1].end();
      range = Range::from_to(base, end);
    }
    replace(first, last, {&range, 1});
    return true;
  }

  // False, and no change, when the set is full (a range in the middle of a member splits it).
  [[nodiscard]] constexpr bool remove(Range range) noexcept {
    if (range.empty()) return true;
    std::size_t first = 0;
    while (first < count_ && members_[first].end() <= range.base) ++first;
    std::size_t last = first;
    while (last < count_ && members_[last].base < range.end()) ++last;
    if (first == last) return true;
    std::array<Range, 2> rest{};
    std::size_t rests = 0;
    if (const Range below = Range::from_to(members_[first].base, range.base); !below.empty()) rest[rests++] = below;
    if (const Range above = Range::from_to(range.end(), members_[last - 1].end()); !above.empty()) {
      rest[rests++] = above;
    }
    if (count_ - (last - first) + rests > Capacity) return false;
    replace(first, last, {rest.data(), rests});
    return true;
  }

  // The lowest aligned place for `bytes`; not taken out of the set. `alignment` is a power of two.
  [[nodiscard]] constexpr std::optional<Range> find(std::uint64_t bytes, std::uint64_t alignment) const noexcept {
    for (const Range& member : view()) {
      const std::uint64_t base = bits::align_up(member.base, alignment);
      if (base >= member.base && base <= member.end() && member.end() - base >= bytes) return Range{base, bytes};
    }
    return std::nullopt;
  }

  [[nodiscard]] constexpr bool covers(Range range) const noexcept {
    for (const Range& member : view()) {
      if (member.base <= range.base && range.end() <= member.end()) return true;
    }
    return range.empty();
  }

  [[nodiscard]] constexpr std::uint64_t bytes() const noexcept {
    std::uint64_t total = 0;
    for (const Range& member : view()) total += member.bytes;
    return total;
  }

  [[nodiscard]] constexpr std::span<const Range> view() const noexcept { return {members_.data(), count_}; }

 private:
  // Puts `with` where members first to last - 1 are.
  constexpr void replace(std::size_t first, std::size_t last, std::span<const Range> with) noexcept {
    const std::size_t tail = count_ - last;
    const std::size_t to = first + with.size();
    if (to < last) {
      for (std::size_t i = 0; i < tail; ++i) members_[to + i] = members_[last + i];
    } else if (to > last) {
      for (std::size_t i = tail; i-- > 0;) members_[to + i] = members_[last + i];
    }
    for (std::size_t i = 0; i < with.size(); ++i) members_[first + i] = with[i];
    count_ = to + tail;
  }

  std::array<Range, Capacity> members_{};
  std::size_t count_{};
};

}  // namespace arm_vcpu::hv
