// SPDX-License-Identifier: Apache-2.0
// The chain of frame records: who called whom, from X29, through whatever can read memory.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "arm_vcpu/arch/bits.hpp"

namespace arm_vcpu::trace {

// Reads the 64-bit word at a virtual address of the code that is looked at; empty where there is none.
template <class R>
concept WordReader = requires(R& reader, std::uint64_t va) {
  { reader(va) } -> std::convertible_to<std::optional<std::uint64_t>>;
};

// Where the stack may lie, and how long the chain may be.
struct BacktraceLimits {
  unsigned frames = 64;                  // as many return addresses at most; no more than Backtrace::kMaxFrames
  std::uint64_t frame_bytes = 1U << 16;  // a record lies at most so far above the last
  std::uint64_t lowest = 0;              // first byte where a record may lie
  std::uint64_t highest = ~std::uint64_t{0};
  unsigned va_bits = 48;  // of the range that code lies in; more bits may be an authentication code
};

// Why the walk ended.
enum class BacktraceEnd : std::uint8_t {
  complete,       // a record with a 0 in it, which is how a call chain begins
  misaligned,     // a record that is not 16-byte aligned
  out_of_bounds,  // beyond the limits
  unreadable,     // the reader has no such word
  not_above,      // a record at or below its predecessor: a loop, or no frame pointer at all
  too_long,
};

struct Frame {
  std::uint64_t pc{};      // of a caller: its return address, without an authentication code
  std::uint64_t record{};  // where it was read; 0 for the PC and the link register
};

struct Backtrace {
  static constexpr std::size_t kMaxFrames = 64;

  std::array<Frame, kMaxFrames> storage{};
  std::size_t count{};
  BacktraceEnd end{};

  [[nodiscard]] constexpr std::span<const Frame> frames() const noexcept { return {storage.data(), count}; }
};

// The address without a pointer authentication code or a tag: bits from `va_bits` on become copies of bit 55. [armarm]
// "PAC field"
[[nodiscard]] constexpr std::uint64_t strip_pac(std::uint64_t address, unsigned va_bits) noexcept {
  const std::uint64_t high = va_bits >= 64 ? 0 : ~bits::mask(va_bits - 1, 0);
  return (address >> 55 & 1) != 0 ? address | high : address & ~high;
}

// The PC, then the return address of each frame record {caller's X29, return address} from `x29` on. [aapcs64] "The
// Frame Pointer": the stack grows down, so that each record lies above the last. A function that has not yet pushed its
// record, or never does, hides its caller: give `x30` to have it in second place when the PC is in such a function.
template <WordReader R>
[[nodiscard]] constexpr Backtrace backtrace(std::uint64_t pc, std::uint64_t x29, std::optional<std::uint64_t> x30,
                                            const BacktraceLimits& limits, R&& reader) noexcept {
  Backtrace result{};
  const std::size_t most = limits.frames < Backtrace::kMaxFrames ? limits.frames : Backtrace::kMaxFrames;
  const auto add = [&](std::uint64_t address, std::uint64_t record) constexpr noexcept {
    if (result.count == most) return false;
    result.storage[result.count++] = {strip_pac(address, limits.va_bits), record};
    return true;
  };
  result.end = BacktraceEnd::too_long;
  if (!add(pc, 0)) return result;
  if (x30 && *x30 != 0 && !add(*x30, 0)) return result;

  std::uint64_t record = x29;
  for (;;) {
    result.end = BacktraceEnd::complete;
    if (record == 0) return result;
    result.end = BacktraceEnd::misaligned;
    if (!bits::aligned(record, 16)) return result;
    result.end = BacktraceEnd::out_of_bounds;
    if (record < limits.lowest || record > limits.highest - 15) return result;
    result.end = BacktraceEnd::unreadable;
    const std::optional<std::uint64_t> caller = reader(record);
    const std::optional<std::uint64_t> address = reader(record + 8);
    if (!caller || !address) return result;
    result.end = BacktraceEnd::complete;
    if (*address == 0) return result;
    result.end = BacktraceEnd::too_long;
    // The link register and the first record often say the same.
    const bool repeats = x30 && result.count == 2 && result.storage[1].record == 0 &&
                         result.storage[1].pc == strip_pac(*address, limits.va_bits);
    if (repeats) {
      result.storage[1].record = record;
    } else if (!add(*address, record)) {
      return result;
    }
    if (*caller != 0) {
      result.end = BacktraceEnd::not_above;
      if (*caller <= record) return result;
      result.end = BacktraceEnd::out_of_bounds;
      if (*caller - record > limits.frame_bytes) return result;
    }
    record = *caller;
  }
}

[[nodiscard]] std::string_view meaning_of(BacktraceEnd end) noexcept;

}  // namespace arm_vcpu::trace
