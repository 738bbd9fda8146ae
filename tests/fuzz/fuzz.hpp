// SPDX-License-Identifier: Apache-2.0
// Fuzz targets: functions of a string of bytes that must neither crash, nor trip a sanitizer, nor fail a FUZZ_CHECK.
// `./x fuzz` links them with libFuzzer, the host build with smoke.cpp, which replays their seeds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string_view>

namespace arm_vcpu::fuzz {

// The input, taken apart from its start. When it is over, all is 0.
class Input {
 public:
  explicit Input(std::span<const std::uint8_t> bytes) noexcept : bytes_{bytes} {}

  [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }
  [[nodiscard]] std::span<const std::uint8_t> rest() const noexcept { return bytes_; }

  template <class T>
  [[nodiscard]] T take() noexcept {
    T value{};
    const std::size_t n = bytes_.size() < sizeof value ? bytes_.size() : sizeof value;
    if (n != 0) std::memcpy(&value, bytes_.data(), n);
    bytes_ = bytes_.subspan(n);
    return value;
  }
  [[nodiscard]] std::uint8_t byte() noexcept { return take<std::uint8_t>(); }
  [[nodiscard]] bool flag() noexcept { return (byte() & 1) != 0; }
  [[nodiscard]] unsigned below(unsigned end) noexcept {
    return end <= 256 ? byte() % end : take<std::uint32_t>() % end;
  }
  // 64 bits: small ones, ones near the ends and near powers of two as often as any others.
  [[nodiscard]] std::uint64_t number() noexcept {
    const std::uint8_t how = byte();
    switch (how >> 6) {
      case 0: return how & 0x3F;
      case 1: return ~std::uint64_t{0} - (how & 0x3F);
      case 2: return (std::uint64_t{1} << (how & 0x3F)) + static_cast<std::uint64_t>(take<std::int8_t>());
      default: return take<std::uint64_t>();
    }
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

struct Target {
  const char* name;
  const char* what;
  void (*run)(Input input);
  const Target* next;
};

// The list of all targets that are linked.
inline const Target* first_target = nullptr;

struct Registered : Target {
  Registered(const char* target, const char* description, void (*function)(Input)) noexcept
      : Target{target, description, function, first_target} {
    first_target = this;
  }
};

[[nodiscard]] inline const Target* find_target(std::string_view name) noexcept {
  const Target* one = first_target;
  while (one != nullptr && name != one->name) one = one->next;
  return one;
}

[[noreturn]] inline void failed(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "%s:%d: FUZZ_CHECK(%s) failed\n", file, line, condition);
  std::abort();
}

}  // namespace arm_vcpu::fuzz

#define FUZZ_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::arm_vcpu::fuzz::failed(#condition, __FILE__, __LINE__))

// FUZZ_TARGET(name, "what it does") { ... uses `input` ... }
#define FUZZ_TARGET(name, what)                                                           \
  static void fuzz_##name(::arm_vcpu::fuzz::Input input);                                 \
  static const ::arm_vcpu::fuzz::Registered registered_##name{#name, what, &fuzz_##name}; \
  static void fuzz_##name([[maybe_unused]] ::arm_vcpu::fuzz::Input input)
