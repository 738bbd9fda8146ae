// SPDX-License-Identifier: Apache-2.0
// The images of GICH registers against those that the vGIC is written for. Numbers are from [gicv2] "Virtual interface
// control registers", not from the code.
#include "arm_vcpu/arch/gic_v2.hpp"

#include <gtest/gtest.h>

#include <random>

namespace arm_vcpu::gic {
namespace {

TEST(GicV2, ListRegisterOfEachKind) {
  // A linked timer, PPI 27, pending, Group 0, priority 0xA0.
  EXPECT_EQ(gich_lr(IchLr{}
                        .with<IchLr::State>(LrState::pending)
                        .with<IchLr::HW>(true)
                        .with<IchLr::Priority>(0xA0)
                        .with<IchLr::pINTID>(27)
                        .with<IchLr::vINTID>(27)),
            0x8000'0000U | 1U << 28 | 0x14U << 23 | 27U << 10 | 27);
  // SGI 5 of CPU 3, active, Group 1, with a maintenance interrupt in the end.
  EXPECT_EQ(gich_lr(IchLr{}
                        .with<IchLr::State>(LrState::active)
                        .with<IchLr::Group>(true)
                        .with<IchLr::EOI>(true)
                        .with<IchLr::CPUID>(3)
                        .with<IchLr::vINTID>(5)),
            1U << 30 | 2U << 28 | 1U << 19 | 3U << 10 | 5);
  // The last SPI, pending and active, lowest priority.
  EXPECT_EQ(gich_lr(IchLr{}
                        .with<IchLr::State>(LrState::pending_and_active)
                        .with<IchLr::Priority>(0xF8)
                        .with<IchLr::vINTID>(1019)),
            3U << 28 | 0x1FU << 23 | 1019);
}

TEST(GicV2, EveryBitOfAListRegisterComesBack) {
  constexpr std::uint32_t kReserved = 0x7U << 20;  // 22:20
  for (unsigned bit = 0; bit < 32; ++bit) {
    const std::uint32_t raw = (1U << bit) & ~kReserved;
    EXPECT_EQ(gich_lr(ich_lr(raw)), raw) << bit;
  }
  std::mt19937 random{1};
  for (int n = 0; n < 100'000; ++n) {
    const auto raw = static_cast<std::uint32_t>(random()) & ~kReserved;
    const IchLr lr = ich_lr(raw);
    ASSERT_EQ(gich_lr(lr), raw);
    ASSERT_EQ(lr.get<IchLr::State>(), static_cast<LrState>(raw >> 28 & 3));
    ASSERT_EQ(lr.get<IchLr::HW>(), raw >> 31 != 0);
    ASSERT_EQ(lr.get<IchLr::Group>(), (raw >> 30 & 1) != 0);
    ASSERT_EQ(lr.get<IchLr::Priority>(), (raw >> 23 & 0x1F) << 3);
    ASSERT_EQ(lr.get<IchLr::vINTID>(), raw & 0x3FF);
    ASSERT_EQ(lr.get<IchLr::pINTID>(), raw >> 10 & 0x3FF);
    ASSERT_EQ(lr.get<IchLr::EOI>(), (raw >> 19 & 1) != 0);
    ASSERT_EQ(lr.get<IchLr::CPUID>(), raw >> 10 & 7);
    ASSERT_EQ(ich_lr(gich_lr(lr)), lr);
  }
}

TEST(GicV2, ControlRegisters) {
  EXPECT_EQ(gich_hcr(IchHcr::from(~0ULL)), 0xF800'00FFU) << "no traps, and EOICount";
  EXPECT_EQ(ich_hcr(0xF800'00FF).raw, 0xF800'00FFU);
  EXPECT_EQ(ich_hcr(~0U).get<IchHcr::TDIR>(), false);
  EXPECT_EQ(gich_vmcr(IchVmcr::from(~0ULL)), 0xF8FC'021FU);
  EXPECT_EQ(ich_vmcr(0xF8FC'021F).get<IchVmcr::VPMR>(), 0xF8);
  EXPECT_EQ(gich_vmcr(IchVmcr{}.with<IchVmcr::VPMR>(0xF0).with<IchVmcr::VBPR0>(2).with<IchVmcr::VBPR1>(3)),
            0x1EU << 27 | 2U << 21 | 3U << 18);
}

TEST(GicV2, TypeRegister) {
  const IchVtr four = ich_vtr(0x9000'0003);  // GIC-400: five bits of priority and preemption, four list registers
  EXPECT_EQ(four.list_registers(), 4U);
  EXPECT_EQ(four.priority_bits(), 5U);
  EXPECT_EQ(four.preemption_bits(), 5U);
  EXPECT_EQ(four.active_priority_registers(), 1U);
  EXPECT_FALSE(four.get<IchVtr::TDS>());
  EXPECT_EQ(ich_vtr(0x9000'003F).list_registers(), kMaxListRegisters) << "64 are there";
  EXPECT_EQ(ich_vtr(0x9000'0010).list_registers(), kMaxListRegisters) << "17 are there";
}

}  // namespace
}  // namespace arm_vcpu::gic
