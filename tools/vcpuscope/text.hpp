// SPDX-License-Identifier: Apache-2.0
// Text for millions of lines a second: a large buffer that is written out when it is full. fmt is used where a line is
// not one of millions.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

namespace arm_vcpu::scope {

class Text {
 public:
  // Writes to `fd` when the buffer fills, and at flush().
  explicit Text(int fd) : fd_{fd} {}
  Text(const Text&) = delete;
  Text& operator=(const Text&) = delete;

  void put(char c) {
    reserve(1);
    buffer_[used_++] = c;
  }
  void put(std::string_view text) {
    reserve(text.size());
    std::memcpy(&buffer_[used_], text.data(), text.size());
    used_ += text.size();
  }
  void pad_to(std::size_t column) {  // of the line begun by the last mark()
    while (used_ < line_ + column) put(' ');
  }
  void mark() {
    reserve(kLine);
    line_ = used_;
  }
  void dec(std::uint64_t value, unsigned width = 0, char fill = ' ') {
    const fmt::format_int digits{value};
    for (std::size_t n = digits.size(); n < width; ++n) put(fill);
    put(std::string_view{digits.data(), digits.size()});
  }
  // 0x and at least `digits` digits.
  void hex(std::uint64_t value, unsigned digits = 1) {
    char text[18];
    char* at = text + sizeof text;
    for (unsigned n = 0; n < digits || value != 0; ++n, value >>= 4) *--at = "0123456789abcdef"[value & 0xF];
    *--at = 'x';
    *--at = '0';
    put(std::string_view{at, static_cast<std::size_t>(text + sizeof text - at)});
  }
  template <class... Args>
  void format(fmt::format_string<Args...> pattern, Args&&... args) {
    fmt::memory_buffer text;
    fmt::format_to(std::back_inserter(text), pattern, std::forward<Args>(args)...);
    put(std::string_view{text.data(), text.size()});
  }
  // A JSON string with its quotes.
  void json(std::string_view text);

  // Takes back spaces at the end of the line begun by the last mark().
  void trim() {
    while (used_ > line_ && buffer_[used_ - 1] == ' ') --used_;
  }
  // What was put since the last mark(), and takes it out again.
  [[nodiscard]] std::string_view take_line() {
    const std::string_view text{&buffer_[line_], used_ - line_};
    used_ = line_;
    return text;
  }

  void flush();  // throws Failure

 private:
  static constexpr std::size_t kBytes = std::size_t{1} << 20;
  static constexpr std::size_t kLine = 4096;  // a line of a trace is shorter: a marked line is not split by a flush

  void reserve(std::size_t bytes) {
    if (used_ + bytes > kBytes) make_room(bytes);
  }
  void make_room(std::size_t bytes);
  void write(const char* data, std::size_t size);

  int fd_;
  std::size_t used_{};
  std::size_t line_{};
  std::unique_ptr<char[]> buffer_ = std::make_unique<char[]>(kBytes);
};

}  // namespace arm_vcpu::scope
