// SPDX-License-Identifier: Apache-2.0
// Which of the vCPUs that share a physical CPU runs, and for how long. Round robin: a vCPU that has had its slice, or
// waits, makes room for the next one that is ready, in the order of their places, around. So each ready vCPU gets a
// turn before any gets a second one, and no vCPU can lengthen its share by the way in which it gives up the CPU.
//
// Pure: the caller reads the counter and programs the timer. Each CPU has one; only request() may be called by others.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <optional>

namespace arm_vcpu::hv {

class Scheduler {
 public:
  using Place = unsigned;  // of a vCPU among those of its CPU
  using Set = std::uint64_t;
  static constexpr unsigned kCapacity = 64;
  static constexpr Place kNone = kCapacity;

  // Ticks of the counter. Before the first vCPU runs.
  constexpr void set_slice(std::uint64_t ticks) noexcept { slice_ = ticks; }
  [[nodiscard]] constexpr std::uint64_t slice() const noexcept { return slice_; }

  // --- Any CPU.

  // The vCPU at `place` has something to look at: an interrupt, a CPU_ON, the end of its VM. What was written before is
  // visible to who takes the request. True: interrupt the CPU. False: somebody did, and it has not looked yet; it will
  // see this request, too.
  [[nodiscard]] bool request(Place place) noexcept {
    return requests_.fetch_or(bit(place), std::memory_order_acq_rel) == 0;
  }

  // --- The CPU itself, from here on.

  // take_requests() would give something.
  [[nodiscard]] bool is_requested() const noexcept { return requests_.load(std::memory_order_relaxed) != 0; }

  // What was requested since the last call. A request that comes later interrupts this CPU again: whoever looks at a
  // vCPU after this and finds nothing may let it wait.
  [[nodiscard]] Set take_requests() noexcept {
    if (requests_.load(std::memory_order_relaxed) == 0) return 0;
    return requests_.exchange(0, std::memory_order_acq_rel);
  }

  [[nodiscard]] constexpr bool is_ready(Place place) const noexcept { return (ready_ & bit(place)) != 0; }
  [[nodiscard]] constexpr Place running() const noexcept { return running_; }
  [[nodiscard]] constexpr bool is_blocked(Place place) const noexcept { return !is_ready(place) && running_ != place; }
  [[nodiscard]] constexpr bool others_wait() const noexcept { return ready_ != 0; }
  [[nodiscard]] constexpr unsigned waiting_count() const noexcept {
    unsigned count = 0;
    for (Set rest = ready_; rest != 0; rest &= rest - 1) ++count;
    return count;
  }

  // Blocked -> ready. No change for one that is ready or runs.
  constexpr void wake(Place place, std::uint64_t now) noexcept {
    if (running_ == place) return;
    if (ready_ == 0) wanted_since_ = now;
    ready_ |= bit(place);
  }

  // The next one, which runs from `now` on; kNone: nobody is ready. Precondition: nobody runs.
  constexpr Place pick(std::uint64_t now) noexcept {
    if (ready_ == 0) return kNone;
    run(next(), now);
    return running_;
  }
  // Whom pick() would take if the running one left. Precondition: others_wait().
  [[nodiscard]] constexpr Place next() const noexcept {
    // The first place behind the last one, around.
    const unsigned first = last_ + 1;
    const Set from_first = std::rotr(ready_, static_cast<int>(first));
    return (first + static_cast<unsigned>(__builtin_ctzll(from_first))) % kCapacity;
  }
  // block() and pick() in one. `place` is next()'s. The ticks that the one before ran.
  constexpr std::uint64_t hand_over(Place place, std::uint64_t now) noexcept {
    const std::uint64_t ran = now - since_;
    run(place, now);
    return ran;
  }

  // The running one leaves the CPU: it waits, or it goes to the end of the round. The ticks that it ran.
  constexpr std::uint64_t block(std::uint64_t now) noexcept { return leave(now); }
  constexpr std::uint64_t preempt(std::uint64_t now) noexcept {
    ready_ |= bit(running_);
    return leave(now);
  }
  // One that is ready does not want to run any more.
  constexpr void remove(Place place) noexcept { ready_ &= ~bit(place); }

  // When the running one has to make room. Empty: nobody waits for its place. In the past when it has run for a slice
  // before the first other became ready.
  [[nodiscard]] constexpr std::optional<std::uint64_t> slice_end() const noexcept {
    return ready_ != 0 && running_ != kNone ? std::optional{since_ + slice_} : std::nullopt;
  }
  [[nodiscard]] constexpr bool must_yield(std::uint64_t now) const noexcept {
    return ready_ != 0 && running_ != kNone && now - since_ >= slice_;
  }
  // Ticks for which the running one has kept others waiting. A slice and the time that an interrupt takes, at the most.
  [[nodiscard]] constexpr std::uint64_t kept_waiting(std::uint64_t now) const noexcept {
    if (ready_ == 0 || running_ == kNone) return 0;
    return now - (since_ > wanted_since_ ? since_ : wanted_since_);
  }

 private:
  [[nodiscard]] static constexpr Set bit(Place place) noexcept { return Set{1} << place; }

  constexpr void run(Place place, std::uint64_t now) noexcept {
    running_ = last_ = place;
    ready_ &= ~bit(place);
    since_ = now;
  }
  constexpr std::uint64_t leave(std::uint64_t now) noexcept {
    running_ = kNone;
    return now - since_;
  }

  Set ready_{};
  Place running_{kNone};
  Place last_{kNone - 1};         // the first round begins with place 0
  std::uint64_t since_{};         // ticks: the running one runs
  std::uint64_t wanted_since_{};  // ticks: another was the first to become ready
  std::uint64_t slice_{1};
  std::atomic<Set> requests_{};
};

// The places of one CPU that wait for a point in time, the earliest on top: a binary heap, so that neither the timer
// nor a wait costs more the more there are than the logarithm.
class Deadlines {
 public:
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};

  // Replaces what was set for `place`; kNever takes it out. Ticks.
  [[gnu::always_inline]] constexpr void set(unsigned place, std::uint64_t at) noexcept {
    if (at == kNever) return clear(place);
    when_[place] = at;
    if (where_[place] == 0) {
      const unsigned index = size_++;
      put(index, static_cast<std::uint8_t>(place));
      if (index != 0 && at < when_[heap_[(index - 1) / 2]]) rise(index);  // most are later than their parent
    } else {
      const unsigned index = where_[place] - 1U;
      rise(index);
      sink(where_[place] - 1U);
    }
  }

  constexpr void clear(unsigned place) noexcept {
    if (where_[place] == 0) return;
    const unsigned index = where_[place] - 1U;
    where_[place] = 0;
    when_[place] = kNever;
    const std::uint8_t moved = heap_[--size_];
    if (index == size_) return;
    put(index, moved);
    rise(index);
    sink(where_[moved] - 1U);
  }

  [[nodiscard]] constexpr std::uint64_t earliest() const noexcept { return size_ == 0 ? kNever : when_[heap_[0]]; }
  // Something for `place` comes no later than `at`.
  [[nodiscard]] constexpr bool has_by(unsigned place, std::uint64_t at) const noexcept { return when_[place] <= at; }
  // Takes out the earliest that is due; kNone when there is none.
  constexpr unsigned take_due(std::uint64_t now) noexcept {
    if (size_ == 0 || when_[heap_[0]] > now) return Scheduler::kNone;
    const unsigned place = heap_[0];
    clear(place);
    return place;
  }

 private:
  static constexpr std::array<std::uint64_t, Scheduler::kCapacity> all_never() noexcept {
    std::array<std::uint64_t, Scheduler::kCapacity> all{};
    for (std::uint64_t& when : all) when = kNever;
    return all;
  }
  constexpr void put(unsigned index, std::uint8_t place) noexcept {
    heap_[index] = place;
    where_[place] = static_cast<std::uint8_t>(index + 1);
  }
  constexpr void rise(unsigned index) noexcept {
    const std::uint8_t place = heap_[index];
    for (; index != 0 && when_[place] < when_[heap_[(index - 1) / 2]]; index = (index - 1) / 2) {
      put(index, heap_[(index - 1) / 2]);
    }
    put(index, place);
  }
  constexpr void sink(unsigned index) noexcept {
    const std::uint8_t place = heap_[index];
    for (unsigned child = 2 * index + 1; child < size_; child = 2 * index + 1) {
      if (child + 1 < size_ && when_[heap_[child + 1]] < when_[heap_[child]]) ++child;
      if (when_[heap_[child]] >= when_[place]) break;
      put(index, heap_[child]);
      index = child;
    }
    put(index, place);
  }

  std::array<std::uint64_t, Scheduler::kCapacity> when_ = all_never();  // kNever: not there
  std::array<std::uint8_t, Scheduler::kCapacity> heap_{};
  std::array<std::uint8_t, Scheduler::kCapacity> where_{};  // index in heap_ + 1; 0: not there
  unsigned size_{};
};

// The physical CPU of each vCPU, when the bundle does not say: the one with the fewest vCPUs, the lowest of equals. So
// vCPUs share a CPU only when there are more of them than CPUs.
class Placement {
 public:
  static constexpr unsigned kMaxCpus = 64;

  constexpr explicit Placement(unsigned cpus) noexcept : cpus_{cpus} {}

  // As the bundle says. First, for all VMs that say so. Precondition: cpu < cpus.
  constexpr void take(unsigned cpu) noexcept { ++load_[cpu]; }
  constexpr unsigned take_any() noexcept {
    unsigned best = 0;
    for (unsigned cpu = 1; cpu < cpus_; ++cpu) {
      if (load_[cpu] < load_[best]) best = cpu;
    }
    take(best);
    return best;
  }
  [[nodiscard]] constexpr unsigned load(unsigned cpu) const noexcept { return load_[cpu]; }

 private:
  unsigned cpus_;
  std::array<std::uint8_t, kMaxCpus> load_{};
};

}  // namespace arm_vcpu::hv
