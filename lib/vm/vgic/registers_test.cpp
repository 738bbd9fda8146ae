// SPDX-License-Identifier: Apache-2.0
#include "vm/vgic/test_machine.hpp"

namespace arm_vcpu::test {
namespace {

using enum AccessWidth;

TEST(VgicCreate, ChecksItsConfiguration) {
  std::vector<VgicCpu> cpus(2);
  std::vector<VgicIrq> spis(32);
  const std::uint64_t affinities[] = {0, 1};
  const VgicConfig good{.gicd_base = kGicd, .gicr_base = kGicr, .affinities = affinities};
  EXPECT_TRUE(Vgic::create(good, cpus, spis).has_value());
  const auto error = [&](auto change, std::size_t spi_count = 32) {
    VgicConfig bad = good;
    change(bad);
    std::vector<VgicIrq> storage(spi_count);
    const auto made = Vgic::create(bad, cpus, storage);
    return made ? std::string_view{"none"} : describe(made.error().code).name;
  };
  const std::uint64_t twins[] = {0x1'0000'0001, 0x1'8000'0001 & ~0x8000'0000ULL};
  EXPECT_EQ(error([](auto&) {}, 0), "none");
  EXPECT_EQ(error([](auto&) {}, 988), "none");
  EXPECT_EQ(error([](auto&) {}, 33), "conflicting_configuration");
  EXPECT_EQ(error([](auto&) {}, 1024), "out_of_slots");
  EXPECT_EQ(error([](auto& c) { c.gicd_base += 0x1000; }), "unaligned_address");
  EXPECT_EQ(error([](auto& c) { c.gicr_base += 0x1000; }), "unaligned_address");
  EXPECT_EQ(error([](auto& c) { c.gicd_base = kGicr + 0x3'0000; }), "overlap");
  EXPECT_EQ(error([](auto& c) { c.gicd_base = kGicr + 0x4'0000; }), "none");
  EXPECT_EQ(error([&](auto& c) { c.affinities = {affinities, 1}; }), "conflicting_configuration");
  EXPECT_EQ(error([&](auto& c) { c.affinities = twins; }), "conflicting_configuration");
  EXPECT_FALSE(Vgic::create(good, {}, spis).has_value());
}

// Every register that is constant, or has no effect, in its allowed width; in every other width it is RAZ.
struct Constant {
  std::uint64_t ipa;
  std::uint32_t value;
};

TEST(VgicRegisters, ConstantsAndReservedOffsets) {
  Machine m{{.cpus = 2, .enabled = false}};
  const Constant table[] = {
      {kGicd + gic::GICD_CTLR, 0x50},  // ARE, DS
      {kGicd + gic::GICD_TYPER, 8 | 9 << 19 | 1 << 24 | 1 << 26},
      {kGicd + gic::GICD_IIDR, 0x5600'143B},
      {kGicd + gic::GICD_TYPER2, 0},
      {kGicd + gic::GICD_STATUSR, 0},
      {kGicd + 0x040, 0},             // GICD_SETSPI_NSR: no MBIS
      {kGicd + gic::GIC_IGROUPR, 0},  // SGIs and PPIs are the Redistributor's
      {kGicd + gic::GIC_ISENABLER, 0},
      {kGicd + gic::GIC_IPRIORITYR + 0x1C, 0},
      {kGicd + gic::GIC_ICFGR, 0},
      {kGicd + gic::GIC_ICFGR + 4, 0},
      {kGicd + gic::GIC_IGROUPR + 9 * 4, 0},  // beyond INTID 287
      {kGicd + gic::GIC_ITARGETSR + 32, 0},
      {kGicd + gic::GIC_IGRPMODR + 4, 0},
      {kGicd + gic::GIC_NSACR + 8, 0},
      {kGicd + 0xF00, 0},  // GICD_SGIR
      {kGicd + 0xF10, 0},  // GICD_CPENDSGIR
      {kGicd + 0xF20, 0},
      {kGicd + 0x1000, 0},             // GICD_IGROUPR<n>E: no extended SPIs
      {kGicd + gic::GICD_IROUTER, 0},  // INTID 0
      {kGicd + gic::GICD_IROUTER + 8 * 288, 0},
      {kGicd + 0x8000, 0},
      {kGicd + 0xFFD0, 0x44},
      {kGicd + 0xFFD4, 0},
      {kGicd + 0xFFE0, 0x92},
      {kGicd + 0xFFE4, 0xB4},
      {kGicd + gic::GIC_PIDR2, 0x3B},
      {kGicd + 0xFFF0, 0x0D},
      {kGicd + 0xFFF4, 0xF0},
      {kGicd + 0xFFF8, 0x05},
      {kGicd + 0xFFFC, 0xB1},
      {rd_base(0) + gic::GICR_CTLR, 0},
      {rd_base(0) + gic::GICR_IIDR, 0x5600'143B},
      {rd_base(0) + gic::GICR_STATUSR, 0},
      {rd_base(0) + gic::GICR_PROPBASER, 0},
      {rd_base(0) + gic::GICR_PENDBASER, 0},
      {rd_base(0) + gic::GICR_PENDBASER + 4, 0},
      {rd_base(1) + 0xFFE0, 0x93},
      {rd_base(1) + gic::GIC_PIDR2, 0x3B},
      {sgi_base(0) + gic::GIC_ICFGR, 0xAAAA'AAAA},
      {sgi_base(0) + gic::GIC_NSACR, 0},
      {sgi_base(0) + gic::GIC_IGRPMODR, 0},
      {sgi_base(0) + gic::GIC_IGROUPR + 4, 0},  // no extended PPIs
      {sgi_base(0) + gic::GIC_IPRIORITYR + 0x20, 0},
      {sgi_base(0) + gic::GIC_ITARGETSR, 0},
      {sgi_base(0) + gic::GIC_PIDR2, 0},  // the SGI frame has no identification registers
  };
  for (const Constant& one : table) {
    EXPECT_EQ(m.read32(0, one.ipa), one.value) << std::hex << one.ipa;
    m.write32(1, one.ipa, ~0U & ~3U);  // bits 0 and 1: the group enables of GICD_CTLR
    EXPECT_EQ(m.read32(1, one.ipa), one.value) << std::hex << one.ipa;
    EXPECT_EQ(m.read(0, one.ipa, halfword), 0U) << std::hex << one.ipa;
    EXPECT_EQ(m.read(0, one.ipa, byte), 0U) << std::hex << one.ipa;
    EXPECT_EQ(m.read(0, one.ipa + 2, word), 0U) << "unaligned " << std::hex << one.ipa;
  }
}

TEST(VgicRegisters, LinesFollowTheConfiguration) {
  EXPECT_EQ((Machine{{.spis = 0}}.read32(0, kGicd + gic::GICD_TYPER) & 0x1F), 0U);
  EXPECT_EQ((Machine{{.spis = 32}}.read32(0, kGicd + gic::GICD_TYPER) & 0x1F), 1U);
  Machine full{{.spis = 988}};
  EXPECT_EQ(full.read32(0, kGicd + gic::GICD_TYPER) & 0x1F, 31U);
  full.write32(0, kGicd + gic::GIC_ISENABLER + 31 * 4, ~0U);
  EXPECT_EQ(full.read32(0, kGicd + gic::GIC_ISENABLER + 31 * 4), 0x0FFF'FFFFU) << "1020 to 1023 are special";
}

TEST(VgicRegisters, CtlrHasTheGroupEnablesOnly) {
  Machine m{{.enabled = false}};
  m.write32(0, kGicd + gic::GICD_CTLR, ~0U);
  EXPECT_EQ(m.read32(0, kGicd + gic::GICD_CTLR), 0x53U);
  m.write32(0, kGicd + gic::GICD_CTLR, 2);
  EXPECT_EQ(m.read32(0, kGicd + gic::GICD_CTLR), 0x52U);
  m.write(0, kGicd + gic::GICD_CTLR, byte, 0);
  m.write(0, kGicd + gic::GICD_CTLR, doubleword, 0);
  EXPECT_EQ(m.read32(0, kGicd + gic::GICD_CTLR), 0x52U) << "only words reach it";
}

TEST(VgicRegisters, RedistributorTyper) {
  Machine m{{.cpus = 3, .affinities = {0x8000'0000, 0x8000'0101, 0x12'8034'5607}}};
  EXPECT_EQ(m.read(0, rd_base(0) + gic::GICR_TYPER, doubleword), 0U);
  EXPECT_EQ(m.read(0, rd_base(1) + gic::GICR_TYPER, doubleword), 0x0000'0101'0000'0100U);
  EXPECT_EQ(m.read(2, rd_base(2) + gic::GICR_TYPER, doubleword), 0x1234'5607'0000'0210U);
  EXPECT_EQ(m.read32(2, rd_base(2) + gic::GICR_TYPER), 0x210U);
  EXPECT_EQ(m.read32(2, rd_base(2) + gic::GICR_TYPER + 4), 0x1234'5607U);
  EXPECT_FALSE(m.vgic.contains(rd_base(3)));
  EXPECT_TRUE(m.vgic.contains(rd_base(3) - 1));
  EXPECT_FALSE(m.vgic.contains(kGicd + 0x1'0000));
  EXPECT_FALSE(m.vgic.contains(kGicd - 1));
  EXPECT_EQ(m.read32(0, rd_base(3) + gic::GICR_IIDR), 0U);
}

TEST(VgicRegisters, WakerHandshake) {
  Machine m{{.cpus = 2}};
  EXPECT_EQ(m.read32(0, rd_base(1) + gic::GICR_WAKER), 6U) << "asleep after reset";
  m.write32(0, rd_base(1) + gic::GICR_WAKER, ~2U);
  EXPECT_EQ(m.read32(0, rd_base(1) + gic::GICR_WAKER), 0U);
  EXPECT_EQ(m.read32(0, rd_base(0) + gic::GICR_WAKER), 6U);
  m.write32(0, rd_base(1) + gic::GICR_WAKER, 2);
  EXPECT_EQ(m.read32(0, rd_base(1) + gic::GICR_WAKER), 6U);
}

TEST(VgicRegisters, SetAndClearPairs) {
  struct Pair {
    std::uint32_t set, clear;
  };
  for (const Pair& pair : {Pair{gic::GIC_ISENABLER, gic::GIC_ICENABLER}, Pair{gic::GIC_ISPENDR, gic::GIC_ICPENDR},
                           Pair{gic::GIC_ISACTIVER, gic::GIC_ICACTIVER}}) {
    Machine m{{.cpus = 2, .enabled = false}};
    for (const std::uint64_t base : {kGicd + 4, kGicd + 32, sgi_base(0), sgi_base(1)}) {
      m.write32(0, base + pair.set, 0x8000'0101);
      m.write32(0, base + pair.set, 0x0001'0000);
      EXPECT_EQ(m.read32(0, base + pair.set), 0x8001'0101U);
      EXPECT_EQ(m.read32(0, base + pair.clear), 0x8001'0101U);
      m.write32(0, base + pair.clear, 0x8000'0001);
      EXPECT_EQ(m.read32(0, base + pair.set), 0x0001'0100U);
      m.write(0, base + pair.set, byte, 0xFF);
      m.write(0, base + pair.set, halfword, 0xFFFF);
      if (base % 8 == 0) m.write(0, base + pair.set, doubleword, ~0ULL);
      EXPECT_EQ(m.read32(0, base + pair.set), 0x0001'0100U) << "only words reach it";
    }
    EXPECT_EQ(m.read32(0, kGicd + 4 + pair.set), 0x0001'0100U) << "each register has interrupts of its own";
  }
}

TEST(VgicRegisters, GroupsAreReadWrite) {
  Machine m{{.cpus = 2, .enabled = false}};
  for (const std::uint64_t base : {kGicd + 4, sgi_base(0), sgi_base(1)}) {
    EXPECT_EQ(m.read32(0, base + gic::GIC_IGROUPR), 0U);
    m.write32(0, base + gic::GIC_IGROUPR, 0xF0F0'A5A5);
    EXPECT_EQ(m.read32(0, base + gic::GIC_IGROUPR), 0xF0F0'A5A5U);
  }
}

TEST(VgicRegisters, PrioritiesByByteAndWord) {
  Machine m{{.enabled = false}};
  for (const std::uint64_t ipa : {kGicd + gic::GIC_IPRIORITYR + 40, sgi_base(0) + gic::GIC_IPRIORITYR + 4}) {
    m.write32(0, ipa, 0xFFFE'A70F);
    EXPECT_EQ(m.read32(0, ipa), 0xF8F8'A008U) << "five bits of each are there";
    m.write(0, ipa + 2, byte, 0x47);
    EXPECT_EQ(m.read32(0, ipa), 0xF840'A008U);
    EXPECT_EQ(m.read(0, ipa + 1, byte), 0xA0U);
    m.write(0, ipa, halfword, 0);
    EXPECT_EQ(m.read(0, ipa, halfword), 0U);
    EXPECT_EQ(m.read32(0, ipa), 0xF840'A008U);
  }
  Machine seven{{.priority_bits = 7}};
  seven.write32(0, kGicd + gic::GIC_IPRIORITYR + 32, ~0U);
  EXPECT_EQ(seven.read32(0, kGicd + gic::GIC_IPRIORITYR + 32), 0xFEFE'FEFEU);
}

TEST(VgicRegisters, Configuration) {
  Machine m{{.enabled = false}};
  m.write32(0, sgi_base(0) + gic::GIC_ICFGR, 0);
  EXPECT_EQ(m.read32(0, sgi_base(0) + gic::GIC_ICFGR), 0xAAAA'AAAAU) << "SGIs are edge-triggered";
  for (const std::uint64_t ipa : {sgi_base(0) + gic::GIC_ICFGR + 4, kGicd + gic::GIC_ICFGR + 8}) {
    EXPECT_EQ(m.read32(0, ipa), 0U);
    m.write32(0, ipa, 0xFFFF'5557);
    EXPECT_EQ(m.read32(0, ipa), 0xAAAA'0002U) << "the low bit of each is RES0";
  }
}

TEST(VgicRegisters, RouterInWholeAndHalves) {
  Machine m{{.enabled = false}};
  const std::uint64_t ipa = kGicd + gic::GICD_IROUTER + 8 * 40;
  m.write(0, ipa, doubleword, ~0ULL);
  EXPECT_EQ(m.read(0, ipa, doubleword), 0xFF'80FF'FFFFU);
  m.write32(0, ipa, 0x0012'3456);
  EXPECT_EQ(m.read(0, ipa, doubleword), 0xFF'0012'3456U);
  m.write32(0, ipa + 4, 0x77);
  EXPECT_EQ(m.read(0, ipa, doubleword), 0x77'0012'3456U);
  EXPECT_EQ(m.read32(0, ipa), 0x12'3456U);
  EXPECT_EQ(m.read32(0, ipa + 4), 0x77U);
  m.write(0, ipa, byte, 0);
  m.write(0, ipa + 2, halfword, 0);
  EXPECT_EQ(m.read(0, ipa, doubleword), 0x77'0012'3456U);
  EXPECT_EQ(m.read(0, ipa + 4, doubleword), 0U) << "unaligned";
  EXPECT_EQ(m.read(0, ipa + 8, doubleword), 0U);
}

TEST(VgicRegisters, WhatIsBeyondTheWidthIsDropped) {
  constexpr std::uint64_t kAbove = ~std::uint64_t{0} << 32;
  Machine m{{.enabled = false}};
  const std::uint64_t router = kGicd + gic::GICD_IROUTER + 8 * 40;
  m.write32(0, router, kAbove | 0x34);
  EXPECT_EQ(m.read(0, router, doubleword), 0x34U);
  m.write32(0, router + 4, kAbove | 0x12);
  EXPECT_EQ(m.read(0, router, doubleword), 0x12'0000'0034U);
  for (const std::uint64_t base : {kGicd + 4, sgi_base(0)}) {
    m.write32(0, base + gic::GIC_ISENABLER, kAbove | 0x10000);
    EXPECT_EQ(m.read32(0, base + gic::GIC_ISENABLER), 0x10000U);
    m.write32(0, base + gic::GIC_ISENABLER, kAbove);
    EXPECT_EQ(m.read32(0, base + gic::GIC_ISENABLER), 0x10000U);
    m.write32(0, base + gic::GIC_IGROUPR, kAbove | 0x3);
    EXPECT_EQ(m.read32(0, base + gic::GIC_IGROUPR), 0x3U) << "of which zeros have a meaning";
  }
  EXPECT_EQ(m.read32(0, kGicd + gic::GIC_ISENABLER + 8), 0U);
  m.write(0, kGicd + gic::GIC_IPRIORITYR + 40, byte, 0xFFFF'FFFF'FFFF'FF10);
  EXPECT_EQ(m.read32(0, kGicd + gic::GIC_IPRIORITYR + 40), 0x10U);
  m.write32(0, kGicd + gic::GIC_ICFGR + 8, kAbove | 0x2);
  EXPECT_EQ(m.read32(0, kGicd + gic::GIC_ICFGR + 12), 0U);
  EXPECT_EQ(m.read32(0, kGicd + gic::GIC_ICFGR + 8), 0x2U);
}

TEST(VgicRegisters, ResetPutsEverythingBack) {
  Machine m{{.cpus = 2}};
  for (const unsigned intid : {3U, 20U, 40U}) {
    m.prepare(1, intid, true);
    m.inject(1, intid);
  }
  m.set_route(40, 1);
  m.spi(41, true);
  m.write32(1, rd_base(1) + gic::GICR_WAKER, 0);
  EXPECT_NE(m.acknowledge(1), gic::kSpurious);
  for (unsigned cpu = 0; cpu < 2; ++cpu) static_cast<void>(m.vgic.save(cpu, m.at(cpu)));
  m.vgic.reset();
  for (unsigned cpu = 0; cpu < 2; ++cpu) {
    m.vgic.load(cpu, m.at(cpu));
    EXPECT_FALSE(m.vgic.has_deliverable(cpu));
    EXPECT_EQ(m.at(cpu).running_priority(), 0xFFU);
    EXPECT_EQ(m.at(cpu).vmcr.get<gic::IchVmcr::VPMR>(), 0U);
    EXPECT_EQ(m.at(cpu).vmcr.get<gic::IchVmcr::VBPR0>(), 2U);
    EXPECT_EQ(m.at(cpu).vmcr.get<gic::IchVmcr::VBPR1>(), 3U);
    EXPECT_EQ(m.read32(0, rd_base(cpu) + gic::GICR_WAKER), 6U);
  }
  m.settle();
  EXPECT_EQ(m.read32(0, kGicd + gic::GICD_CTLR), 0x50U);
  for (const std::uint64_t base : {kGicd + 4, sgi_base(1)}) {
    for (std::uint32_t kind = gic::GIC_IGROUPR; kind < gic::GIC_IPRIORITYR; kind += 0x80) {
      const bool shows_line = base == kGicd + 4 && (kind == gic::GIC_ISPENDR || kind == gic::GIC_ICPENDR);
      EXPECT_EQ(m.read32(0, base + kind), shows_line ? 1U << 9 : 0U) << std::hex << kind;
    }
  }
  EXPECT_EQ(m.read(0, kGicd + gic::GICD_IROUTER + 8 * 40, doubleword), 0U);
  EXPECT_EQ(m.read32(0, kGicd + gic::GIC_IPRIORITYR + 40), 0U);
}

}  // namespace
}  // namespace arm_vcpu::test
