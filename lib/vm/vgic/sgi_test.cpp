// SPDX-License-Identifier: Apache-2.0
#include "vm/vgic/test_machine.hpp"

namespace arm_vcpu::test {
namespace {

using Ipi = AxVCpuExitReason::SendIPI;

class VgicSgi : public testing::Test {
 protected:
  VgicSgi() {
    for (unsigned cpu = 0; cpu < 6; ++cpu) m.prepare(cpu, 5, true);
  }
  // The vCPUs at which SGI 5 is pending; clears it.
  VgicCpuMask pending() {
    VgicCpuMask mask = 0;
    for (unsigned cpu = 0; cpu < 6; ++cpu) {
      if (m.bit(cpu, gic::GIC_ISPENDR, 5)) mask |= VgicCpuMask{1} << cpu;
      m.set_bit(cpu, gic::GIC_ICPENDR, 5);
    }
    return mask;
  }

  // Two in cluster 0, one beyond the first range of it, one at its end, one in cluster 1, one differing in Aff3 only.
  Machine m{{.cpus = 6, .affinities = {0x0, 0x1, 0x10, 0xFF, 0x101, 0x1'0000'0001}}};
};

TEST_F(VgicSgi, TargetListInOneCluster) {
  m.sgi(0, Ipi{.target_cpu_aux = 0b11, .group1 = true, .vector = 5});
  EXPECT_EQ(pending(), 0b11U) << "the sender may be in the list";
  m.sgi(3, Ipi{.target_cpu_aux = 0xFFFF, .group1 = true, .vector = 5});
  EXPECT_EQ(pending(), 0b11U);
  m.sgi(0, Ipi{.target_cpu_aux = 0, .group1 = true, .vector = 5});
  EXPECT_EQ(pending(), 0U);
  m.sgi(0, Ipi{.target_cpu_aux = 0b100, .group1 = true, .vector = 5});
  EXPECT_EQ(pending(), 0U) << "there is no such CPU";
}

TEST_F(VgicSgi, RangeSelector) {
  m.sgi(0, Ipi{.target_cpu_aux = 1, .range_base = 16, .group1 = true, .vector = 5});
  EXPECT_EQ(pending(), 0b100U);
  m.sgi(0, Ipi{.target_cpu_aux = 0x8000, .range_base = 240, .group1 = true, .vector = 5});
  EXPECT_EQ(pending(), 0b1000U);
  m.sgi(0, Ipi{.target_cpu_aux = 0x7FFF, .range_base = 240, .group1 = true, .vector = 5});
  EXPECT_EQ(pending(), 0U);
}

TEST_F(VgicSgi, EveryAffinityLevelCounts) {
  m.sgi(0, Ipi{.target_cpu = 0x100, .target_cpu_aux = 0b11, .group1 = true, .vector = 5});
  EXPECT_EQ(pending(), 0b1'0000U);
  m.sgi(0, Ipi{.target_cpu = 0x1'0000'0000, .target_cpu_aux = 0b11, .group1 = true, .vector = 5});
  EXPECT_EQ(pending(), 0b10'0000U);
  m.sgi(0, Ipi{.target_cpu = 0x1'0000, .target_cpu_aux = 0b11, .group1 = true, .vector = 5});
  EXPECT_EQ(pending(), 0U);
}

TEST_F(VgicSgi, AllButSelfAndSelf) {
  m.sgi(2, Ipi{.target_cpu = 0x100, .target_cpu_aux = 1, .send_to_all = true, .group1 = true, .vector = 5});
  EXPECT_EQ(pending(), 0b11'1011U);
  m.sgi(2, Ipi{.target_cpu_aux = 1, .range_base = 16, .send_to_self = true, .group1 = true, .vector = 5});
  EXPECT_EQ(pending(), 0b100U);
}

TEST_F(VgicSgi, GroupsMustAllowIt) {
  m.set_group(1, 5, false);
  m.sgi(0, Ipi{.target_cpu_aux = 0b11, .group1 = false, .vector = 5});
  EXPECT_EQ(pending(), 0b10U) << "ICC_SGI0R_EL1 generates Group 0 SGIs only";
  m.sgi(0, Ipi{.target_cpu_aux = 0b11, .group1 = true, .vector = 5});
  EXPECT_EQ(pending(), 0b11U) << "ICC_SGI1R_EL1 either, in a single Security state";
}

TEST_F(VgicSgi, BadArgumentsDoNothing) {
  EXPECT_EQ(m.vgic.send_sgi(6, Ipi{.send_to_all = true, .group1 = true, .vector = 5}), 0U);
  EXPECT_EQ(m.vgic.send_sgi(0, Ipi{.send_to_all = true, .group1 = true, .vector = 16}), 0U);
}

TEST_F(VgicSgi, IsTakenOnceAndMergesWhilePending) {
  const Ipi ipi{.target_cpu_aux = 0b10, .group1 = true, .vector = 5};
  m.sgi(0, ipi);
  m.sgi(0, ipi);
  EXPECT_EQ(m.acknowledge(1), 5U);
  m.sgi(0, ipi);  // while active: pending again
  EXPECT_EQ(m.acknowledge(1), gic::kSpurious);
  m.end(1, 5);
  EXPECT_EQ(m.acknowledge(1), 5U);
  m.end(1, 5);
  EXPECT_EQ(m.acknowledge(1), gic::kSpurious);
}

}  // namespace
}  // namespace arm_vcpu::test
