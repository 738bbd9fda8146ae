// SPDX-License-Identifier: Apache-2.0
// A spinlock. EL2 never takes an interrupt, so a holder is never preempted. Needs the MMU on: exclusives on Device
// memory may fault.
#pragma once

#include <atomic>
#include <cstdint>

#include "arm_vcpu/el2/sysreg.hpp"

namespace arm_vcpu::hv {

class SpinLock {
 public:
  constexpr SpinLock() noexcept = default;
  SpinLock(const SpinLock&) = delete;
  SpinLock& operator=(const SpinLock&) = delete;

  void lock() noexcept {
    while (!try_lock()) {
      while (held_.load(std::memory_order_relaxed)) el2::yield();
    }
  }
  [[nodiscard]] bool try_lock() noexcept { return !held_.exchange(true, std::memory_order_acquire); }
  void unlock() noexcept { held_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> held_{false};
};

class [[nodiscard]] LockGuard {
 public:
  explicit LockGuard(SpinLock& lock) noexcept : lock_{lock} { lock_.lock(); }
  ~LockGuard() { lock_.unlock(); }
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;

 private:
  SpinLock& lock_;
};

}  // namespace arm_vcpu::hv
