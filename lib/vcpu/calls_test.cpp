// SPDX-License-Identifier: Apache-2.0
// HVC and SMC: hypercalls, PSCI, services, and what reaches the firmware.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vcpu/test_vcpu.hpp"

namespace arm_vcpu {
namespace {

using ::testing::ElementsAre;

TEST_F(VCpuTest, HypercallCarriesItsArguments) {
  prepare();
  for (unsigned i = 0; i < 8; ++i) {
    ASSERT_TRUE(vcpu.set_gpr(i, 0xC600'0000 + i));
  }
  const Exit exit = run(sync_exit(Ec::hvc64, 0));
  const auto* call = exit.get_if<Exit::Hypercall>();
  ASSERT_NE(call, nullptr);
  EXPECT_EQ(call->nr, 0xC600'0000U);
  EXPECT_THAT(call->args, ElementsAre(0xC600'0001, 0xC600'0002, 0xC600'0003, 0xC600'0004, 0xC600'0005, 0xC600'0006));
  EXPECT_EQ(pc(), kEntry) << "ELR of an HVC is already past it";
}

TEST_F(VCpuTest, HvcWithAnImmediateIsNotPsci) {
  prepare();
  ASSERT_TRUE(vcpu.set_gpr(0, 0x8400'0000));
  const Exit exit = run(sync_exit(Ec::hvc64, 7));
  ASSERT_TRUE(exit.is<Exit::Hypercall>());
  EXPECT_EQ(exit.get_if<Exit::Hypercall>()->imm, 7);
}

TEST_F(VCpuTest, PsciVersionByHvcAndSmc) {
  prepare();
  ASSERT_TRUE(vcpu.set_gpr(0, 0xFFFF'FFFF'8400'0000));  // the upper half of x0 means nothing
  run(sync_exit(Ec::hvc64, 0), interrupt());
  EXPECT_EQ(vcpu.trap_frame().gpr[0], 0x1'0001U);
  EXPECT_EQ(pc(), kEntry);
  ASSERT_TRUE(vcpu.set_gpr(0, 0x8400'0000));
  run(sync_exit(Ec::smc64, 0), interrupt());
  EXPECT_EQ(vcpu.trap_frame().gpr[0], 0x1'0001U);
  EXPECT_EQ(pc(), kEntry + 4) << "ELR of a trapped SMC is at it";
}

TEST_F(VCpuTest, UnknownSmcIsAnsweredAndNotForwarded) {
  prepare();
  ASSERT_TRUE(vcpu.set_gpr(0, 0xC200'0001));
  run(sync_exit(Ec::smc64, 0), interrupt());
  EXPECT_EQ(vcpu.trap_frame().gpr[0], ~0ULL);
  EXPECT_EQ(pc(), kEntry + 4);
  for (const std::string& line : fake::cpu().log) {
    EXPECT_FALSE(line.starts_with("firmware")) << line;
  }
}

TEST_F(VCpuTest, AnAllowedSmcIsForwardedWithX0ToX17) {
  constexpr FunctionRange kAllowed[] = {{0xC200'0000, 0xC200'00FF}};
  prepare({.smc_filter = SmcFilter{kAllowed}});
  for (unsigned i = 0; i < 31; ++i) {
    ASSERT_TRUE(vcpu.set_gpr(i, 0x1000 + i));
  }
  ASSERT_TRUE(vcpu.set_gpr(0, 0xFFFF'FFFF'C201'0042));  // with the SVE hint
  fake::cpu().firmware = [](hw::FirmwareRegisters& x) {
    for (std::uint64_t& value : x) value += 0x10'0000;
  };
  run(sync_exit(Ec::smc64, 0), interrupt());
  EXPECT_EQ(fake::cpu().firmware_saw[0], 0xC200'0042U) << "the firmware has to keep SVE state";
  EXPECT_EQ(fake::cpu().firmware_saw[17], 0x1011U);
  EXPECT_EQ(vcpu.trap_frame().gpr[0], 0xC210'0042U);
  for (unsigned i = 1; i < 18; ++i) {
    EXPECT_EQ(vcpu.trap_frame().gpr[i], 0x10'1000U + i);
  }
  for (unsigned i = 18; i < 31; ++i) {
    EXPECT_EQ(vcpu.trap_frame().gpr[i], 0x1000U + i);
  }
  EXPECT_EQ(pc(), kEntry + 4);
}

TEST_F(VCpuTest, WhatTheFilterDoesNotNameStaysHere) {
  constexpr FunctionRange kAllowed[] = {{0xC200'0000, 0xC200'00FF}, {0x8400'0000, 0x8400'FFFF}};
  prepare({.smc_filter = SmcFilter{kAllowed}});
  for (const std::uint64_t id : {0xC200'0100ULL, 0xC1FF'FFFFULL, 0x8200'0000ULL, 0x8400'001FULL, 0x8000'8000ULL}) {
    ASSERT_TRUE(vcpu.set_gpr(0, id));
    ASSERT_TRUE(vcpu.set_gpr(1, 5));
    run(sync_exit(Ec::smc64, 0), interrupt());
    EXPECT_EQ(vcpu.trap_frame().gpr[0], ~0ULL) << std::hex << id;
    EXPECT_EQ(vcpu.trap_frame().gpr[1], 5U) << std::hex << id;
  }
  ASSERT_TRUE(vcpu.set_gpr(0, 0xC200'0000));
  run(sync_exit(Ec::smc64, 1), interrupt());  // SMC #1 is outside the convention
  EXPECT_EQ(vcpu.trap_frame().gpr[0], ~0ULL);
  ASSERT_TRUE(vcpu.set_gpr(0, 0xC200'0000));
  EXPECT_TRUE(run(sync_exit(Ec::hvc64, 0)).is<Exit::Hypercall>()) << "an HVC is for the hypervisor";
  for (const std::string& line : fake::cpu().log) {
    EXPECT_FALSE(line.starts_with("firmware")) << line;
  }
}

TEST_F(VCpuTest, AWorkaroundIsForwardedWithoutArguments) {
  prepare({.psci = {.workarounds = {.workaround_1 = Workaround::required}}});
  for (unsigned i = 1; i < 18; ++i) {
    ASSERT_TRUE(vcpu.set_gpr(i, 0x1000 + i));
  }
  ASSERT_TRUE(vcpu.set_gpr(0, 0x8000'8000));
  run(sync_exit(Ec::hvc64, 0), interrupt());
  EXPECT_EQ(fake::cpu().firmware_saw, (hw::FirmwareRegisters{0x8000'8000}));
  EXPECT_EQ(vcpu.trap_frame().gpr[0], 0U);
  EXPECT_EQ(vcpu.trap_frame().gpr[17], 0x1011U);
}

TEST_F(VCpuTest, ServicesByHvcAndSmc) {
  prepare({.services = {.entropy = EntropySource::rndrrs, .stolen_time_ipa = 0x90A'0000}});
  for (const Ec ec : {Ec::hvc64, Ec::smc64}) {
    ASSERT_TRUE(vcpu.set_gpr(0, 0xC400'0053));
    ASSERT_TRUE(vcpu.set_gpr(1, 192));
    run(sync_exit(ec, 0), interrupt());
    EXPECT_EQ(vcpu.trap_frame().gpr[0], 0U);
    EXPECT_EQ(vcpu.trap_frame().gpr[1], 3U);
    EXPECT_EQ(vcpu.trap_frame().gpr[3], 1U);
    ASSERT_TRUE(vcpu.set_gpr(0, 0xC500'0021));
    ASSERT_TRUE(vcpu.set_gpr(1, 77));
    run(sync_exit(ec, 0), interrupt());
    EXPECT_EQ(vcpu.trap_frame().gpr[0], 0x90A'0000U);
    EXPECT_EQ(vcpu.trap_frame().gpr[1], 77U) << "one result, one register";
  }
}

TEST_F(VCpuTest, SystemOffAndReset) {
  prepare();
  ASSERT_TRUE(vcpu.set_gpr(0, 0x8400'0008));
  EXPECT_TRUE(run(sync_exit(Ec::hvc64, 0)).is<Exit::SystemDown>());
  ASSERT_TRUE(vcpu.set_gpr(0, 0x8400'0009));
  EXPECT_TRUE(run(sync_exit(Ec::hvc64, 0)).is<Exit::SystemReset>());
}

TEST_F(VCpuTest, CpuOnMarksTheTargetAndExits) {
  PowerSlot slots[2];
  slots[0].mpidr = 1;
  slots[1].mpidr = 2;
  PowerDomain domain{slots, {}};
  domain.reset(0);
  prepare({.power = &domain});
  ASSERT_TRUE(vcpu.set_gpr(0, 0xC400'0003));
  ASSERT_TRUE(vcpu.set_gpr(1, 2));
  ASSERT_TRUE(vcpu.set_gpr(2, 0x4010'0000));
  ASSERT_TRUE(vcpu.set_gpr(3, 77));
  const Exit exit = run(sync_exit(Ec::hvc64, 0));
  const auto* up = exit.get_if<Exit::CpuUp>();
  ASSERT_NE(up, nullptr);
  EXPECT_EQ(up->target_cpu, 2U);
  EXPECT_EQ(up->entry_point, 0x4010'0000U);
  EXPECT_EQ(up->arg, 77U);
  EXPECT_EQ(vcpu.trap_frame().gpr[0], 0U) << "SUCCESS is in x0 already";
  ASSERT_TRUE(vcpu.set_gpr(0, 0xC400'0003));
  run(sync_exit(Ec::hvc64, 0), interrupt());
  EXPECT_EQ(static_cast<std::int64_t>(vcpu.trap_frame().gpr[0]), -5) << "ON_PENDING";
}

TEST_F(VCpuTest, CpuOffExits) {
  prepare();
  ASSERT_TRUE(vcpu.set_gpr(0, 0x8400'0002));
  const Exit exit = run(sync_exit(Ec::hvc64, 0));
  ASSERT_TRUE(exit.is<Exit::CpuDown>());
  EXPECT_EQ(exit.get_if<Exit::CpuDown>()->state, 0U);
}

}  // namespace
}  // namespace arm_vcpu
