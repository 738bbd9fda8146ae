// SPDX-License-Identifier: Apache-2.0
// Why a bundle is refused: the node, the property and the reason, in one line.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "arm_vcpu/text.hpp"

namespace arm_vcpu {

// Text of at most N bytes that it owns; longer text is cut.
template <std::size_t N>
class ShortText {
 public:
  constexpr ShortText() noexcept = default;
  constexpr explicit ShortText(std::string_view text) noexcept {
    for (; size_ < N && size_ < text.size(); ++size_) {
      storage_[size_] = text[size_];
    }
  }
  [[nodiscard]] constexpr std::string_view view() const noexcept { return {storage_.data(), size_}; }

 private:
  std::array<char, N> storage_{};
  std::size_t size_{};
};

enum class BundleReason : std::uint8_t {
#define VCPU_BUNDLE_REASON(name, text) name,
#include "arm_vcpu/vm/bundle_reason.def"
#undef VCPU_BUNDLE_REASON
};

// Self-contained: it outlives the bundle.
struct BundleError {
  BundleReason reason{};
  ShortText<96> node;      // path, "/" for the bundle as a whole
  ShortText<48> property;  // empty when the node itself is meant
  ShortText<160> detail;   // the text in question, may be empty
  std::uint64_t value{};   // what the reason's text says of them
  std::uint64_t limit{};
};

// One line: "/vms/vm0: cpus: is 0, the least is 1".
void append(TextBuffer& out, const BundleError& error) noexcept;

}  // namespace arm_vcpu
