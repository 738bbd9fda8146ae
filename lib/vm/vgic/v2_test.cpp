// SPDX-License-Identifier: Apache-2.0
// What a GICv2 has of its own: the Distributor's register map, SGIs by sender, GICC_DIR.
#include "vm/vgic/test_machine.hpp"

namespace arm_vcpu::test {
namespace {

using enum AccessWidth;
using gic::SgiTargets;

Machine machine_of(unsigned cpus, bool enabled = true) {
  return Machine{{.version = 2, .cpus = cpus, .spis = 64, .enabled = enabled}};
}

TEST(VgicV2Create, ChecksItsConfiguration) {
  std::vector<VgicCpu> cpus(9);
  std::vector<VgicIrq> spis(32);
  const std::uint64_t affinities[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
  const auto error = [&](std::size_t count, unsigned version, std::uint64_t gicc) {
    const auto made = Vgic::create(
        {.version = version, .gicd_base = kGicd, .gicc_base = gicc, .affinities = std::span{affinities}.first(count)},
        std::span{cpus}.first(count), spis);
    return made ? std::string_view{"none"} : describe(made.error().code).name;
  };
  EXPECT_EQ(error(8, 2, kGicc), "none");
  EXPECT_EQ(error(9, 2, kGicc), "out_of_slots");
  EXPECT_EQ(error(1, 1, kGicc), "conflicting_configuration");
  EXPECT_EQ(error(1, 4, kGicc), "conflicting_configuration");
  EXPECT_EQ(error(1, 2, kGicc + 0x1000), "unaligned_address");
  EXPECT_EQ(error(1, 2, kGicd), "overlap");
}

TEST(VgicV2Registers, ConstantsAndReservedOffsets) {
  Machine m = machine_of(4, false);
  struct Constant {
    std::uint32_t offset;
    std::uint32_t value;
  };
  for (const auto& [offset, value] : {Constant{gic::GICD_TYPER, 2 | 3 << 5},
                                      {gic::GICD_IIDR, 0x5600'143B},
                                      {0x00C, 0},
                                      {gic::GIC_NSACR, 0},
                                      {gic::GICD_SGIR, 0},
                                      {0xF04, 0},
                                      {0xF30, 0},
                                      {0xFCC, 0},
                                      {0xFD0, 0x04},
                                      {0xFD4, 0},
                                      {0xFE0, 0x90},
                                      {0xFE4, 0xB4},
                                      {gic::GICV2_PIDR2, 0x2B},
                                      {0xFF0, 0x0D},
                                      {0xFF4, 0xF0},
                                      {0xFF8, 0x05},
                                      {0xFFC, 0xB1}}) {
    EXPECT_EQ(m.read32(0, kGicd + offset), value) << std::hex << offset;
    if (offset != gic::GICD_SGIR) m.write32(1, kGicd + offset, ~0U);
    EXPECT_EQ(m.read32(3, kGicd + offset), value) << std::hex << offset;
    EXPECT_EQ(m.read(0, kGicd + offset, halfword), 0U) << std::hex << offset;
    EXPECT_EQ(m.read(0, kGicd + offset, byte), 0U) << std::hex << offset;
    EXPECT_EQ(m.read(0, kGicd + bits::align_down(offset, 8), doubleword), 0U) << std::hex << offset;
  }
}

TEST(VgicV2Registers, TheFramesHaveTheirSizes) {
  const Machine m = machine_of(2);
  EXPECT_TRUE(m.vgic.contains(kGicd + 0xFFF));
  EXPECT_FALSE(m.vgic.contains(kGicd + 0x1000)) << "a GICv3's Distributor is 64 KiB";
  EXPECT_FALSE(m.vgic.contains(kGicc)) << "the guest has it mapped";
  EXPECT_FALSE(m.vgic.contains(kGicc + 0xFFF));
  EXPECT_TRUE(m.vgic.contains(kGicc + gic::GICC_DIR));
  EXPECT_TRUE(m.vgic.contains(kGicc + 0x1FFF));
  EXPECT_FALSE(m.vgic.contains(kGicc + 0x2000));
  EXPECT_FALSE(m.vgic.contains(kGicr));
}

TEST(VgicV2Registers, CtlrHasTheGroupEnablesAndNothingElse) {
  Machine m = machine_of(2, false);
  EXPECT_EQ(m.read32(0, kGicd + gic::GICD_CTLR), 0U);
  m.write32(0, kGicd + gic::GICD_CTLR, ~0U);
  EXPECT_EQ(m.read32(1, kGicd + gic::GICD_CTLR), 3U);
  m.write(0, kGicd + gic::GICD_CTLR, byte, 0);
  EXPECT_EQ(m.read32(0, kGicd + gic::GICD_CTLR), 3U);
  m.write32(1, kGicd + gic::GICD_CTLR, 1);
  EXPECT_EQ(m.read32(0, kGicd + gic::GICD_CTLR), 1U);
}

TEST(VgicV2Registers, PrivateInterruptsAreBanked) {
  Machine m = machine_of(2, false);
  for (const std::uint32_t kind : {gic::GIC_IGROUPR, gic::GIC_ISENABLER, gic::GIC_ISPENDR, gic::GIC_ISACTIVER}) {
    const std::uint32_t before = m.read32(1, kGicd + kind);
    m.write32(0, kGicd + kind, 0x0810'0000);
    EXPECT_EQ(m.read32(0, kGicd + kind) & 0xFFFF'0000, 0x0810'0000U) << std::hex << kind;
    EXPECT_EQ(m.read32(1, kGicd + kind), before) << std::hex << kind;
    m.write32(0, kGicd + kind + 4, 0x8000'0001);
    EXPECT_EQ(m.read32(1, kGicd + kind + 4), 0x8000'0001U) << "SPIs are not";
  }
  m.write(0, kGicd + gic::GIC_IPRIORITYR + 27, byte, 0x43);
  EXPECT_EQ(m.read(0, kGicd + gic::GIC_IPRIORITYR + 27, byte), 0x40U);
  EXPECT_EQ(m.read(1, kGicd + gic::GIC_IPRIORITYR + 27, byte), 0U);
  m.write32(1, kGicd + gic::GIC_ICFGR + 4, 0xAAAA'AAAA);
  EXPECT_EQ(m.read32(1, kGicd + gic::GIC_ICFGR + 4), 0xAAAA'AAAAU);
  EXPECT_EQ(m.read32(0, kGicd + gic::GIC_ICFGR + 4), 0U);
}

TEST(VgicV2Registers, SgisAreAlwaysEnabledAndEdgeTriggered) {
  Machine m = machine_of(2, false);
  m.write32(0, kGicd + gic::GIC_ICENABLER, ~0U);
  EXPECT_EQ(m.read32(0, kGicd + gic::GIC_ISENABLER), 0xFFFFU);
  EXPECT_EQ(m.read32(0, kGicd + gic::GIC_ICENABLER), 0xFFFFU);
  m.write32(0, kGicd + gic::GIC_ICFGR, 0);
  EXPECT_EQ(m.read32(0, kGicd + gic::GIC_ICFGR), 0xAAAA'AAAAU);
}

TEST(VgicV2Registers, TargetsOfEachKind) {
  Machine m = machine_of(4);
  for (unsigned cpu = 0; cpu < 4; ++cpu) {
    EXPECT_EQ(m.read32(cpu, kGicd + gic::GIC_ITARGETSR), 0x0101'0101U << cpu);
    m.write32(cpu, kGicd + gic::GIC_ITARGETSR + 28, 0);
    EXPECT_EQ(m.read32(cpu, kGicd + gic::GIC_ITARGETSR + 28), 0x0101'0101U << cpu) << "read-only";
  }
  EXPECT_EQ(m.read32(0, kGicd + gic::GIC_ITARGETSR + 40), 0U);
  m.write32(0, kGicd + gic::GIC_ITARGETSR + 40, 0xFF10'0201);
  EXPECT_EQ(m.read32(3, kGicd + gic::GIC_ITARGETSR + 40), 0x0F00'0201U) << "of the CPUs that are there";
  m.write(2, kGicd + gic::GIC_ITARGETSR + 41, byte, 8);
  EXPECT_EQ(m.read32(0, kGicd + gic::GIC_ITARGETSR + 40), 0x0F00'0801U);
  EXPECT_EQ(m.read(0, kGicd + gic::GIC_ITARGETSR + 41, byte), 8U);
  m.write(0, kGicd + gic::GIC_ITARGETSR + 40, halfword, 0);
  EXPECT_EQ(m.read32(0, kGicd + gic::GIC_ITARGETSR + 40), 0x0F00'0801U) << "bytes and words only";
  EXPECT_EQ(m.read32(0, kGicd + gic::GIC_ITARGETSR + 96), 0U) << "beyond the last";

  Machine one = machine_of(1);
  one.write32(0, kGicd + gic::GIC_ITARGETSR + 40, ~0U);
  EXPECT_EQ(one.read32(0, kGicd + gic::GIC_ITARGETSR), 0U) << "with one CPU all are RAZ/WI";
  EXPECT_EQ(one.read32(0, kGicd + gic::GIC_ITARGETSR + 40), 0U);
  one.prepare(0, 40, true);
  one.pulse(0, 40);
  EXPECT_EQ(one.acknowledge(0), 40U) << "and it gets what there is";
}

TEST(VgicV2, AnSpiGoesToItsFirstTarget) {
  Machine m = machine_of(4);
  m.prepare(0, 40, true);
  m.pulse(0, 40);
  for (unsigned cpu = 0; cpu < 4; ++cpu) EXPECT_EQ(m.acknowledge(cpu), gic::kSpurious) << "no target";
  m.set_targets(40, 0b1100);
  EXPECT_EQ(m.acknowledge(3), gic::kSpurious);
  EXPECT_EQ(m.acknowledge(2), 40U);
  m.end(2, 40);
  m.pulse(0, 40);
  m.set_targets(40, 0b1000);  // out of vCPU 2's list register
  EXPECT_EQ(m.acknowledge(2), gic::kSpurious);
  EXPECT_EQ(m.acknowledge(3), 40U);
}

TEST(VgicV2, SgisReachThoseThatTheFilterNames) {
  Machine m = machine_of(4);
  const auto got = [&] {
    unsigned mask = 0;
    for (unsigned cpu = 0; cpu < 4; ++cpu) {
      if (m.read(cpu, kGicd + gic::GICD_SPENDSGIR + 3, byte) != 0) mask |= 1U << cpu;
      m.write(cpu, kGicd + gic::GICD_CPENDSGIR + 3, byte, 0xFF);
    }
    return mask;
  };
  m.sgir(1, SgiTargets::listed, 0b1010, 3);
  EXPECT_EQ(got(), 0b1010U) << "the sender may be in the list";
  m.sgir(1, SgiTargets::listed, 0xF0, 3);
  EXPECT_EQ(got(), 0U) << "there are no such CPUs";
  m.sgir(1, SgiTargets::all_others, 0b0010, 3);
  EXPECT_EQ(got(), 0b1101U) << "the list does not count";
  m.sgir(1, SgiTargets::self, 0b1101, 3);
  EXPECT_EQ(got(), 0b0010U);
  m.sgir(1, SgiTargets::reserved, 0xFF, 3);
  EXPECT_EQ(got(), 0U);
  m.write(1, kGicd + gic::GICD_SGIR, byte, 0xFF);
  m.write(1, kGicd + gic::GICD_SGIR, halfword, 0xFFFF);
  EXPECT_EQ(got(), 0U) << "words only";
}

TEST(VgicV2, AnSgiIsPendingForEachSender) {
  Machine m = machine_of(4);
  for (const unsigned sender : {2U, 0U, 3U, 2U}) m.sgir(sender, SgiTargets::listed, 0b0010, 5);
  EXPECT_EQ(m.read(1, kGicd + gic::GICD_CPENDSGIR + 5, byte), 0b1101U);
  EXPECT_EQ(m.read32(1, kGicd + gic::GICD_SPENDSGIR + 4), 0b1101U << 8);
  EXPECT_EQ(m.read32(1, kGicd + gic::GIC_ISPENDR), 1U << 5);
  EXPECT_EQ(m.read32(0, kGicd + gic::GIC_ISPENDR), 0U);
  for (const unsigned sender : {0U, 2U, 3U}) {
    ASSERT_EQ(m.acknowledge(1), 5U);
    EXPECT_EQ(m.at(1).sender, sender);
    EXPECT_TRUE(m.bit(1, gic::GIC_ISACTIVER, 5));
    EXPECT_EQ(m.acknowledge(1), gic::kSpurious) << "one at a time";
    m.end(1, 5);
  }
  EXPECT_EQ(m.acknowledge(1), gic::kSpurious);
}

TEST(VgicV2, ASenderMayCallAgainWhileItsSgiIsActive) {
  Machine m = machine_of(2);
  m.sgir(0, SgiTargets::listed, 0b10, 5);
  EXPECT_EQ(m.acknowledge(1), 5U);
  m.sgir(0, SgiTargets::listed, 0b10, 5);
  m.sgir(1, SgiTargets::self, 0, 5);
  EXPECT_EQ(m.read(1, kGicd + gic::GICD_SPENDSGIR + 5, byte), 0b11U);
  EXPECT_EQ(m.acknowledge(1), gic::kSpurious);
  // The list register keeps whose it is: EOI and DIR of the guest name that one.
  EXPECT_EQ(m.at(1).find(5)->get<gic::IchLr::CPUID>(), 0U);
  m.end(1, 5);
  EXPECT_EQ(m.acknowledge(1), 5U);
  EXPECT_EQ(m.at(1).sender, 0U);
  m.end(1, 5);
  EXPECT_EQ(m.acknowledge(1), 5U);
  EXPECT_EQ(m.at(1).sender, 1U);
  m.end(1, 5);
  EXPECT_EQ(m.acknowledge(1), gic::kSpurious);
}

TEST(VgicV2, SendersAreClearedAndSetOneByOne) {
  Machine m = machine_of(4);
  m.write32(1, kGicd + gic::GICD_SPENDSGIR + 4, 0xFF00'0D00);  // SGI 7 of all there are, SGI 5 of 0, 2 and 3
  EXPECT_EQ(m.read32(1, kGicd + gic::GICD_SPENDSGIR + 4), 0x0F00'0D00U);
  m.write(1, kGicd + gic::GICD_CPENDSGIR + 7, byte, 0xFF);
  m.write(1, kGicd + gic::GICD_CPENDSGIR + 5, byte, 0b0001);  // the one that is in the list register
  EXPECT_EQ(m.read32(1, kGicd + gic::GICD_SPENDSGIR + 4), 0x0000'0C00U);
  m.write32(1, kGicd + gic::GIC_ICPENDR, ~0U);
  m.write32(1, kGicd + gic::GIC_ISPENDR, 0xFFFF);
  EXPECT_EQ(m.read32(1, kGicd + gic::GIC_ISPENDR), 1U << 5) << "of SGIs the pending bits are read-only";
  for (const unsigned sender : {2U, 3U}) {
    EXPECT_EQ(m.acknowledge(1), 5U);
    EXPECT_EQ(m.at(1).sender, sender);
    m.end(1, 5);
  }
  EXPECT_EQ(m.acknowledge(1), gic::kSpurious);
}

TEST(VgicV2, SendersSurviveAnotherVcpuOnTheCpu) {
  Machine m = machine_of(4);
  for (const unsigned sender : {3U, 2U}) m.sgir(sender, SgiTargets::listed, 0b0001, 9);
  EXPECT_EQ(m.acknowledge(0), 9U);
  EXPECT_EQ(m.at(0).sender, 2U);
  m.kick(m.vgic.save(0, m.at(0)) & ~VgicCpuMask{1});
  m.vgic.load(0, m.at(0));
  m.settle();
  EXPECT_EQ(m.at(0).find(9)->get<gic::IchLr::CPUID>(), 2U) << "active";
  EXPECT_EQ(m.at(0).running_priority(), 0U);
  m.end(0, 9);
  EXPECT_EQ(m.acknowledge(0), 9U);
  EXPECT_EQ(m.at(0).sender, 3U);
}

TEST(VgicV2, DirDeactivatesWhatAnotherVcpuTook) {
  Machine m = machine_of(2);
  for (unsigned cpu = 0; cpu < 2; ++cpu) m.at(cpu).vmcr = m.at(cpu).vmcr.with<gic::IchVmcr::VEOIM>(true);
  m.prepare(0, 40, true);
  m.set_targets(40, 0b01);
  m.pulse(0, 40);
  EXPECT_EQ(m.acknowledge(0), 40U);
  m.end(0, 40);
  EXPECT_TRUE(m.bit(1, gic::GIC_ISACTIVER, 40));
  m.write(1, kGicc + gic::GICC_DIR, byte, 40);
  m.write32(1, kGicc + gic::GICC_DIR + 4, 40);
  EXPECT_TRUE(m.bit(1, gic::GIC_ISACTIVER, 40)) << "a word of that register";
  EXPECT_EQ(m.read32(1, kGicc + gic::GICC_DIR), 0U);
  m.deactivate(1, 40);
  EXPECT_FALSE(m.bit(0, gic::GIC_ISACTIVER, 40));
  m.pulse(0, 40);
  EXPECT_EQ(m.acknowledge(0), 40U);
  m.deactivate(0, 1023);  // nothing of that number
  m.end(0, 40);
  m.deactivate(0, 40);

  m.sgir(1, SgiTargets::listed, 0b01, 2);
  EXPECT_EQ(m.acknowledge(0), 2U);
  m.end(0, 2);
  m.deactivate(0, 1 << 10 | 2);  // as GICC_IAR gave it
  EXPECT_FALSE(m.bit(0, gic::GIC_ISACTIVER, 2));
}

TEST(VgicV2, DirReachesThePhysicalInterrupt) {
  Machine m = machine_of(1);
  ASSERT_TRUE(m.vgic.link_physical(0, 27, 27).has_value());
  m.at(0).vmcr = m.at(0).vmcr.with<gic::IchVmcr::VEOIM>(true);
  m.prepare(0, 27, false);
  m.ppi(0, 27, true);
  EXPECT_EQ(m.acknowledge(0), 27U);
  m.end(0, 27);
  EXPECT_TRUE(m.at(0).physically_deactivated.empty());
  m.deactivate(0, 27);
  EXPECT_EQ(m.at(0).physically_deactivated, std::vector<std::uint32_t>{27});
}

TEST(VgicV2, ResetsAsTheSpecificationSays) {
  Machine m = machine_of(2);
  m.sgir(1, SgiTargets::all_others, 0, 3);
  m.set_targets(40, 2);
  for (unsigned cpu = 0; cpu < 2; ++cpu) static_cast<void>(m.vgic.save(cpu, m.at(cpu)));
  m.vgic.reset();
  for (unsigned cpu = 0; cpu < 2; ++cpu) {
    m.vgic.load(cpu, m.at(cpu));
    EXPECT_EQ(m.at(cpu).vmcr.raw, 2U << 21 | 3U << 18) << "binary points, and IRQs for both groups";
  }
  m.settle();
  EXPECT_EQ(m.read(0, kGicd + gic::GICD_SPENDSGIR + 3, byte), 0U);
  EXPECT_EQ(m.read32(0, kGicd + gic::GIC_ITARGETSR + 40), 0U);
  EXPECT_EQ(m.read32(0, kGicd + gic::GIC_ISENABLER), 0xFFFFU);
  EXPECT_EQ(m.read32(0, kGicd + gic::GICD_CTLR), 0U);
}

TEST(VgicV2, PublishesWhatNeverChanges) {
  Machine m = machine_of(4);
  PublishedRegisters published;
  m.vgic.publish(published);
  for (const std::uint32_t offset : {gic::GICD_TYPER, gic::GICD_IIDR, gic::GICV2_PIDR2}) {
    const PublishedRegisters::Slot& slot = published.slot_of(kGicd + offset, word);
    EXPECT_EQ(slot.key, PublishedRegisters::key_of(kGicd + offset, word));
    EXPECT_EQ(slot.value, m.read32(0, kGicd + offset));
  }
  EXPECT_NE(published.slot_of(kGicd + gic::GIC_PIDR2, word).key,
            PublishedRegisters::key_of(kGicd + gic::GIC_PIDR2, word));
}

}  // namespace
}  // namespace arm_vcpu::test
