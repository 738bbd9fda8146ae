// SPDX-License-Identifier: Apache-2.0
// Waits, interrupts, SErrors, and classes that nobody handles.
#include <gtest/gtest.h>

#include "vcpu/test_vcpu.hpp"

namespace arm_vcpu {
namespace {

TEST_F(VCpuTest, WfiHalts) {
  prepare();
  EXPECT_FALSE(run(sync_exit(Ec::wfx, 0)).get_if<Exit::Halt>()->is_wfe);
  EXPECT_TRUE(run(sync_exit(Ec::wfx, 1)).get_if<Exit::Halt>()->is_wfe);
  EXPECT_EQ(pc(), kEntry + 8);
}

TEST_F(VCpuTest, PhysicalInterruptsAreReported) {
  prepare();
  fake::cpu().pending_interrupt = 27;
  EXPECT_EQ(run(interrupt()).get_if<Exit::ExternalInterrupt>()->vector, 27U);
  EXPECT_TRUE(run(interrupt(TrapKind::fiq)).is<Exit::ExternalInterrupt>());
}

TEST_F(VCpuTest, SErrorIsReportedNotFatal) {
  prepare();
  const Exit exit = run([](VCpuContext& context) {
    context.kind = TrapKind::serror;
    context.esr = Esr{}.with<Esr::EC>(Ec::serror);
  });
  ASSERT_TRUE(exit.is<Exit::FailEntry>());
  EXPECT_TRUE(exit.get_if<Exit::FailEntry>()->is_serror);
  ASSERT_TRUE(vcpu.inject_serror());
  EXPECT_TRUE(fake::cpu().serror_pending);
}

TEST_F(VCpuTest, EveryUnhandledClassInjectsUndefined) {
  prepare();
  for (unsigned ec = 0; ec < 64; ++ec) {
    switch (static_cast<Ec>(ec)) {
      case Ec::hvc64:
      case Ec::smc64:
      case Ec::sysreg:
      case Ec::wfx:
      case Ec::data_abort_lower:
      case Ec::instruction_abort_lower:
      case Ec::fp_access:
      case Ec::cp15_mcr_mrc:
      case Ec::cp15_mcrr_mrrc: continue;
      default: break;
    }
    fake::cpu().entry.reset();
    const std::uint64_t from = pc();
    run(sync_exit(static_cast<Ec>(ec), 0), interrupt());
    ASSERT_TRUE(fake::cpu().entry) << ec;
    EXPECT_EQ(fake::cpu().entry_esr.raw, 0x0200'0000U) << ec;
    EXPECT_EQ(fake::cpu().entry->elr_el1, from) << ec;
    EXPECT_EQ(pc(), 0x8'0200U) << "current EL with SPx, synchronous";
  }
  EXPECT_GT(vcpu.unexpected_exits(), 30U);
}

TEST_F(VCpuTest, WfitHasItsDeadlineInPhysicalTime) {
  prepare({.cntvoff_el2 = 1000});
  ASSERT_TRUE(vcpu.set_gpr(9, 77));
  const Exit exit = run(sync_exit(Ec::wfx, 9U << 5 | 1U << 2 | 2));
  ASSERT_TRUE(exit.is<Exit::Halt>());
  EXPECT_TRUE(exit.get_if<Exit::Halt>()->has_deadline);
  EXPECT_FALSE(exit.get_if<Exit::Halt>()->is_wfe);
  EXPECT_EQ(exit.get_if<Exit::Halt>()->deadline, 1077U);
  EXPECT_EQ(pc(), kEntry + 4);
  run(sync_exit(Ec::wfx, 9U << 5 | 2), interrupt());  // without RV: a wait that ends at once
  EXPECT_FALSE(run(sync_exit(Ec::wfx, 0)).get_if<Exit::Halt>()->has_deadline);
}

}  // namespace
}  // namespace arm_vcpu
