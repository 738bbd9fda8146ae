// SPDX-License-Identifier: Apache-2.0
// What the vector answers by itself, what it leaves alone, and that a refusal to answer changes nothing.
#include <gtest/gtest.h>

#include "arm_vcpu/arch/smccc.hpp"
#include "vcpu/fake_hw.hpp"
#include "vcpu/vector_hw.hpp"

namespace arm_vcpu {
namespace {

using trace::Kind;
using trace::Outcome;
using trace::Record;

constexpr std::uint64_t kPc = 0x4008'0000;
constexpr std::uint64_t kHvc0 = Esr{}.with<Esr::EC>(Ec::hvc64).with<Esr::IL>(true).raw;
constexpr std::uint64_t kSmc0 = Esr{}.with<Esr::EC>(Ec::smc64).with<Esr::IL>(true).raw;
constexpr std::uint64_t kTyper = 0x0800'0004;

std::uint64_t load_of(AccessWidth width, unsigned rt) {
  const auto iss = DataAbortIss{}
                       .with<DataAbortIss::ISV>(true)
                       .with<DataAbortIss::SAS>(static_cast<std::uint8_t>(width))
                       .with<DataAbortIss::SRT>(static_cast<std::uint8_t>(rt))
                       .with<DataAbortIss::SF>(width == AccessWidth::doubleword)
                       .with<DataAbortIss::DFSC>(Fsc::translation_l3);
  return Esr{}
      .with<Esr::EC>(Ec::data_abort_lower)
      .with<Esr::IL>(true)
      .with<Esr::ISS>(static_cast<std::uint32_t>(iss.raw))
      .raw;
}

std::uint64_t msr_of(SysRegId id, unsigned rt, bool is_read) {
  return Esr{}.with<Esr::EC>(Ec::sysreg).with<Esr::IL>(true).raw | id.iss() | rt << 5 | (is_read ? 1U : 0U);
}

class VectorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fake::reset();
    ASSERT_TRUE(cpu.hardware_enable());
    cpu.set_trace(&ring);
    ASSERT_TRUE(vcpu.setup({.vm_id = 2, .index = 3}));
    ASSERT_TRUE(vcpu.set_ept_root({.vttbr_el2 = 0x8000'0000, .vtcr_el2 = 0x8002'3558}));
    ASSERT_TRUE(vcpu.set_entry(kPc));
    ASSERT_TRUE(vcpu.bind(cpu));
    ASSERT_TRUE(registers.publish(kTyper, AccessWidth::word, 0xFFFF'FFFF'0078'0007));
    direct.address = 1;  // Aff0 0
    direct.timer_intid = 27;
    vcpu.set_vector_answers(&registers, &direct, &peers);
    fake::cpu().elr = kPc;
    fake::cpu().spsr = 0x3C5;
    events = ring.end();
  }

  // Calls f(context) while the guest runs, then leaves run() by a WFI.
  template <class F>
  void in_guest(F f) {
    fake::cpu().guest = {[&f](VCpuContext& context) {
      f(context);
      context.kind = TrapKind::sync;
      context.esr = Esr{}.with<Esr::EC>(Ec::wfx).with<Esr::IL>(true);
    }};
    ASSERT_TRUE(vcpu.run());
  }
  static VectorAnswer answer(VCpuContext& context, std::uint64_t esr) { return vmexit_answer_sync(0, &context, esr); }
  const Record& last(std::uint64_t back = 0) { return ring.at(ring.end() - 1 - back); }

  alignas(64) std::byte memory[sizeof(trace::RingHeader) + 64 * sizeof(Record)]{};
  trace::Ring& ring = *trace::Ring::create(memory, 0, 64);
  Aarch64PerCpu cpu{0};
  Aarch64VCpu vcpu = *Aarch64VCpu::create({.mpidr_el1 = 0, .dtb_addr = 0});
  PublishedRegisters registers;
  DirectInterrupts direct;
  DirectInterrupts other;
  DirectPeers peers;
  std::uint64_t events{};
};

TEST_F(VectorTest, VersionsAreAnsweredAndRecorded) {
  in_guest([&](VCpuContext& c) {
    c.frame.gpr[0] = 0xDEAD'BEEF'8400'0000;  // PSCI_VERSION: the upper half of X0 does not count
    c.frame.gpr[1] = 0x11;
    EXPECT_EQ(answer(c, kHvc0), VectorAnswer::done);
    EXPECT_EQ(c.frame.gpr[0], kPsciVersion);
    EXPECT_EQ(fake::cpu().elr, kPc) << "an HVC's PC is past it";
    const Record& call = last();
    EXPECT_EQ(call.kind, Kind::exit_sync);
    EXPECT_EQ(call.outcome, Outcome::answered);
    EXPECT_EQ(call.pc, kPc);
    EXPECT_EQ(call.esr, kHvc0);
    EXPECT_EQ(call.data, 0xDEAD'BEEF'8400'0000U);
    EXPECT_EQ(call.far, 0x11U);
    EXPECT_EQ(call.hpfar, kPsciVersion);
    EXPECT_EQ(call.spsr, 0x3C5U);
    EXPECT_EQ(call.duration, 0U);
    EXPECT_EQ(call.vm, 2);
    EXPECT_EQ(call.vcpu, 3);
    EXPECT_EQ(call.sequence, ring.end() - 1);

    c.frame.gpr[0] = smccc::SMCCC_VERSION.raw;
    EXPECT_EQ(answer(c, kSmc0), VectorAnswer::done);
    EXPECT_EQ(c.frame.gpr[0], kSmcccVersion);
    EXPECT_EQ(fake::cpu().elr, kPc + 4) << "a trapped SMC's is at it";
  });
  EXPECT_EQ(vcpu.handled_exits(), 2U);
}

// What handle_call() says is what the vector says.
TEST_F(VectorTest, TheLongWayAnswersTheSame) {
  for (const std::uint64_t function : {psci_id(PsciFunction::PSCI_VERSION).raw, smccc::SMCCC_VERSION.raw}) {
    const PsciOutcome outcome = handle_call({.x0 = function}, nullptr);
    in_guest([&](VCpuContext& c) {
      c.frame.gpr[0] = function;
      EXPECT_EQ(answer(c, kHvc0), VectorAnswer::done);
      EXPECT_EQ(c.frame.gpr[0], static_cast<std::uint64_t>(outcome.x0.value_or(-7)));
    });
  }
}

TEST_F(VectorTest, OtherCallsAreLeftAlone) {
  in_guest([&](VCpuContext& c) {
    for (const std::uint64_t function : {0x8400'0001ULL, 0xC400'0003ULL, 0x8400'0008ULL, 0xC600'FF00ULL, 0ULL}) {
      c.frame.gpr[0] = function;
      EXPECT_EQ(answer(c, kHvc0), VectorAnswer::none);
      EXPECT_EQ(answer(c, kSmc0), VectorAnswer::none);
      EXPECT_EQ(c.frame.gpr[0], function);
    }
    c.frame.gpr[0] = 0x8400'0000;
    EXPECT_EQ(answer(c, kHvc0 | 1), VectorAnswer::none) << "HVC #1 is not PSCI's";
    EXPECT_EQ(fake::cpu().elr, kPc);
    EXPECT_EQ(ring.end(), events) << "nothing was recorded";
  });
}

TEST_F(VectorTest, ARefusedHypercallIsRefusedAtThatPlaceOnly) {
  const auto hypercall = [](VCpuContext& c) {
    c.kind = TrapKind::sync;
    c.esr = Esr::from(kHvc0);
    c.frame.gpr[0] = 0xC600'FF00;
    c.frame.elr = kPc;
  };
  fake::cpu().guest = {hypercall};
  const auto exit = vcpu.run();
  ASSERT_TRUE(exit && exit->is<AxVCpuExitReason::Hypercall>());
  vcpu.refuse_hypercall();
  in_guest([&](VCpuContext& c) {
    EXPECT_EQ(c.frame.gpr[0], ~std::uint64_t{0});
    c.frame.gpr[0] = 0xC600'FF00;
    fake::cpu().elr = kPc + 8;
    EXPECT_EQ(answer(c, kHvc0), VectorAnswer::none) << "another place is new to the diagnosis";
    fake::cpu().elr = kPc;
    EXPECT_EQ(answer(c, kSmc0), VectorAnswer::none);
    EXPECT_EQ(answer(c, kHvc0), VectorAnswer::done);
    EXPECT_EQ(c.frame.gpr[0], ~std::uint64_t{0});
  });
}

TEST_F(VectorTest, PublishedRegistersAreReadWithTheirWidth) {
  in_guest([&](VCpuContext& c) {
    fake::cpu().far = 0xFFFF'8000'1234'5004;
    fake::cpu().hpfar = kTyper >> 12 << 4;
    EXPECT_EQ(answer(c, load_of(AccessWidth::word, 5)), VectorAnswer::done);
    EXPECT_EQ(c.frame.gpr[5], 0x0078'0007U) << "cut to the width when it was published";
    EXPECT_EQ(fake::cpu().elr, kPc + 4);
    EXPECT_EQ(last().data, 0x0078'0007U);
    EXPECT_EQ(last().far, fake::cpu().far);
    EXPECT_EQ(answer(c, load_of(AccessWidth::word, 20)), VectorAnswer::done_all_gprs) << "x20 is in the CPU";
    EXPECT_EQ(c.frame.gpr[20], 0x0078'0007U);
    c.frame.gpr[30] = 7;
    EXPECT_EQ(answer(c, load_of(AccessWidth::word, 31)), VectorAnswer::done_all_gprs);
    EXPECT_EQ(c.frame.gpr[30], 7U);

    const std::uint64_t pc = fake::cpu().elr;
    EXPECT_EQ(answer(c, load_of(AccessWidth::doubleword, 5)), VectorAnswer::none);
    EXPECT_EQ(answer(c, load_of(AccessWidth::byte, 5)), VectorAnswer::none);
    EXPECT_EQ(answer(c, load_of(AccessWidth::word, 5) | 1U << 6), VectorAnswer::none) << "a store";
    EXPECT_EQ(answer(c, load_of(AccessWidth::word, 5) | 1U << 7), VectorAnswer::none) << "S1PTW";
    EXPECT_EQ(answer(c, load_of(AccessWidth::word, 5) | 1U << 21), VectorAnswer::none) << "sign-extending";
    EXPECT_EQ(answer(c, load_of(AccessWidth::word, 5) & ~(1ULL << 24)), VectorAnswer::none) << "ISV 0";
    EXPECT_EQ(answer(c, load_of(AccessWidth::word, 5) | 0b1000), VectorAnswer::none) << "a permission fault";
    fake::cpu().far += 4;
    EXPECT_EQ(answer(c, load_of(AccessWidth::word, 5)), VectorAnswer::none) << "nothing is published there";
    fake::cpu().far -= 4;
    fake::cpu().el1.sctlr_el1 = fake::cpu().el1.sctlr_el1.with<SctlrEl1::EE>(true);
    EXPECT_EQ(answer(c, load_of(AccessWidth::word, 5)), VectorAnswer::none) << "big-endian";
    EXPECT_EQ(fake::cpu().elr, pc);
  });
}

TEST_F(VectorTest, ACellIsSeenOnlyWhileItIsShown) {
  PublishedRegisters::Cell cell;
  ASSERT_TRUE(registers.reserve(0x0900'0018, AccessWidth::word, cell));
  ASSERT_FALSE(registers.reserve(0x0900'0018, AccessWidth::word, cell)) << "the place is taken";
  cell.set(0x90);
  in_guest([&](VCpuContext& c) {
    fake::cpu().far = 0x18;
    fake::cpu().hpfar = 0x0900'0000 >> 12 << 4;
    EXPECT_EQ(answer(c, load_of(AccessWidth::word, 1)), VectorAnswer::none);
    cell.show();
    EXPECT_EQ(answer(c, load_of(AccessWidth::word, 1)), VectorAnswer::done);
    EXPECT_EQ(c.frame.gpr[1], 0x90U);
    cell.set(0x80);
    EXPECT_EQ(answer(c, load_of(AccessWidth::word, 1)), VectorAnswer::done);
    EXPECT_EQ(c.frame.gpr[1], 0x80U);
    cell.hide();
    EXPECT_EQ(answer(c, load_of(AccessWidth::word, 1)), VectorAnswer::none);
  });
}

TEST_F(VectorTest, IdRegistersAreTheSanitisedOnes) {
  in_guest([&](VCpuContext& c) {
    EXPECT_EQ(answer(c, msr_of(sysreg::ID_AA64PFR0_EL1, 3, true)), VectorAnswer::done);
    EXPECT_EQ(c.frame.gpr[3] >> 32 & 0xF, 0U) << "SVE is hidden";
    EXPECT_NE(c.frame.gpr[3], 0U);
    EXPECT_EQ(answer(c, msr_of(SysRegId{3, 0, 0, 0, 5}, 3, true)), VectorAnswer::none) << "CRm 0: MPIDR_EL1";
    EXPECT_EQ(answer(c, msr_of(sysreg::ID_AA64PFR0_EL1, 3, false)), VectorAnswer::none) << "a write";
  });
}

TEST_F(VectorTest, AnSgiToItselfGoesIntoTheEmptyListRegister) {
  direct.sgi[5] = 0x5000'0000'0000'0005;
  in_guest([&](VCpuContext& c) {
    const std::uint64_t esr = msr_of(sysreg::ICC_SGI1R_EL1, 2, false);
    c.frame.gpr[2] = std::uint64_t{5} << 24 | 1;
    EXPECT_EQ(answer(c, esr), VectorAnswer::none) << "not armed";
    direct.armed = 1;
    fake::cpu().ich_elrsr = 0xE;
    EXPECT_EQ(answer(c, esr), VectorAnswer::none) << "list register 0 is in use";
    fake::cpu().ich_elrsr = 0xF;
    EXPECT_EQ(direct.delivered.load(), 0U);
    EXPECT_EQ(answer(c, esr), VectorAnswer::done);
    EXPECT_EQ(fake::cpu().ich_lr0, 0x5000'0000'0000'0005U);
    EXPECT_EQ(direct.delivered.load(), 6U);
    EXPECT_EQ(last().hpfar, 0x5000'0000'0000'0005U);
    c.frame.gpr[2] = std::uint64_t{6} << 24 | 1;
    EXPECT_EQ(answer(c, esr), VectorAnswer::none) << "SGI 6 is not enabled";
    c.frame.gpr[2] = std::uint64_t{5} << 24 | std::uint64_t{1} << 40;
    EXPECT_EQ(answer(c, esr), VectorAnswer::none) << "IRM: to all others";
    c.frame.gpr[2] = std::uint64_t{5} << 24 | 3;
    EXPECT_EQ(answer(c, esr), VectorAnswer::none) << "two targets";
  });
}

TEST_F(VectorTest, AnSgiToAnotherIsPostedAndRung) {
  other.address = 2;
  peers.by_aff0[1] = &other;
  in_guest([&](VCpuContext& c) {
    const std::uint64_t esr = msr_of(sysreg::ICC_SGI1R_EL1, 2, false);
    c.frame.gpr[2] = std::uint64_t{9} << 24 | 2;
    EXPECT_EQ(answer(c, esr), VectorAnswer::none) << "it is on no CPU";
    EXPECT_EQ(other.posted.load(), 0U);
    other.doorbell = 0x0200'0002;
    EXPECT_EQ(answer(c, esr), VectorAnswer::done);
    EXPECT_EQ(other.posted.load(), 1U << 9);
    EXPECT_EQ(fake::cpu().sgi1r, 0x0200'0002U);
    c.frame.gpr[2] = std::uint64_t{9} << 24 | std::uint64_t{1} << 16 | 2;
    EXPECT_EQ(answer(c, esr), VectorAnswer::none) << "Aff1 1 is another one";
  });
}

TEST_F(VectorTest, TheTimerAndTheDoorbellAreAnsweredOthersHandedOn) {
  direct.armed = 1;
  direct.timer = 0x6000'001B'0000'001B;
  direct.sgi[9] = 0x5000'0000'0000'0009;
  in_guest([&](VCpuContext& c) {
    fake::cpu().pending_interrupt = 27;
    EXPECT_EQ(vmexit_answer_irq(&c), VectorAnswer::done);
    EXPECT_EQ(fake::cpu().ich_lr0, 0x6000'001B'0000'001BU);
    EXPECT_EQ(fake::cpu().eoir, 27U);
    EXPECT_EQ(fake::cpu().dir, 0U) << "the guest's deactivation reaches the physical interrupt";
    EXPECT_EQ(direct.delivered.load(), 28U);
    EXPECT_EQ(last().kind, Kind::exit_irq);
    EXPECT_EQ(last().outcome, Outcome::answered);
    EXPECT_EQ(last().data, 27U);

    fake::cpu().pending_interrupt = kDoorbellSgi;
    direct.posted = 1U << 9;
    EXPECT_EQ(vmexit_answer_irq(&c), VectorAnswer::done);
    EXPECT_EQ(direct.posted.load(), 0U);
    EXPECT_EQ(fake::cpu().ich_lr0, 0x5000'0000'0000'0009U);
    EXPECT_EQ(fake::cpu().dir, kDoorbellSgi);

    direct.posted = 3;
    EXPECT_EQ(vmexit_answer_irq(&c), VectorAnswer::none) << "two: the interrupt controller sorts them";
    EXPECT_EQ(direct.posted.load(), 3U);
    EXPECT_EQ(c.acknowledged, kDoorbellSgi + 1) << "the long way must not acknowledge again";
    c.acknowledged = 0;
    fake::cpu().pending_interrupt = 1;
    EXPECT_EQ(vmexit_answer_irq(&c), VectorAnswer::none);
    EXPECT_EQ(c.acknowledged, 2U);
    c.acknowledged = 0;
  });
  in_guest([&](VCpuContext& c) {
    vcpu.set_vector_answers(nullptr, nullptr, nullptr);
    fake::cpu().pending_interrupt = 27;
    EXPECT_EQ(vmexit_answer_irq(&c), VectorAnswer::none);
    EXPECT_EQ(c.acknowledged, 0U) << "nothing was acknowledged";
  });
}

}  // namespace
}  // namespace arm_vcpu
