// SPDX-License-Identifier: Apache-2.0
// Errors are values: what was asked, what this machine has, and the fix. Nothing throws, nothing allocates.
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

namespace arm_vcpu {

enum class Errc : std::uint8_t {
#define VCPU_ERRC(name, what, asked, has, fix) name,
#include "arm_vcpu/errors.def"
#undef VCPU_ERRC
};

// Why a call could not do what it was asked. `asked` and `has` are the two numbers that matter for the code.
struct Error {
  Errc code{};
  std::uint64_t asked{};
  std::uint64_t has{};

  friend constexpr bool operator==(const Error&, const Error&) noexcept = default;
};

template <class T = void>
using Result = std::expected<T, Error>;

[[nodiscard]] constexpr std::unexpected<Error> fail(Errc code, std::uint64_t asked = 0,
                                                    std::uint64_t has = 0) noexcept {
  return std::unexpected(Error{code, asked, has});
}

// The texts that go with a code.
struct ErrorText {
  std::string_view name;   // the enumerator
  std::string_view what;   // what cannot be
  std::string_view asked;  // label of Error::asked, empty when the code does not use it
  std::string_view has;    // label of Error::has, empty when the code does not use it
  std::string_view fix;    // what to do
};

[[nodiscard]] ErrorText describe(Errc code) noexcept;

class TextBuffer;

// One line: "unsupported_ipa_size: the intermediate ... (IPA bits asked 48, PA bits of this CPU 40); ask for ...".
void append(TextBuffer& out, const Error& error) noexcept;

}  // namespace arm_vcpu
