// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

namespace arm_vcpu::scope {

// Durations in ticks: least, greatest, sum, and quantiles that are exact below 128 ticks and within 1/128 above. A few
// values are kept as they are: most of a million PCs are seen once.
class Durations {
 public:
  void add(std::uint32_t ticks) {
    least_ = std::min(least_, ticks);
    greatest_ = std::max(greatest_, ticks);
    sum_ += ticks;
    if (count_ < few_.size()) {
      few_[count_] = ticks;
    } else {
      if (count_ == few_.size()) {
        for (const std::uint32_t kept : few_) count(kept);
      }
      count(ticks);
    }
    ++count_;
  }

  // Asks the memory for what add() will want.
  void prefetch(std::uint32_t ticks) const noexcept {
    const std::size_t wanted = bucket(ticks);
    if (wanted < histogram_.size()) __builtin_prefetch(&histogram_[wanted], 1);
  }

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t sum() const noexcept { return sum_; }
  [[nodiscard]] std::uint32_t least() const noexcept { return count_ == 0 ? 0 : least_; }
  [[nodiscard]] std::uint32_t greatest() const noexcept { return greatest_; }

  // The least value that `share` (0 to 1) of all do not exceed; 0 when there is none.
  [[nodiscard]] std::uint32_t quantile(double share) const {
    const auto rank = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
    if (count_ == 0) return 0;
    if (histogram_.empty()) {
      auto sorted = few_;
      std::sort(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(count_));
      return sorted[rank == 0 ? 0 : rank - 1];
    }
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < histogram_.size(); ++i) {
      seen += histogram_[i];
      if (seen >= rank && seen != 0) return std::clamp(middle(i), least_, greatest_);
    }
    return greatest_;
  }

  // Calls visit(lowest ticks of a bucket, count) for each bucket that holds something.
  template <class Visit>
  void for_each(Visit&& visit) const {
    if (histogram_.empty()) {
      for (std::size_t i = 0; i < count_; ++i) visit(few_[i], 1U);
      return;
    }
    for (std::size_t i = 0; i < histogram_.size(); ++i) {
      if (histogram_[i] != 0) visit(lowest(i), histogram_[i]);
    }
  }

 private:
  // 128 buckets of one value, then 64 to an octave.
  static constexpr std::size_t bucket(std::uint32_t ticks) noexcept {
    if (ticks < 128) return ticks;
    const unsigned shift = 25 - static_cast<unsigned>(std::countl_zero(ticks));
    return 64 + shift * 64 + ((ticks >> shift) & 63);
  }
  static constexpr std::uint32_t lowest(std::size_t index) noexcept {
    if (index < 128) return static_cast<std::uint32_t>(index);
    return static_cast<std::uint32_t>((64 + index % 64) << (index / 64 - 1));
  }
  static constexpr std::uint32_t middle(std::size_t index) noexcept {
    return index < 128 ? lowest(index) : lowest(index) + ((1U << (index / 64 - 1)) - 1) / 2;
  }

  void count(std::uint32_t ticks) {
    const std::size_t index = bucket(ticks);
    if (index >= histogram_.size()) [[unlikely]] {
      histogram_.resize((index | 63) + 1);  // most things are short, and there may be many things
    }
    ++histogram_[index];
  }

  std::uint64_t count_{};
  std::uint64_t sum_{};
  std::uint32_t least_{~0U};
  std::uint32_t greatest_{};
  std::array<std::uint32_t, 10> few_{};
  std::vector<std::uint32_t> histogram_;
};

}  // namespace arm_vcpu::scope
