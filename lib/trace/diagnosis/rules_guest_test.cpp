// SPDX-License-Identifier: Apache-2.0
#include "test_state.hpp"

namespace arm_vcpu::diag {
namespace {

class Guest : public TestState {
 protected:
  std::vector<Code> undefined(std::uint64_t esr) {
    set_exit(esr, kEntry);
    look(trigger::UndefinedInjected{});
    return codes();
  }
  // The guest took an exception at `at`, and is in its handler.
  std::vector<Code> took(std::uint64_t esr, std::uint64_t at, std::uint64_t far = 0) {
    registers.esr_el1 = esr;
    registers.elr_el1 = at;
    registers.far_el1 = far;
    exit.frame.elr = kVbar + 0x200;
    exit.frame.spsr = Spsr::from(0x3C5);
    look(trigger::Inspection{});
    return codes();
  }
};

TEST_F(Guest, RegisterOfAHiddenFeature) {
  EXPECT_THAT(undefined(esr_of(Ec::sysreg, sysreg::PMCR_EL0.iss() | 5U << 5)), ElementsAre(Code::sysreg_unhandled));
  EXPECT_THAT(text(), HasSubstr("write of PMCR_EL0"));
  EXPECT_THAT(text(), HasSubstr("ID_AA64DFR0_EL1.PMUVer hides it from the guest"));
  EXPECT_THAT(text(), HasSubstr("fix the guest"));
}

TEST_F(Guest, RegisterOfAnAdvertisedFeature) {
  EXPECT_THAT(undefined(esr_of(Ec::sysreg, sysreg::ICC_PMR_EL1.iss() | 1)), ElementsAre(Code::sysreg_unhandled));
  cpu.id.id_aa64pfr0_el1 |= 1U << 24;
  set_exit(esr_of(Ec::sysreg, SysRegId(3, 0, 12, 11, 6).iss() | 1), kEntry);
  look(trigger::UndefinedInjected{});
  EXPECT_EQ(list[0].confidence(), Confidence::certain);
  EXPECT_THAT(text(), HasSubstr("advertises GIC system registers, and nothing virtualizes it"));
}

TEST_F(Guest, RegisterWithoutAName) {
  EXPECT_THAT(undefined(esr_of(Ec::sysreg, SysRegId(3, 0, 15, 9, 7).iss() | 31U << 5)),
              ElementsAre(Code::sysreg_unhandled));
  EXPECT_THAT(text(), HasSubstr("S3_0_C15_C9_7"));
  EXPECT_THAT(text(), HasSubstr("XZR"));
}

TEST_F(Guest, AProgramThatProbesIsHealthy) {
  exit.frame.spsr = Spsr::from(0);
  set_exit(esr_of(Ec::sysreg, sysreg::PMCCNTR_EL0.iss() | 1), kEntry);
  look(trigger::UndefinedInjected{});
  EXPECT_THAT(codes(), IsEmpty());
  set_exit(esr_of(Ec::sve), kEntry);
  look(trigger::UndefinedInjected{});
  EXPECT_THAT(codes(), IsEmpty());
}

TEST_F(Guest, TrappedFeature) {
  EXPECT_THAT(undefined(esr_of(Ec::sve)), ElementsAre(Code::undefined_instruction));
  EXPECT_THAT(text(), HasSubstr("SVE (FEAT_SVE)"));
}

TEST_F(Guest, IllegalState) {
  EXPECT_THAT(undefined(esr_of(Ec::illegal_state)), ElementsAre(Code::illegal_state));
  registers.spsr_el1 = 0x13;
  EXPECT_THAT(took(esr_of(Ec::illegal_state), kEntry + 0x40), ElementsAre(Code::illegal_state));
  EXPECT_THAT(text(), HasSubstr("taken to EL1"));
  EXPECT_THAT(text(), HasSubstr("RW 1: EL1 is AArch64"));
}

TEST_F(Guest, UndefinedBecauseItIsData) {
  memory.poke(kEntry + 0x100, 0, 4);
  EXPECT_THAT(took(esr_of(Ec::unknown), kEntry + 0x100), ElementsAre(Code::undefined_instruction));
  EXPECT_THAT(text(), HasSubstr("the guest executes data"));
}

TEST_F(Guest, UndefinedBecauseOfAHiddenRegister) {
  memory.poke(kEntry + 0x100, 0xD53B'9C00, 4);  // mrs x0, pmcr_el0
  EXPECT_THAT(took(esr_of(Ec::unknown), kEntry + 0x100), ElementsAre(Code::undefined_instruction));
  EXPECT_THAT(text(), HasSubstr("PMCR_EL0, read"));
}

TEST_F(Guest, UndefinedInValidCode) {
  memory.poke(kEntry + 0x100, 0x9100'0421, 4);  // add x1, x1, #1
  EXPECT_THAT(took(esr_of(Ec::unknown), kEntry + 0x100), ElementsAre(Code::stale_instructions));
  EXPECT_EQ(list[0].confidence(), Confidence::possible);
}

TEST_F(Guest, CallThatIsUndefined) {
  memory.poke(kEntry + 0x100, 0xD400'0002, 4);
  registers.hcr_el2 |= Hcr::HCD::kMask;
  EXPECT_THAT(took(esr_of(Ec::unknown), kEntry + 0x100), ElementsAre(Code::call_unanswered));
  EXPECT_THAT(text(), HasSubstr("HCR_EL2.HCD makes HVC undefined"));
}

TEST_F(Guest, NullPointerWithBacktrace) {
  exit.frame.gpr[29] = 0x4100'0000;
  exit.frame.gpr[30] = kEntry + 0x500;
  memory.poke(0x4100'0000, 0x4100'0040);
  memory.poke(0x4100'0008, kEntry + 0x600);
  memory.poke(0x4100'0040, 0);
  memory.poke(0x4100'0048, kEntry + 0x700);
  EXPECT_THAT(took(esr_of(Ec::data_abort_same, 6), kEntry + 0x100, 0x10), ElementsAre(Code::guest_bug));
  EXPECT_THAT(text(), HasSubstr("called from 0x40200500"));
  EXPECT_THAT(text(), HasSubstr("called from 0x40200600"));
  EXPECT_THAT(text(), HasSubstr("called from 0x40200700"));
  EXPECT_THAT(text(), HasSubstr("considered: AV0002"));
}

TEST_F(Guest, AnOldExceptionIsNoFailure) {
  registers.esr_el1 = esr_of(Ec::data_abort_same, 6);
  registers.elr_el1 = kEntry + 0x100;
  exit.frame.spsr = Spsr::from(0x005);  // EL1h, interrupts on: the handler is long done
  look(trigger::Inspection{});
  EXPECT_THAT(codes(), ElementsAre(Code::unknown));
  look(trigger::HealthCheck{});
  EXPECT_THAT(codes(), IsEmpty());
}

TEST_F(Guest, ReadsThatAreCompletedRight) {
  TrapFrame before{}, after{};
  for (unsigned n = 0; n < 31; ++n) before.gpr[n] = n * 0x1111;
  const auto check = [&](AxVCpuExitReason::MmioRead read, std::uint64_t value, unsigned changed, std::uint64_t result) {
    after = before;
    if (changed < 31) after.gpr[changed] = result;
    look(trigger::CompletedRead{&before, &after, read, value});
    return codes();
  };
  using Width = AccessWidth;
  EXPECT_THAT(check({0x1000, Width::word, 3, Width::doubleword, false}, 0x1'8000'0000, 3, 0x8000'0000), IsEmpty());
  EXPECT_THAT(check({0x1000, Width::byte, 3, Width::doubleword, true}, 0x80, 3, 0xFFFF'FFFF'FFFF'FF80), IsEmpty());
  EXPECT_THAT(check({0x1000, Width::byte, 3, Width::word, true}, 0x80, 3, 0xFFFF'FF80), IsEmpty());
  EXPECT_THAT(check({0x1000, Width::word, 31, Width::word, false}, 0x80, 31, 0), IsEmpty());

  EXPECT_THAT(check({0x1000, Width::byte, 3, Width::doubleword, true}, 0x80, 3, 0x80),
              ElementsAre(Code::sign_extension));
  EXPECT_THAT(check({0x1000, Width::byte, 3, Width::word, true}, 0x80, 3, 0xFFFF'FFFF'FFFF'FF80),
              ElementsAre(Code::sign_extension));
  EXPECT_THAT(check({0x1000, Width::word, 31, Width::word, false}, 0x80, 30, 0x80), ElementsAre(Code::zero_register));
  after = before;
  after.sp_el0 = 0x80;
  look(trigger::CompletedRead{&before, &after, {0x1000, Width::word, 31, Width::word, false}, 0x80});
  EXPECT_THAT(codes(), ElementsAre(Code::zero_register));
}

TEST_F(Guest, WhatItStoppedForComesBeforeThatItStopped) {
  memory.poke(kEntry + 0x100, 0);  // UDF #0
  for (unsigned n = 0; n < 60; ++n) {
    trace::Record sample = record(trace::Kind::guest_sample, kVbar + 0x200, esr_of(Ec::unknown));
    sample.hpfar = kEntry + 0x100;
    sample.data = kVbar;
    sample.spsr = 0x3C5;
    sample.time = n * (kHz / 50);
    push(sample);
  }
  EXPECT_THAT(took(esr_of(Ec::unknown), kEntry + 0x100), ElementsAre(Code::undefined_instruction, Code::guest_bug));
}

}  // namespace
}  // namespace arm_vcpu::diag
