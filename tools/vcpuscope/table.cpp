// SPDX-License-Identifier: Apache-2.0
#include "table.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace arm_vcpu::scope {

Table::Table(std::vector<Column> columns) : columns_{std::move(columns)} {
  for (Column& column : columns_) column.width = column.title.size();
}

void Table::add(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  for (std::size_t i = 0; i < cells.size(); ++i) columns_[i].width = std::max(columns_[i].width, cells[i].size());
  rows_.push_back(std::move(cells));
}

void Table::write_row(Text& out, const std::vector<std::string>& cells) const {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (columns_[i].width == 0) continue;
    const std::string space(columns_[i].width - cells[i].size(), ' ');
    line += columns_[i].alignment == left ? "  " + cells[i] + space : "  " + space + cells[i];
  }
  line.resize(line.find_last_not_of(' ') + 1);
  out.put(line);
  out.put('\n');
}

void Table::write(Text& out) const {
  std::vector<std::string> titles;
  titles.reserve(columns_.size());
  for (const Column& column : columns_) titles.push_back(column.title);
  write_row(out, titles);
  for (const auto& row : rows_) write_row(out, row);
}

std::string count_text(std::uint64_t count) {
  std::string text = fmt::format("{}", count);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, 1, ',');
  return text;
}

std::string percent_text(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return "-";
  return fmt::format("{:.1f}%", 100 * static_cast<double>(part) / static_cast<double>(whole));
}

std::string duration_text(std::uint64_t ns) {
  const auto value = static_cast<double>(ns);
  const auto with = [](double number, const char* unit) {
    return fmt::format("{:.{}f} {}", number, number < 9.995 ? 2 : number < 99.95 ? 1 : 0, unit);
  };
  if (ns < 1000) return fmt::format("{} ns", ns);
  if (ns < 1'000'000) return with(value / 1e3, "us");
  if (ns < 1'000'000'000) return with(value / 1e6, "ms");
  return with(value / 1e9, "s");
}

}  // namespace arm_vcpu::scope
