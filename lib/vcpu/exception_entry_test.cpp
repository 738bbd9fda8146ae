// SPDX-License-Identifier: Apache-2.0
#include "vcpu/exception_entry.hpp"

#include <gtest/gtest.h>

#include "vcpu/instruction_done.hpp"

namespace arm_vcpu {
namespace {

TrapFrame frame_with(std::uint64_t spsr) {
  TrapFrame frame{};
  frame.elr = 0x1000;
  frame.spsr = Spsr::from(spsr);
  return frame;
}

constexpr El1State kEl1{.vbar_el1 = 0x8000, .sctlr_el1 = SctlrEl1::from(SctlrEl1::kReset)};

TEST(TakeException, VectorFollowsTheMode) {
  EXPECT_EQ(take_exception_to_el1(frame_with(0x3C5), kEl1, {}).pc, 0x8200U) << "EL1h";
  EXPECT_EQ(take_exception_to_el1(frame_with(0x3C4), kEl1, {}).pc, 0x8000U) << "EL1t";
  EXPECT_EQ(take_exception_to_el1(frame_with(0x3C0), kEl1, {}).pc, 0x8400U) << "EL0, AArch64";
  EXPECT_EQ(take_exception_to_el1(frame_with(0x1D0), kEl1, {}).pc, 0x8600U) << "EL0, AArch32";
}

TEST(TakeException, SavesPcAndPstate) {
  const El1Entry entry = take_exception_to_el1(frame_with(0x6000'0000), kEl1, {});
  EXPECT_EQ(entry.elr_el1, 0x1000U);
  EXPECT_EQ(entry.spsr_el1, 0x6000'0000U);
  EXPECT_EQ(entry.pstate.raw, 0x6000'03C5U) << "EL1h, DAIF set, flags kept";
}

TEST(TakeException, ClearsWhatAnExceptionClears) {
  const Spsr from =
      Spsr::from(0x5).with<Spsr::IL>(true).with<Spsr::SS>(true).with<Spsr::BTYPE>(3).with<Spsr::UAO>(true);
  const Spsr to = take_exception_to_el1(frame_with(from.raw), kEl1, {}).pstate;
  EXPECT_FALSE(to.get<Spsr::IL>() || to.get<Spsr::SS>() || to.get<Spsr::UAO>());
  EXPECT_EQ(to.get<Spsr::BTYPE>(), 0);
}

TEST(TakeException, PanFollowsSpan) {
  const Capabilities pan{.id = {.id_aa64mmfr1_el1 = 1U << 20}};
  El1State el1 = kEl1;
  EXPECT_FALSE(take_exception_to_el1(frame_with(0x5), el1, pan).pstate.get<Spsr::PAN>()) << "SPAN is 1 at reset";
  el1.sctlr_el1 = el1.sctlr_el1.with<SctlrEl1::SPAN>(false);
  EXPECT_TRUE(take_exception_to_el1(frame_with(0x5), el1, pan).pstate.get<Spsr::PAN>());
  EXPECT_FALSE(take_exception_to_el1(frame_with(0x5), el1, {}).pstate.get<Spsr::PAN>()) << "no FEAT_PAN";
}

TEST(TakeException, SsbsAndTcoFollowTheFeatures) {
  const Capabilities caps{.id = {.id_aa64pfr1_el1 = 2U << 8 | 1U << 4}};
  El1State el1 = kEl1;
  el1.sctlr_el1 = el1.sctlr_el1.with<SctlrEl1::DSSBS>(true);
  const Spsr to = take_exception_to_el1(frame_with(0x5), el1, caps).pstate;
  EXPECT_TRUE(to.get<Spsr::SSBS>());
  EXPECT_TRUE(to.get<Spsr::TCO>());
}

TEST(Syndrome, ClassTellsTheLevel) {
  EXPECT_EQ(data_abort_syndrome(frame_with(0x5), Fsc::external, true).raw, 0x9600'0050U);
  EXPECT_EQ(data_abort_syndrome(frame_with(0x0), Fsc::external, false).raw, 0x9200'0010U);
  EXPECT_EQ(instruction_abort_syndrome(frame_with(0x5), Fsc::external).raw, 0x8600'0010U);
  EXPECT_EQ(instruction_abort_syndrome(frame_with(0x10), Fsc::external).raw, 0x8200'0010U) << "AArch32 EL0";
  EXPECT_EQ(undefined_syndrome().raw, 0x0200'0000U);
}

constexpr std::uint64_t kUser = 0x10;
constexpr std::uint64_t kThumb = 0x20;
constexpr std::uint64_t spsr_of_it(std::uint64_t it) {
  return kUser | kThumb | it >> 2 << 10 | (it & 3) << 25;
}
TrapFrame finished(std::uint64_t spsr, bool is_32bit) {
  TrapFrame frame = frame_with(spsr);
  finish_instruction(frame, is_32bit);
  return frame;
}

TEST(FinishInstruction, IsAsLongAsItsState) {
  EXPECT_EQ(finished(0x3C5, true).elr, 0x1004U);
  EXPECT_EQ(finished(0x3C5, false).elr, 0x1004U) << "IL is 0 where the syndrome does not tell";
  EXPECT_EQ(finished(kUser, true).elr, 0x1004U) << "A32";
  EXPECT_EQ(finished(kUser | kThumb, true).elr, 0x1004U);
  EXPECT_EQ(finished(kUser | kThumb, false).elr, 0x1002U);
}

TEST(FinishInstruction, EndsAStep) {
  EXPECT_FALSE(finished(0x3C5 | 1U << 21, true).spsr.get<Spsr::SS>());
}

TEST(FinishInstruction, ABlockOfConditionsGoesOn) {
  // ITTTE EQ: conditions 0000, 0000, 0000, 0001, then none.
  std::uint64_t it = 0b0000'0011;
  for (const std::uint64_t next : {0b0000'0110U, 0b0000'1100U, 0b0001'1000U, 0U, 0U}) {
    const TrapFrame frame = finished(spsr_of_it(it), true);
    EXPECT_EQ(frame.spsr.raw, spsr_of_it(next));
    it = next;
  }
  EXPECT_EQ(finished(0x6600'F005, true).spsr.raw, 0x6600'F005U) << "AArch64: TCO and SSBS are not conditions";
}

}  // namespace
}  // namespace arm_vcpu
