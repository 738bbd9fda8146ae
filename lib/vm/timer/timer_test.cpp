// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/vm/timer.hpp"

#include <gtest/gtest.h>

#include <cstdint>

namespace arm_vcpu::vm {
namespace {

constexpr std::uint64_t kMax = ~std::uint64_t{0};
constexpr std::uint64_t kEnable = 1;
constexpr std::uint64_t kMasked = 3;

constexpr EmulatedTimer timer(std::uint64_t ctl, std::uint64_t cval) {
  return EmulatedTimer{TimerState{TimerCtl::from(ctl), cval}};
}

TEST(EmulatedTimer, StartsDisabled) {
  const EmulatedTimer t;
  EXPECT_EQ(t.read_ctl(kMax), 0U);
  EXPECT_FALSE(t.line(kMax));
  EXPECT_FALSE(t.next_deadline(0).has_value());
}

TEST(EmulatedTimer, CtlKeepsTwoBitsAndDerivesIstatus) {
  EmulatedTimer t;
  t.write_ctl(kMax);
  EXPECT_EQ(t.snapshot().ctl.raw, 3U) << "ISTATUS is read-only and bits 63:3 are RES0";
  t.write_cval(100);
  EXPECT_EQ(t.read_ctl(99), 3U);
  EXPECT_EQ(t.read_ctl(100), 7U) << "IMASK does not hide ISTATUS";
  t.write_ctl(4);
  EXPECT_EQ(t.read_ctl(100), 0U);
}

TEST(EmulatedTimer, LineIsAtOrAfterCval) {
  EXPECT_FALSE(timer(kEnable, 100).line(99));
  EXPECT_TRUE(timer(kEnable, 100).line(100));
  EXPECT_TRUE(timer(kEnable, 100).line(kMax));
  EXPECT_FALSE(timer(kMasked, 100).line(100));
  EXPECT_FALSE(timer(0, 100).line(100));
  EXPECT_FALSE(timer(2, 100).line(100));
  EXPECT_TRUE(timer(kEnable, 0).line(0));
}

TEST(EmulatedTimer, CompareIsUnsignedAtTheExtremes) {
  EXPECT_FALSE(timer(kEnable, kMax).line(0)) << "not one tick in the past";
  EXPECT_FALSE(timer(kEnable, kMax).line(kMax - 1));
  EXPECT_TRUE(timer(kEnable, kMax).line(kMax));
  EXPECT_FALSE(timer(kEnable, 1ULL << 63).line((1ULL << 63) - 1));
  EXPECT_TRUE(timer(kEnable, (1ULL << 63) - 1).line(1ULL << 63));
  EXPECT_TRUE(timer(kEnable, 0).line(kMax));
}

TEST(EmulatedTimer, Deadline) {
  EXPECT_EQ(timer(kEnable, 100).next_deadline(99), 100U);
  EXPECT_EQ(timer(kEnable, kMax).next_deadline(0), kMax);
  EXPECT_EQ(timer(kEnable, 100).next_deadline(100), std::nullopt) << "up already";
  EXPECT_EQ(timer(kEnable, 100).next_deadline(101), std::nullopt);
  EXPECT_EQ(timer(kMasked, 100).next_deadline(0), std::nullopt);
  EXPECT_EQ(timer(0, 100).next_deadline(0), std::nullopt);
}

// At every moment exactly one holds of an unmasked, enabled timer: the line is up, or a deadline lies ahead.
TEST(EmulatedTimer, LineOrDeadline) {
  for (const std::uint64_t cval : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 63, kMax - 1, kMax}) {
    for (const std::uint64_t now : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 63, kMax - 1, kMax}) {
      const EmulatedTimer t = timer(kEnable, cval);
      EXPECT_NE(t.line(now), t.next_deadline(now).has_value());
      if (const auto deadline = t.next_deadline(now)) {
        EXPECT_GT(*deadline, now);
        EXPECT_TRUE(t.line(*deadline));
        EXPECT_FALSE(t.line(*deadline - 1));
      }
    }
  }
}

TEST(EmulatedTimer, TvalIsASignedDistance) {
  EmulatedTimer t;
  t.write_ctl(kEnable);
  t.write_tval(50, 1000);
  EXPECT_EQ(t.read_cval(), 1050U);
  EXPECT_EQ(t.read_tval(1000), 50U);
  EXPECT_EQ(t.read_tval(1050), 0U);
  EXPECT_EQ(t.read_tval(1051), 0xFFFF'FFFFU) << "goes negative, bits 63:32 RES0";

  t.write_tval(0xFFFF'FFF6, 1000);  // -10
  EXPECT_EQ(t.read_cval(), 990U);
  EXPECT_TRUE(t.line(1000));
  t.write_tval(0xABCD'0000'0000'0005, 1000);
  EXPECT_EQ(t.read_cval(), 1005U) << "bits 63:32 of TVAL are ignored";
  t.write_tval(0x7FFF'FFFF, 1000);
  EXPECT_EQ(t.read_cval(), 1000U + 0x7FFF'FFFF);
  t.write_tval(0x8000'0000, 0x1'0000'0000);
  EXPECT_EQ(t.read_cval(), 0x8000'0000U);
}

TEST(EmulatedTimer, TvalWrapsLikeTheCounter) {
  EmulatedTimer t;
  t.write_ctl(kEnable);
  t.write_tval(0xFFFF'FFF6, 5);  // -10 at count 5: the sum wraps below 0
  EXPECT_EQ(t.read_cval(), kMax - 4);
  EXPECT_FALSE(t.line(5));
  t.write_tval(10, kMax - 4);
  EXPECT_EQ(t.read_cval(), 5U);
  EXPECT_TRUE(t.line(kMax - 4));
  EXPECT_EQ(timer(kEnable, 0x5'0000'0007).read_tval(2), 5U) << "only the low word of a long distance shows";
}

TEST(EmulatedTimer, SnapshotRestores) {
  EmulatedTimer t = timer(kEnable, 77);
  EmulatedTimer other{t.snapshot()};
  EXPECT_EQ(other.snapshot(), t.snapshot());
  EXPECT_EQ(other.read_ctl(77), 5U);
  other.restore({TimerCtl::from(7), 1});
  EXPECT_EQ(other.snapshot().ctl.raw, 3U) << "ISTATUS of a saved CTL is not state";
}

TEST(EmulatedTimer, TrappedAccesses) {
  EmulatedTimer t;
  EXPECT_EQ(t.access(sysreg::CNTP_CVAL_EL0, true, 500, 100), 0U);
  EXPECT_EQ(t.access(sysreg::CNTP_CTL_EL0, true, 1, 100), 0U);
  EXPECT_EQ(t.access(sysreg::CNTP_CVAL_EL0, false, 9, 100), 500U);
  EXPECT_EQ(t.access(sysreg::CNTP_TVAL_EL0, false, 9, 100), 400U);
  EXPECT_EQ(t.access(sysreg::CNTP_CTL_EL0, false, 0, 100), 1U);
  EXPECT_EQ(t.access(sysreg::CNTP_CTL_EL0, false, 0, 500), 5U);
  EXPECT_EQ(t.access(sysreg::CNTP_TVAL_EL0, true, 20, 600), 0U);
  EXPECT_EQ(t.read_cval(), 620U);

  const TimerState before = t.snapshot();
  for (const SysRegId id : {sysreg::CNTV_CTL_EL0, sysreg::CNTV_CVAL_EL0, sysreg::CNTPCT_EL0, sysreg::CNTHP_CTL_EL2}) {
    EXPECT_EQ(t.access(id, true, 0, 0), std::nullopt);
    EXPECT_EQ(t.access(id, false, 0, 0), std::nullopt);
  }
  EXPECT_EQ(t.snapshot(), before);
}

TEST(VirtualTimer, Expired) {
  EXPECT_TRUE(vtimer_expired(1, 10, 10));
  EXPECT_TRUE(vtimer_expired(5, 10, 11)) << "ISTATUS in the saved value changes nothing";
  EXPECT_FALSE(vtimer_expired(5, 10, 9));
  EXPECT_FALSE(vtimer_expired(3, 10, 10));
  EXPECT_FALSE(vtimer_expired(0, 0, kMax));
  EXPECT_FALSE(vtimer_expired(1, kMax, 0));
}

TEST(VirtualTimer, PhysicalDeadline) {
  const TimerState saved{TimerCtl::from(1), 150};
  EXPECT_EQ(vtimer_physical_deadline(saved, 1000, 900), 1050U);
  EXPECT_EQ(vtimer_physical_deadline(saved, 1050, 900), std::nullopt) << "expired";
  EXPECT_EQ(vtimer_physical_deadline(saved, 10, 0 - std::uint64_t{100}), 50U) << "the virtual count is ahead";
  EXPECT_EQ(vtimer_physical_deadline({TimerCtl::from(1), kMax}, 1000, 900), std::nullopt)
      << "beyond the end of the physical counter";
  EXPECT_EQ(vtimer_physical_deadline({TimerCtl::from(1), kMax}, 1000, 0), kMax);
  EXPECT_EQ(vtimer_physical_deadline({TimerCtl::from(3), 150}, 1000, 900), std::nullopt);
}

TEST(VirtualTimer, Earlier) {
  EXPECT_EQ(earlier(std::nullopt, std::nullopt), std::nullopt);
  EXPECT_EQ(earlier(1, std::nullopt), 1U);
  EXPECT_EQ(earlier(std::nullopt, 2), 2U);
  EXPECT_EQ(earlier(3, 2), 2U);
  EXPECT_EQ(earlier(2, 3), 2U);
}

// The count reaches every deadline from every start with one wake-up, and none too early.
TEST(VirtualTimer, DeadlineAgreesWithTheLine) {
  for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{1} << 40, 0 - (std::uint64_t{1} << 40)}) {
    for (const std::uint64_t distance : {1ULL, 1000ULL, 0xFFFF'FFFFULL, 1ULL << 50}) {
      const std::uint64_t now = std::uint64_t{1} << 45;
      const TimerState saved{TimerCtl::from(1), now - offset + distance};
      const auto physical = vtimer_physical_deadline(saved, now, offset);
      ASSERT_EQ(physical, now + distance);
      EXPECT_TRUE(vtimer_expired(1, saved.cval, *physical - offset));
      EXPECT_FALSE(vtimer_expired(1, saved.cval, *physical - 1 - offset));
    }
  }
}

}  // namespace
}  // namespace arm_vcpu::vm
