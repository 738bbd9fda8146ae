// SPDX-License-Identifier: Apache-2.0
#include "test_state.hpp"

namespace arm_vcpu::diag {
namespace {

class Hypervisor : public TestState {
 protected:
  static constexpr std::uint64_t kStack = 0x4010'4000;
  std::vector<Code> crash(trigger::HypervisorCrash why) {
    if (why.stack_top == 0) {
      why.stack_base = kStack;
      why.stack_top = kStack + 0xC000;
    }
    if (why.sp == 0) why.sp = kStack + 0xB000;
    why.elr = 0x4008'1234;
    look(why);
    return codes();
  }
};

TEST_F(Hypervisor, TooManyBitsOfIpa) {
  look(trigger::StartUpError{{Errc::unsupported_ipa_size, 48, 40}});
  EXPECT_THAT(codes(), ElementsAre(Code::hardware_missing));
  EXPECT_THAT(text(), HasSubstr("PARange 4: 44 bits"));
  EXPECT_THAT(text(), HasSubstr("level 1: 32 to 43 bits, T0SZ 21 to 32, SL0 1, 1 to 16 root tables"));
  EXPECT_THAT(text(), HasSubstr("level 0: 40 to 44 bits, T0SZ 20 to 24, SL0 2"));
  EXPECT_THAT(text(), HasSubstr("check: ask for 32 bits up to"));
}

TEST_F(Hypervisor, NoFourLevelsOnASmallCpu) {
  cpu.id.id_aa64mmfr0_el1 = 2;  // 40 bits
  look(trigger::StartUpError{{Errc::unsupported_table_levels, 4, 3}});
  EXPECT_THAT(codes(), ElementsAre(Code::hardware_missing));
  EXPECT_THAT(text(), HasSubstr("no start at level 0"));
}

TEST_F(Hypervisor, EveryErrorIsExplained) {
  for (unsigned code = 0; code < 60; ++code) {
    look(trigger::StartUpError{{static_cast<Errc>(code), 1, 2}});
    EXPECT_EQ(list.size(), 1U);
  }
}

TEST_F(Hypervisor, FloatingPoint) {
  EXPECT_THAT(crash({.esr = Esr::from(esr_of(Ec::fp_access)), .instruction = 0x3D80'0020, .cptr_el2 = 0x37FF}),
              ElementsAre(Code::fp_at_el2));
  EXPECT_THAT(text(), HasSubstr("TFP 1"));
  EXPECT_THAT(text(), HasSubstr("SIMD or floating-point registers"));
  EXPECT_THAT(crash({.esr = Esr::from(esr_of(Ec::sve))}), ElementsAre(Code::fp_at_el2));
}

TEST_F(Hypervisor, StackOverflow) {
  const std::uint64_t calls[] = {0x4008'2000, 0x4008'2000, 0x4008'2000, 0x4008'2000};
  EXPECT_THAT(crash({.esr = Esr::from(esr_of(Ec::data_abort_same, 7)),
                     .far = kStack - 16,
                     .sp = kStack - 16,
                     .backtrace = calls}),
              ElementsAre(Code::el2_stack));
  EXPECT_EQ(list[0].confidence(), Confidence::certain);
  EXPECT_THAT(text(), HasSubstr("calls itself without end"));
  EXPECT_THAT(crash({.esr = Esr::from(esr_of(Ec::data_abort_same, 7)), .far = kStack - 16}),
              ElementsAre(Code::el2_stack));
  EXPECT_THAT(text(), HasSubstr("stack is too small"));
}

TEST_F(Hypervisor, WrongStackPointer) {
  EXPECT_THAT(crash({.esr = Esr::from(esr_of(Ec::data_abort_same, 7)), .far = 0x10, .on_sp_el0 = true}),
              ElementsAre(Code::el2_stack));
  EXPECT_THAT(text(), HasSubstr("SPSel 0"));
  EXPECT_THAT(crash({.esr = Esr::from(esr_of(Ec::data_abort_same, 7)), .far = 0x10, .sp = 0x1000}),
              ElementsAre(Code::el2_stack));
  EXPECT_EQ(list[0].confidence(), Confidence::likely);
}

TEST_F(Hypervisor, IllegalReturn) {
  exit.frame.spsr = Spsr::from(0x1D3);
  EXPECT_THAT(crash({.esr = Esr::from(esr_of(Ec::illegal_state))}), ElementsAre(Code::illegal_state));
  EXPECT_THAT(text(), HasSubstr("AArch32"));
}

TEST_F(Hypervisor, OrdinaryCrashesHaveNoName) {
  EXPECT_THAT(crash({.esr = Esr::from(esr_of(Ec::data_abort_same, 7)), .far = 0x10}), ElementsAre(Code::unknown));
  EXPECT_THAT(text(), HasSubstr("considered: AV0021"));
  EXPECT_THAT(crash({.esr = Esr::from(esr_of(Ec::data_abort_same, 7)), .far = kStack - 0x1001}),
              ElementsAre(Code::unknown))
      << "just below the guard page";
  EXPECT_THAT(crash({.esr = Esr::from(esr_of(Ec::brk64, 0x100))}), ElementsAre(Code::unknown));
  EXPECT_THAT(text(), HasSubstr("a defect of the hypervisor"));
}

TEST_F(Hypervisor, Serror) {
  const Esr esr = Esr::from(esr_of(Ec::serror, 3U << 10 | 0x11));
  look(trigger::FailedEntry{{esr, 0, true}});
  EXPECT_THAT(codes(), ElementsAre(Code::serror));
  EXPECT_THAT(text(), HasSubstr("recoverable"));
  EXPECT_THAT(text(), HasSubstr("passed through: no device"));
  devices[1].passthrough = true;
  look(trigger::FailedEntry{{esr, 0, true}});
  EXPECT_THAT(text(), HasSubstr("passed through 0x9000000 (pl011@9000000)"));
}

TEST_F(Hypervisor, ALockOfItsOwn) {
  look(trigger::StuckLock{"console", 2, 2, 0x4008'1000, 0x4008'2000});
  EXPECT_THAT(codes(), ElementsAre(Code::self_deadlock));
  look(trigger::StuckLock{"console", 1, 2, 0x4008'1000, 0x4008'2000});
  EXPECT_THAT(codes(), IsEmpty()) << "another CPU's: it may come back";
}

TEST_F(Hypervisor, ResetAfterASmc) {
  trace::Record smc = record(trace::Kind::smc_forwarded);
  smc.data = 0x8400'0009;
  push(smc);
  push(record(trace::Kind::exit_irq));
  look(trigger::UncleanReset{3});
  EXPECT_THAT(codes(), ElementsAre(Code::firmware_reset));
  EXPECT_EQ(list[0].confidence(), Confidence::likely);
  for (int i = 0; i < 10; ++i) push(record(trace::Kind::exit_irq));
  look(trigger::UncleanReset{3});
  EXPECT_EQ(list[0].confidence(), Confidence::possible);
  records.clear();
  state.records = {};
  look(trigger::UncleanReset{1});
  EXPECT_THAT(text(), HasSubstr("no SMC of a guest was passed on"));
}

}  // namespace
}  // namespace arm_vcpu::diag
