// SPDX-License-Identifier: Apache-2.0
#include "test_state.hpp"

namespace arm_vcpu::diag {
namespace {

using trace::Kind;

class Calls : public TestState {
 protected:
  Calls() { set_exit(esr_of(Ec::hvc64), kEntry + 4); }
  std::vector<Code> call(std::uint64_t x0, std::optional<std::int64_t> answer, std::uint64_t x1 = 0,
                         std::uint64_t x2 = 0, Conduit conduit = Conduit::hvc) {
    look(trigger::Call{.x = {x0, x1, x2, 0}, .conduit = conduit, .answer = answer});
    return codes();
  }
  trace::Record answered(std::uint64_t id, std::int32_t answer, std::uint64_t x1 = 0) {
    trace::Record one = record(Kind::psci_call, kEntry + 4, esr_of(Ec::hvc64));
    one.far = x1;
    one.data = std::uint64_t{static_cast<std::uint32_t>(answer)} << 32 | id;
    return one;
  }
};

constexpr std::uint64_t kCpuOn64 = 0xC400'0003;

TEST_F(Calls, PsciHasNoSuchFunction) {
  EXPECT_THAT(call(0x8400'001E, -1), ElementsAre(Code::call_unanswered));
  EXPECT_EQ(list[0].confidence(), Confidence::certain);
  EXPECT_THAT(text(), HasSubstr("PSCI has no such function"));
  EXPECT_THAT(text(), HasSubstr("/psci method is HVC"));
}

TEST_F(Calls, WrongCallingConvention) {
  EXPECT_THAT(call(0xC400'0000, -1), ElementsAre(Code::call_unanswered));
  EXPECT_THAT(text(), HasSubstr("PSCI_VERSION, which exists as SMC32 only (0x84000000)"));
}

TEST_F(Calls, NobodyAnswered) {
  EXPECT_THAT(call(kCpuOn64, std::nullopt, 1, kEntry, Conduit::smc), ElementsAre(Code::call_unanswered));
  EXPECT_THAT(text(), HasSubstr("the guest calls by SMC, the device tree says HVC"));
  EXPECT_THAT(text(), HasSubstr("TSC 1"));
  EXPECT_THAT(call(kCpuOn64, std::nullopt, 1, kEntry), ElementsAre(Code::call_unanswered));
  EXPECT_THAT(text(), HasSubstr("nobody put an answer into X0"));
}

TEST_F(Calls, AMandatoryFunctionIsMissing) {
  EXPECT_THAT(call(0x8400'0008, -1), ElementsAre(Code::call_unanswered));
  EXPECT_THAT(text(), HasSubstr("the VM has no PowerDomain"));
}

TEST_F(Calls, ProbesOfAHealthyBootAreSilent) {
  // What Linux and U-Boot ask for, and may be refused.
  for (const std::uint64_t id :
       {0x8000'0001ULL, 0x8000'8000ULL, 0x8400'0006ULL, 0xC400'000EULL, 0xC400'0012ULL, 0x8400'0050ULL, 0x8600'FF01ULL,
        0xC500'0020ULL, 0x8400'0063ULL, 0xC400'0020ULL, 0xC200'0000ULL, 0xB200'0001ULL}) {
    EXPECT_THAT(call(id, -1), IsEmpty()) << std::hex << id;
  }
  EXPECT_THAT(call(0x8400'0000, 0x1'0001), IsEmpty());
  EXPECT_THAT(call(kCpuOn64, 0, 1, kEntry), IsEmpty());
  EXPECT_THAT(call(0x8400'0004, 1), IsEmpty());
}

TEST_F(Calls, AServiceThatIsAskedForWithoutEnd) {
  for (int i = 0; i < 100; ++i) {
    trace::Record one = record(Kind::exit_sync, kEntry, esr_of(Ec::smc64));
    one.data = 0xC200'FF04;
    push(one);
  }
  EXPECT_THAT(call(0xC200'FF04, -1, 0, 0, Conduit::smc), ElementsAre(Code::call_unanswered));
  EXPECT_EQ(list[0].confidence(), Confidence::likely);
}

TEST_F(Calls, GarbageInX0) {
  EXPECT_THAT(call(0xDEAD'BEEF, -1), ElementsAre(Code::call_unanswered));
  EXPECT_THAT(text(), HasSubstr("X0 is no function ID"));
}

TEST_F(Calls, CpuOnWithTheRes1Bit) {
  EXPECT_THAT(call(kCpuOn64, -2, 0x8000'0001, kEntry), ElementsAre(Code::cpu_on_failed));
  EXPECT_THAT(text(), HasSubstr("bit 31 of the target is set"));
  EXPECT_THAT(text(), HasSubstr("vCPU affinity 0x1 (vcpu1)"));
}

TEST_F(Calls, CpuOnByNumber) {
  mpidrs = {0, 0x100, 0x200};
  configuration.mpidrs = mpidrs;
  tree.cpu_count = 0;
  EXPECT_THAT(call(kCpuOn64, -2, 1, kEntry), ElementsAre(Code::cpu_on_failed));
  EXPECT_THAT(text(), HasSubstr("a CPU's number, not its affinity"));
}

TEST_F(Calls, CpuOnOfACpuThatOnlyTheDeviceTreeHas) {
  tree.cpu_reg[4] = 4;
  tree.cpu_count = 5;
  EXPECT_THAT(call(kCpuOn64, -2, 4, kEntry), ElementsAre(Code::cpu_on_failed));
  EXPECT_THAT(text(), HasSubstr("the device tree lists a CPU that this VM does not have"));
}

TEST_F(Calls, CpuOnAtAVirtualAddress) {
  EXPECT_THAT(call(kCpuOn64, -9, 1, 0xFFFF'8000'0000'0000), ElementsAre(Code::cpu_on_failed));
  EXPECT_THAT(text(), HasSubstr("not executable memory of the guest"));
}

TEST_F(Calls, CpuOnTwiceByTheGuest) {
  EXPECT_THAT(call(kCpuOn64, -4, 1, kEntry), ElementsAre(Code::cpu_on_twice));
  EXPECT_THAT(call(kCpuOn64, -5, 1, kEntry), ElementsAre(Code::cpu_on_twice));
}

TEST_F(Calls, TwoCpuOnThatBothWon) {
  push(answered(kCpuOn64, 0, 1));
  push(answered(kCpuOn64, 0, 2));
  look(trigger::HealthCheck{});
  EXPECT_THAT(codes(), IsEmpty()) << "two targets";
  push(answered(kCpuOn64, 0, 1));
  look(trigger::HealthCheck{});
  EXPECT_THAT(codes(), ElementsAre(Code::cpu_on_twice));
}

TEST_F(Calls, HotplugIsHealthy) {
  push(answered(kCpuOn64, 0, 1));
  push(answered(0x8400'0004, 1, 1));  // AFFINITY_INFO
  push(answered(kCpuOn64, 0, 1));
  now += kHz;
  push(answered(kCpuOn64, 0, 2));
  now += kHz;
  push(answered(kCpuOn64, 0, 2));
  look(trigger::HealthCheck{});
  EXPECT_THAT(codes(), IsEmpty());
}

TEST_F(Calls, ASmcThatIsExecutedAgain) {
  trace::Record call = record(Kind::exit_sync, kEntry, esr_of(Ec::smc64));
  call.data = 0x8400'0000;
  push(call);
  trace::Record answer = record(Kind::psci_call, kEntry, esr_of(Ec::smc64));
  answer.data = std::uint64_t{0x1'0001} << 32 | 0x8400'0000;
  push(answer);
  call.data = 0x1'0001;
  push(call);
  look(trigger::HealthCheck{});
  EXPECT_THAT(codes(), ElementsAre(Code::call_advance));
}

TEST_F(Calls, TheSameCallInALoopIsHealthy) {
  for (int i = 0; i < 10; ++i) {
    trace::Record call = record(Kind::exit_sync, kEntry, esr_of(Ec::smc64));
    call.data = 0x8400'0000;
    push(call);
    trace::Record answer = record(Kind::psci_call, kEntry, esr_of(Ec::smc64));
    answer.data = std::uint64_t{0x1'0001} << 32 | 0x8400'0000;
    push(answer);
  }
  memory.poke(kEntry, 0xD400'0003, 4);
  look(trigger::HealthCheck{});
  EXPECT_THAT(codes(), IsEmpty());
}

TEST_F(Calls, TheFramesPcAgainstTheInstructions) {
  trace::Record call = record(Kind::exit_sync, kEntry + 4, esr_of(Ec::hvc64));
  push(call);
  memory.poke(kEntry, 0xD400'0002, 4);
  memory.poke(kEntry + 4, 0xD503'201F, 4);
  look(trigger::HealthCheck{});
  EXPECT_THAT(codes(), IsEmpty()) << "the HVC is before the PC";
  memory.poke(kEntry, 0xD503'201F, 4);
  memory.poke(kEntry + 4, 0xD400'0002, 4);
  look(trigger::HealthCheck{});
  EXPECT_THAT(codes(), ElementsAre(Code::call_advance));
}

TEST_F(Calls, FeaturesAnswersAboutAnotherFunction) {
  EXPECT_THAT(call(0x8400'000A, -1, 0x8400'0013), IsEmpty()) << "NOT_SUPPORTED is the answer, not a refusal";
}

}  // namespace
}  // namespace arm_vcpu::diag
