// SPDX-License-Identifier: Apache-2.0
// Stolen time of one vCPU: how long it could have run and did not, because its CPU did something else.
// [pvtime] "Stolen time"
#pragma once

#include <cstddef>
#include <cstdint>

namespace arm_vcpu {

// What the guest reads, in memory that it may read and not write. Little-endian, as this hypervisor is.
struct alignas(64) StolenTimeRecord {
  std::uint32_t revision{};     // 0
  std::uint32_t attributes{};   // 0
  std::uint64_t stolen_time{};  // nanoseconds, read by the guest at any time
  std::byte reserved[48]{};
};
static_assert(sizeof(StolenTimeRecord) == 64 && offsetof(StolenTimeRecord, stolen_time) == 8);

// Keeps the record. One CPU at a time; the guest may read meanwhile. All times are CNTPCT_EL0 ticks.
//
//   it could run, and does not (it is preempted, or an interrupt ends its WFI)  -> on_descheduled(now)
//   it runs                                                                     -> on_scheduled(now)
//   it waits, or is off                                                         -> nothing: that time is its own
class StolenTime {
 public:
  constexpr StolenTime() noexcept = default;
  // `record` outlives this object; null: the time is counted, and nobody is told. `hz`: CNTFRQ_EL0, 1 to 2^34.
  constexpr StolenTime(StolenTimeRecord* record, std::uint64_t hz) noexcept
      : record_{record}, hz_{hz}, per_tick_{kPerSecond % hz == 0 ? kPerSecond / hz : 0} {}

  // Twice in a row: the first counts.
  void on_descheduled(std::uint64_t now) noexcept {
    if (!waits_) since_ = now;
    waits_ = true;
  }

  void on_scheduled(std::uint64_t now) noexcept {
    if (!waits_) return;
    waits_ = false;
    if (now > since_) ticks_ += now - since_;
    if (record_ != nullptr) publish();
  }

  // A new life: the record as at the first boot.
  void reset() noexcept {
    ticks_ = 0;
    waits_ = false;
    if (record_ == nullptr) return;
    record_->revision = 0;
    record_->attributes = 0;
    publish();
  }

  // Without what has begun and not ended.
  [[nodiscard]] constexpr std::uint64_t nanoseconds() const noexcept {
    if (per_tick_ != 0) return ticks_ * per_tick_;
    // In two parts, because ticks times 10^9 would overflow after some minutes.
    return ticks_ / hz_ * kPerSecond + ticks_ % hz_ * kPerSecond / hz_;
  }

 private:
  static constexpr std::uint64_t kPerSecond = 1'000'000'000;

  // The specification wants a 64-bit single-copy atomic write, and no order with anything else.
  void publish() noexcept { *static_cast<volatile std::uint64_t*>(&record_->stolen_time) = nanoseconds(); }

  StolenTimeRecord* record_{};
  std::uint64_t hz_{1};
  std::uint64_t per_tick_{};  // nanoseconds; 0: not a whole number
  std::uint64_t ticks_{};
  std::uint64_t since_{};
  bool waits_{};
};

}  // namespace arm_vcpu
