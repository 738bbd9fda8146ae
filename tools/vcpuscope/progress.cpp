// SPDX-License-Identifier: Apache-2.0
#include "progress.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>
#include <string>

namespace arm_vcpu::scope {

Progress::Progress(std::string_view what, std::uint64_t total) noexcept
    : what_{what}, total_{total}, shown_{::isatty(STDERR_FILENO) == 1} {}

Progress::~Progress() {
  if (drawn_) fmt::print(stderr, "\r\033[K");
}

void Progress::draw() noexcept {
  using namespace std::chrono;
  if (total_ == 0 || steady_clock::now() - start_ < seconds{1}) return;
  constexpr std::size_t kWidth = 40;
  const auto filled = static_cast<std::size_t>(done_ * kWidth / total_);
  fmt::print(stderr, "\r{} [{}{}] {:3}%", what_, std::string(filled, '#'), std::string(kWidth - filled, '.'),
             done_ * 100 / total_);
  std::fflush(stderr);
  drawn_ = true;
}

}  // namespace arm_vcpu::scope
