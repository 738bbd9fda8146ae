// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/trace/record.hpp"

namespace arm_vcpu::trace {
namespace {

constexpr std::array<std::uint32_t, 256> make_crc_table() noexcept {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) {
      value = (value & 1) != 0 ? value >> 1 ^ 0xEDB8'8320U : value >> 1;
    }
    table[i] = value;
  }
  return table;
}
constexpr auto kCrcTable = make_crc_table();

}  // namespace

std::string_view name_of(Kind kind) noexcept {
  switch (kind) {
#define VCPU_TRACE_KIND(value, name, meaning, fields) \
  case Kind::name: return #name;
#include "arm_vcpu/trace/kinds.def"
#undef VCPU_TRACE_KIND
  }
  return {};
}

std::string_view meaning_of(Kind kind) noexcept {
  switch (kind) {
#define VCPU_TRACE_KIND(value, name, meaning, fields) \
  case Kind::name: return meaning;
#include "arm_vcpu/trace/kinds.def"
#undef VCPU_TRACE_KIND
  }
  return {};
}

std::string_view name_of(Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::open: return "open";
    case Outcome::handled: return "handled";
    case Outcome::injected: return "injected";
    case Outcome::returned: return "returned";
    case Outcome::failed: return "failed";
    case Outcome::answered: return "answered";
    case Outcome::waits: return "waits";
  }
  return {};
}

std::uint32_t crc32(const void* data, std::uint64_t bytes, std::uint32_t seed) noexcept {
  std::uint32_t crc = ~seed;
  for (const auto* at = static_cast<const unsigned char*>(data); bytes != 0; --bytes, ++at) {
    crc = crc >> 8 ^ kCrcTable[(crc ^ *at) & 0xFF];
  }
  return ~crc;
}

}  // namespace arm_vcpu::trace
