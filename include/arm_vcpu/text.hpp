// SPDX-License-Identifier: Apache-2.0
// Text without allocation, exceptions or floating point: what EL2 needs to print a line. Host tools use fmt instead.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

namespace arm_vcpu {

// Appends into storage of the caller; text beyond its end is dropped and `truncated()` says so.
class TextBuffer {
 public:
  constexpr explicit TextBuffer(std::span<char> storage) noexcept : storage_{storage} {}

  void put(char c) noexcept;
  void put(std::string_view text) noexcept;
  void put_unsigned(std::uint64_t value, unsigned base, unsigned min_digits) noexcept;

  [[nodiscard]] std::string_view view() const noexcept { return {storage_.data(), used_}; }
  [[nodiscard]] bool truncated() const noexcept { return truncated_; }
  void clear() noexcept { used_ = 0, truncated_ = false; }

 private:
  std::span<char> storage_;
  std::size_t used_{};
  bool truncated_{};
};

namespace detail {

struct TextArg {
  enum class Kind : std::uint8_t { text, boolean, character, is_signed, is_unsigned } kind{};
  std::uint64_t number{};
  std::string_view text{};
};

constexpr TextArg text_arg(std::string_view text) noexcept {
  return {TextArg::Kind::text, 0, text};
}
constexpr TextArg text_arg(const char* text) noexcept {
  return {TextArg::Kind::text, 0, text};
}
constexpr TextArg text_arg(bool value) noexcept {
  return {TextArg::Kind::boolean, value, {}};
}
constexpr TextArg text_arg(char value) noexcept {
  return {TextArg::Kind::character, static_cast<std::uint64_t>(value), {}};
}
template <std::integral T>
constexpr TextArg text_arg(T value) noexcept {
  if constexpr (std::signed_integral<T>) {
    return {TextArg::Kind::is_signed, static_cast<std::uint64_t>(static_cast<std::int64_t>(value)), {}};
  } else {
    return {TextArg::Kind::is_unsigned, value, {}};
  }
}
template <class T>
  requires std::is_enum_v<T>
constexpr TextArg text_arg(T value) noexcept {
  return text_arg(static_cast<std::underlying_type_t<T>>(value));
}

void format_args(TextBuffer& out, std::string_view pattern, std::span<const TextArg> args) noexcept;

}  // namespace detail

// "{}" prints in decimal or as text, "{:x}" as 0x-prefixed hexadecimal, "{:016x}" with that many digits and no prefix.
template <class... Args>
void format_to(TextBuffer& out, std::string_view pattern, const Args&... args) noexcept {
  const detail::TextArg list[sizeof...(Args) + 1] = {detail::text_arg(args)..., {}};
  detail::format_args(out, pattern, {list, sizeof...(Args)});
}

}  // namespace arm_vcpu
