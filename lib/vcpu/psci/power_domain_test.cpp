// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <array>
#include <barrier>
#include <thread>
#include <vector>

#include "arm_vcpu/psci.hpp"

namespace arm_vcpu {
namespace {

TEST(PowerDomain, Reset) {
  std::array<PowerSlot, 3> slots{};
  PowerDomain domain{slots, {}};
  domain.reset(1);
  EXPECT_EQ(domain.state(0), PowerState::off);
  EXPECT_EQ(domain.state(1), PowerState::on);
  EXPECT_EQ(domain.state(2), PowerState::off);
  domain.reset(0);
  EXPECT_EQ(domain.state(0), PowerState::on);
  EXPECT_EQ(domain.state(1), PowerState::off);
  EXPECT_EQ(domain.size(), 3U);
}

TEST(PowerDomain, OneLife) {
  std::array<PowerSlot, 2> slots{};
  slots[1].mpidr = 1;
  PowerDomain domain{slots, {}};
  domain.reset(0);
  EXPECT_FALSE(domain.pending_start(1).has_value());
  EXPECT_FALSE(domain.mark_on(1)) << "nobody asked";
  EXPECT_FALSE(domain.cpu_off(1)) << "not on";
  EXPECT_EQ(domain.cpu_on(1, 0x1000, 7), PsciStatus::SUCCESS);
  EXPECT_FALSE(domain.cpu_off(1)) << "not on yet";
  ASSERT_TRUE(domain.pending_start(1).has_value());
  EXPECT_EQ(domain.pending_start(1)->entry, 0x1000U);
  EXPECT_EQ(domain.pending_start(1)->context_id, 7U);
  EXPECT_TRUE(domain.mark_on(1));
  EXPECT_FALSE(domain.mark_on(1));
  EXPECT_FALSE(domain.pending_start(1).has_value());
  EXPECT_TRUE(domain.cpu_off(1));
  EXPECT_EQ(domain.cpu_on(1, 0x2000, 8), PsciStatus::SUCCESS);
  EXPECT_EQ(domain.pending_start(1)->entry, 0x2000U);
}

TEST(PowerDomain, ExecutableRanges) {
  const std::array<EntryRange, 2> ranges{{{0, 0x400'0000}, {0x4000'0000, 0x5000'0000}}};
  const PowerDomain domain{{}, ranges};
  EXPECT_TRUE(domain.is_executable(0));
  EXPECT_TRUE(domain.is_executable(0x3FF'FFFC));
  EXPECT_FALSE(domain.is_executable(0x400'0000));
  EXPECT_TRUE(domain.is_executable(0x4000'0000));
  EXPECT_FALSE(domain.is_executable(0x4000'0002));
  EXPECT_TRUE((PowerDomain{{}, {}}.is_executable(~std::uint64_t{3}))) << "no list, no limit";
  EXPECT_FALSE((PowerDomain{{}, {}}.is_executable(1)));
}

TEST(PowerDomain, AffinityLevels) {
  std::array<PowerSlot, 4> slots{};
  slots[0].mpidr = 0x00'0000'0000;
  slots[1].mpidr = 0x00'0000'0001;
  slots[2].mpidr = 0x00'0000'0100;
  slots[3].mpidr = 0x01'0000'0000;
  PowerDomain domain{slots, {}};
  domain.reset(0);
  EXPECT_EQ(domain.affinity_info(0x0000'0000, 0), AffinityState::ON);
  EXPECT_EQ(domain.affinity_info(0x0000'0100, 0), AffinityState::OFF);
  EXPECT_EQ(domain.affinity_info(0x0000'0001, 1), AffinityState::ON);
  EXPECT_EQ(domain.affinity_info(0x0000'01FF, 1), AffinityState::OFF);
  EXPECT_EQ(domain.affinity_info(0x0000'0100, 2), AffinityState::ON);
  EXPECT_EQ(domain.affinity_info(0x01'0000'0000, 3), AffinityState::OFF);
  EXPECT_EQ(domain.cpu_on(0x01'0000'0000, 0, 0), PsciStatus::SUCCESS);
  EXPECT_EQ(domain.affinity_info(0x01'00FF'FFFF, 3), AffinityState::ON_PENDING);
  EXPECT_EQ(domain.affinity_info(0x02'0000'0000, 3), std::nullopt);
  EXPECT_EQ(domain.affinity_info(0, 4), std::nullopt);
  EXPECT_EQ(domain.affinity_info(0, 0xFFFF'FFFF), std::nullopt);
  EXPECT_EQ(domain.affinity_info(0x8000'0000, 0), std::nullopt);
}

// Several CPUs turn one on at the same time: one wins, and the target sees the winner's arguments whole.
TEST(PowerDomain, CpuOnRaces) {
  constexpr unsigned kCallers = 4;
  constexpr unsigned kRounds = 300;
  std::array<PowerSlot, 2> slots{};
  slots[1].mpidr = 1;
  PowerDomain domain{slots, {}};
  domain.reset(0);

  std::array<PsciStatus, kCallers> results{};
  std::atomic<bool> go_on{true};
  std::barrier start{kCallers + 1};
  std::barrier finish{kCallers + 1};
  std::vector<std::jthread> callers;
  for (unsigned i = 0; i < kCallers; ++i) {
    callers.emplace_back([&, i] {
      for (;;) {
        start.arrive_and_wait();
        if (!go_on) return;
        results[i] = domain.cpu_on(1, 0x1000 + 8 * i, ~std::uint64_t{i});
        finish.arrive_and_wait();
      }
    });
  }
  for (unsigned round = 0; round < kRounds; ++round) {
    start.arrive_and_wait();
    // The target polls meanwhile, and in every other round starts at once.
    std::optional<PowerDomain::Start> seen;
    while (!(seen = domain.pending_start(1))) std::this_thread::yield();
    const bool at_once = round % 2 == 0;
    if (at_once) {
      EXPECT_TRUE(domain.mark_on(1));
    }
    finish.arrive_and_wait();
    unsigned winners = 0;
    for (unsigned i = 0; i < kCallers; ++i) {
      if (results[i] == PsciStatus::SUCCESS) {
        ++winners;
        EXPECT_EQ(seen->entry, 0x1000 + 8 * i);
        EXPECT_EQ(seen->context_id, ~std::uint64_t{i});
      } else if (results[i] == PsciStatus::ALREADY_ON) {
        EXPECT_TRUE(at_once);
      } else {
        EXPECT_EQ(results[i], PsciStatus::ON_PENDING);
      }
    }
    EXPECT_EQ(winners, 1U);
    if (!at_once) {
      EXPECT_TRUE(domain.mark_on(1));
    }
    EXPECT_TRUE(domain.cpu_off(1));
  }
  go_on = false;
  start.arrive_and_wait();
}

}  // namespace
}  // namespace arm_vcpu
