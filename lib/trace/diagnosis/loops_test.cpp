// SPDX-License-Identifier: Apache-2.0
// Loops must be found within a second of guest time, and never in a healthy guest.
#include "arm_vcpu/trace/diagnosis_loops.hpp"

#include "test_state.hpp"

namespace arm_vcpu::diag {
namespace {

using trace::Kind;
using trace::Outcome;

class Loops : public TestState {
 protected:
  trace::Record abort(std::uint64_t pc, std::uint64_t ipa, Outcome outcome, bool write = false) {
    trace::Record one =
        record(Kind::exit_sync, pc, esr_of(Ec::data_abort_lower, abort_iss(Fsc::translation_l3, true, write)), outcome);
    one.far = ipa;
    one.hpfar = ipa >> 12 << 4;
    return one;
  }
  trace::Record fetch(std::uint64_t pc) {
    trace::Record one = record(Kind::exit_sync, pc, esr_of(Ec::instruction_abort_lower, 7), Outcome::injected);
    one.far = pc;
    one.hpfar = pc >> 12 << 4;
    return one;
  }
  trace::Record irq(std::uint64_t pc, std::uint64_t intid = 27) {
    trace::Record one = record(Kind::exit_irq, pc, 0, Outcome::returned);
    one.data = intid;
    return one;
  }
  trace::Record sample(std::uint64_t pc, std::uint64_t esr, std::uint64_t elr, std::uint64_t far = 0,
                       std::uint64_t vbar = kVbar) {
    now += kHz / 100;  // the EL2 timer's 10 ms
    trace::Record one = record(Kind::guest_sample, pc, esr, Outcome::open);
    one.far = far;
    one.hpfar = elr;
    one.data = vbar;
    return one;
  }
  void push_sample(std::uint64_t pc, std::uint64_t esr, std::uint64_t elr, std::uint64_t far = 0) {
    push(irq(pc, 26));
    push(sample(pc, esr, elr, far));
  }
  std::vector<Code> health() {
    look(trigger::HealthCheck{});
    return codes();
  }
};

constexpr std::uint64_t kDataAbortSame = 0x9600'0044;   // EC 0x25, translation fault level 0 write
constexpr std::uint64_t kFetchAbortSame = 0x8600'0006;  // EC 0x21

// --- exits ----------------------------------------------------------------------------------------------------------

TEST_F(Loops, TheSameInjectedAbortAgainAndAgain) {
  for (int i = 0; i < 60; ++i) push(abort(kEntry + 8, 0xA00'0000, Outcome::injected));
  EXPECT_THAT(health(), ElementsAre(Code::exception_loop));
  EXPECT_EQ(list[0].pc(), kEntry + 8);
  EXPECT_EQ(list[0].confidence(), Confidence::certain);
  EXPECT_THAT(text(), HasSubstr("60 times"));
}

TEST_F(Loops, VectorsThatStageTwoDoesNotMap) {
  registers.vbar_el1 = 0;
  for (int i = 0; i < 100; ++i) push(fetch(0x200));
  EXPECT_THAT(health(), ElementsAre(Code::exception_loop));
  EXPECT_THAT(text(), HasSubstr("the exception vectors cannot be fetched"));
  EXPECT_THAT(text(), HasSubstr("AV0002 infinite exception loop: vm0 (linux) vcpu0: "));
}

TEST_F(Loops, VectorsThatStageTwoDoesNotMapWithoutRegisters) {
  state.registers = nullptr;
  for (int i = 0; i < 100; ++i) push(fetch(0x200));
  EXPECT_THAT(health(), ElementsAre(Code::exception_loop));
  EXPECT_THAT(text(), HasSubstr("the exception vectors cannot be fetched"));
}

TEST_F(Loops, ARoundOfThree) {
  for (int i = 0; i < 70; ++i) {
    push(abort(kEntry, 0xA00'0000, Outcome::injected));
    push(abort(kEntry + 0x40, 0xB00'0000, Outcome::injected, true));
    push(record(Kind::exit_sync, kEntry + 0x80, esr_of(Ec::sysreg, sysreg::PMCR_EL0.iss()), Outcome::injected));
    push(irq(kEntry));
  }
  EXPECT_THAT(health(), ElementsAre(Code::exception_loop));
  ExitLoopDetector detector;
  for (const auto& one : records) detector.feed(one);
  EXPECT_EQ(detector.loop().period, 3U);
  EXPECT_EQ(detector.loop().repetitions, 70U);
  EXPECT_EQ(detector.loop().member[2].pc, kEntry + 0x80);
}

TEST_F(Loops, ARetryThatChangesNothing) {
  for (int i = 0; i < 60; ++i) {
    trace::Record one = abort(kEntry, 0x4100'0000, Outcome::handled);
    one.esr = esr_of(Ec::data_abort_lower, abort_iss(Fsc::permission_l3));
    push(one);
  }
  EXPECT_THAT(health(), ElementsAre(Code::exception_loop));
}

TEST_F(Loops, APushOntoAStackThatIsNotThere) {
  std::uint64_t sp = 0xF00'0000;
  for (int i = 0; i < 60; ++i) push(abort(kVbar + 0x200, sp -= 0x110, Outcome::injected, true));
  EXPECT_THAT(health(), ElementsAre(Code::exception_loop));
}

TEST_F(Loops, IsFoundWithinAMillisecondOfItsStart) {
  ExitLoopDetector detector;
  unsigned needed = 0;
  while (!detector.feed(abort(kEntry, 0xA00'0000, Outcome::injected))) ASSERT_LT(++needed, 1000U);
  EXPECT_LT(needed, 64U);
}

TEST_F(Loops, SleepsBetweenItsRepetitionsOrNot) {
  constexpr std::uint64_t kHz = 62'500'000;
  constexpr std::uint64_t kNap = kHz / 500;  // in a WFI that makes no exit
  ExitLoopDetector naps, mostly_awake;
  trace::Record one = abort(kEntry, 0xA00'0000, Outcome::injected);
  bool found = false;
  for (unsigned i = 0; i < 10'000; ++i, one.time += kNap) EXPECT_FALSE(naps.feed(one, kHz));
  for (unsigned i = 0; i < 100; ++i, one.time += i % 5 == 0 ? kNap : 100) found = mostly_awake.feed(one, kHz);
  EXPECT_TRUE(found) << "a host that stops now and then hides no loop";
}

// --- what is no loop ------------------------------------------------------------------------------------------------

TEST_F(Loops, APollOfADeviceIsHealthyHoweverLongItIs) {
  for (int i = 0; i < 100'000; ++i) push(abort(kEntry, kUart + 0x18, Outcome::returned));
  EXPECT_THAT(health(), IsEmpty());
}

TEST_F(Loops, IdleIsHealthy) {
  for (int i = 0; i < 1000; ++i) {
    push(record(Kind::exit_sync, kEntry, esr_of(Ec::wfx), Outcome::returned));
    push(record(Kind::vcpu_parked));
    push(record(Kind::vcpu_woken));
    push(irq(kEntry));
    push(sample(kEntry, kDataAbortSame, kEntry));
  }
  EXPECT_THAT(health(), IsEmpty());
}

TEST_F(Loops, CallsAndSgisAndIdRegistersAreHealthy) {
  for (int i = 0; i < 1000; ++i) {
    push(record(Kind::exit_sync, kEntry, esr_of(Ec::sysreg, sysreg::ID_AA64PFR0_EL1.iss() | 1), Outcome::handled));
  }
  for (int i = 0; i < 1000; ++i) {
    push(record(Kind::exit_sync, kEntry, esr_of(Ec::sysreg, sysreg::ICC_SGI1R_EL1.iss()), Outcome::returned));
  }
  for (int i = 0; i < 1000; ++i) push(record(Kind::exit_sync, kEntry, esr_of(Ec::hvc64), Outcome::handled));
  EXPECT_THAT(health(), IsEmpty());
}

TEST_F(Loops, AProbeOfManyAddressesIsHealthy) {
  for (unsigned i = 0; i < 10'000; ++i) push(abort(kEntry, 0xA00'0000 + 8 * i, Outcome::injected));
  EXPECT_THAT(health(), IsEmpty());
  for (unsigned i = 0; i < 10'000; ++i) push(abort(kEntry, 0xA00'0000 + 0x1000 * i, Outcome::injected, true));
  EXPECT_THAT(health(), IsEmpty()) << "upwards, as memory is sized";
}

TEST_F(Loops, ProgressBetweenFaultsEndsTheCount) {
  for (int i = 0; i < 1000; ++i) {
    push(abort(kEntry, 0xA00'0000, Outcome::injected));
    if (i % 40 == 39) push(abort(kEntry + 4, kUart, Outcome::returned, true));
  }
  EXPECT_THAT(health(), IsEmpty()) << "the guest prints between its faults";
}

TEST_F(Loops, AStoreWhoseValueChangesIsProgress) {
  for (unsigned i = 0; i < 1000; ++i) {
    trace::Record one = abort(kEntry, 0xA00'0000, Outcome::injected, true);
    one.data = i;
    push(one);
  }
  EXPECT_THAT(health(), IsEmpty());
}

TEST_F(Loops, AProgramThatProbesMayFailOften) {
  for (int i = 0; i < 200; ++i) {
    trace::Record one = record(Kind::exit_sync, 0x40'0000, esr_of(Ec::sve), Outcome::injected);
    one.spsr = 0;  // EL0
    push(one);
  }
  EXPECT_THAT(health(), IsEmpty());
}

TEST_F(Loops, CacheMaintenanceOnAHoleIsHealthy) {
  for (int i = 0; i < 200; ++i) {
    trace::Record one = abort(kEntry, 0xA00'0000, Outcome::handled);
    one.esr =
        esr_of(Ec::data_abort_lower,
               static_cast<std::uint32_t>(
                   DataAbortIss{}.with<DataAbortIss::CM>(true).with<DataAbortIss::DFSC>(Fsc::translation_l3).raw));
    push(one);
  }
  EXPECT_THAT(health(), IsEmpty());
}

TEST_F(Loops, AnotherVcpusFaultsDoNotCount) {
  for (int i = 0; i < 200; ++i) {
    trace::Record one = abort(kEntry, 0xA00'0000, Outcome::injected);
    one.vcpu = static_cast<std::uint8_t>(1 + i % 2);
    push(one);
  }
  EXPECT_THAT(health(), IsEmpty());
  state.vcpu = 1;
  EXPECT_THAT(health(), ElementsAre(Code::exception_loop));
}

TEST_F(Loops, TheLoopThatHasEndedIsNoLoop) {
  for (int i = 0; i < 200; ++i) push(abort(kEntry, 0xA00'0000, Outcome::injected));
  push(abort(kEntry, kUart, Outcome::returned, true));
  EXPECT_THAT(health(), IsEmpty());
}

// --- samples --------------------------------------------------------------------------------------------------------

TEST_F(Loops, VectorsThatStageOneDoesNotMap) {
  unsigned samples = 0;
  while (health().empty()) {
    push_sample(kVbar + 0x200, kFetchAbortSame, kVbar + 0x200, kVbar + 0x200);
    ASSERT_LT(++samples, 100U);
  }
  EXPECT_LE(samples, 50U) << "half a second";
  EXPECT_THAT(codes(), ElementsAre(Code::exception_loop));
  EXPECT_EQ(list[0].confidence(), Confidence::certain);
  EXPECT_THAT(text(), HasSubstr("the page of VBAR_EL1 is not mapped or not executable"));
}

TEST_F(Loops, AHandlerWhoseFirstPushFaults) {
  for (unsigned i = 0; i < 40; ++i)
    push_sample(kVbar + 0x200 + 4 * (i % 2), kDataAbortSame, kVbar + 0x204, 0x1000 - 16 * i);
  EXPECT_THAT(health(), ElementsAre(Code::exception_loop));
  EXPECT_THAT(text(), HasSubstr("an instruction in the vector itself faults"));
}

TEST_F(Loops, AHandlerThatReturnsToTheFaultingInstruction) {
  for (unsigned i = 0; i < 60; ++i) {
    const std::uint64_t pcs[] = {kEntry + 0x1000, kVbar + 0x200, kEntry + 0x1040, kEntry + 0x100, kEntry + 0x1080};
    push_sample(pcs[i % 5], kDataAbortSame, kEntry + 0x100, 0xDEAD'0000);
  }
  EXPECT_THAT(health(), ElementsAre(Code::exception_loop));
  EXPECT_EQ(list[0].confidence(), Confidence::likely);
  EXPECT_THAT(text(), HasSubstr("without a fix"));
}

TEST_F(Loops, AGuestThatStopsInItsVector) {
  for (unsigned i = 0; i < 60; ++i) push_sample(kVbar + 0x208, esr_of(Ec::brk64), kEntry + 0x100);
  EXPECT_THAT(health(), ElementsAre(Code::guest_bug));
  EXPECT_THAT(text(), HasSubstr("stopped in its own exception vector"));
}

TEST_F(Loops, ABusyLoopAfterAnOldFaultIsHealthy) {
  for (unsigned i = 0; i < 1000; ++i) push_sample(kEntry + 0x40 + 4 * (i % 3), kDataAbortSame, kEntry + 0x900, 0x10);
  EXPECT_THAT(health(), IsEmpty()) << "memset, spinlock, delay loop: ESR_EL1 is stale";
}

TEST_F(Loops, InterruptsTakenOftenFromAOneInstructionLoopAreHealthy) {
  for (unsigned i = 0; i < 1000; ++i) {
    // b . with a stale abort in ESR_EL1; each interrupt puts the same address into ELR_EL1.
    push_sample(i % 3 == 0 ? kVbar + 0x280 + 4 * (i % 5) : kEntry + 0x40, kDataAbortSame, kEntry + 0x40, 0x10);
  }
  EXPECT_THAT(health(), IsEmpty());
}

TEST_F(Loops, ASystemCallLoopIsHealthy) {
  for (unsigned i = 0; i < 1000; ++i) {
    push_sample(i % 2 == 0 ? kVbar + 0x400 : kEntry + 0x40 * (i % 7), esr_of(Ec::svc64), 0x40'1000);
  }
  EXPECT_THAT(health(), IsEmpty());
}

TEST_F(Loops, ABreakpointInABusyLoopIsHealthy) {
  for (unsigned i = 0; i < 1000; ++i)
    push_sample(i % 2 == 0 ? kVbar + 0x200 : kEntry + 0x40 * (i % 7), esr_of(Ec::brk64), kEntry);
  EXPECT_THAT(health(), IsEmpty()) << "kprobes";
}

TEST_F(Loops, PageFaultsOfACopyAreHealthy) {
  for (unsigned i = 0; i < 1000; ++i) {
    push_sample(i % 2 == 0 ? kVbar + 0x200 : kEntry + 0x40, kDataAbortSame, kEntry + 0x100, 0x10'0000 + 0x1000 * i);
  }
  EXPECT_THAT(health(), IsEmpty()) << "each fault at another address";
}

TEST_F(Loops, AProgramInBetweenIsProgress) {
  for (unsigned i = 0; i < 1000; ++i) {
    if (i % 10 == 9) {
      trace::Record one = sample(0x40'0000, kFetchAbortSame, kVbar + 0x200);
      one.spsr = 0;
      push(one);
    }
    push_sample(kVbar + 0x200, kFetchAbortSame, kVbar + 0x200, kVbar + 0x200);
  }
  EXPECT_THAT(health(), IsEmpty());
}

TEST_F(Loops, AnExitInBetweenIsProgress) {
  for (unsigned i = 0; i < 1000; ++i) {
    if (i % 10 == 9) push(abort(kEntry, kUart, Outcome::returned, true));
    push_sample(kVbar + 0x208, esr_of(Ec::brk64), kEntry + 0x100);
  }
  EXPECT_THAT(health(), IsEmpty()) << "a panic that prints";
}

TEST_F(Loops, TooFewSamplesSayNothing) {
  for (unsigned i = 0; i < StormDetector::kSamples - 1; ++i) {
    push_sample(kVbar + 0x200, kFetchAbortSame, kVbar + 0x200, kVbar + 0x200);
  }
  EXPECT_THAT(health(), IsEmpty());
}

TEST_F(Loops, SamplesThatCameTooFastSayNothing) {
  for (unsigned i = 0; i < 30; ++i) {
    trace::Record one = sample(kVbar + 0x200, kFetchAbortSame, kVbar + 0x200, kVbar + 0x200);
    one.time = 1000 + i * 100;
    push(one);
  }
  EXPECT_THAT(health(), IsEmpty());
}

}  // namespace
}  // namespace arm_vcpu::diag
