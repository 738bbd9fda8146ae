// SPDX-License-Identifier: Apache-2.0
#include "scheduler.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <thread>
#include <vector>

namespace arm_vcpu::hv {
namespace {

constexpr std::uint64_t kSlice = 100;

Scheduler& with_slice(Scheduler& scheduler) {
  scheduler.set_slice(kSlice);
  return scheduler;
}

TEST(Scheduler, NobodyIsReady) {
  Scheduler s;
  EXPECT_EQ(s.pick(0), Scheduler::kNone);
  EXPECT_EQ(s.running(), Scheduler::kNone);
  EXPECT_FALSE(s.slice_end().has_value());
  EXPECT_FALSE(s.must_yield(1'000'000));
  EXPECT_TRUE(s.is_blocked(0));
}

TEST(Scheduler, AloneItIsNeverInterrupted) {
  Scheduler s;
  with_slice(s).wake(3, 0);
  EXPECT_TRUE(s.is_ready(3));
  EXPECT_EQ(s.pick(1000), 3U);
  EXPECT_FALSE(s.is_ready(3));
  EXPECT_FALSE(s.slice_end().has_value());
  EXPECT_FALSE(s.must_yield(1000 + 50 * kSlice));
  s.wake(3, 0);
  EXPECT_FALSE(s.is_ready(3)) << "it runs: there is nothing to wake";
}

TEST(Scheduler, OneThatBecomesReadyHasToWaitForTheSliceOnly) {
  Scheduler s;
  with_slice(s).wake(0, 0);
  (void)s.pick(1000);
  s.wake(1, 0);
  EXPECT_EQ(s.slice_end(), 1000 + kSlice);
  EXPECT_FALSE(s.must_yield(1000 + kSlice - 1));
  EXPECT_TRUE(s.must_yield(1000 + kSlice));
  EXPECT_EQ(s.preempt(1000 + kSlice), kSlice);
  EXPECT_EQ(s.pick(1100), 1U);
  EXPECT_EQ(s.slice_end(), 1100 + kSlice);
  // Alone for long, it has had its slice.
  EXPECT_EQ(s.block(1150), 50U);
  (void)s.pick(1150);
  s.wake(1, 0);
  EXPECT_FALSE(s.must_yield(1200));
  EXPECT_TRUE(s.must_yield(1250));
}

TEST(Scheduler, KeptWaitingCountsFromTheFirstThatWaits) {
  Scheduler s;
  with_slice(s).wake(0, 0);
  (void)s.pick(0);
  EXPECT_EQ(s.kept_waiting(5000), 0U);
  s.wake(1, 5000);
  s.wake(2, 5040);
  EXPECT_EQ(s.kept_waiting(5050), 50U);
  (void)s.preempt(5060);
  EXPECT_EQ(s.kept_waiting(5060), 0U) << "nobody runs";
  (void)s.pick(5060);
  EXPECT_EQ(s.kept_waiting(5100), 40U);
}

TEST(Scheduler, RoundRobinByPlace) {
  Scheduler s;
  with_slice(s);
  for (const unsigned place : {5U, 0U, 63U, 9U}) s.wake(place, 0);
  std::vector<unsigned> order;
  for (int i = 0; i < 8; ++i) {
    order.push_back(s.pick(0));
    (void)s.preempt(kSlice);
  }
  EXPECT_EQ(order, (std::vector<unsigned>{0, 5, 9, 63, 0, 5, 9, 63}));
  s.remove(5);
  EXPECT_EQ(s.pick(0), 0U);
  (void)s.preempt(0);
  EXPECT_EQ(s.pick(0), 9U);
}

// Two that wake each other must not shut out the third.
TEST(Scheduler, PingPongDoesNotStarveAThird) {
  Scheduler s;
  with_slice(s);
  s.wake(0, 0);
  s.wake(2, 0);
  std::map<unsigned, int> turns;
  for (int i = 0; i < 300; ++i) {
    const unsigned now = s.pick(0);
    ++turns[now];
    if (now == 2) {
      (void)s.preempt(0);
    } else {
      s.wake(1 - now, 0);
      (void)s.block(0);
    }
  }
  EXPECT_EQ(turns[2], 100);
}

TEST(Scheduler, RequestsAreTakenOnceAndOneInterruptIsEnough) {
  Scheduler s;
  EXPECT_EQ(s.take_requests(), 0U);
  EXPECT_TRUE(s.request(0));
  EXPECT_FALSE(s.request(63));
  EXPECT_FALSE(s.request(0));
  EXPECT_EQ(s.take_requests(), 1U | std::uint64_t{1} << 63);
  EXPECT_EQ(s.take_requests(), 0U);
  EXPECT_TRUE(s.request(7)) << "it is asleep again, perhaps";
}

// Whatever the vCPUs do, one that is ready all the time waits no longer than a slice of each other, those that never
// wait get the same share, and all ticks go to somebody.
TEST(Scheduler, RandomModel) {
  std::mt19937_64 random{20};
  for (int round = 0; round < 40; ++round) {
    Scheduler s;
    with_slice(s);
    const auto count = static_cast<unsigned>(2 + random() % 10);
    std::vector<unsigned> places(64);
    for (unsigned i = 0; i < 64; ++i) places[i] = i;
    std::shuffle(places.begin(), places.end(), random);
    places.resize(count);
    // The first two never wait; the others wait after a random part of their slice, for a random time.
    std::map<unsigned, std::uint64_t> ran, ready_since, wakes_at;
    std::uint64_t now = random() % 1'000'000;
    const std::uint64_t begin = now;
    for (const unsigned place : places) {
      s.wake(place, 0);
      ready_since[place] = now;
    }
    while (now - begin < 4000 * kSlice) {
      const unsigned place = s.pick(now);
      ASSERT_TRUE(std::ranges::find(places, place) != places.end());
      ASSERT_LE(now - ready_since[place], kSlice * (count - 1)) << "kept waiting";
      const bool can_wait = place != places[0] && place != places[1];
      const std::uint64_t wants = can_wait ? random() % (2 * kSlice) : 2 * kSlice;
      const std::uint64_t ends = now + std::min(wants, kSlice);
      // Others wake meanwhile.
      for (auto it = wakes_at.begin(); it != wakes_at.end();) {
        if (it->second > ends) {
          ++it;
          continue;
        }
        s.wake(it->first, now);
        ready_since[it->first] = std::max(it->second, now);
        it = wakes_at.erase(it);
      }
      ASSERT_TRUE(s.others_wait()) << "one of the busy two is always ready";
      ASSERT_EQ(*s.slice_end(), now + kSlice);
      now = ends;
      if (wants < kSlice) {
        ASSERT_FALSE(s.must_yield(now));
        ran[place] += s.block(now);
        wakes_at[place] = now + random() % (5 * kSlice);
      } else {
        ASSERT_TRUE(s.must_yield(now));
        ran[place] += s.preempt(now);
        ready_since[place] = now;
      }
    }
    std::uint64_t total = 0;
    for (const auto& [place, ticks] : ran) {
      total += ticks;
      ASSERT_LE(ticks, std::max(ran[places[0]], ran[places[1]]) + kSlice) << "who waits does not get more";
    }
    ASSERT_EQ(total, now - begin);
    const std::uint64_t a = ran[places[0]], b = ran[places[1]];
    ASSERT_LE(std::max(a, b) - std::min(a, b), kSlice) << "the busy two share equally";
  }
}

// A sleeper takes its request before it looks, and a waker writes before it requests: no wake-up is lost, and a waker
// that is not told to interrupt relies on one that was.
TEST(Scheduler, NoLostWakeUp) {
  Scheduler s;
  constexpr int kWakers = 3, kTimes = 20'000;
  std::atomic<int> work{0};
  std::atomic<int> interrupts{0};
  std::vector<std::thread> wakers;
  for (int w = 0; w < kWakers; ++w) {
    wakers.emplace_back([&, w] {
      for (int i = 0; i < kTimes; ++i) {
        work.fetch_add(1, std::memory_order_relaxed);
        if (s.request(static_cast<unsigned>(w))) {
          interrupts.fetch_add(1, std::memory_order_release);
          interrupts.notify_one();
        }
      }
    });
  }
  int done = 0;
  int seen = 0;
  while (done < kWakers * kTimes) {
    if (s.take_requests() != 0) {
      done += work.exchange(0, std::memory_order_relaxed);
      continue;
    }
    // Asleep until the next interrupt; one that came before does not wait.
    interrupts.wait(seen, std::memory_order_acquire);
    seen = interrupts.load(std::memory_order_acquire);
  }
  for (std::thread& waker : wakers) waker.join();
  EXPECT_EQ(done, kWakers * kTimes);
}

TEST(Deadlines, AgreesWithAModel) {
  std::mt19937_64 random{21};
  for (int round = 0; round < 15; ++round) {
    Deadlines d;
    std::map<unsigned, std::uint64_t> model;
    std::uint64_t now = 0;
    for (int step = 0; step < 2000; ++step) {
      const auto place = static_cast<unsigned>(random() % 64);
      switch (random() % 4) {
        case 0:
        case 1: {
          const std::uint64_t at = random() % 16 == 0 ? Deadlines::kNever : now + random() % 50;
          d.set(place, at);
          if (at == Deadlines::kNever) {
            model.erase(place);
          } else {
            model[place] = at;
          }
          break;
        }
        case 2:
          d.clear(place);
          model.erase(place);
          break;
        default: {
          now += random() % 20;
          std::uint64_t before = 0;
          for (unsigned due = d.take_due(now); due != Scheduler::kNone; due = d.take_due(now)) {
            ASSERT_TRUE(model.contains(due));
            ASSERT_LE(model[due], now);
            ASSERT_GE(model[due], before) << "in order";
            before = model[due];
            model.erase(due);
          }
          break;
        }
      }
      std::uint64_t earliest = Deadlines::kNever;
      for (const auto& [at_place, at] : model) earliest = std::min(earliest, at);
      ASSERT_EQ(d.earliest(), earliest);
    }
  }
}

TEST(Placement, SharesOnlyWhenItMust) {
  Placement p{3};
  p.take(1);  // as a bundle says
  EXPECT_EQ(p.take_any(), 0U);
  EXPECT_EQ(p.take_any(), 2U);
  EXPECT_EQ(p.take_any(), 0U);
  EXPECT_EQ(p.take_any(), 1U);
  EXPECT_EQ(p.take_any(), 2U);
  EXPECT_EQ(p.load(1), 2U);
  Placement one{1};
  for (unsigned i = 0; i < 8; ++i) EXPECT_EQ(one.take_any(), 0U);
}

}  // namespace
}  // namespace arm_vcpu::hv
