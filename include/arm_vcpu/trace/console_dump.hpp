// SPDX-License-Identifier: Apache-2.0
// The exit recorder as lines of text, for when nothing but a console is left; the form is described in record.hpp. No
// heap and no state outside the object: it works in a panic.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "arm_vcpu/trace/record.hpp"
#include "arm_vcpu/trace/ring.hpp"

namespace arm_vcpu::trace {

inline constexpr std::string_view kDumpMark = "[hv] dump ";
inline constexpr std::size_t kDumpRecordsPerLine = 3;
inline constexpr std::size_t kDumpHeaderBytes = 128;  // of Header: all but the VM table
inline constexpr std::size_t kDumpLineChars = 336;    // more than the longest line has

using DumpLine = std::array<char, kDumpLineChars>;

// One line each, without its end, in `storage`.
[[nodiscard]] std::string_view dump_begin_line(DumpLine& storage, const Header& header) noexcept;
// 1 to 3 records of `cpu`, the first of which is number `first` since the start.
[[nodiscard]] std::string_view dump_record_line(DumpLine& storage, std::uint32_t cpu, std::uint64_t first,
                                                std::span<const Record> records) noexcept;
[[nodiscard]] std::string_view dump_end_line(DumpLine& storage, std::uint64_t record_lines) noexcept;

// Writes a whole dump: begin(), ring() or records() for each CPU, end(). `Sink` is called with each line, a
// std::string_view that is valid during the call.
template <class Sink>
class ConsoleDump {
 public:
  explicit ConsoleDump(Sink sink) noexcept : sink_{sink} {}

  void begin(const Header& header) noexcept { sink_(dump_begin_line(line_, header)); }

  void records(std::uint32_t cpu, std::uint64_t first, std::span<const Record> records) noexcept {
    while (!records.empty()) {
      const std::size_t n = records.size() < kDumpRecordsPerLine ? records.size() : kDumpRecordsPerLine;
      sink_(dump_record_line(line_, cpu, first, records.first(n)));
      records = records.subspan(n);
      first += n;
      ++lines_;
    }
  }

  // The last `most` records of a ring, oldest first.
  void ring(const Ring& ring, std::uint64_t most) noexcept {
    const std::uint64_t end = ring.end();
    const std::uint64_t kept = end - ring.first();
    for (std::uint64_t n = end - (kept < most ? kept : most); n < end;) {
      std::array<Record, kDumpRecordsPerLine> copy{};  // records of a line may be at both ends of the ring
      std::size_t count = 0;
      for (; count < copy.size() && n + count < end; ++count) {
        copy[count] = ring.at(n + count);
      }
      records(ring.header().cpu, n, {copy.data(), count});
      n += count;
    }
  }

  void end() noexcept { sink_(dump_end_line(line_, lines_)); }

 private:
  Sink sink_;
  DumpLine line_{};
  std::uint64_t lines_{};
};

}  // namespace arm_vcpu::trace
