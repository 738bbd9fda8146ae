// SPDX-License-Identifier: Apache-2.0
// More interrupts than list registers, links to physical interrupts, and what it costs.
#include <algorithm>
#include <map>
#include <random>

#include "vm/vgic/test_machine.hpp"

namespace arm_vcpu::test {
namespace {

using gic::IchHcr;
using gic::IchLr;
using gic::IchVmcr;
using testing::Test;

class VgicOverflow : public testing::TestWithParam<unsigned> {};

TEST_P(VgicOverflow, AllPendingAreTakenInOrderExactlyOnce) {
  for (const bool edge : {true, false}) {
    Machine m{{.list_registers = GetParam()}};
    std::vector<unsigned> intids(40);
    for (unsigned n = 0; n < 40; ++n) intids[n] = 32 + n * 6;
    std::shuffle(intids.begin(), intids.end(), std::mt19937{7});
    std::map<unsigned, unsigned> priority;
    for (unsigned n = 0; n < 40; ++n) {
      priority[intids[n]] = n % 30 * 8;
      m.prepare(0, intids[n], edge, static_cast<std::uint8_t>(priority[intids[n]]));
    }
    for (const unsigned intid : intids) m.spi(intid, true);
    unsigned last = 0;
    std::map<unsigned, int> taken;
    for (unsigned n = 0; n < 40; ++n) {
      const unsigned intid = m.acknowledge(0);
      ASSERT_NE(intid, gic::kSpurious) << n;
      EXPECT_GE(priority[intid], last);
      last = priority[intid];
      EXPECT_EQ(++taken[intid], 1);
      m.spi(intid, false);
      m.end(0, intid);
    }
    EXPECT_EQ(m.acknowledge(0), gic::kSpurious);
    EXPECT_EQ(m.at(0).hcr.get<IchHcr::NPIE>(), false);
  }
}

TEST_P(VgicOverflow, NestedPreemptionBeyondTheListRegisters) {
  Machine m{{.list_registers = GetParam()}};
  for (unsigned n = 0; n < 24; ++n) m.prepare(0, 40 + n, true, static_cast<std::uint8_t>(0xF0 - 8 * n));
  for (unsigned n = 0; n < 24; ++n) {  // each preempts the one before
    m.pulse(0, 40 + n);
    ASSERT_EQ(m.acknowledge(0), 40 + n);
  }
  m.pulse(0, 40);  // the outermost, again
  for (unsigned n = 24; n-- > 0;) {
    EXPECT_TRUE(m.bit(0, gic::GIC_ISACTIVER, 40 + n));
    m.end(0, 40 + n);
    EXPECT_FALSE(m.bit(0, gic::GIC_ISACTIVER, 40 + n));
  }
  EXPECT_EQ(m.acknowledge(0), 40U);
  m.end(0, 40);
  EXPECT_EQ(m.read32(0, kGicd + gic::GIC_ISACTIVER + 4), 0U);
  EXPECT_EQ(m.acknowledge(0), gic::kSpurious);
}

TEST_P(VgicOverflow, SplitEndLeavesManyActiveAndDeactivatesInAnyOrder) {
  Machine m{{.list_registers = GetParam()}};
  m.at(0).vmcr = m.at(0).vmcr.with<IchVmcr::VEOIM>(true);
  for (unsigned n = 0; n < 20; ++n) {
    m.prepare(0, 40 + n, true);
    m.pulse(0, 40 + n);
  }
  for (unsigned n = 0; n < 20; ++n) {
    const unsigned intid = m.acknowledge(0);
    ASSERT_NE(intid, gic::kSpurious);
    m.end(0, intid);  // priority drop only
  }
  std::vector<unsigned> order;
  for (unsigned n = 0; n < 20; ++n) order.push_back(40 + n);
  std::shuffle(order.begin(), order.end(), std::mt19937{3});
  for (const unsigned intid : order) {
    EXPECT_TRUE(m.bit(0, gic::GIC_ISACTIVER, intid));
    m.deactivate(0, intid);
    EXPECT_FALSE(m.bit(0, gic::GIC_ISACTIVER, intid));
  }
  EXPECT_EQ(m.read32(0, kGicd + gic::GIC_ISACTIVER + 4), 0U);
}

TEST_P(VgicOverflow, AMaskedGroupDoesNotStarveTheOther) {
  Machine m{{.list_registers = GetParam()}};
  m.at(0).vmcr = m.at(0).vmcr.with<IchVmcr::VENG0>(false);
  for (unsigned n = 0; n < 20; ++n) {
    m.prepare(0, 64 + n, true, 0x10);
    m.set_group(0, 64 + n, false);
    m.pulse(0, 64 + n);
  }
  m.prepare(0, 40, true, 0xE0);
  m.pulse(0, 40);
  EXPECT_EQ(m.acknowledge(0), 40U);
  m.end(0, 40);
  m.at(0).vmcr = m.at(0).vmcr.with<IchVmcr::VENG0>(true);
  m.settle();
  for (unsigned n = 0; n < 20; ++n) {
    const unsigned intid = m.acknowledge(0);
    EXPECT_NE(intid, gic::kSpurious);
    m.end(0, intid);
  }
  // And the other way round: the group goes off while its interrupts hold every list register.
  for (unsigned n = 0; n < 20; ++n) m.pulse(0, 64 + n);
  m.pulse(0, 40);
  m.at(0).vmcr = m.at(0).vmcr.with<IchVmcr::VENG0>(false);
  m.settle();
  EXPECT_EQ(m.acknowledge(0), 40U);
}

// A maintenance interrupt is asked for only when it can tell something; on QEMU 7.2 one for the end of Group 0 never
// ceases while Group 1 is off.
TEST_P(VgicOverflow, TheEndOfAGroupIsAskedForWhereItMatters) {
  Machine m{{.list_registers = GetParam()}};
  for (unsigned n = 0; n < 20; ++n) {
    m.prepare(0, 64 + n, true, 0x10);
    m.set_group(0, 64 + n, false);
    m.pulse(0, 64 + n);
  }
  m.prepare(0, 40, true, 0xE0);
  m.pulse(0, 40);
  m.settle();
  EXPECT_TRUE(m.at(0).hcr.get<IchHcr::VGrp0DIE>());
  m.at(0).vmcr = m.at(0).vmcr.with<IchVmcr::VENG1>(false);
  m.settle();
  EXPECT_FALSE(m.at(0).hcr.get<IchHcr::VGrp0DIE>());
  // Both are off, and nobody was told of the first; the other comes when it is on.
  m.at(0).vmcr = m.at(0).vmcr.with<IchVmcr::VENG0>(false);
  m.settle();
  m.at(0).vmcr = m.at(0).vmcr.with<IchVmcr::VENG1>(true);
  m.settle();
  EXPECT_EQ(m.acknowledge(0), 40U);
}

TEST_P(VgicOverflow, StormOfOneLevel) {
  Machine m{{.list_registers = GetParam()}};
  for (unsigned n = 0; n < 8; ++n) {
    m.prepare(0, 40 + n, false);
    m.spi(40 + n, true);
  }
  for (int round = 0; round < 200; ++round) {
    const unsigned intid = m.acknowledge(0);
    ASSERT_NE(intid, gic::kSpurious);
    m.end(0, intid);
  }
}

INSTANTIATE_TEST_SUITE_P(ListRegisters, VgicOverflow, testing::Values(1, 2, 4, 16));

class VgicLinked : public Test {
 protected:
  VgicLinked() {
    EXPECT_TRUE(m.vgic.link_physical(0, 27, 30).has_value());
    m.prepare(0, 27, false);
  }
  using Intids = std::vector<std::uint32_t>;
  Machine m{{.cpus = 2}};
};

TEST_F(VgicLinked, TheGuestDeactivatesThePhysicalInterrupt) {
  for (int round = 1; round < 4; ++round) {
    m.ppi(0, 27, true);
    const IchLr lr = m.at(0).find(27).value();
    EXPECT_TRUE(lr.get<IchLr::HW>());
    EXPECT_TRUE(lr.get<IchLr::Group>());
    EXPECT_EQ(lr.get<IchLr::pINTID>(), 30U);
    EXPECT_EQ(lr.get<IchLr::State>(), gic::LrState::pending);
    EXPECT_EQ(m.acknowledge(0), 27U);
    m.at(0).end(27);
    EXPECT_FALSE(m.at(0).maintenance()) << "no exit for it";
    EXPECT_EQ(m.at(0).physically_deactivated, Intids(static_cast<std::size_t>(round), 30));
    EXPECT_EQ(m.acknowledge(0), gic::kSpurious);
  }
}

TEST_F(VgicLinked, FiresAgainBeforeTheListRegistersAreFolded) {
  m.ppi(0, 27, true);
  EXPECT_EQ(m.acknowledge(0), 27U);
  m.at(0).end(27);
  m.ppi(0, 27, true);
  EXPECT_TRUE(m.at(0).find(27).value().get<IchLr::HW>());
  EXPECT_EQ(m.acknowledge(0), 27U);
  m.end(0, 27);
  EXPECT_EQ(m.at(0).physically_deactivated, (Intids{30, 30}));
}

TEST_F(VgicLinked, ALineThatFallsUntakenIsDeactivatedHere) {
  m.ppi(0, 27, true);
  m.ppi(0, 27, false);
  EXPECT_FALSE(m.at(0).find(27).has_value());
  EXPECT_EQ(m.at(0).physically_deactivated, Intids{30});
  m.ppi(0, 27, false);
  EXPECT_EQ(m.at(0).physically_deactivated, Intids{30});
  m.ppi(0, 27, true);
  EXPECT_EQ(m.acknowledge(0), 27U);
  m.ppi(0, 27, false);
  EXPECT_EQ(m.at(0).physically_deactivated, Intids{30}) << "taken: the guest will";
  m.end(0, 27);
  EXPECT_EQ(m.at(0).physically_deactivated, (Intids{30, 30}));
}

TEST_F(VgicLinked, WhatSoftwareClearsIsDeactivatedHere) {
  m.ppi(0, 27, true);
  m.set_bit(0, gic::GIC_ICPENDR, 27);
  EXPECT_EQ(m.at(0).physically_deactivated, Intids{30});
  m.ppi(0, 27, true);
  EXPECT_EQ(m.acknowledge(0), 27U);
  m.set_bit(1, gic::GIC_ICACTIVER, 27);  // vCPU 1's own: nothing
  EXPECT_EQ(m.at(0).physically_deactivated, Intids{30});
  m.set_bit(0, gic::GIC_ICACTIVER, 27);
  EXPECT_EQ(m.at(0).physically_deactivated, (Intids{30, 30}));
}

// A physical CPU that two vCPUs share: its PPI's active state goes with the vCPU.
TEST_F(VgicLinked, TheActiveStateIsKeptForWhoSwitchesVcpus) {
  EXPECT_TRUE(m.vgic.link_physical(1, 27, 30).has_value());
  const auto save = [&] {
    m.kick(m.vgic.save(0, m.at(0)) & ~VgicCpuMask{1});
    return m.vgic.take_physical_ppis(0);
  };
  const auto load = [&] {
    const std::uint32_t active = m.vgic.take_physical_ppis(0);
    m.vgic.load(0, m.at(0));
    m.settle();
    return active;
  };
  EXPECT_EQ(save(), 0U) << "nothing came";
  EXPECT_EQ(load(), 0U);
  m.ppi(0, 27, true);
  EXPECT_EQ(save(), 1U << 30) << "pending in a list register";
  EXPECT_EQ(m.vgic.take_physical_ppis(1), 0U) << "the other vCPU's is another";
  EXPECT_TRUE(m.at(0).physically_deactivated.empty()) << "that is the caller's";
  EXPECT_EQ(load(), 1U << 30);
  EXPECT_EQ(m.acknowledge(0), 27U);
  EXPECT_EQ(save(), 1U << 30) << "active in a list register";
  EXPECT_EQ(load(), 1U << 30);
  m.end(0, 27);
  EXPECT_EQ(m.at(0).physically_deactivated, Intids{30});
  EXPECT_EQ(save(), 0U);
  EXPECT_EQ(load(), 0U);
  // Meanwhile another vCPU clears it: nothing is active physically, so nothing is to be deactivated.
  m.ppi(0, 27, true);
  EXPECT_EQ(save(), 1U << 30);
  static_cast<void>(m.vgic.mmio_write(1, sgi_base(0) + gic::GIC_ICPENDR, AccessWidth::word, 1U << 27));
  EXPECT_EQ(load(), 0U);
  EXPECT_EQ(m.at(0).physically_deactivated, Intids{30});
  EXPECT_EQ(m.acknowledge(0), gic::kSpurious);
  m.ppi(0, 27, true);
  EXPECT_EQ(m.acknowledge(0), 27U);
}

TEST_F(VgicLinked, StaysActivePhysicallyWhileDisabled) {
  m.set_bit(0, gic::GIC_ICENABLER, 27);
  m.ppi(0, 27, true);
  EXPECT_FALSE(m.at(0).find(27).has_value());
  EXPECT_TRUE(m.at(0).physically_deactivated.empty()) << "or it would fire on and on";
  m.set_bit(0, gic::GIC_ISENABLER, 27);
  EXPECT_TRUE(m.at(0).find(27).value().get<IchLr::HW>());
}

TEST_F(VgicLinked, PendingAgainWhileActive) {
  m.ppi(0, 27, true);
  EXPECT_EQ(m.acknowledge(0), 27U);
  m.set_bit(0, gic::GIC_ISPENDR, 27);
  EXPECT_FALSE(m.at(0).find(27).value().get<IchLr::HW>()) << "pending and active is for software interrupts";
  m.end(0, 27);
  EXPECT_TRUE(m.at(0).physically_deactivated.empty());
  EXPECT_EQ(m.acknowledge(0), 27U);
  m.end(0, 27);
  EXPECT_EQ(m.at(0).physically_deactivated, Intids{30});
}

TEST_F(VgicLinked, TrappedDeactivation) {
  m.at(0).vmcr = m.at(0).vmcr.with<IchVmcr::VEOIM>(true);
  m.ppi(0, 27, true);
  EXPECT_EQ(m.acknowledge(0), 27U);
  m.end(0, 27);
  EXPECT_TRUE(m.at(0).hcr.get<IchHcr::TDIR>());
  m.deactivate(0, 999);
  EXPECT_TRUE(m.at(0).physically_deactivated.empty());
  m.deactivate(0, 27);
  EXPECT_EQ(m.at(0).physically_deactivated, Intids{30});
}

TEST_F(VgicLinked, ResetGivesThePhysicalInterruptBack) {
  m.ppi(0, 27, true);
  EXPECT_EQ(m.acknowledge(0), 27U);
  static_cast<void>(m.vgic.save(0, m.at(0)));
  m.vgic.reset_cpu(0);
  m.vgic.load(0, m.at(0));
  m.settle();
  EXPECT_EQ(m.at(0).physically_deactivated, Intids{30});
  EXPECT_FALSE(m.at(0).find(27).has_value());
}

TEST(VgicDeactivation, OfAnSpiByAnotherVcpu) {
  Machine m{{.cpus = 2}};
  for (unsigned cpu = 0; cpu < 2; ++cpu) m.at(cpu).vmcr = m.at(cpu).vmcr.with<IchVmcr::VEOIM>(true);
  m.prepare(0, 40, false);
  m.spi(40, true);
  EXPECT_EQ(m.acknowledge(0), 40U);
  m.end(0, 40);
  m.deactivate(1, 40);
  EXPECT_EQ(m.acknowledge(0), 40U) << "inactive, and its line still high";
}

TEST(VgicCost, NothingToDoTouchesNothing) {
  Machine m{{.cpus = 2}};
  m.at(0).accesses = 0;
  static_cast<void>(m.vgic.flush(0, m.at(0)));
  static_cast<void>(m.vgic.sync(0, m.at(0)));
  static_cast<void>(m.vgic.flush(0, m.at(0)));
  EXPECT_EQ(m.at(0).accesses, 0U);

  // An unchanged interrupt stays where it is and is not written again.
  m.prepare(0, 40, true);
  m.prepare(0, 41, true, 0x40);
  m.pulse(0, 40);
  m.at(0).lr_writes = 0;
  m.vgic.mark_dirty(0);
  m.settle();
  EXPECT_EQ(m.at(0).lr_writes, 0U);
  m.pulse(0, 41);
  EXPECT_EQ(m.at(0).lr_writes, 1U);

  // And those of another vCPU do not concern this one.
  m.set_route(50, 1);
  m.prepare(0, 50, true);
  m.at(0).accesses = 0;
  m.pulse(0, 50);
  EXPECT_EQ(m.at(0).accesses, 0U);
}

TEST(VgicSwitch, SaveAndLoadCarryTheCpuInterface) {
  for (const unsigned bits : {5U, 6U, 7U}) {
    Machine m{{.priority_bits = bits}};
    m.prepare(0, 40, true, 0xA0);
    m.prepare(0, 41, true, 0x20);
    m.pulse(0, 40);
    EXPECT_EQ(m.acknowledge(0), 40U);
    m.pulse(0, 41);
    EXPECT_EQ(m.acknowledge(0), 41U);
    m.pulse(0, 40);
    static_cast<void>(m.vgic.save(0, m.at(0)));
    EXPECT_EQ(m.at(0).hcr.raw, 0U);
    for (unsigned n = 0; n < 4; ++n) EXPECT_EQ(m.at(0).lr[n].raw, 0U) << "for the next one";

    // Something else used the hardware meanwhile, and it is another CPU that was just turned on.
    const auto vmcr = m.at(0).vmcr;
    m.at(0).vmcr = {};
    m.at(0).ap = {};
    for (unsigned n = 0; n < 4; ++n) m.at(0).lr[n] = IchLr::from(0x5000'0000'0000'0020 + n);
    Vgic::clear_list_registers(4, m.at(0));
    m.vgic.load(0, m.at(0));
    m.settle();
    EXPECT_EQ(m.at(0).vmcr, vmcr);
    EXPECT_EQ(m.at(0).running_priority(), 0x20U);
    m.end(0, 41);
    EXPECT_EQ(m.at(0).running_priority(), 0xA0U);
    m.end(0, 40);
    EXPECT_EQ(m.acknowledge(0), 40U);
  }
}

// One that is over, its EOI bit set, would ask for attention for ever.
TEST(VgicSwitch, SaveLeavesNoListRegisterThatAsksForAttention) {
  Machine m;
  m.prepare(0, 40, false);
  m.spi(40, true);
  EXPECT_EQ(m.acknowledge(0), 40U);
  m.at(0).end(40);
  EXPECT_TRUE(m.at(0).maintenance()) << "its line is up still";
  static_cast<void>(m.vgic.save(0, m.at(0)));
  for (const IchLr lr : m.at(0).lr) EXPECT_EQ(lr.raw, 0U);
}

TEST(VgicSwitch, AParkedVcpuIsNotReadAgain) {
  Machine m;
  m.prepare(0, 3, true, 0x40);
  ASSERT_TRUE(m.vgic.inject(0, 3));
  m.settle();
  EXPECT_EQ(m.vgic.park(0, m.at(0)), 0U);
  EXPECT_TRUE(m.vgic.needs_flush(0)) << "before the guest runs";
  m.at(0).accesses = 0;
  EXPECT_EQ(m.vgic.save(0, m.at(0)), 0U);
  EXPECT_EQ(m.at(0).accesses, 2U) << "the list register that was written, ICH_HCR_EL2";
  EXPECT_TRUE(m.vgic.has_deliverable(0));

  // But after it has run it is.
  m.vgic.load(0, m.at(0));
  m.settle();
  EXPECT_EQ(m.vgic.park(0, m.at(0)), 0U);
  m.settle();
  EXPECT_EQ(m.acknowledge(0), 3U);
  const auto vmcr = m.at(0).vmcr = m.at(0).vmcr.with<gic::IchVmcr::VPMR>(0x30);
  EXPECT_EQ(m.vgic.save(0, m.at(0)), 0U);
  m.at(0).vmcr = {};
  m.vgic.load(0, m.at(0));
  EXPECT_EQ(m.at(0).vmcr, vmcr);
  EXPECT_EQ(m.at(0).running_priority(), 0x40U);
}

// Nobody else has to do anything for it.
bool save_quiet(Machine& m) {
  VgicCpuMask kick = 0;
  const bool saved = m.vgic.save_quiet(m.vgic.state(0), m.at(0), kick);
  EXPECT_EQ(kick, 0U);
  return saved;
}

TEST(VgicSwitch, AQuietVcpuMakesRoomAndComesBack) {
  Machine m;
  m.prepare(0, 3, true, 0x40);
  m.vgic.direct(0).doorbell = 7;
  ASSERT_TRUE(m.vgic.inject(0, 3));
  m.settle();
  EXPECT_FALSE(save_quiet(m)) << "pending in a list register";
  EXPECT_EQ(m.vgic.direct(0).doorbell.load(), 7U);
  m.settle();
  EXPECT_EQ(m.acknowledge(0), 3U);
  EXPECT_FALSE(save_quiet(m)) << "active in a list register";
  m.settle();
  m.end(0, 3);
  m.vgic.direct(0).posted = 1U << 3;
  EXPECT_FALSE(save_quiet(m)) << "posted by another vCPU";
  m.settle();
  EXPECT_EQ(m.acknowledge(0), 3U);
  m.end(0, 3);

  const auto vmcr = m.at(0).vmcr = m.at(0).vmcr.with<gic::IchVmcr::VPMR>(0x80);
  m.at(0).accesses = 0;
  ASSERT_TRUE(save_quiet(m));
  EXPECT_EQ(m.at(0).accesses, 4U) << "list register 0, ICH_VMCR_EL2, the active priorities";
  EXPECT_EQ(m.vgic.direct(0).doorbell.load(), 0U);
  EXPECT_TRUE(m.at(0).lr[0].empty());
  EXPECT_FALSE(m.vgic.has_deliverable(0));

  ASSERT_TRUE(m.vgic.inject(0, 3));
  EXPECT_TRUE(m.vgic.has_deliverable(0));
  m.at(0).vmcr = {};
  const std::uint64_t lr = m.vgic.resume(m.vgic.state(0), m.at(0), 9);
  EXPECT_EQ(gic::IchLr::from(lr), m.at(0).lr[0]);
  EXPECT_EQ(gic::IchLr::from(lr).get<gic::IchLr::vINTID>(), 3U);
  EXPECT_EQ(m.at(0).vmcr, vmcr);
  EXPECT_EQ(m.vgic.direct(0).doorbell.load(), 9U);
  EXPECT_EQ(m.vgic.direct(0).armed.load(), 1U);
  EXPECT_FALSE(m.vgic.needs_flush(0));
  EXPECT_EQ(m.acknowledge(0), 3U) << "at once";
  m.end(0, 3);
  EXPECT_EQ(m.acknowledge(0), gic::kSpurious);
}

TEST(VgicSwitch, OneThatHasMoreThanAnSgiIsFlushed) {
  Machine m;
  m.prepare(0, 3, true, 0x40);
  m.prepare(0, 4, true, 0x40);
  ASSERT_TRUE(save_quiet(m));
  ASSERT_TRUE(m.vgic.inject(0, 3));
  ASSERT_TRUE(m.vgic.inject(0, 4));
  EXPECT_EQ(m.vgic.resume(m.vgic.state(0), m.at(0), 0), 0U);
  EXPECT_TRUE(m.vgic.needs_flush(0));
  EXPECT_TRUE(m.at(0).lr[0].empty());
  m.settle();
  EXPECT_EQ(m.acknowledge(0), 3U);
  m.end(0, 3);
  EXPECT_EQ(m.acknowledge(0), 4U);
}

TEST(VgicSwitch, APhysicalInterruptThatIsActiveIsNotQuiet) {
  Machine m;
  ASSERT_TRUE(m.vgic.link_physical(0, 27, 27));
  m.prepare(0, 27, true, 0x40);
  m.ppi(0, 27, true);
  m.settle();
  m.set_bit(0, gic::GIC_ICENABLER, 27);
  EXPECT_FALSE(save_quiet(m)) << "it is active at the physical GIC, for this vCPU";
}

TEST(VgicSwitch, WhatIsDeliveredToAParkedVcpuIsNotLost) {
  Machine m;
  m.prepare(0, 3, true);
  EXPECT_EQ(m.vgic.park(0, m.at(0)), 0U);
  m.vgic.direct(0).posted = 1U << 3;
  EXPECT_TRUE(m.vgic.deliver_posted(0, m.at(0)));
  EXPECT_EQ(m.vgic.save(0, m.at(0)), 0U);
  EXPECT_TRUE(m.vgic.has_deliverable(0));
  m.vgic.load(0, m.at(0));
  m.settle();
  EXPECT_EQ(m.acknowledge(0), 3U);
}

TEST(IntidSet, WalksItsMembersInOrder) {
  IntidSet set;
  EXPECT_TRUE(set.empty());
  for (const unsigned intid : {1019U, 0U, 63U, 64U, 500U}) set.insert(intid);
  std::vector<unsigned> members;
  set.for_each([&](unsigned intid) {
    members.push_back(intid);
    if (intid == 64) set.erase(intid);
  });
  EXPECT_EQ(members, (std::vector<unsigned>{0, 63, 64, 500, 1019}));
  EXPECT_FALSE(set.contains(64));
  for (const unsigned intid : members) set.erase(intid);
  EXPECT_TRUE(set.empty());
}

}  // namespace
}  // namespace arm_vcpu::test
