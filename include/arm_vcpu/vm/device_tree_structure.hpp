// SPDX-License-Identifier: Apache-2.0
// What has to hold of a device-tree blob before libfdt walks it. Up to version 1.6.1, which Debian 12 has, it adds the
// length of a property to its offset without a look at the sum: a length near 2^32 leads it back to where it was, for
// ever, fdt_check_full() too. [dtspec] "Structure Block", "Header"
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace arm_vcpu {

// Whether a walk over the tags of the structure block comes to its end, and stays in it. Of version 17, which is the
// only one with the size of the block; nothing is said about names, nesting and strings.
[[nodiscard]] constexpr bool structure_ends(std::span<const std::byte> blob) noexcept {
  constexpr std::size_t kHeaderBytes = 40;
  if (blob.size() < kHeaderBytes) return false;
  const auto word = [blob](std::uint64_t at) {
    std::uint32_t value = 0;
    for (const std::byte byte : blob.subspan(at, 4)) value = value << 8 | static_cast<std::uint8_t>(byte);
    return value;
  };
  const std::uint64_t total = word(4);
  const std::uint64_t begin = word(8);
  const std::uint64_t bytes = word(36);
  if (word(20) < 17 || total > blob.size() || begin > total || bytes > total - begin) return false;
  const std::span<const std::byte> block = blob.subspan(begin, bytes);
  for (std::uint64_t at = 0; at <= bytes && bytes - at >= 4; at = (at + 3) & ~std::uint64_t{3}) {
    constexpr std::uint32_t kBeginNode = 1, kEndNode = 2, kProperty = 3, kNop = 4, kEnd = 9;
    const std::uint32_t tag = word(begin + at);
    at += 4;
    switch (tag) {
      case kBeginNode:
        while (at < bytes && block[at] != std::byte{0}) ++at;
        ++at;
        break;
      case kProperty: {
        constexpr std::uint64_t kLengthAndName = 8;
        if (bytes - at < kLengthAndName) return false;
        const std::uint32_t length = word(begin + at);
        at += kLengthAndName;
        if (length > bytes - at) return false;
        at += length;
        break;
      }
      case kEndNode:
      case kNop: break;
      case kEnd: return true;
      default: return false;
    }
  }
  return false;
}

}  // namespace arm_vcpu
