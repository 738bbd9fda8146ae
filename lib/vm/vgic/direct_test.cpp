// SPDX-License-Identifier: Apache-2.0
// Interrupts that the vector delivers by itself: what it is told, and that the model knows of them in the end.
#include <gtest/gtest.h>

#include "vm/vgic/test_machine.hpp"

namespace arm_vcpu::test {
namespace {

using gic::IchLr;

// The vector, on the model of the CPU interface.
bool vector_delivers(Machine& m, unsigned cpu, std::uint64_t lr) {
  DirectInterrupts& direct = m.vgic.direct(cpu);
  if (lr == 0 || direct.armed.load() == 0 || !m.at(cpu).lr[0].empty()) return false;
  m.at(cpu).lr[0] = IchLr::from(lr);
  direct.delivered = IchLr::from(lr).get<IchLr::vINTID>() + 1;
  return true;
}
bool vector_sends(Machine& m, unsigned cpu, unsigned sgi) {
  return vector_delivers(m, cpu, m.vgic.direct(cpu).sgi[sgi].load());
}

TEST(VgicDirect, OnlyWhatIsEnabledIsOffered) {
  Machine m;
  EXPECT_EQ(m.vgic.direct(0).sgi[3].load(), 0U);
  m.prepare(0, 3, true, 0x60);
  const IchLr lr = IchLr::from(m.vgic.direct(0).sgi[3].load());
  EXPECT_EQ(lr.get<IchLr::vINTID>(), 3U);
  EXPECT_EQ(lr.get<IchLr::Priority>(), 0x60);
  EXPECT_TRUE(lr.get<IchLr::Group>());
  EXPECT_EQ(lr.get<IchLr::State>(), gic::LrState::pending);
  EXPECT_EQ(m.vgic.direct(0).armed.load(), 1U);
  m.set_bit(0, gic::GIC_ICENABLER, 3);
  EXPECT_EQ(m.vgic.direct(0).sgi[3].load(), 0U);
  m.set_bit(0, gic::GIC_ISENABLER, 3);
  m.write32(0, kGicd + gic::GICD_CTLR, 0);
  EXPECT_EQ(m.vgic.direct(0).sgi[3].load(), 0U) << "the group is off";
}

TEST(VgicDirect, WhatTheVectorDeliveredIsAdopted) {
  Machine m;
  m.prepare(0, 3, true);
  ASSERT_TRUE(vector_sends(m, 0, 3));
  EXPECT_TRUE(m.bit(0, gic::GIC_ISPENDR, 3)) << "the model knows it is pending";
  EXPECT_EQ(m.acknowledge(0), 3U);
  EXPECT_TRUE(m.bit(0, gic::GIC_ISACTIVER, 3));
  EXPECT_FALSE(m.bit(0, gic::GIC_ISPENDR, 3));
  m.end(0, 3);
  EXPECT_FALSE(m.bit(0, gic::GIC_ISACTIVER, 3));
  ASSERT_TRUE(vector_sends(m, 0, 3)) << "and again";
  EXPECT_EQ(m.at(0).acknowledge(), 3U);
}

// Many in a row without the model: each found the list register empty.
TEST(VgicDirect, OnlyTheLastOfManyIsLeftToAdopt) {
  Machine m;
  m.prepare(0, 3, true);
  m.prepare(0, 4, true);
  for (unsigned n = 0; n < 5; ++n) {
    ASSERT_TRUE(vector_sends(m, 0, 3 + n % 2)) << n;
    if (n < 4) {
      EXPECT_EQ(m.at(0).acknowledge(), 3 + n % 2);
      m.at(0).end(3 + n % 2);
    }
  }
  EXPECT_TRUE(m.bit(0, gic::GIC_ISPENDR, 3));
  EXPECT_FALSE(m.bit(0, gic::GIC_ISPENDR, 4));
}

TEST(VgicDirect, ADisabledInterruptIsTakenBack) {
  Machine m{{.cpus = 2}};
  m.prepare(0, 3, true);
  ASSERT_TRUE(vector_sends(m, 0, 3));
  m.set_bit(0, gic::GIC_ICENABLER, 3);
  EXPECT_EQ(m.acknowledge(0), gic::kSpurious);
  EXPECT_TRUE(m.bit(0, gic::GIC_ISPENDR, 3)) << "pending while disabled is kept";
  m.set_bit(0, gic::GIC_ISENABLER, 3);
  EXPECT_EQ(m.acknowledge(0), 3U);
}

// Another vCPU's write must reach a vCPU that runs and would go by the old value.
TEST(VgicDirect, AnotherVcpusWriteDisarmsAndKicks) {
  Machine m{{.cpus = 2}};
  m.prepare(0, 3, true);
  ASSERT_EQ(m.vgic.direct(0).armed.load(), 1U);
  const VgicCpuMask kick = m.vgic.mmio_write(1, sgi_base(0) + gic::GIC_ICENABLER, AccessWidth::word, 1U << 3);
  EXPECT_EQ(kick & 1, 1U);
  EXPECT_EQ(m.vgic.direct(0).armed.load(), 0U);
  m.settle();
  EXPECT_EQ(m.vgic.direct(0).sgi[3].load(), 0U);
}

TEST(VgicDirect, NotWhileSomethingElseWaits) {
  Machine m;
  m.prepare(0, 3, true);
  for (unsigned spi = 40; spi < 46; ++spi) {
    m.prepare(0, spi, true);
    m.pulse(0, spi);
  }
  EXPECT_EQ(m.vgic.direct(0).armed.load(), 0U) << "more than fits into the list registers";
}

TEST(VgicDirect, PostedSgisBecomePending) {
  Machine m{{.cpus = 2}};
  m.prepare(1, 3, true);
  m.prepare(1, 7, true);
  m.vgic.direct(1).posted = 1U << 3 | 1U << 7 | 1U << 9;
  EXPECT_TRUE(m.vgic.needs_flush(1));
  m.settle();
  EXPECT_EQ(m.vgic.direct(1).posted.load(), 0U);
  EXPECT_EQ(m.acknowledge(1), 3U);
  m.end(1, 3);
  EXPECT_EQ(m.acknowledge(1), 7U);
  EXPECT_TRUE(m.bit(1, gic::GIC_ISPENDR, 9)) << "not enabled: it waits";
}

// flush() takes the list register of a lone SGI from the vector's table. It is what it would have packed, and what is
// active or has company goes the long way.
TEST(VgicDirect, ALoneSgiGoesInAsTheVectorWouldPutIt) {
  Machine m;
  m.prepare(0, 3, true, 0x40);
  m.prepare(0, 5, false, 0x80);
  ASSERT_TRUE(m.vgic.inject(0, 3));
  m.settle();
  EXPECT_EQ(m.at(0).find(3).value(), IchLr::from(m.vgic.direct(0).sgi[3].load()));
  EXPECT_TRUE(m.bit(0, gic::GIC_ISPENDR, 3));
  EXPECT_EQ(m.acknowledge(0), 3U);
  ASSERT_TRUE(m.vgic.inject(0, 3));  // again, while it is active
  m.settle();
  EXPECT_TRUE(m.bit(0, gic::GIC_ISPENDR, 3));
  m.end(0, 3);
  EXPECT_EQ(m.acknowledge(0), 3U);
  m.end(0, 3);
  ASSERT_TRUE(m.vgic.inject(0, 5));
  ASSERT_TRUE(m.vgic.inject(0, 3));
  m.settle();
  EXPECT_EQ(m.acknowledge(0), 3U);
  m.end(0, 3);
  EXPECT_EQ(m.acknowledge(0), 5U);
  // Disabled, it stays where it is, in the list register and in the model.
  m.end(0, 5);
  m.set_bit(0, gic::GIC_ICENABLER, 3);
  ASSERT_TRUE(m.vgic.inject(0, 3));
  m.settle();
  EXPECT_FALSE(m.at(0).find(3).has_value());
  m.set_bit(0, gic::GIC_ISENABLER, 3);
  EXPECT_EQ(m.acknowledge(0), 3U);
}

TEST(VgicDirect, TheLinkedTimerKeepsItsPhysicalInterrupt) {
  Machine m;
  ASSERT_TRUE(m.vgic.link_physical(0, 27, 27));
  m.prepare(0, 27, false);
  const std::uint64_t lr = m.vgic.direct(0).timer.load();
  ASSERT_NE(lr, 0U);
  EXPECT_TRUE(IchLr::from(lr).get<IchLr::HW>());
  EXPECT_EQ(IchLr::from(lr).get<IchLr::pINTID>(), 27);
  EXPECT_EQ(m.vgic.direct(0).timer_intid, 27U);
  ASSERT_TRUE(vector_delivers(m, 0, lr));
  EXPECT_EQ(m.acknowledge(0), 27U);
  EXPECT_TRUE(m.bit(0, gic::GIC_ISACTIVER, 27));
  m.end(0, 27);
  EXPECT_FALSE(m.bit(0, gic::GIC_ISACTIVER, 27));
  ASSERT_TRUE(vector_delivers(m, 0, m.vgic.direct(0).timer.load()));
}

// The vector does not answer always: not while the guest is single-stepped, say. The model hears of the next interrupt
// before it hears that the one which the vector delivered is over.
TEST(VgicDirect, TheNextOneMayTakeTheLongWay) {
  Machine m;
  ASSERT_TRUE(m.vgic.link_physical(0, 27, 30));
  m.prepare(0, 27, false);
  for (unsigned round = 1; round < 4; ++round) {
    ASSERT_TRUE(vector_delivers(m, 0, m.vgic.direct(0).timer.load()));
    ASSERT_EQ(m.at(0).acknowledge(), 27U);
    m.at(0).end(27);
    EXPECT_EQ(m.at(0).physically_deactivated.size(), 2 * round - 1);
    m.ppi(0, 27, true);
    ASSERT_TRUE(m.at(0).find(27).has_value());
    EXPECT_TRUE(m.at(0).find(27)->get<IchLr::HW>()) << "or nobody deactivates it, and it never comes again";
    EXPECT_EQ(m.acknowledge(0), 27U);
    m.end(0, 27);
    EXPECT_EQ(m.at(0).physically_deactivated.size(), 2 * round);
  }
}

TEST(VgicDirect, AVcpuThatWaitsIsServedAsOneThatRuns) {
  Machine m;
  ASSERT_TRUE(m.vgic.link_physical(0, 27, 27));
  m.prepare(0, 27, false);
  m.prepare(0, 3, true);
  EXPECT_EQ(m.vgic.park(0, m.at(0)), 0U);
  ASSERT_TRUE(m.vgic.deliver_timer(0, m.at(0)));
  EXPECT_FALSE(m.vgic.deliver_timer(0, m.at(0))) << "list register 0 is in use";
  EXPECT_EQ(m.acknowledge(0), 27U);
  m.end(0, 27);
  m.vgic.direct(0).posted = 1U << 3;
  ASSERT_TRUE(m.vgic.deliver_posted(0, m.at(0)));
  EXPECT_EQ(m.vgic.direct(0).posted.load(), 0U);
  EXPECT_EQ(m.acknowledge(0), 3U);
}

}  // namespace
}  // namespace arm_vcpu::test
