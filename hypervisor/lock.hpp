// SPDX-License-Identifier: Apache-2.0
// A spinlock. EL2 never takes an interrupt, so a holder is never preempted. Needs the MMU on: exclusives on Device
// memory may fault. A CPU that waits for a lock it holds itself would wait for ever: it ends in a diagnosis instead.
#pragma once

#include <atomic>
#include <cstdint>

#include "arm_vcpu/el2/sysreg.hpp"

namespace arm_vcpu::hv {

class SpinLock {
 public:
  constexpr SpinLock() noexcept = default;
  explicit constexpr SpinLock(const char* name) noexcept : name_{name} {}
  SpinLock(const SpinLock&) = delete;
  SpinLock& operator=(const SpinLock&) = delete;

  [[gnu::always_inline]] void lock() noexcept {
    while (!try_lock()) {
      while (const std::uint64_t owner = owner_.load(std::memory_order_relaxed)) {
        if (owner == self()) stuck();
        el2::yield();
      }
    }
  }
  [[nodiscard, gnu::always_inline]] bool try_lock() noexcept {
    std::uint64_t nobody = 0;
    if (!owner_.compare_exchange_strong(nobody, self(), std::memory_order_acquire, std::memory_order_relaxed)) {
      return false;
    }
    __asm__("adr %0, ." : "=r"(taken_at_));
    return true;
  }
  [[gnu::always_inline]] void unlock() noexcept { owner_.store(0, std::memory_order_release); }

  [[nodiscard]] const char* name() const noexcept { return name_; }
  // In the function that took it.
  [[nodiscard]] std::uint64_t taken_at() const noexcept { return taken_at_; }

 private:
  // No two CPUs share it, and bit 31 is RES1. Unlike TPIDR_EL2 it can be read where the boot loader enters at EL1.
  static std::uint64_t self() noexcept { return VCPU_READ_SYSREG(mpidr_el1); }
  [[noreturn, gnu::noinline, gnu::cold]] void stuck() const noexcept;  // panic.cpp

  std::atomic<std::uint64_t> owner_{0};
  std::uint64_t taken_at_{};
  const char* name_{"unnamed"};
};

class [[nodiscard]] LockGuard {
 public:
  [[gnu::always_inline]] explicit LockGuard(SpinLock& lock) noexcept : lock_{lock} { lock_.lock(); }
  [[gnu::always_inline]] ~LockGuard() { lock_.unlock(); }
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;

 private:
  SpinLock& lock_;
};

}  // namespace arm_vcpu::hv
