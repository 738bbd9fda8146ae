// SPDX-License-Identifier: Apache-2.0
// The recorder of one CPU: overwriting, single writer, no lock, no text. Header-only: it is part of the exit path.
#pragma once

#include <cstddef>
#include <cstdint>

#include "arm_vcpu/trace/record.hpp"

namespace arm_vcpu::trace {

// Where a ring is, and how it wraps: what is behind `written` in a RingHeader has a fixed distance.
struct RingCursor {
  std::uint64_t* written{};
  std::uint64_t mask{};

  [[nodiscard]] Record& place_of(std::uint64_t number) const noexcept {
    constexpr std::size_t kToRecords = sizeof(RingHeader) - offsetof(RingHeader, written);
    char* at = reinterpret_cast<char*>(written) + (number & mask) * sizeof(Record);
    __asm__("" : "+r"(at));  // one base register for all of the record, with what follows in the offsets
    return *reinterpret_cast<Record*>(at + kToRecords);
  }
  void publish(std::uint64_t number) const noexcept { __atomic_store_n(written, number + 1, __ATOMIC_RELEASE); }
};

// A view of a RingHeader with its records behind it. Only the CPU that it belongs to writes.
class Ring {
 public:
  // Makes `memory` (64-byte aligned, sizeof(RingHeader) + capacity * sizeof(Record) bytes) an empty ring; `capacity` is
  // a power of two.
  static Ring* create(void* memory, std::uint32_t cpu, std::uint64_t capacity) noexcept {
    auto* header = static_cast<RingHeader*>(memory);
    *header = RingHeader{.magic = kRingMagic, .cpu = cpu, .capacity = capacity};
    return static_cast<Ring*>(memory);
  }

  // The number of the next record, and its place, for the caller to fill; the old content is still there. Readers do
  // not see it before publish().
  [[nodiscard]] std::uint64_t next_number() const noexcept { return header_.written; }
  [[nodiscard]] Record& place_of(std::uint64_t number) noexcept { return records()[number & (header_.capacity - 1)]; }
  void publish(std::uint64_t number) noexcept { __atomic_store_n(&header_.written, number + 1, __ATOMIC_RELEASE); }

  // An event beyond exits, in one call.
  void append(const Record& record) noexcept {
    const std::uint64_t number = next_number();
    Record& place = place_of(number);
    place = record;
    place.sequence = static_cast<std::uint32_t>(number);
    publish(number);
  }

  // For a writer that has no instruction to waste; null in it while there is no ring.
  [[nodiscard]] RingCursor cursor() noexcept { return {&header_.written, header_.capacity - 1}; }

  [[nodiscard]] const RingHeader& header() const noexcept { return header_; }
  [[nodiscard]] RingHeader& header() noexcept { return header_; }
  [[nodiscard]] const Record& at(std::uint64_t number) const noexcept {
    return reinterpret_cast<const Record*>(this + 1)[number & (header_.capacity - 1)];
  }
  // Numbers of the records that are still there: [first(), end()).
  [[nodiscard]] std::uint64_t end() const noexcept { return __atomic_load_n(&header_.written, __ATOMIC_ACQUIRE); }
  [[nodiscard]] std::uint64_t first() const noexcept {
    const std::uint64_t n = end();
    return n > header_.capacity ? n - header_.capacity : 0;
  }

 private:
  [[nodiscard]] Record* records() noexcept { return reinterpret_cast<Record*>(this + 1); }

  RingHeader header_;
};
static_assert(sizeof(Ring) == sizeof(RingHeader));

}  // namespace arm_vcpu::trace
