// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

namespace arm_vcpu::scope {

// A bar on stderr for work that takes longer than a second, when stderr is a terminal.
class Progress {
 public:
  Progress(std::string_view what, std::uint64_t total) noexcept;
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void advance() noexcept {
    if ((++done_ & 0xF'FFFF) == 0 && shown_) draw();
  }

 private:
  void draw() noexcept;

  std::string_view what_;
  std::uint64_t total_;
  std::uint64_t done_{};
  std::chrono::steady_clock::time_point start_{std::chrono::steady_clock::now()};
  bool shown_;
  bool drawn_{};
};

}  // namespace arm_vcpu::scope
