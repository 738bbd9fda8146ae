// SPDX-License-Identifier: Apache-2.0
// What the exit path writes into the recorder's ring.
#include "vcpu/recorder.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "arm_vcpu/trace/diagnosis_loops.hpp"
#include "vcpu/fake_hw.hpp"

namespace arm_vcpu {
namespace {

using trace::Kind;
using trace::Outcome;
using trace::Record;

class RecorderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fake::reset();
    ASSERT_TRUE(cpu.hardware_enable());
    cpu.set_trace(&ring);
    ASSERT_TRUE(vcpu.setup({.vm_id = 2, .index = 3}));
    ASSERT_TRUE(vcpu.set_ept_root({.vttbr_el2 = 0x8000'0000, .vtcr_el2 = 0x8002'3558}));
    ASSERT_TRUE(vcpu.set_entry(0x4000'0000));
    ASSERT_TRUE(vcpu.bind(cpu));
  }

  static std::function<void(VCpuContext&)> exit_of(TrapKind kind, std::uint64_t esr, std::uint64_t far = 0) {
    return [=](VCpuContext& context) {
      context.kind = kind;
      context.esr = Esr::from(esr);
      context.far = far;
    };
  }

  alignas(64) std::byte memory[sizeof(trace::RingHeader) + 64 * sizeof(Record)]{};
  trace::Ring& ring = *trace::Ring::create(memory, 0, 64);
  Aarch64PerCpu cpu{0};
  Aarch64VCpu vcpu = *Aarch64VCpu::create({.mpidr_el1 = 0, .dtb_addr = 0});
};

TEST_F(RecorderTest, AnExitIsRecordedWithItsInputsAndItsOutcome) {
  ASSERT_TRUE(vcpu.set_gpr(5, 0xABCD));
  // STR W5 to an unmapped address, then an interrupt.
  constexpr std::uint64_t kEsr = 0x24ULL << 26 | 1U << 25 | 1U << 24 | 2U << 22 | 5U << 16 | 1U << 6 | 7;
  fake::cpu().guest = {exit_of(TrapKind::sync, kEsr, 0x900'0018)};
  ASSERT_TRUE(vcpu.run());
  ASSERT_EQ(ring.end(), 2U);
  EXPECT_EQ(ring.at(0).kind, Kind::vcpu_scheduled);
  const Record& store = ring.at(1);
  EXPECT_EQ(store.kind, Kind::exit_sync);
  EXPECT_EQ(store.esr, kEsr);
  EXPECT_EQ(store.far, 0x900'0018U);
  EXPECT_EQ(store.pc, 0x4000'0000U);
  EXPECT_EQ(store.data, 0xABCDU);
  EXPECT_EQ(store.spsr, 0x3C5U);
  EXPECT_EQ(store.vm, 2);
  EXPECT_EQ(store.vcpu, 3);
  EXPECT_EQ(store.outcome, Outcome::open) << "the hypervisor has not answered";
  ASSERT_TRUE(vcpu.complete_mmio_write());
  fake::cpu().pending_interrupt = 27;
  fake::cpu().guest = {exit_of(TrapKind::irq, kEsr, 0x900'0018)};
  ASSERT_TRUE(vcpu.run());
  EXPECT_EQ(store.outcome, Outcome::returned);
  EXPECT_EQ(store.duration, 10U) << "one look at the fake counter later";
  const Record& irq = ring.at(2);
  EXPECT_EQ(irq.kind, Kind::exit_irq);
  EXPECT_EQ(irq.data, 27U);
  EXPECT_EQ(irq.esr, 0U) << "an interrupt has no syndrome";
  EXPECT_EQ(irq.far, 0U);
}

TEST_F(RecorderTest, HandledAndInjected) {
  ASSERT_TRUE(vcpu.set_gpr(0, 0x8400'0000));
  fake::cpu().guest = {exit_of(TrapKind::sync, 0x16ULL << 26 | 1U << 25), exit_of(TrapKind::sync, 0x1AULL << 26),
                       exit_of(TrapKind::irq, 0)};
  ASSERT_TRUE(vcpu.run());
  ASSERT_EQ(ring.end(), 5U);
  EXPECT_EQ(ring.at(1).outcome, Outcome::handled);
  EXPECT_EQ(ring.at(1).data, 0x8400'0000U);
  EXPECT_EQ(ring.at(2).kind, Kind::psci_call);
  EXPECT_EQ(ring.at(2).data, 0x1'0001ULL << 32 | 0x8400'0000) << "the answer above the function";
  EXPECT_EQ(ring.at(3).outcome, Outcome::injected);
  EXPECT_EQ(vcpu.handled_exits(), 2U);
}

class Accepting final : public fake::DeviceResponder {
 public:
  Reply read(std::uint64_t, AccessWidth) noexcept override { return {true, 0x77}; }
  bool write(std::uint64_t, AccessWidth, std::uint64_t) noexcept override { return true; }
};

// As by the hypervisor's loop: an access that was completed is progress, however often it comes again.
TEST_F(RecorderTest, AnAccessThatAResponderAnsweredIsTheHypervisors) {
  Accepting device;
  vcpu.set_exit_responder(&device);
  constexpr std::uint64_t kLoad = 0x24ULL << 26 | 1U << 25 | 1U << 24 | 2U << 22 | 5U << 16 | 7;
  fake::cpu().guest = {exit_of(TrapKind::sync, kLoad, 0x900'0018), exit_of(TrapKind::sync, kLoad | 1U << 6, 0x900'0018),
                       exit_of(TrapKind::irq, 0)};
  ASSERT_TRUE(vcpu.run());
  ASSERT_EQ(ring.end(), 4U);
  for (const std::uint64_t number : {1U, 2U}) {
    EXPECT_EQ(ring.at(number).outcome, Outcome::returned);
    EXPECT_FALSE(diag::makes_no_progress(ring.at(number)));
  }
}

TEST_F(RecorderTest, SoIsOneOfAnInstructionThatWasEmulated) {
  Accepting device;
  vcpu.set_exit_responder(&device);
  using Place = hw::GuestPlace;
  fake::cpu().pages[0x4000'0000] = {.kind = Place::Kind::memory, .cached = true, .address = 0x4000'0000};
  fake::cpu().pages[0x900'0000] = {.kind = Place::Kind::unmapped, .address = 0x900'0000};
  constexpr std::uint32_t kLdrPost = 0xB840'4423;  // ldr w3, [x1], #4
  for (unsigned i = 0; i < 4; ++i) {
    fake::cpu().bytes[0x4000'0000 + i] = static_cast<std::uint8_t>(kLdrPost >> 8 * i);
  }
  ASSERT_TRUE(vcpu.set_gpr(1, 0x900'0018));
  constexpr std::uint64_t kUndescribed = 0x24ULL << 26 | 1U << 25 | 7;
  fake::cpu().guest = {exit_of(TrapKind::sync, kUndescribed, 0x900'0018), exit_of(TrapKind::irq, 0)};
  ASSERT_TRUE(vcpu.run());
  ASSERT_EQ(ring.end(), 3U);
  EXPECT_EQ(vcpu.trap_frame().gpr[3], 0x77U);
  EXPECT_EQ(ring.at(1).outcome, Outcome::returned);
  EXPECT_FALSE(diag::makes_no_progress(ring.at(1)));
}

TEST_F(RecorderTest, OffWritesNothing) {
  ASSERT_TRUE(vcpu.unbind());
  cpu.set_trace(nullptr);
  ASSERT_TRUE(vcpu.bind(cpu));
  const std::uint64_t before = ring.end();
  fake::cpu().guest = {exit_of(TrapKind::sync, 0x1AULL << 26), exit_of(TrapKind::irq, 0)};
  ASSERT_TRUE(vcpu.run());
  EXPECT_EQ(ring.end(), before);
}

TEST_F(RecorderTest, UnbindClosesTheLastExit) {
  fake::cpu().guest = {exit_of(TrapKind::sync, 0x01ULL << 26)};
  ASSERT_TRUE(vcpu.run());
  EXPECT_EQ(ring.at(1).outcome, Outcome::open);
  ASSERT_TRUE(vcpu.unbind());
  EXPECT_EQ(ring.at(1).outcome, Outcome::returned);
}

TEST_F(RecorderTest, DurationSaturates) {
  fake::cpu().guest = {exit_of(TrapKind::sync, 0x01ULL << 26)};
  ASSERT_TRUE(vcpu.run());
  fake::cpu().ticks += std::uint64_t{1} << 40;
  ASSERT_TRUE(vcpu.unbind());
  EXPECT_EQ(ring.at(1).duration, ~std::uint32_t{0});
}

}  // namespace
}  // namespace arm_vcpu
