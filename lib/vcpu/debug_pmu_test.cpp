// SPDX-License-Identifier: Apache-2.0
// When debug registers and performance monitors are on the CPU, and whose they are: vCPUs on the fake CPU.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "arm_vcpu/vcpu.hpp"
#include "vcpu/fake_hw.hpp"

namespace arm_vcpu {
namespace {

using Exit = AxVCpuExitReason;
using Step = std::function<void(VCpuContext&)>;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr Stage2Root kRoot{.vttbr_el2 = 0x1ULL << 48 | 0x8000'2000, .vtcr_el2 = 0x8002'3558};
constexpr std::uint64_t kEntry = 0x4008'0000;
constexpr std::uint64_t kMde = Mdscr::MDE::kMask;
constexpr std::uint64_t kSs = Mdscr::SS::kMask;

Step trap(Ec ec, std::uint32_t iss) {
  return [=](VCpuContext& context) {
    context.kind = TrapKind::sync;
    context.esr = Esr{}.with<Esr::EC>(ec).with<Esr::IL>(true).with<Esr::ISS>(iss);
  };
}
Step mrs(SysRegId id, unsigned rt) {
  return trap(Ec::sysreg, id.iss() | rt << 5 | 1);
}
Step msr(SysRegId id, std::uint64_t value) {
  return [=](VCpuContext& context) {
    trap(Ec::sysreg, id.iss() | 9U << 5)(context);
    context.frame.gpr[9] = value;
  };
}
Step interrupt() {
  return [](VCpuContext& context) { context.kind = TrapKind::irq; };
}

class DebugPmuTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fake::reset();
    fake::cpu().id.id_aa64dfr0_el1 = fake::cpu().id_aa64dfr0_el1;
    ASSERT_TRUE(per_cpu.hardware_enable());
  }
  static void prepare(Aarch64VCpu& vcpu, bool pmu = true) {
    ASSERT_TRUE(vcpu.setup({.pmu = pmu}));
    ASSERT_TRUE(vcpu.set_ept_root(kRoot));
    ASSERT_TRUE(vcpu.set_entry(kEntry));
  }
  template <class... Steps>
  static Exit run(Aarch64VCpu& vcpu, Steps... steps) {
    fake::cpu().guest = {steps...};
    const Result<Exit> exit = vcpu.run();
    EXPECT_TRUE(exit);
    EXPECT_TRUE(fake::cpu().guest.empty()) << "run() returned early";
    return exit ? *exit : Exit{};
  }
  // Runs the steps and comes back by an interrupt.
  template <class... Steps>
  static void execute(Aarch64VCpu& vcpu, Steps... steps) {
    EXPECT_TRUE(run(vcpu, steps..., interrupt()).template is<Exit::ExternalInterrupt>());
  }
  static bool traps_pmu() {
    const Mdcr mdcr = Mdcr::from(fake::cpu().live.mdcr_el2);
    EXPECT_EQ(mdcr.get<Mdcr::TPM>(), mdcr.get<Mdcr::TPMCR>());
    return mdcr.get<Mdcr::TPM>();
  }

  Aarch64PerCpu per_cpu{0};
  Aarch64VCpu one = *Aarch64VCpu::create({.mpidr_el1 = 0, .dtb_addr = 0});
  Aarch64VCpu two = *Aarch64VCpu::create({.mpidr_el1 = 1, .dtb_addr = 0});
};

// --- debug registers ------------------------------------------------------------------------------------------------

TEST_F(DebugPmuTest, EveryDebugRegisterTrapsAlways) {
  prepare(one);
  ASSERT_TRUE(one.bind(per_cpu));
  execute(one, msr(sysreg::OSLAR_EL1, 0), msr(sysreg::MDSCR_EL1, kMde));
  const Mdcr mdcr = Mdcr::from(fake::cpu().live.mdcr_el2);
  EXPECT_TRUE(mdcr.get<Mdcr::TDA>() && mdcr.get<Mdcr::TDRA>() && mdcr.get<Mdcr::TDOSA>());
  EXPECT_FALSE(mdcr.get<Mdcr::TDE>());
}

TEST_F(DebugPmuTest, AVcpuThatDoesNotDebugLoadsNothing) {
  prepare(one);
  ASSERT_TRUE(one.bind(per_cpu));
  execute(one, msr(sysreg::DBGBVR0_EL1, 0x1234), msr(sysreg::DBGBCR0_EL1, 0x1E7), msr(sysreg::OSLAR_EL1, 0),
          msr(sysreg::MDSCR_EL1, Mdscr::TDCC::kMask), mrs(sysreg::DBGBVR0_EL1, 3));
  EXPECT_EQ(one.trap_frame().gpr[3], 0x1234U);
  EXPECT_EQ(one.trap_frame().exception_pc(), kEntry + 5 * 4);
  ASSERT_TRUE(one.unbind());
  ASSERT_TRUE(one.bind(per_cpu));
  EXPECT_THAT(fake::cpu().log, Not(Contains("load_debug")));
  EXPECT_EQ(fake::cpu().live.mdscr_el1, Mdscr::TDCC::kMask) << "what EL0 may do is the guest's matter all the same";
}

TEST_F(DebugPmuTest, EnablingLoadsAtOnceAndAtEachBind) {
  prepare(one);
  ASSERT_TRUE(one.bind(per_cpu));
  execute(one, msr(sysreg::OSLAR_EL1, 0), msr(sysreg::DBGBVR2_EL1, 0x1234), msr(sysreg::DBGBCR2_EL1, 0x1E7),
          msr(sysreg::MDSCR_EL1, kMde));
  EXPECT_EQ(fake::cpu().mdscr, kMde);
  EXPECT_EQ(fake::cpu().debug.hardware_breakpoint(2).value, 0x1234U);
  execute(one, msr(sysreg::DBGBVR2_EL1, 0x5678));
  EXPECT_EQ(fake::cpu().debug.hardware_breakpoint(2).value, 0x5678U) << "changes reach the CPU";
  ASSERT_TRUE(one.unbind());
  EXPECT_EQ(fake::cpu().mdscr, 0U) << "the host is not hit by the guest's breakpoints";
  fake::cpu().log.clear();
  ASSERT_TRUE(one.bind(per_cpu));
  EXPECT_THAT(fake::cpu().log, Contains("load_debug"));
  EXPECT_EQ(fake::cpu().live.mdscr_el1, kMde);
}

TEST_F(DebugPmuTest, TheOsLockTakesTheEnablesFromTheCpu) {
  prepare(one);
  ASSERT_TRUE(one.bind(per_cpu));
  execute(one, msr(sysreg::OSLAR_EL1, 0), msr(sysreg::MDSCR_EL1, kMde | kSs));
  EXPECT_EQ(fake::cpu().mdscr, kMde | kSs);
  execute(one, msr(sysreg::OSLAR_EL1, 1), mrs(sysreg::MDSCR_EL1, 4));
  EXPECT_EQ(fake::cpu().mdscr, 0U);
  EXPECT_EQ(one.trap_frame().gpr[4], kMde | kSs);
  execute(one, msr(sysreg::OSLAR_EL1, 0));
  EXPECT_EQ(fake::cpu().mdscr, kMde | kSs);
}

TEST_F(DebugPmuTest, AFreshVcpuSeesNothingOfAnother) {
  prepare(one);
  prepare(two);
  ASSERT_TRUE(one.bind(per_cpu));
  execute(one, msr(sysreg::OSLAR_EL1, 0), msr(sysreg::DBGBVR0_EL1, 0x1234), msr(sysreg::DBGBCR0_EL1, 0x1E7),
          msr(sysreg::DBGWCR0_EL1, 0x1FF7), msr(sysreg::DBGCLAIMSET_EL1, 0xFF), msr(sysreg::MDSCR_EL1, kMde));
  ASSERT_TRUE(one.unbind());
  ASSERT_TRUE(two.bind(per_cpu));
  EXPECT_EQ(fake::cpu().live.mdscr_el1, 0U) << "what is still in the CPU cannot hit";
  execute(two, mrs(sysreg::DBGBVR0_EL1, 1), mrs(sysreg::DBGBCR0_EL1, 2), mrs(sysreg::DBGWCR0_EL1, 3),
          mrs(sysreg::DBGCLAIMCLR_EL1, 4), mrs(sysreg::MDSCR_EL1, 5), mrs(sysreg::OSLSR_EL1, 6));
  for (unsigned rt = 1; rt <= 5; ++rt) EXPECT_EQ(two.trap_frame().gpr[rt], 0U) << rt;
  EXPECT_EQ(two.trap_frame().gpr[6], 0xAU);
  execute(two, msr(sysreg::OSLAR_EL1, 0), msr(sysreg::MDSCR_EL1, kMde));
  EXPECT_EQ(fake::cpu().debug.hardware_breakpoint(0).control, 0U) << "all of them are overwritten";
  EXPECT_EQ(fake::cpu().debug.hardware_watchpoint(0).control, 0U);
}

TEST_F(DebugPmuTest, AReset) {
  prepare(one);
  ASSERT_TRUE(one.bind(per_cpu));
  execute(one, msr(sysreg::OSLAR_EL1, 0), msr(sysreg::DBGBCR0_EL1, 0x1E7), msr(sysreg::MDSCR_EL1, kMde));
  ASSERT_TRUE(one.unbind());
  ASSERT_TRUE(one.reset(kEntry, 0));
  EXPECT_FALSE(one.debug_registers().in_use());
  EXPECT_EQ(one.debug_registers().read(sysreg::DBGBCR0_EL1), 0U);
}

TEST_F(DebugPmuTest, BadAccessesAreUndefined) {
  prepare(one);
  ASSERT_TRUE(one.bind(per_cpu));
  for (const Step& access : {mrs(sysreg::DBGBCR6_EL1, 1), msr(sysreg::DBGWCR4_EL1, 1), mrs(sysreg::OSLAR_EL1, 1),
                             msr(sysreg::OSLSR_EL1, 1)}) {
    fake::cpu().entry.reset();
    execute(one, access);
    ASSERT_TRUE(fake::cpu().entry);
    EXPECT_EQ(fake::cpu().entry_esr.get<Esr::EC>(), Ec::unknown);
  }
}

// A trapped instruction that is emulated has been executed: it was the step.
TEST_F(DebugPmuTest, AnEmulatedInstructionEndsASingleStep) {
  prepare(one);
  ASSERT_TRUE(one.bind(per_cpu));
  const auto set_ss = [&] { one.trap_frame().spsr = one.trap_frame().spsr.with<Spsr::SS>(true); };
  const auto ss = [&] { return one.trap_frame().spsr.get<Spsr::SS>(); };
  set_ss();
  execute(one, mrs(sysreg::ID_AA64PFR0_EL1, 1));
  EXPECT_FALSE(ss());
  set_ss();
  ASSERT_TRUE(run(one, mrs(sysreg::CNTP_CTL_EL0, 1)).is<Exit::SysRegRead>());
  EXPECT_TRUE(ss()) << "not yet executed";
  ASSERT_TRUE(one.complete_sysreg_read(0));
  EXPECT_FALSE(ss());
  set_ss();
  execute(one, mrs(sysreg::DBGBCR15_EL1, 1));  // UNDEFINED: an exception is no step
  EXPECT_EQ(Spsr::from(fake::cpu().entry->spsr_el1).get<Spsr::SS>(), true);
  EXPECT_FALSE(ss()) << "PSTATE.SS is 0 on entry to EL1";
}

TEST_F(DebugPmuTest, NothingIsAnsweredAtTheVectorWhileTheGuestSteps) {
  prepare(one);
  ASSERT_TRUE(one.bind(per_cpu));
  execute(one, msr(sysreg::OSLAR_EL1, 0), msr(sysreg::MDSCR_EL1, kMde));
  EXPECT_EQ(fake::cpu().vectors, Vectors::answering);
  execute(one, msr(sysreg::MDSCR_EL1, kSs));
  EXPECT_EQ(fake::cpu().vectors, Vectors::plain);
  ASSERT_TRUE(one.unbind());
  EXPECT_EQ(fake::cpu().vectors, Vectors::answering);
  ASSERT_TRUE(one.bind(per_cpu));
  EXPECT_EQ(fake::cpu().vectors, Vectors::plain);
  execute(one, msr(sysreg::OSLAR_EL1, 1));
  EXPECT_EQ(fake::cpu().vectors, Vectors::answering);
  ASSERT_TRUE(one.unbind());
  ASSERT_TRUE(per_cpu.hardware_disable());
  ASSERT_TRUE(per_cpu.hardware_enable(Vectors::plain));
  ASSERT_TRUE(one.bind(per_cpu));
  execute(one, msr(sysreg::OSLAR_EL1, 0), msr(sysreg::MDSCR_EL1, 0));
  EXPECT_EQ(fake::cpu().vectors, Vectors::plain) << "what hardware_enable() was told";
}

// --- performance monitors -------------------------------------------------------------------------------------------

TEST_F(DebugPmuTest, TheFirstTouchBringsThePmuAndTheInstructionRunsAgain) {
  prepare(one);
  ASSERT_TRUE(one.bind(per_cpu));
  EXPECT_TRUE(traps_pmu());
  execute(one, mrs(sysreg::PMCR_EL0, 1));
  EXPECT_FALSE(traps_pmu());
  EXPECT_EQ(one.trap_frame().exception_pc(), kEntry);
  EXPECT_THAT(fake::cpu().log, Contains("load_pmu 6")) << "as many counters as the host's MDCR_EL2.HPMN";
  EXPECT_EQ(Mdcr::from(fake::cpu().live.mdcr_el2).get<Mdcr::HPMN>(), 6U);
}

TEST_F(DebugPmuTest, ATrapThatStaysATrapIsReported) {
  prepare(one);
  ASSERT_TRUE(one.bind(per_cpu));
  execute(one, mrs(sysreg::PMCR_EL0, 1));
  EXPECT_TRUE(run(one, mrs(sysreg::PMCR_EL0, 1)).is<Exit::SysRegRead>()) << "it would loop without end otherwise";
}

TEST_F(DebugPmuTest, HiddenItIsReportedAndNeverLoaded) {
  prepare(one, false);
  EXPECT_FALSE(one.has_pmu());
  ASSERT_TRUE(one.bind(per_cpu));
  EXPECT_TRUE(run(one, mrs(sysreg::PMCR_EL0, 1)).is<Exit::SysRegRead>());
  execute(one, mrs(sysreg::ID_AA64DFR0_EL1, 2));
  EXPECT_EQ(one.trap_frame().gpr[2] >> 8 & 0xF, 0U);
  EXPECT_FALSE(fake::cpu().pmu);
  ASSERT_TRUE(one.unbind());
  EXPECT_THAT(fake::cpu().log, Not(Contains(HasSubstr("pmu"))));
}

TEST_F(DebugPmuTest, ACpuWithoutOneHasNoneToShow) {
  for (const std::uint64_t version : {0x0U, 0xFU}) {
    fake::cpu().id.id_aa64dfr0_el1 = fake::cpu().id_aa64dfr0_el1 = 0x1030'5006 | version << 8;
    Aarch64VCpu vcpu = *Aarch64VCpu::create({.mpidr_el1 = 0, .dtb_addr = 0});
    prepare(vcpu);
    EXPECT_FALSE(vcpu.has_pmu());
  }
}

TEST_F(DebugPmuTest, StateIsKeptWhileAnotherVcpuRuns) {
  prepare(one);
  prepare(two);
  ASSERT_TRUE(one.bind(per_cpu));
  execute(one, mrs(sysreg::PMCR_EL0, 1));
  fake::cpu().pmu->pmccntr = 1111;
  fake::cpu().pmu->pmcr = 1;
  fake::cpu().pmu->pmcnten = PmuState::kCycleCounter;
  ASSERT_TRUE(one.unbind());
  EXPECT_FALSE(fake::cpu().pmu) << "stopped";

  ASSERT_TRUE(two.bind(per_cpu));
  EXPECT_TRUE(traps_pmu());
  execute(two, mrs(sysreg::PMCCNTR_EL0, 1));
  EXPECT_EQ(fake::cpu().pmu->pmccntr, 0U);
  EXPECT_EQ(fake::cpu().pmu->pmcnten, 0U);
  ASSERT_TRUE(two.unbind());

  ASSERT_TRUE(one.bind(per_cpu));
  EXPECT_FALSE(traps_pmu()) << "it counts, so it must be there from the beginning";
  EXPECT_EQ(fake::cpu().pmu->pmccntr, 1111U);
}

TEST_F(DebugPmuTest, AnIdlePmuIsNotLoadedUntilTouched) {
  prepare(one);
  ASSERT_TRUE(one.bind(per_cpu));
  execute(one, mrs(sysreg::PMCR_EL0, 1));
  fake::cpu().pmu->pmevcntr[3] = 33;
  ASSERT_TRUE(one.unbind());
  ASSERT_TRUE(one.bind(per_cpu));
  EXPECT_TRUE(traps_pmu());
  EXPECT_FALSE(fake::cpu().pmu);
  execute(one, mrs(sysreg::PMEVCNTR3_EL0, 1));
  EXPECT_EQ(fake::cpu().pmu->pmevcntr[3], 33U);
}

TEST_F(DebugPmuTest, AResetForgetsThePmu) {
  prepare(one);
  for (unsigned life = 0; life < 3; ++life) {
    ASSERT_TRUE(one.bind(per_cpu));
    EXPECT_TRUE(traps_pmu()) << life;
    execute(one, mrs(sysreg::PMCR_EL0, 1));
    EXPECT_EQ(fake::cpu().pmu->pmcr, 0U) << life;
    EXPECT_EQ(fake::cpu().pmu->pmevcntr[1], 0U) << life;
    fake::cpu().pmu->pmcr = 1;
    fake::cpu().pmu->pmcnten = 2;
    fake::cpu().pmu->pmevcntr[1] = 77;
    ASSERT_TRUE(one.unbind());
    ASSERT_TRUE(one.reset(kEntry, 0));
  }
}

TEST_F(DebugPmuTest, APendingOverflowIsInUse) {
  PmuState state;
  state.pmcr = 1;
  state.pmovs = 4;
  EXPECT_FALSE(state.in_use());
  state.pminten = 4;
  EXPECT_TRUE(state.in_use());
  state.pmcr = 0;
  EXPECT_FALSE(state.in_use());
}

TEST_F(DebugPmuTest, EveryEncodingThatTpmTrapsIsAPmuRegister) {
  for (const SysRegId id : {sysreg::PMCR_EL0, sysreg::PMCCNTR_EL0, sysreg::PMXEVCNTR_EL0, sysreg::PMUSERENR_EL0,
                            sysreg::PMOVSSET_EL0, sysreg::PMINTENSET_EL1, sysreg::PMINTENCLR_EL1, sysreg::PMMIR_EL1,
                            sysreg::PMCCFILTR_EL0, sysreg::PMEVCNTR0_EL0, sysreg::PMEVTYPER30_EL0}) {
    EXPECT_TRUE(is_pmu_register(id));
  }
  for (const SysRegId id : {sysreg::PMSCR_EL1, sysreg::PMBLIMITR_EL1, sysreg::CNTP_CTL_EL0, sysreg::MDSCR_EL1}) {
    EXPECT_FALSE(is_pmu_register(id));
  }
}

TEST_F(DebugPmuTest, El2IsNotCountedAsFarAsTheCpuCan) {
  struct Case {
    std::uint64_t version;
    bool hpmd, hccd;
  };
  for (const Case& c : {Case{1, false, false}, Case{4, true, false}, Case{5, true, false}, Case{6, true, true}}) {
    fake::reset();
    fake::cpu().id.id_aa64dfr0_el1 = fake::cpu().id_aa64dfr0_el1 = 0x1030'5006 | c.version << 8;
    Aarch64PerCpu cpu{0};
    ASSERT_TRUE(cpu.hardware_enable());
    Aarch64VCpu vcpu = *Aarch64VCpu::create({.mpidr_el1 = 0, .dtb_addr = 0});
    prepare(vcpu);
    ASSERT_TRUE(vcpu.bind(cpu));
    EXPECT_EQ(Mdcr::from(fake::cpu().live.mdcr_el2).get<Mdcr::HPMD>(), c.hpmd) << c.version;
    EXPECT_EQ(Mdcr::from(fake::cpu().live.mdcr_el2).get<Mdcr::HCCD>(), c.hccd) << c.version;
  }
}

// EL0 may be AArch32: MRC p15, 0, Rt, c9, c13, 0 and MRRC p15, 0, Rt, Rt2, c9.
TEST_F(DebugPmuTest, AArch32TouchesItToo) {
  for (const Step& access : {trap(Ec::cp15_mcr_mrc, 9U << 10 | 13U << 1 | 1),
                             trap(Ec::cp15_mcr_mrc, 14U << 10 | 8U << 1), trap(Ec::cp15_mcrr_mrrc, 9U << 1 | 1)}) {
    Aarch64VCpu vcpu = *Aarch64VCpu::create({.mpidr_el1 = 0, .dtb_addr = 0});
    prepare(vcpu);
    ASSERT_TRUE(vcpu.bind(per_cpu));
    execute(vcpu, access);
    EXPECT_TRUE(fake::cpu().pmu);
    EXPECT_EQ(vcpu.trap_frame().exception_pc(), kEntry);
    ASSERT_TRUE(vcpu.unbind());
  }
  prepare(one);
  ASSERT_TRUE(one.bind(per_cpu));
  execute(one, trap(Ec::cp15_mcr_mrc, 7U << 10));
  EXPECT_FALSE(fake::cpu().pmu);
  EXPECT_EQ(fake::cpu().entry_esr.get<Esr::EC>(), Ec::unknown);
}

}  // namespace
}  // namespace arm_vcpu
