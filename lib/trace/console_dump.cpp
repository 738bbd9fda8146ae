// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/trace/console_dump.hpp"

#include "arm_vcpu/text.hpp"

namespace arm_vcpu::trace {
namespace {

// [RFC 4648] "Base 64 Encoding"
constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void put_base64(TextBuffer& out, const unsigned char* bytes, std::size_t count) noexcept {
  for (std::size_t at = 0; at < count; at += 3) {
    const std::size_t n = count - at < 3 ? count - at : 3;
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      group = group << 8 | (i < n ? bytes[at + i] : 0U);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      out.put(i <= n ? kDigits[group >> (18 - 6 * i) & 0x3F] : '=');
    }
  }
}

void put_frame(TextBuffer& out, const void* data, std::size_t bytes) noexcept {
  out.put(' ');
  put_base64(out, static_cast<const unsigned char*>(data), bytes);
  format_to(out, " {:08x}", crc32(data, bytes));
}

}  // namespace

std::string_view dump_begin_line(DumpLine& storage, const Header& header) noexcept {
  TextBuffer out{storage};
  format_to(out, "{}begin", kDumpMark);
  put_frame(out, &header, kDumpHeaderBytes);
  return out.view();
}

std::string_view dump_record_line(DumpLine& storage, std::uint32_t cpu, std::uint64_t first,
                                  std::span<const Record> records) noexcept {
  static_assert(kDumpRecordsPerLine * sizeof(Record) * 4 / 3 + 64 <= kDumpLineChars);
  TextBuffer out{storage};
  format_to(out, "{}{} {}", kDumpMark, cpu, first);
  put_frame(out, records.data(), records.size_bytes());
  return out.view();
}

std::string_view dump_end_line(DumpLine& storage, std::uint64_t record_lines) noexcept {
  TextBuffer out{storage};
  format_to(out, "{}end {}", kDumpMark, record_lines);
  return out.view();
}

}  // namespace arm_vcpu::trace
