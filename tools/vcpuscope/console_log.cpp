// SPDX-License-Identifier: Apache-2.0
// TraceFile from a log: the lines that ConsoleDump wrote, whatever stands before, between and around them.
#include <fmt/core.h>

#include <array>
#include <charconv>
#include <cstring>
#include <optional>

#include "arm_vcpu/trace/console_dump.hpp"
#include "trace_file.hpp"

namespace arm_vcpu::scope {
namespace {

constexpr auto kDigitValues = [] {
  std::array<std::int8_t, 256> values{};
  values.fill(-1);
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < kDigits.size(); ++i) {
    values[static_cast<unsigned char>(kDigits[i])] = static_cast<std::int8_t>(i);
  }
  return values;
}();

std::optional<std::vector<std::byte>> from_base64(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  std::vector<std::byte> bytes;
  for (std::size_t at = 0; at < text.size(); at += 4) {
    const std::size_t pad = at + 4 == text.size() ? padding : 0;
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      const int value = i < 4 - pad ? kDigitValues[static_cast<unsigned char>(text[at + i])] : 0;
      if (value < 0) return std::nullopt;
      group = group << 6 | static_cast<std::uint32_t>(value);
    }
    for (std::size_t i = 0; i < 3 - pad; ++i) bytes.push_back(static_cast<std::byte>(group >> (16 - 8 * i)));
  }
  return bytes;
}

std::string_view next_word(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  const std::string_view word = text.substr(0, text.find_first_of(" \r"));
  text.remove_prefix(word.size());
  return word;
}

template <class T>
std::optional<T> number(std::string_view word, int base = 10) {
  T value{};
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value, base);
  return error == std::errc{} && end == word.data() + word.size() ? std::optional{value} : std::nullopt;
}

// The bytes of a frame, "base64 crc"; none when they are damaged.
std::optional<std::vector<std::byte>> frame(std::string_view& rest) {
  auto bytes = from_base64(next_word(rest));
  const auto crc = number<std::uint32_t>(next_word(rest), 16);
  if (!bytes || !crc || trace::crc32(bytes->data(), bytes->size()) != *crc) return std::nullopt;
  return bytes;
}

}  // namespace

bool TraceFile::read_console(std::string_view log) {
  bool found = false;
  std::uint64_t lines = 0;
  std::uint64_t damaged = 0;
  bool ended = false;
  std::uint64_t announced = 0;
  for (std::size_t at = log.find(trace::kDumpMark); at != std::string_view::npos;
       at = log.find(trace::kDumpMark, at + 1)) {
    std::string_view rest = log.substr(at + trace::kDumpMark.size());
    rest = rest.substr(0, rest.find('\n'));
    const std::string_view word = next_word(rest);
    if (word == "begin") {
      if (found) {  // a later dump, of a later failure, replaces an earlier one
        problems_.emplace_back("the log has more than one dump: the last is shown");
        cpus_.clear();
        owned_.clear();
        header_ = {};
        lines = damaged = 0;
        ended = false;
        announced = 0;
      }
      found = true;
      if (const auto bytes = frame(rest); bytes && bytes->size() == trace::kDumpHeaderBytes) {
        std::memcpy(static_cast<void*>(&header_), bytes->data(), bytes->size());
      } else {
        problems_.emplace_back("the dump's first line is damaged: counter frequency and build are unknown");
      }
    } else if (word == "end") {
      ended = true;
      announced = number<std::uint64_t>(next_word(rest)).value_or(0);
    } else if (const auto cpu_number = number<std::uint32_t>(word)) {
      found = true;
      ++lines;
      const auto first = number<std::uint64_t>(next_word(rest));
      const auto bytes = frame(rest);
      if (!first || !bytes || bytes->size() % sizeof(trace::Record) != 0) {
        ++damaged;
        continue;
      }
      auto& records = owned_.emplace_back(bytes->size() / sizeof(trace::Record));
      std::memcpy(static_cast<void*>(records.data()), bytes->data(), bytes->size());
      cpu(*cpu_number).append(*first, records);
    }
  }
  if (damaged != 0) problems_.push_back(fmt::format("{} of {} lines of the dump are damaged", damaged, lines));
  if (found && !ended) problems_.emplace_back("the dump has no end: the log stops inside it");
  if (announced > lines) {
    problems_.push_back(fmt::format("{} lines of the dump are missing", announced - lines));
  }
  return found;
}

}  // namespace arm_vcpu::scope
