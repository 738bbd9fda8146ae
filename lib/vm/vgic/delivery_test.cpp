// SPDX-License-Identifier: Apache-2.0
// What the guest observes: edges, levels, enables, routing, groups, waking.
#include "vm/vgic/test_machine.hpp"

namespace arm_vcpu::test {
namespace {

using enum AccessWidth;

TEST(VgicSources, RefuseWhatDoesNotExist) {
  Machine m;
  const auto bad = [](const auto& result) { return !result && result.error().code == Errc::bad_interrupt_id; };
  EXPECT_TRUE(bad(m.vgic.set_spi_level(31, true)));
  EXPECT_TRUE(bad(m.vgic.set_spi_level(288, true)));
  EXPECT_TRUE(bad(m.vgic.set_ppi_level(0, 15, true)));
  EXPECT_TRUE(bad(m.vgic.set_ppi_level(0, 32, true)));
  EXPECT_TRUE(bad(m.vgic.set_ppi_level(1, 27, true)));
  EXPECT_TRUE(bad(m.vgic.pulse(0, 0)));
  EXPECT_TRUE(bad(m.vgic.link_physical(0, 27, 1020)));
  EXPECT_TRUE(bad(m.vgic.link_physical(0, 1, 27)));
  for (const unsigned intid : {288U, 1020U, 1023U, 8192U, ~0U}) EXPECT_TRUE(bad(m.vgic.inject(0, intid))) << intid;
  for (const unsigned intid : {0U, 15U, 16U, 31U, 32U, 287U}) EXPECT_TRUE(m.vgic.inject(0, intid).has_value()) << intid;
}

TEST(VgicDelivery, AnEdgeIsTakenOnce) {
  Machine m;
  m.prepare(0, 40, true);
  m.pulse(0, 40);
  EXPECT_TRUE(m.bit(0, gic::GIC_ISPENDR, 40));
  EXPECT_EQ(m.acknowledge(0), 40U);
  EXPECT_FALSE(m.bit(0, gic::GIC_ISPENDR, 40));
  EXPECT_TRUE(m.bit(0, gic::GIC_ISACTIVER, 40));
  m.end(0, 40);
  EXPECT_FALSE(m.bit(0, gic::GIC_ISACTIVER, 40));
  EXPECT_EQ(m.acknowledge(0), gic::kSpurious);
}

TEST(VgicDelivery, AHighLineIsNoSecondEdge) {
  Machine m;
  m.prepare(0, 40, true);
  m.spi(40, true);
  m.spi(40, true);
  EXPECT_EQ(m.acknowledge(0), 40U);
  m.end(0, 40);
  m.spi(40, true);
  EXPECT_EQ(m.acknowledge(0), gic::kSpurious);
  m.spi(40, false);
  m.spi(40, true);
  EXPECT_EQ(m.acknowledge(0), 40U);
}

TEST(VgicDelivery, AnEdgeWhileActiveIsTakenAfterwards) {
  Machine m;
  m.prepare(0, 40, true);
  m.pulse(0, 40);
  EXPECT_EQ(m.acknowledge(0), 40U);
  m.pulse(0, 40);
  m.pulse(0, 40);
  EXPECT_TRUE(m.bit(0, gic::GIC_ISPENDR, 40));
  EXPECT_TRUE(m.bit(0, gic::GIC_ISACTIVER, 40));
  EXPECT_EQ(m.acknowledge(0), gic::kSpurious);
  m.end(0, 40);
  EXPECT_EQ(m.acknowledge(0), 40U);
  m.end(0, 40);
  EXPECT_EQ(m.acknowledge(0), gic::kSpurious);
}

TEST(VgicDelivery, ALevelComesBackUntilItsLineIsLow) {
  Machine m;
  m.prepare(0, 40, false);
  m.spi(40, true);
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(m.acknowledge(0), 40U);
    EXPECT_EQ(m.acknowledge(0), gic::kSpurious);
    m.end(0, 40);
  }
  EXPECT_EQ(m.acknowledge(0), 40U);
  m.spi(40, false);
  EXPECT_FALSE(m.bit(0, gic::GIC_ISPENDR, 40));
  m.end(0, 40);
  EXPECT_EQ(m.acknowledge(0), gic::kSpurious);
}

TEST(VgicDelivery, ALineThatFallsUntakenIsForgotten) {
  Machine m;
  m.prepare(0, 40, false);
  m.spi(40, true);
  m.spi(40, false);
  EXPECT_EQ(m.acknowledge(0), gic::kSpurious);
  EXPECT_FALSE(m.at(0).find(40).has_value());
}

TEST(VgicDelivery, AnActiveLevelIsLookedAtAgainWhenItEnds) {
  Machine m;
  m.prepare(0, 40, false);
  m.spi(40, true);
  EXPECT_EQ(m.acknowledge(0), 40U);
  m.vgic.mark_dirty(0);
  m.settle();
  EXPECT_EQ(m.at(0).find(40)->get<gic::IchLr::State>(), gic::LrState::active) << "its line may fall before the end";
  EXPECT_TRUE(m.at(0).find(40)->get<gic::IchLr::EOI>());
}

TEST(VgicDelivery, ALineLowAtTheEndNeedsNoMaintenance) {
  Machine m;
  m.prepare(0, 40, false);
  m.spi(40, true);
  EXPECT_EQ(m.acknowledge(0), 40U);
  m.spi(40, false);
  m.at(0).end(40);
  EXPECT_FALSE(m.at(0).maintenance());
}

TEST(VgicDelivery, ASoftwarePendingLevelIsTakenOnce) {
  Machine m;
  m.prepare(0, 40, false);
  m.set_bit(0, gic::GIC_ISPENDR, 40);
  EXPECT_EQ(m.acknowledge(0), 40U);
  m.end(0, 40);
  EXPECT_EQ(m.acknowledge(0), gic::kSpurious);
  // The latch and the line are two things: clearing the one leaves the other.
  m.spi(40, true);
  m.set_bit(0, gic::GIC_ISPENDR, 40);
  m.set_bit(0, gic::GIC_ICPENDR, 40);
  EXPECT_TRUE(m.bit(0, gic::GIC_ISPENDR, 40));
  m.set_bit(0, gic::GIC_ISPENDR, 40);
  m.spi(40, false);
  EXPECT_TRUE(m.bit(0, gic::GIC_ISPENDR, 40));
  m.set_bit(0, gic::GIC_ICPENDR, 40);
  EXPECT_FALSE(m.bit(0, gic::GIC_ISPENDR, 40));
  EXPECT_EQ(m.acknowledge(0), gic::kSpurious);
}

TEST(VgicDelivery, PendingWhileDisabledIsKept) {
  Machine m;
  m.prepare(0, 40, true);
  m.set_bit(0, gic::GIC_ICENABLER, 40);
  m.pulse(0, 40);
  EXPECT_TRUE(m.bit(0, gic::GIC_ISPENDR, 40));
  EXPECT_EQ(m.acknowledge(0), gic::kSpurious);
  m.set_bit(0, gic::GIC_ISENABLER, 40);
  EXPECT_EQ(m.acknowledge(0), 40U);
}

TEST(VgicDelivery, DisabledWhileActive) {
  Machine m;
  m.prepare(0, 40, false);
  m.spi(40, true);
  EXPECT_EQ(m.acknowledge(0), 40U);
  m.set_bit(0, gic::GIC_ICENABLER, 40);
  EXPECT_TRUE(m.bit(0, gic::GIC_ISACTIVER, 40));
  m.end(0, 40);
  EXPECT_FALSE(m.bit(0, gic::GIC_ISACTIVER, 40));
  EXPECT_EQ(m.acknowledge(0), gic::kSpurious);
  EXPECT_TRUE(m.bit(0, gic::GIC_ISPENDR, 40));
  m.set_bit(0, gic::GIC_ISENABLER, 40);
  EXPECT_EQ(m.acknowledge(0), 40U);
}

TEST(VgicDelivery, ActivatedBySoftwareIsNotTaken) {
  Machine m;
  m.prepare(0, 40, true);
  m.set_bit(0, gic::GIC_ISACTIVER, 40);
  m.pulse(0, 40);
  EXPECT_EQ(m.acknowledge(0), gic::kSpurious);
  m.set_bit(0, gic::GIC_ICACTIVER, 40);
  EXPECT_EQ(m.acknowledge(0), 40U);
}

TEST(VgicDelivery, EveryKindOfInterruptReachesItsVcpu) {
  Machine m{{.cpus = 2}};
  m.set_route(50, 1);
  for (const unsigned intid : {0U, 15U, 16U, 31U, 50U}) {
    m.prepare(1, intid, true);
    m.inject(1, intid);
    EXPECT_EQ(m.acknowledge(0), gic::kSpurious);
    EXPECT_EQ(m.acknowledge(1), intid);
    m.end(1, intid);
  }
}

TEST(VgicDelivery, GroupsAreGatedInTheDistributorAndInTheCpuInterface) {
  Machine m;
  m.prepare(0, 40, true);
  m.prepare(0, 41, true, 0x40);
  m.set_group(0, 41, false);
  m.write32(0, kGicd + gic::GICD_CTLR, 0);
  m.pulse(0, 40);
  m.pulse(0, 41);
  EXPECT_FALSE(m.at(0).signalled());
  m.write32(0, kGicd + gic::GICD_CTLR, 2);
  EXPECT_EQ(m.acknowledge(0), 40U);
  m.end(0, 40);
  EXPECT_FALSE(m.at(0).signalled());
  m.at(0).vmcr = m.at(0).vmcr.with<gic::IchVmcr::VENG0>(false);
  m.write32(0, kGicd + gic::GICD_CTLR, 3);
  EXPECT_FALSE(m.at(0).signalled());
  m.at(0).vmcr = m.at(0).vmcr.with<gic::IchVmcr::VENG0>(true);
  m.settle();
  EXPECT_EQ(m.acknowledge(0), 41U);
}

TEST(VgicRouting, UnroutedStaysPending) {
  Machine m{{.cpus = 2}};
  m.prepare(0, 40, true);
  m.set_route(40, 7);
  m.pulse(0, 40);
  EXPECT_EQ(m.acknowledge(0), gic::kSpurious);
  EXPECT_EQ(m.acknowledge(1), gic::kSpurious);
  EXPECT_TRUE(m.bit(0, gic::GIC_ISPENDR, 40));
  m.set_route(40, 1);
  EXPECT_EQ(m.acknowledge(1), 40U);
}

TEST(VgicRouting, RetargetedWhilePending) {
  Machine m{{.cpus = 2, .affinities = {0x0, 0x12'0034'5678}}};
  m.prepare(0, 40, false);
  m.spi(40, true);
  EXPECT_TRUE(m.at(0).find(40).has_value());
  m.set_route(40, 0x12'0034'5678);
  EXPECT_FALSE(m.at(0).find(40).has_value());
  EXPECT_EQ(m.acknowledge(0), gic::kSpurious);
  EXPECT_EQ(m.acknowledge(1), 40U);
}

TEST(VgicRouting, RetargetedWhileActive) {
  for (const bool edge : {true, false}) {
    Machine m{{.cpus = 2}};
    m.prepare(0, 40, edge);
    m.spi(40, true);
    EXPECT_EQ(m.acknowledge(0), 40U);
    if (edge) m.pulse(0, 40);
    m.set_route(40, 1);
    EXPECT_EQ(m.acknowledge(1), gic::kSpurious) << "active on vCPU 0";
    m.end(0, 40);
    EXPECT_EQ(m.acknowledge(0), gic::kSpurious);
    EXPECT_EQ(m.acknowledge(1), 40U);
  }
}

TEST(VgicRouting, OneOfNPicksAnAwakeVcpu) {
  Machine m{{.cpus = 3}};
  m.prepare(0, 40, true);
  m.set_route(40, 1ULL << 31);
  m.pulse(0, 40);
  EXPECT_EQ(m.acknowledge(0), 40U) << "all asleep: the boot CPU";
  m.end(0, 40);
  m.write32(0, rd_base(2) + gic::GICR_WAKER, 0);
  m.pulse(0, 40);
  EXPECT_EQ(m.acknowledge(2), 40U);
  m.end(2, 40);
  m.write32(0, rd_base(1) + gic::GICR_WAKER, 0);
  m.pulse(0, 40);
  m.write32(0, rd_base(1) + gic::GICR_WAKER, 2);
  EXPECT_EQ(m.acknowledge(2), 40U) << "it moved on when vCPU 1 fell asleep";
}

TEST(VgicRouting, SleepHoldsInterruptsBackWhenHonoured) {
  for (const bool honours : {false, true}) {
    Machine m{{.honours_sleep = honours}};
    m.prepare(0, 27, false);
    m.ppi(0, 27, true);
    EXPECT_EQ(m.at(0).signalled().has_value(), !honours);
    m.write32(0, rd_base(0) + gic::GICR_WAKER, 0);
    EXPECT_EQ(m.acknowledge(0), 27U);
  }
}

TEST(VgicRemote, AnotherVcpusListRegistersAreCorrected) {
  Machine m{{.cpus = 2}};
  m.prepare(0, 40, true);
  m.set_route(40, 1);
  m.pulse(0, 40);

  // Disabled by vCPU 0 while vCPU 1 holds it: RWP until that one has folded.
  static_cast<void>(m.vgic.mmio_write(0, kGicd + gic::GIC_ICENABLER + 4, word, 1 << 8));
  EXPECT_TRUE(m.vgic.needs_flush(1));
  EXPECT_EQ(m.vgic.mmio_read(0, kGicd + gic::GICD_CTLR, word).value, 0x8000'0053U);
  m.settle();
  EXPECT_EQ(m.vgic.mmio_read(0, kGicd + gic::GICD_CTLR, word).value, 0x53U);
  EXPECT_EQ(m.acknowledge(1), gic::kSpurious);
  m.set_bit(0, gic::GIC_ISENABLER, 40);
  EXPECT_TRUE(m.at(1).find(40).has_value());

  // Cleared by vCPU 0; an edge that comes after that, and before vCPU 1 folds, is not lost.
  static_cast<void>(m.vgic.mmio_write(0, kGicd + gic::GIC_ICPENDR + 4, word, 1 << 8));
  EXPECT_EQ(m.vgic.mmio_read(0, kGicd + gic::GIC_ISPENDR + 4, word).value, 0U);
  m.settle();
  EXPECT_EQ(m.acknowledge(1), gic::kSpurious);
  m.pulse(0, 40);
  static_cast<void>(m.vgic.mmio_write(0, kGicd + gic::GIC_ICPENDR + 4, word, 1 << 8));
  m.pulse(0, 40);
  EXPECT_EQ(m.acknowledge(1), 40U);

  // Taken by vCPU 1 unseen: a read says whom to ask.
  const VgicRead read = m.vgic.mmio_read(0, kGicd + gic::GIC_ISACTIVER + 4, word);
  EXPECT_EQ(read.stale, 0b10U);
  EXPECT_TRUE(m.vgic.needs_flush(1));
  EXPECT_EQ(m.read32(0, kGicd + gic::GIC_ISACTIVER + 4), 1U << 8);
  m.set_bit(0, gic::GIC_ICACTIVER, 40);
  EXPECT_FALSE(m.at(1).find(40).has_value());
}

TEST(VgicRemote, ADisabledGroupIsWaitedForToo) {
  Machine m{{.cpus = 2}};
  m.prepare(0, 40, true);
  m.pulse(0, 40);
  EXPECT_EQ(m.vgic.mmio_write(1, kGicd + gic::GICD_CTLR, word, 1), 0b11U)
      << "vCPU 1 has no list register to correct, but its vector must not deliver that group any more";
  EXPECT_EQ(m.vgic.mmio_read(1, kGicd + gic::GICD_CTLR, word).value, 0x8000'0051U);
  m.settle();
  EXPECT_EQ(m.vgic.mmio_read(1, kGicd + gic::GICD_CTLR, word).value, 0x51U);
  EXPECT_FALSE(m.at(0).find(40).has_value());
}

TEST(VgicRemote, FoldingTellsWhoIsNext) {
  Machine m{{.cpus = 2}};
  m.prepare(0, 40, false);
  m.spi(40, true);
  EXPECT_EQ(m.acknowledge(0), 40U);
  EXPECT_EQ(m.vgic.mmio_write(0, kGicd + gic::GICD_IROUTER + 8 * 40, doubleword, 1), 0b01U);
  EXPECT_EQ(m.vgic.flush(0, m.at(0)), 0U) << "active here";
  m.at(0).end(40);
  EXPECT_TRUE(m.at(0).maintenance());
  EXPECT_EQ(m.vgic.flush(0, m.at(0)), 0b10U);
  EXPECT_EQ(m.vgic.flush(1, m.at(1)), 0U);
  EXPECT_EQ(m.acknowledge(1), 40U);
}

TEST(VgicRemote, PrivateInterruptsHaveTheirOwnRwp) {
  Machine m{{.cpus = 2}};
  m.prepare(1, 20, true);
  m.pulse(1, 20);
  static_cast<void>(m.vgic.mmio_write(0, sgi_base(1) + gic::GIC_ICENABLER, word, 1 << 20));
  EXPECT_EQ(m.vgic.mmio_read(0, rd_base(1) + gic::GICR_CTLR, word).value, 8U);
  EXPECT_EQ(m.vgic.mmio_read(0, rd_base(0) + gic::GICR_CTLR, word).value, 0U);
  EXPECT_EQ(m.vgic.mmio_read(0, kGicd + gic::GICD_CTLR, word).value, 0x53U);
  m.settle();
  EXPECT_EQ(m.vgic.mmio_read(0, rd_base(1) + gic::GICR_CTLR, word).value, 0U);
}

TEST(VgicWake, CountsMasksAndRunningPriorityButNotPstate) {
  Machine m{{.cpus = 2}};
  const auto wakes = [&] {
    m.kick(m.vgic.park(0, m.at(0)));
    const bool found = m.vgic.has_deliverable(0);
    m.settle();
    return found;
  };
  m.prepare(0, 40, true, 0x80);
  EXPECT_FALSE(wakes());
  m.pulse(0, 40);
  EXPECT_TRUE(wakes()) << "though a list register has it";
  m.open(0, 0x80);
  EXPECT_FALSE(wakes()) << "the priority mask counts";
  m.open(0);
  m.at(0).vmcr = m.at(0).vmcr.with<gic::IchVmcr::VENG1>(false);
  EXPECT_FALSE(wakes());
  m.open(0);
  m.set_bit(0, gic::GIC_ICENABLER, 40);
  EXPECT_FALSE(wakes());
  m.set_bit(0, gic::GIC_ISENABLER, 40);
  EXPECT_EQ(m.acknowledge(0), 40U);
  EXPECT_FALSE(wakes()) << "active";
  m.prepare(0, 41, true, 0x80);
  m.pulse(0, 41);
  EXPECT_FALSE(wakes()) << "it does not preempt";
  m.prepare(0, 42, true, 0x40);
  m.kick(m.vgic.park(0, m.at(0)));
  EXPECT_FALSE(m.vgic.has_deliverable(0));
  EXPECT_EQ(*m.vgic.pulse(0, 42), 1U) << "a parked vCPU is to look again";
  EXPECT_TRUE(m.vgic.has_deliverable(0));
}

}  // namespace
}  // namespace arm_vcpu::test
