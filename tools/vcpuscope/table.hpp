// SPDX-License-Identifier: Apache-2.0
// Columns that fit their contents.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "text.hpp"

namespace arm_vcpu::scope {

class Table {
 public:
  enum Alignment { left, right };
  struct Column {
    std::string title;
    Alignment alignment{};
    std::size_t width{};
  };

  explicit Table(std::vector<Column> columns);
  void add(std::vector<std::string> cells);  // as many as there are columns
  [[nodiscard]] std::size_t size() const noexcept { return rows_.size(); }
  // Columns that are empty in the title and in every row are left out.
  void write(Text& out) const;

 private:
  void write_row(Text& out, const std::vector<std::string>& cells) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

[[nodiscard]] std::string count_text(std::uint64_t count);                        // "1,234,567"
[[nodiscard]] std::string percent_text(std::uint64_t part, std::uint64_t whole);  // "12.3%"; "-" when whole is 0
[[nodiscard]] std::string duration_text(std::uint64_t ns);                        // "640 ns", "12.5 us", "1.20 s"

}  // namespace arm_vcpu::scope
