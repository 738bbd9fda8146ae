// SPDX-License-Identifier: Apache-2.0
// Trapped system registers and cache maintenance: what is answered, what exits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vcpu/test_vcpu.hpp"

namespace arm_vcpu {
namespace {

using ::testing::Contains;

constexpr std::uint32_t mrs(SysRegId id, unsigned rt) {
  return id.iss() | rt << 5 | 1;
}
constexpr std::uint32_t msr(SysRegId id, unsigned rt) {
  return id.iss() | rt << 5;
}

TEST_F(VCpuTest, IdRegistersAreSanitisedWithoutLeaving) {
  prepare();
  run(sync_exit(Ec::sysreg, mrs(sysreg::ID_AA64PFR0_EL1, 9)), interrupt());
  EXPECT_EQ(IdAa64Pfr0::from(vcpu.trap_frame().gpr[9]).get<IdAa64Pfr0::SVE>(), 0) << "SVE is not virtualised";
  EXPECT_EQ(IdAa64Pfr0::from(vcpu.trap_frame().gpr[9]).get<IdAa64Pfr0::EL1>(), 1) << "AArch64 only: HCR_EL2.RW is 1";
  EXPECT_EQ(pc(), kEntry + 4);
}

TEST_F(VCpuTest, OtherSystemRegistersExitAndWaitForTheAnswer) {
  prepare();
  ASSERT_TRUE(run(sync_exit(Ec::sysreg, mrs(sysreg::CNTP_CTL_EL0, 4))).is<Exit::SysRegRead>());
  EXPECT_EQ(pc(), kEntry);
  ASSERT_TRUE(vcpu.complete_sysreg_read(5));
  EXPECT_EQ(vcpu.trap_frame().gpr[4], 5U);
  EXPECT_EQ(pc(), kEntry + 4);
  const Exit exit = run(sync_exit(Ec::sysreg, msr(sysreg::CNTP_CTL_EL0, 4)));
  ASSERT_TRUE(exit.is<Exit::SysRegWrite>());
  EXPECT_EQ(exit.get_if<Exit::SysRegWrite>()->value, 5U);
  ASSERT_TRUE(vcpu.complete_sysreg_write());
  EXPECT_EQ(pc(), kEntry + 8);
}

TEST_F(VCpuTest, SgiIsDecoded) {
  prepare();
  ASSERT_TRUE(vcpu.set_gpr(1, 1ULL << 40 | 3ULL << 24));
  const Exit exit = run(sync_exit(Ec::sysreg, msr(sysreg::ICC_SGI1R_EL1, 1)));
  const auto* ipi = exit.get_if<Exit::SendIPI>();
  ASSERT_NE(ipi, nullptr);
  EXPECT_TRUE(ipi->send_to_all);
  EXPECT_EQ(ipi->vector, 3);
  EXPECT_EQ(pc(), kEntry + 4);
}

TEST_F(VCpuTest, WithAGicV2ThereAreNoSystemRegistersOfOne) {
  fake::cpu().id.has_gich = true;
  fake::cpu().el1.vbar_el1 = 0x9000;
  prepare();
  ASSERT_TRUE(vcpu.set_gpr(1, 1ULL << 40 | 3ULL << 24));
  // The CPU may have them, and trap them before it finds that they are off.
  run(sync_exit(Ec::sysreg, msr(sysreg::ICC_SGI1R_EL1, 1)), sync_exit(Ec::wfx, 0));
  ASSERT_TRUE(fake::cpu().entry);
  EXPECT_EQ(fake::cpu().entry_esr.get<Esr::EC>(), Ec::unknown);
  EXPECT_EQ(fake::cpu().entry->elr_el1, kEntry);
  run(sync_exit(Ec::sysreg, mrs(sysreg::ID_AA64PFR0_EL1, 2)), sync_exit(Ec::wfx, 0));
  EXPECT_EQ(IdAa64Pfr0::from(vcpu.trap_frame().gpr[2]).get<IdAa64Pfr0::GIC>(), 0U);
}

TEST_F(VCpuTest, ImplementationRegistersReadAsZero) {
  prepare();
  EXPECT_TRUE(Hcr::from(fake::cpu().live.hcr_el2).get<Hcr::TID1>());
  for (const SysRegId id : {sysreg::REVIDR_EL1, sysreg::AIDR_EL1, sysreg::ACTLR_EL1}) {
    ASSERT_TRUE(vcpu.set_gpr(7, 99));
    const std::uint64_t from = pc();
    run(sync_exit(Ec::sysreg, static_cast<std::uint32_t>(id.iss() | 7U << 5 | 1)), interrupt());
    EXPECT_EQ(vcpu.trap_frame().gpr[7], 0U);
    EXPECT_EQ(pc(), from + 4);
  }
}

TEST_F(VCpuTest, AnAbsentIdRegisterNamesItselfWithIdst) {
  prepare();
  const auto iss = static_cast<std::uint32_t>(sysreg::SMIDR_EL1.iss() | 7U << 5 | 1);
  run(sync_exit(Ec::sysreg, iss), interrupt());
  EXPECT_EQ(fake::cpu().entry_esr.get<Esr::EC>(), Ec::unknown);
  ASSERT_TRUE(vcpu.unbind());
  fake::cpu().id_aa64mmfr2 = std::uint64_t{1} << 36;
  ASSERT_TRUE(vcpu.setup({}));
  ASSERT_TRUE(vcpu.bind(per_cpu));
  run(sync_exit(Ec::sysreg, iss), interrupt());
  EXPECT_EQ(fake::cpu().entry_esr.get<Esr::EC>(), Ec::sysreg);
  EXPECT_EQ(fake::cpu().entry_esr.get<Esr::ISS>(), iss);
}

std::uint32_t write_of(SysRegId id, unsigned rt) {
  return static_cast<std::uint32_t>(id.iss() | rt << 5);
}

TEST_F(VCpuTest, OneFlushForASweepBySetAndWay) {
  prepare();
  EXPECT_TRUE(Hcr::from(fake::cpu().live.hcr_el2).get<Hcr::TSW>());
  EXPECT_FALSE(Hcr::from(fake::cpu().live.hcr_el2).get<Hcr::TVM>());
  const auto cisw = [this](std::uint64_t operand) {
    EXPECT_TRUE(vcpu.set_gpr(3, operand));
    const std::uint64_t from = pc();
    const Exit exit = run(sync_exit(Ec::sysreg, write_of(sysreg::DC_CISW, 3)), interrupt());
    EXPECT_EQ(pc(), from + 4);
    return exit;
  };
  ASSERT_TRUE(vcpu.set_gpr(3, 0x40));
  EXPECT_TRUE(run(sync_exit(Ec::sysreg, write_of(sysreg::DC_CISW, 3))).is<Exit::CacheFlush>());
  EXPECT_THAT(fake::cpu().log, Contains("TVM 1"));
  for (unsigned i = 0; i < 100; ++i) {
    EXPECT_FALSE(cisw(0x1000 + i * 0x40).is<Exit::CacheFlush>());
  }
  ASSERT_TRUE(vcpu.set_gpr(3, 0x40));
  EXPECT_TRUE(run(sync_exit(Ec::sysreg, write_of(sysreg::DC_CSW, 3))).is<Exit::CacheFlush>()) << "a second sweep";
}

TEST_F(VCpuTest, TurningCachesOnOrOffFlushesWhileTheyAreMaintained) {
  prepare();
  constexpr std::uint64_t kOn = SctlrEl1::kReset | 1 | 4;
  fake::cpu().el1.sctlr_el1 = SctlrEl1::from(kOn);
  ASSERT_TRUE(vcpu.set_gpr(3, 0x40));
  EXPECT_TRUE(run(sync_exit(Ec::sysreg, write_of(sysreg::DC_ISW, 3))).is<Exit::CacheFlush>());
  ASSERT_TRUE(vcpu.set_gpr(3, 0x1234));
  run(sync_exit(Ec::sysreg, write_of(sysreg::TTBR0_EL1, 3)), interrupt());
  EXPECT_THAT(fake::cpu().log, Contains("TTBR0 4660"));
  ASSERT_TRUE(vcpu.set_gpr(3, SctlrEl1::kReset));
  EXPECT_TRUE(run(sync_exit(Ec::sysreg, write_of(sysreg::SCTLR_EL1, 3))).is<Exit::CacheFlush>());
  EXPECT_EQ(fake::cpu().el1.sctlr_el1.raw, SctlrEl1::kReset);
  EXPECT_THAT(fake::cpu().log, ::testing::Not(Contains("TVM 0"))) << "until they are on again";
  run(sync_exit(Ec::sysreg, write_of(sysreg::SCTLR_EL1, 3)), interrupt());  // off, and stays off
  ASSERT_TRUE(vcpu.set_gpr(3, kOn));
  EXPECT_TRUE(run(sync_exit(Ec::sysreg, write_of(sysreg::SCTLR_EL1, 3))).is<Exit::CacheFlush>());
  EXPECT_THAT(fake::cpu().log, Contains("TVM 0"));
}

}  // namespace
}  // namespace arm_vcpu
