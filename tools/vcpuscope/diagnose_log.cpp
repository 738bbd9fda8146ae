// SPDX-License-Identifier: Apache-2.0
#include "diagnose_log.hpp"

#include <array>
#include <fstream>
#include <optional>

#include "arm_vcpu/trace/diagnosis.hpp"

namespace arm_vcpu::scope {
namespace {

constexpr std::string_view kPrefix = "[hv] ";

// What the hypervisor said in this line: without the prefix, and without the carriage return of a terminal.
std::optional<std::string_view> hypervisor_text(std::string_view line) {
  const std::size_t at = line.find(kPrefix);
  if (at == std::string_view::npos) return std::nullopt;
  line.remove_prefix(at + kPrefix.size());
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
  return line;
}

bool begins_diagnosis(std::string_view text) {
  return text.size() > 7 && text.starts_with("AV") && text[6] == ' ' && diag::parse_code(text.substr(0, 6)).has_value();
}

}  // namespace

std::vector<std::string> diagnoses_in_text(std::string_view log) {
  std::vector<std::string> result;
  bool inside = false;
  while (!log.empty()) {
    const std::size_t end = std::min(log.find('\n'), log.size());
    const auto text = hypervisor_text(log.substr(0, end));
    log.remove_prefix(std::min(end + 1, log.size()));
    if (!text) continue;  // a guest's line in between
    if (begins_diagnosis(*text)) {
      result.emplace_back();
      inside = true;
    } else if (!text->starts_with("  ")) {
      inside = false;
    }
    if (inside) result.back().append(*text).push_back('\n');
  }
  return result;
}

std::vector<std::string> diagnoses_in_log(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  std::array<char, 4096> start{};
  file.read(start.data(), start.size());
  const auto got = static_cast<std::size_t>(file.gcount());
  // A trace or a memory dump has zeroes in its first page; a log has none.
  if (got == 0 || std::string_view{start.data(), got}.find('\0') != std::string_view::npos) return {};
  std::string log{start.data(), got};
  file.clear();
  log.append(std::istreambuf_iterator<char>{file}, {});
  return diagnoses_in_text(log);
}

}  // namespace arm_vcpu::scope
