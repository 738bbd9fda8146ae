// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/trace/diagnosis.hpp"

namespace arm_vcpu::diag {
namespace {

constexpr CodeInfo kCatalogue[] = {
#define VCPU_DIAGNOSIS(number, name, title, symptom, cause, advice, arises, where) \
  {Code::name, #name, title, symptom, cause, advice, Arises::arises, where},
#include "arm_vcpu/trace/diagnoses.def"
#undef VCPU_DIAGNOSIS
};

}  // namespace

std::span<const CodeInfo> catalogue() noexcept {
  return kCatalogue;
}

const CodeInfo& info_of(Code code) noexcept {
  for (const CodeInfo& info : kCatalogue) {
    if (info.code == code) return info;
  }
  return kCatalogue[std::size(kCatalogue) - 1];
}

std::string_view name_of(Arises arises) noexcept {
  switch (arises) {
    case Arises::yes: return "yes";
    case Arises::hardware: return "on hardware only";
    case Arises::defect: return "only by a defect of the hypervisor";
    case Arises::configuration: return "not in the reference hypervisor";
  }
  return {};
}

std::string_view name_of(Confidence confidence) noexcept {
  switch (confidence) {
    case Confidence::possible: return "possible";
    case Confidence::likely: return "likely";
    case Confidence::certain: return "certain";
  }
  return {};
}

void append(TextBuffer& out, Code code) noexcept {
  out.put("AV");
  out.put_unsigned(static_cast<std::uint64_t>(code), 10, 4);
}

std::optional<Code> parse_code(std::string_view text) noexcept {
  if (text.size() >= 2 && (text[0] | 0x20) == 'a' && (text[1] | 0x20) == 'v') text.remove_prefix(2);
  if (text.empty() || text.size() > 4) return std::nullopt;
  unsigned number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + static_cast<unsigned>(c - '0');
  }
  for (const CodeInfo& info : kCatalogue) {
    if (static_cast<unsigned>(info.code) == number) return info.code;
  }
  return std::nullopt;
}

}  // namespace arm_vcpu::diag
