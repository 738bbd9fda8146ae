// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/vm/vmid.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

namespace arm_vcpu {
namespace {

template <class Allocator>
struct Bench {
  explicit Bench(unsigned bits) : allocator{bits} {}
  std::uint16_t activate(std::size_t cpu, VmidTag& vm) {
    return allocator.activate(cpu, vm, [this] { ++flushes; });
  }
  Allocator allocator;
  unsigned flushes = 0;
};

TEST(Vmid, EachVmHasItsOwnAndKeepsIt) {
  Bench<VmidAllocator<8>> bench{8};
  VmidTag a, b;
  EXPECT_FALSE(a.assigned());
  const auto vmid_a = bench.activate(0, a);
  const auto vmid_b = bench.activate(1, b);
  EXPECT_TRUE(a.assigned());
  EXPECT_NE(vmid_a, 0);
  EXPECT_NE(vmid_b, 0);
  EXPECT_NE(vmid_a, vmid_b);
  EXPECT_EQ(bench.activate(2, a), vmid_a);
  bench.allocator.deactivate(0);
  EXPECT_EQ(bench.activate(0, a), vmid_a);
  EXPECT_EQ(a.vmid(), vmid_a);
  EXPECT_EQ(bench.flushes, 0U);
}

void roll_over(unsigned bits) {
  const unsigned usable = (1U << bits) - 1;
  Bench<VmidAllocator<8>> bench{bits};
  std::vector<VmidTag> vms(usable + 1);
  std::vector<bool> seen(usable + 1);
  for (unsigned i = 0; i < usable; ++i) {
    const auto vmid = bench.activate(0, vms[i]);
    ASSERT_NE(vmid, 0);
    ASSERT_LE(vmid, usable);
    ASSERT_FALSE(seen[vmid]) << vmid;
    seen[vmid] = true;
  }
  EXPECT_EQ(bench.flushes, 0U);
  EXPECT_EQ(bench.activate(0, vms[usable]), 1);
  EXPECT_EQ(bench.flushes, 1U);
  EXPECT_EQ(bench.allocator.rollovers(), 1U);
  // A VM of the old generation gets another, without one more flush.
  const auto again = bench.activate(1, vms[0]);
  EXPECT_EQ(again, 2);
  EXPECT_EQ(bench.flushes, 1U);
}

TEST(Vmid, RolloverOf8Bits) {
  roll_over(8);
}
TEST(Vmid, RolloverOf16Bits) {
  roll_over(16);
}

TEST(Vmid, RunningVmsKeepTheirsAcrossARollover) {
  Bench<VmidAllocator<8>> bench{8};
  VmidTag first, second;
  const auto vmid1 = bench.activate(0, first);
  const auto vmid2 = bench.activate(1, second);
  std::map<std::uint16_t, unsigned> given;
  while (bench.flushes == 0) {
    VmidTag passing;
    (void)bench.activate(2, passing);
  }
  for (unsigned i = 0; i < 200; ++i) {
    VmidTag passing;
    const auto vmid = bench.activate(2, passing);
    EXPECT_NE(vmid, vmid1);
    EXPECT_NE(vmid, vmid2);
    ++given[vmid];
  }
  EXPECT_EQ(bench.flushes, 1U);
  EXPECT_EQ(bench.activate(3, first), vmid1);  // another vCPU of the same VM
  EXPECT_EQ(bench.activate(1, second), vmid2);
  EXPECT_EQ(std::max_element(given.begin(), given.end(), [](auto& l, auto& r) { return l.second < r.second; })->second,
            1U);
}

TEST(Vmid, ADeactivatedVmIsNotCarriedOver) {
  Bench<VmidAllocator<8>> bench{8};
  VmidTag idle;
  const auto before = bench.activate(0, idle);
  bench.allocator.deactivate(0);
  while (bench.flushes == 0) {
    VmidTag passing;
    (void)bench.activate(1, passing);
  }
  EXPECT_NE(bench.activate(0, idle), before);
}

TEST(Vmid, TheVmThatCausesTheRolloverMayRunElsewhere) {
  // CPU 0 never leaves the VM; CPU 1 comes and goes, over several generations.
  Bench<VmidAllocator<8>> bench{8};
  VmidTag vm;
  const auto vmid = bench.activate(0, vm);
  for (unsigned generation = 1; generation <= 4; ++generation) {
    while (bench.flushes < generation) {
      VmidTag passing;
      (void)bench.activate(2, passing);
    }
    EXPECT_EQ(bench.activate(1, vm), vmid);
    bench.allocator.deactivate(1);
  }
}

struct CountingLock {
  void lock() noexcept { ++depth(), ++taken(); }
  void unlock() noexcept { --depth(); }
  static int& depth() {
    static int value = 0;
    return value;
  }
  static int& taken() {
    static int value = 0;
    return value;
  }
};

TEST(Vmid, TheLockIsHeldOverTheFlush) {
  VmidAllocator<2, CountingLock> allocator{8};
  int depth_in_flush = 0;
  for (unsigned i = 0; i < 256; ++i) {
    VmidTag vm;
    (void)allocator.activate(0, vm, [&] { depth_in_flush = CountingLock::depth(); });
  }
  allocator.deactivate(0);
  EXPECT_EQ(depth_in_flush, 1);
  EXPECT_EQ(CountingLock::depth(), 0);
  EXPECT_EQ(CountingLock::taken(), 257);
}

// The TLB of all CPUs: which VM has used a VMID since the last flush. Two VMs on one VMID would share translations.
TEST(Vmid, NoVmidMeansTwoVmsBetweenFlushes) {
  std::mt19937 random{20240607};
  constexpr std::size_t kCpus = 8;
  VmidAllocator<kCpus> allocator{8};
  std::vector<VmidTag> vms(600);
  std::vector<int> running(kCpus, -1);
  std::map<std::uint16_t, int> owner;
  unsigned flushes = 0;
  std::size_t arriving = 0;
  const auto flush = [&] {
    ++flushes;
    owner.clear();
    for (std::size_t cpu = 0; cpu < kCpus; ++cpu) {  // those that run refill at once
      if (cpu != arriving && running[cpu] >= 0)
        owner[vms[static_cast<std::size_t>(running[cpu])].vmid()] = running[cpu];
    }
  };
  for (unsigned step = 0; step < 100'000; ++step) {
    const std::size_t cpu = random() % kCpus;
    if (random() % 4 == 0) {
      allocator.deactivate(cpu);
      running[cpu] = -1;
      continue;
    }
    // Some CPUs change VMs rarely, so that VMs run across rollovers.
    if (cpu < 3 && running[cpu] >= 0 && random() % 500 != 0) continue;
    const int vm = random() % 3 == 0 ? static_cast<int>(random() % 5) : static_cast<int>(random() % vms.size());
    arriving = cpu;
    const auto vmid = allocator.activate(cpu, vms[static_cast<std::size_t>(vm)], flush);
    running[cpu] = vm;
    ASSERT_NE(vmid, 0);
    const auto [entry, fresh] = owner.try_emplace(vmid, vm);
    ASSERT_EQ(entry->second, vm) << "VMID " << vmid << " in step " << step;
    for (std::size_t other = 0; other < kCpus; ++other) {
      if (running[other] == vm) {
        ASSERT_EQ(vms[static_cast<std::size_t>(vm)].vmid(), vmid);
      }
    }
  }
  EXPECT_GT(flushes, 50U);
  EXPECT_EQ(allocator.rollovers(), flushes);
}

}  // namespace
}  // namespace arm_vcpu
