// SPDX-License-Identifier: Apache-2.0
// From a vCPU that waits to another on the same CPU, inside the exit.
#include <gtest/gtest.h>

#include "vcpu/recorder.hpp"
#include "vcpu/test_vcpu.hpp"

namespace arm_vcpu {
namespace {

using trace::Kind;

// Hands over to whom it is told, if that can be.
class Scheduler final : public ExitResponder {
 public:
  Reply read(std::uint64_t, AccessWidth) noexcept override { return {}; }
  bool write(std::uint64_t, AccessWidth, std::uint64_t) noexcept override { return false; }
  Aarch64VCpu* on_wait(Aarch64VCpu& vcpu) noexcept override {
    ++asked;
    if (next == nullptr || !vcpu.can_hand_over_to(*next)) return nullptr;
    vcpu.hand_over(*next, delivered);
    return next;
  }

  Aarch64VCpu* next{};
  std::uint64_t delivered{};
  unsigned asked{};
};

class HandOverTest : public VCpuTest {
 protected:
  static constexpr std::uint64_t kOtherEntry = 0x4010'0000;

  void SetUp() override {
    VCpuTest::SetUp();
    per_cpu.set_trace(&ring);
    ASSERT_TRUE(other.setup({.vm_id = 1, .index = 1}));
    ASSERT_TRUE(other.set_ept_root({.vttbr_el2 = 2ULL << 48 | 0x9000'2000, .vtcr_el2 = kRoot.vtcr_el2}));
    ASSERT_TRUE(other.set_entry(kOtherEntry));
  }
  // The other one has been here before, and waits.
  void let_other_wait() {
    ASSERT_TRUE(other.bind(per_cpu));
    fake::cpu().live.tpidr_el1 = 0x1111;
    fake::cpu().sp_el0 = 0x100;
    fake::cpu().guest = {sync_exit(Ec::wfx, 0)};
    ASSERT_TRUE(other.run());
    other.trap_frame().sp_el0 = 0x200;
    ASSERT_TRUE(other.unbind());
    prepare();
    vcpu.set_exit_responder(&scheduler);
    scheduler.next = &other;
  }

  alignas(64) std::byte memory[sizeof(trace::RingHeader) + 64 * sizeof(trace::Record)]{};
  trace::Ring& ring = *trace::Ring::create(memory, 0, 64);
  Aarch64VCpu other = *Aarch64VCpu::create({.mpidr_el1 = 0x2, .dtb_addr = 0});
  Scheduler scheduler;
};

TEST_F(HandOverTest, TheOtherGoesOnInTheSameRun) {
  let_other_wait();
  fake::cpu().live.tpidr_el1 = 0x2222;
  fake::cpu().sp_el0 = 0x300;
  const AxVCpuExitReason* reason{};
  std::uint64_t seen_root = 0, seen_tpidr = 0, seen_sp = 0, seen_pc = 0;
  fake::cpu().guest = {sync_exit(Ec::wfx, 0), [&](VCpuContext& context) {
                         seen_root = fake::cpu().live.vttbr_el2;
                         seen_tpidr = fake::cpu().live.tpidr_el1;
                         seen_sp = fake::cpu().sp_el0;
                         seen_pc = context.frame.elr;
                         sync_exit(Ec::wfx, 1)(context);
                       }};
  ASSERT_TRUE(vcpu.run(reason));
  EXPECT_EQ(seen_root, 2ULL << 48 | 0x9000'2000);
  EXPECT_EQ(seen_tpidr, 0x1111U);
  EXPECT_EQ(seen_sp, 0x200U);
  EXPECT_EQ(seen_pc, kOtherEntry + 4) << "behind its own WFI";

  // The exit is the other one's.
  EXPECT_EQ(per_cpu.current(), &other);
  ASSERT_TRUE(reason->is<Exit::Halt>());
  EXPECT_TRUE(reason->get_if<Exit::Halt>()->is_wfe);
  EXPECT_TRUE(other.is_bound());

  EXPECT_FALSE(vcpu.is_bound());
  EXPECT_EQ(pc(), kEntry + 4);
  EXPECT_EQ(vcpu.trap_frame().sp_el0, 0x300U);
  EXPECT_EQ(vcpu.system_registers().tpidr_el1, 0x2222U);
  EXPECT_EQ(vcpu.handled_exits(), 1U);
  EXPECT_TRUE(other.unbind());
}

TEST_F(HandOverTest, TheRecorderTellsIt) {
  let_other_wait();
  const std::uint64_t first = ring.end();
  fake::cpu().guest = {sync_exit(Ec::wfx, 0), interrupt()};
  ASSERT_TRUE(vcpu.run());
  ASSERT_EQ(ring.end(), first + 3);
  EXPECT_EQ(ring.at(first).kind, Kind::exit_sync);
  EXPECT_EQ(ring.at(first).outcome, trace::Outcome::waits);
  EXPECT_EQ(ring.at(first).pc, kEntry) << "at the WFI";
  EXPECT_EQ(Esr::from(ring.at(first).esr).get<Esr::EC>(), Ec::wfx);
  EXPECT_EQ(ring.at(first).vcpu, 0);
  EXPECT_EQ(ring.at(first + 1).kind, Kind::vcpu_scheduled);
  EXPECT_EQ(ring.at(first + 1).pc, kOtherEntry + 4);
  EXPECT_EQ(ring.at(first + 1).data, 1U) << "after a wait";
  EXPECT_EQ(ring.at(first + 1).vm, 1);
  EXPECT_EQ(ring.at(first + 1).vcpu, 1);
  EXPECT_EQ(ring.at(first + 2).kind, Kind::exit_irq);
  EXPECT_EQ(ring.at(first + 2).vcpu, 1);
  EXPECT_EQ(static_cast<std::uint32_t>(first + 2), ring.at(first + 2).sequence);
}

TEST_F(HandOverTest, AndWhatTheOtherIsWokenWith) {
  let_other_wait();
  scheduler.delivered = 0x5000'0000'0000'0007;  // pending, group 1, SGI 7
  const std::uint64_t first = ring.end();
  fake::cpu().guest = {sync_exit(Ec::wfx, 0), interrupt()};
  ASSERT_TRUE(vcpu.run());
  ASSERT_EQ(ring.end(), first + 4);
  const trace::Record& delivered = ring.at(first + 2);
  EXPECT_EQ(delivered.kind, Kind::irq_delivered);
  EXPECT_EQ(delivered.data, 7U);
  EXPECT_EQ(delivered.far, 0U) << "list register 0";
  EXPECT_EQ(delivered.hpfar, scheduler.delivered);
  EXPECT_EQ(delivered.vm, 1);
  EXPECT_EQ(delivered.vcpu, 1);
  EXPECT_EQ(delivered.outcome, trace::Outcome::open);
  EXPECT_EQ(delivered.time, ring.at(first).time);
}

TEST_F(HandOverTest, WithoutARecorder) {
  per_cpu.set_trace(nullptr);
  let_other_wait();
  fake::cpu().guest = {sync_exit(Ec::wfx, 0), interrupt()};
  ASSERT_TRUE(vcpu.run());
  EXPECT_EQ(per_cpu.current(), &other);
  EXPECT_EQ(ring.end(), 0U);
}

TEST_F(HandOverTest, EachHasItsOwnKeys) {
  for (const bool el2_has_one : {false, true}) {
    fake::reset();
    fake::cpu().id.id_aa64isar1_el1 = 0x10;
    fake::cpu().uses_ia_key = el2_has_one;
    ASSERT_TRUE(other.setup({.vm_id = 1, .index = 1}));
    let_other_wait();
    fake::cpu().live.apibkeylo_el1 = 0xB0;
    if (!el2_has_one) fake::cpu().live.apiakeylo_el1 = 0xA0;
    fake::cpu().guest = {[&](VCpuContext& context) {
                           if (el2_has_one) context.guest_ia_key[0] = 0xA0;
                           sync_exit(Ec::wfx, 0)(context);
                         },
                         [&](VCpuContext& context) {
                           EXPECT_EQ(fake::cpu().live.apibkeylo_el1, 0U);
                           EXPECT_EQ(el2_has_one ? context.guest_ia_key[0] : fake::cpu().live.apiakeylo_el1, 0U);
                           interrupt()(context);
                         }};
    ASSERT_TRUE(vcpu.run());
    ASSERT_EQ(per_cpu.current(), &other);
    EXPECT_EQ(vcpu.system_registers().apiakeylo_el1, 0xA0U) << el2_has_one;
    EXPECT_EQ(vcpu.system_registers().apibkeylo_el1, 0xB0U);
    ASSERT_TRUE(other.unbind());
  }
}

TEST_F(HandOverTest, NobodyElseAndRunReturns) {
  prepare();
  vcpu.set_exit_responder(&scheduler);
  EXPECT_FALSE(run(sync_exit(Ec::wfx, 0)).get_if<Exit::Halt>()->is_wfe);
  EXPECT_EQ(scheduler.asked, 1U);
  EXPECT_EQ(pc(), kEntry + 4);
  EXPECT_EQ(per_cpu.current(), &vcpu);
  EXPECT_EQ(vcpu.handled_exits(), 0U);
}

TEST_F(HandOverTest, OtherWaitsAreNotItsAffair) {
  prepare();
  vcpu.set_exit_responder(&scheduler);
  for (const std::uint32_t waits : {1U, 2U | 1U << 2, 3U | 1U << 2}) {  // WFE, WFIT, WFET
    EXPECT_TRUE(run(sync_exit(Ec::wfx, waits)).is<Exit::Halt>());
  }
  run([](VCpuContext& context) {
    sync_exit(Ec::wfx, 0)(context);
    context.frame.spsr = context.frame.spsr.with<Spsr::nRW>(true);
  });
  EXPECT_EQ(scheduler.asked, 0U);
}

// What would have to be switched, and is not.
TEST_F(HandOverTest, OnlyWhereNothingElseHasToBeSwitched) {
  prepare();
  EXPECT_FALSE(vcpu.can_hand_over_to(other)) << "it was never here";
  ASSERT_TRUE(vcpu.unbind());
  let_other_wait();
  EXPECT_TRUE(vcpu.can_hand_over_to(other));

  ASSERT_TRUE(other.reset(kOtherEntry, 0));
  EXPECT_FALSE(vcpu.can_hand_over_to(other)) << "it is to be bound as after setup()";

  ASSERT_TRUE(vcpu.unbind());
  Aarch64PerCpu elsewhere{1};
  ASSERT_TRUE(elsewhere.hardware_enable());
  ASSERT_TRUE(other.bind(elsewhere));
  ASSERT_TRUE(other.unbind());
  ASSERT_TRUE(vcpu.bind(per_cpu));
  EXPECT_FALSE(vcpu.can_hand_over_to(other)) << "its FP registers, and its vectors' lengths, may be elsewhere";
}

TEST_F(HandOverTest, DebugRegistersThatRunGoTheLongWay) {
  let_other_wait();
  // MDSCR_EL1.MDE, and the OS Lock is open.
  ASSERT_TRUE(vcpu.set_gpr(0, 1U << 15));
  ASSERT_TRUE(vcpu.set_gpr(1, 0));
  constexpr std::uint32_t kMsrMdscr = SysRegId{2, 0, 0, 2, 2}.iss();
  constexpr std::uint32_t kMsrOslar = SysRegId{2, 0, 1, 0, 4}.iss() | 1U << 5;
  run(sync_exit(Ec::sysreg, kMsrOslar), sync_exit(Ec::sysreg, kMsrMdscr), interrupt());
  ASSERT_TRUE(vcpu.debug_registers().in_use());
  EXPECT_FALSE(vcpu.can_hand_over_to(other));
  ASSERT_TRUE(vcpu.set_gpr(0, 0));
  run(sync_exit(Ec::sysreg, kMsrMdscr), interrupt());
  EXPECT_TRUE(vcpu.can_hand_over_to(other));
}

// Both use them: after the first trap of each nobody traps any more, for a time.
TEST_F(HandOverTest, VectorsComeWithWhoUsesThem) {
  let_other_wait();
  other.set_exit_responder(&scheduler);
  const auto live = []() -> std::uint64_t& { return fake::cpu().fp.v[5]; };
  const auto traps = [] { return Cptr::from(fake::cpu().live.cptr_el2).get<Cptr::TFP>(); };
  fake::cpu().guest = {sync_exit(Ec::fp_access, 0),
                       [&](VCpuContext& context) {
                         live() = 0xA;
                         sync_exit(Ec::wfx, 0)(context);
                       },
                       sync_exit(Ec::fp_access, 0),
                       [&](VCpuContext& context) {
                         EXPECT_EQ(live(), 0U);
                         live() = 0xB;
                         interrupt()(context);
                       }};
  ASSERT_TRUE(vcpu.run());
  ASSERT_EQ(per_cpu.current(), &other);

  Aarch64VCpu* runs = &other;
  unsigned came = 0;
  for (unsigned turn = 0; turn < 40; ++turn) {
    Aarch64VCpu* const goes_on = runs == &other ? &vcpu : &other;
    scheduler.next = goes_on;
    fake::cpu().guest = {sync_exit(Ec::wfx, 0), interrupt()};
    ASSERT_TRUE(runs->run());
    runs = goes_on;
    ASSERT_EQ(per_cpu.current(), runs);
    if (traps()) break;
    ++came;
    EXPECT_EQ(live(), runs == &other ? 0xBU : 0xAU) << turn;
    EXPECT_FALSE(traps());
  }
  EXPECT_EQ(came, 32U) << "16 times each; from then on they are somebody's who may not need them any more";
  // Who uses them again has them again.
  fake::cpu().guest = {sync_exit(Ec::fp_access, 0), interrupt()};
  ASSERT_TRUE(runs->run());
  EXPECT_EQ(live(), runs == &other ? 0xBU : 0xAU);
  EXPECT_FALSE(traps());
}

TEST_F(HandOverTest, VectorsOfALifeBeforeComeToNobody) {
  let_other_wait();
  fake::cpu().guest = {sync_exit(Ec::fp_access, 0), interrupt()};
  ASSERT_TRUE(vcpu.run());
  ASSERT_TRUE(vcpu.unbind());
  ASSERT_TRUE(vcpu.reset(kEntry, 0));
  ASSERT_TRUE(other.bind(per_cpu));
  fake::cpu().guest = {sync_exit(Ec::fp_access, 0), interrupt()};
  ASSERT_TRUE(other.run());
  ASSERT_TRUE(other.unbind());
  fake::cpu().log.clear();
  ASSERT_TRUE(vcpu.bind(per_cpu));
  EXPECT_TRUE(fake::cpu().log.empty());
  EXPECT_TRUE(Cptr::from(fake::cpu().live.cptr_el2).get<Cptr::TFP>());
}

TEST_F(HandOverTest, VectorsStayWhoseTheyAre) {
  let_other_wait();
  fake::cpu().guest = {sync_exit(Ec::fp_access, 0), sync_exit(Ec::wfx, 0), interrupt()};
  ASSERT_TRUE(vcpu.run());
  ASSERT_EQ(per_cpu.current(), &other);
  EXPECT_TRUE(Cptr::from(fake::cpu().live.cptr_el2).get<Cptr::TFP>()) << "the other one's first FP instruction traps";
  other.set_exit_responder(&scheduler);
  scheduler.next = &vcpu;
  fake::cpu().guest = {sync_exit(Ec::wfx, 0), interrupt()};
  ASSERT_TRUE(other.run());
  ASSERT_EQ(per_cpu.current(), &vcpu);
  EXPECT_FALSE(Cptr::from(fake::cpu().live.cptr_el2).get<Cptr::TFP>()) << "nobody has used them meanwhile";
}

}  // namespace
}  // namespace arm_vcpu
