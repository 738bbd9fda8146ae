// SPDX-License-Identifier: Apache-2.0
// Exits of AArch32 code at EL0.
#include <gtest/gtest.h>

#include "vcpu/test_vcpu.hpp"

namespace arm_vcpu {
namespace {

class AArch32Test : public VCpuTest {
 protected:
  // EL0, T32.
  void enter(std::uint64_t itstate = 0, std::uint64_t nzcv = 0) {
    prepare();
    vcpu.trap_frame().spsr = Spsr::from(0x30 | itstate >> 2 << 10 | (itstate & 3) << 25 | nzcv << 28);
  }
  static std::function<void(VCpuContext&)> exit_of(Ec ec, std::uint64_t iss, bool is_32_bit = true) {
    return [=](VCpuContext& context) {
      context.kind = TrapKind::sync;
      context.esr = Esr{}.with<Esr::EC>(ec).with<Esr::IL>(is_32_bit).with<Esr::ISS>(static_cast<std::uint32_t>(iss));
    };
  }
};

constexpr std::uint64_t kAlways = 1U << 24 | 0xEU << 20;
constexpr std::uint64_t kCntpCtl = 1U << 17 | 14U << 10 | 2U << 1;

TEST_F(AArch32Test, PhysicalTimerByMrcAndMcr) {
  enter();
  const Exit read = run(exit_of(Ec::cp15_mcr_mrc, kAlways | kCntpCtl | 4U << 5 | 1));
  ASSERT_TRUE(read.is<Exit::SysRegRead>());
  EXPECT_EQ(read.get_if<Exit::SysRegRead>()->addr, sysreg::CNTP_CTL_EL0.iss());
  ASSERT_TRUE(vcpu.complete_sysreg_read(0xFFFF'FFFF'0000'0005));
  EXPECT_EQ(vcpu.trap_frame().gpr[4], 5U);
  EXPECT_EQ(pc(), kEntry + 4);
  ASSERT_TRUE(vcpu.set_gpr(4, 0xFFFF'FFFF'0000'0001));
  const Exit write = run(exit_of(Ec::cp15_mcr_mrc, kAlways | kCntpCtl | 4U << 5));
  ASSERT_TRUE(write.is<Exit::SysRegWrite>());
  EXPECT_EQ(write.get_if<Exit::SysRegWrite>()->value, 1U);
}

TEST_F(AArch32Test, CompareValueByPairs) {
  enter();
  constexpr std::uint64_t kCval = kAlways | 2U << 16 | 6U << 10 | 5U << 5 | 14U << 1;
  const Exit read = run(exit_of(Ec::cp15_mcrr_mrrc, kCval | 1));
  ASSERT_TRUE(read.is<Exit::SysRegRead>());
  EXPECT_EQ(read.get_if<Exit::SysRegRead>()->addr, sysreg::CNTP_CVAL_EL0.iss());
  ASSERT_TRUE(vcpu.complete_sysreg_read(0x1122'3344'5566'7788));
  EXPECT_EQ(vcpu.trap_frame().gpr[5], 0x5566'7788U);
  EXPECT_EQ(vcpu.trap_frame().gpr[6], 0x1122'3344U);
  const Exit write = run(exit_of(Ec::cp15_mcrr_mrrc, kCval));
  EXPECT_EQ(write.get_if<Exit::SysRegWrite>()->value, 0x1122'3344'5566'7788U);
}

TEST_F(AArch32Test, OthersAreUndefined) {
  for (const std::uint64_t iss : {kAlways | 15U << 10, kAlways | 1U << 14 | kCntpCtl, kAlways | 7U << 10}) {
    enter();
    fake::cpu().entry.reset();
    run(exit_of(Ec::cp15_mcr_mrc, iss), interrupt());
    ASSERT_TRUE(fake::cpu().entry);
    EXPECT_EQ(pc(), 0x8'0600U) << "lower EL, AArch32";
    ASSERT_TRUE(vcpu.unbind());
  }
}

TEST_F(AArch32Test, AConditionThatFailsSkipsTheInstruction) {
  enter(0, 0b0100);                                                                             // Z
  run(exit_of(Ec::cp15_mcr_mrc, 1U << 24 | 0x1U << 20 | kCntpCtl | 4U << 5 | 1), interrupt());  // NE
  EXPECT_EQ(pc(), kEntry + 4);
  const Exit taken = run(exit_of(Ec::cp15_mcr_mrc, 1U << 24 | kCntpCtl | 4U << 5 | 1));  // EQ
  EXPECT_TRUE(taken.is<Exit::SysRegRead>());
}

TEST_F(AArch32Test, WfiInAnItBlock) {
  enter(0x04, 0b0100);  // ITT EQ, at its first instruction: two to come
  EXPECT_TRUE(run(exit_of(Ec::wfx, 0, false)).is<Exit::Halt>());
  EXPECT_EQ(pc(), kEntry + 2) << "16 bits";
  EXPECT_EQ(vcpu.trap_frame().itstate(), 0x08U);
  run(exit_of(Ec::wfx, 0, false));
  EXPECT_EQ(vcpu.trap_frame().itstate(), 0U) << "the block is over";
  EXPECT_EQ(pc(), kEntry + 4);
}

TEST_F(AArch32Test, AnItBlockWhoseConditionFails) {
  enter(0x04, 0);  // EQ, and Z is 0
  run(exit_of(Ec::wfx, 0, false), interrupt());
  EXPECT_EQ(pc(), kEntry + 2);
  EXPECT_EQ(vcpu.trap_frame().itstate(), 0x08U);
}

}  // namespace
}  // namespace arm_vcpu
