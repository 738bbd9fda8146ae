// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/debug_registers.hpp"

#include <gtest/gtest.h>

#include <map>

namespace arm_vcpu {
namespace {

constexpr std::uint64_t kHit = 1 | 1 << 1 | 0xF << 5;  // E, PMC, BAS

constexpr SysRegId comparator(unsigned n, unsigned op2) {
  return {2, 0, 0, n, op2};
}
constexpr unsigned kBvr = 4, kBcr = 5, kWvr = 6, kWcr = 7;

class DebugRegistersTest : public ::testing::Test {
 protected:
  void SetUp() override { make(6, 4); }
  void make(unsigned breakpoints, unsigned watchpoints, bool double_lock = true) {
    debug.configure(IdAa64Dfr0{}
                        .with<IdAa64Dfr0::BRPs>(static_cast<std::uint8_t>(breakpoints - 1))
                        .with<IdAa64Dfr0::WRPs>(static_cast<std::uint8_t>(watchpoints - 1))
                        .with<IdAa64Dfr0::DoubleLock>(double_lock ? 0 : 0xF));
  }
  void unlock() { ASSERT_TRUE(debug.write(sysreg::OSLAR_EL1, 0)); }

  DebugRegisters debug;
};

TEST_F(DebugRegistersTest, ResetLocksAndDisables) {
  EXPECT_EQ(debug.read(sysreg::OSLSR_EL1), 0xAU) << "OSLM 0b10, OSLK";
  EXPECT_EQ(debug.read(sysreg::MDSCR_EL1), 0U);
  EXPECT_FALSE(debug.in_use());
  unlock();
  ASSERT_TRUE(debug.write(comparator(5, kBcr), kHit));
  ASSERT_TRUE(debug.write(comparator(3, kWvr), 0x1000));
  ASSERT_TRUE(debug.write(sysreg::MDSCR_EL1, Mdscr::MDE::kMask));
  ASSERT_TRUE(debug.write(sysreg::DBGCLAIMSET_EL1, 0xFF));
  debug.reset();
  EXPECT_EQ(debug.read(comparator(5, kBcr)), 0U);
  EXPECT_EQ(debug.read(comparator(3, kWvr)), 0U);
  EXPECT_EQ(debug.read(sysreg::MDSCR_EL1), 0U);
  EXPECT_EQ(debug.read(sysreg::DBGCLAIMCLR_EL1), 0U);
  EXPECT_EQ(debug.read(sysreg::OSLSR_EL1), 0xAU);
  EXPECT_EQ(debug.breakpoints(), 6U) << "the counts stay";
}

TEST_F(DebugRegistersTest, AsManyComparatorsAsTheIdRegisterSays) {
  for (const auto& [breakpoints, watchpoints] : std::map<unsigned, unsigned>{{2, 2}, {6, 4}, {16, 1}, {16, 16}}) {
    make(breakpoints, watchpoints);
    for (unsigned n = 0; n < 16; ++n) {
      for (const unsigned op2 : {kBvr, kBcr, kWvr, kWcr}) {
        const bool is_there = n < (op2 >= kWvr ? watchpoints : breakpoints);
        EXPECT_EQ(debug.read(comparator(n, op2)).has_value(), is_there) << n << ' ' << op2;
        EXPECT_EQ(debug.write(comparator(n, op2), 0), is_there) << n << ' ' << op2;
      }
    }
  }
}

TEST_F(DebugRegistersTest, EachComparatorHasWordsOfItsOwn) {
  make(16, 16);
  for (unsigned n = 0; n < 16; ++n) {
    for (const unsigned op2 : {kBvr, kBcr, kWvr, kWcr}) {
      ASSERT_TRUE(debug.write(comparator(n, op2), (n << 5 | 1) + (op2 << 16)));
    }
  }
  for (unsigned n = 0; n < 16; ++n) {
    for (const unsigned op2 : {kBvr, kBcr, kWvr, kWcr}) {
      const std::uint64_t wanted = (n << 5 | 1) + (op2 << 16);
      const std::uint64_t defined = op2 == kBcr ? Dbgbcr::kDefined : op2 == kWcr ? Dbgwcr::kDefined : ~std::uint64_t{0};
      EXPECT_EQ(debug.read(comparator(n, op2)), wanted & defined);
    }
    EXPECT_EQ(debug.hardware_breakpoint(n).value, debug.read(comparator(n, kBvr)));
    EXPECT_EQ(debug.hardware_breakpoint(n).control, debug.read(comparator(n, kBcr)));
    EXPECT_EQ(debug.hardware_watchpoint(n).value, debug.read(comparator(n, kWvr)));
    EXPECT_EQ(debug.hardware_watchpoint(n).control, debug.read(comparator(n, kWcr)));
  }
}

TEST_F(DebugRegistersTest, BitsThatAreNotDefinedReadAsZero) {
  ASSERT_TRUE(debug.write(comparator(0, kBcr), ~std::uint64_t{0}));
  EXPECT_EQ(debug.read(comparator(0, kBcr)), 0x00FF'E1E7U);
  ASSERT_TRUE(debug.write(comparator(0, kWcr), ~std::uint64_t{0}));
  EXPECT_EQ(debug.read(comparator(0, kWcr)), 0x1F1F'FFFFU);
  unlock();
  ASSERT_TRUE(debug.write(sysreg::MDSCR_EL1, ~std::uint64_t{0}));
  EXPECT_EQ(debug.read(sysreg::MDSCR_EL1), 0xB001U) << "SS, TDCC, KDE, MDE";
  ASSERT_TRUE(debug.write(sysreg::MDCCINT_EL1, ~std::uint64_t{0}));
  EXPECT_EQ(debug.read(sysreg::MDCCINT_EL1), 0x6000'0000U);
}

// The CPU has the hypervisor's VMID and CONTEXTIDR_EL2 to compare with; the guest has no EL2.
TEST_F(DebugRegistersTest, BreakpointsOnWhatBelongsToEl2AreNotLoaded) {
  for (unsigned type = 0; type < 16; ++type) {
    ASSERT_TRUE(debug.write(comparator(2, kBcr), kHit | type << 20));
    EXPECT_EQ(debug.hardware_breakpoint(2).control, type < 8 ? kHit | type << 20 : 0U);
    EXPECT_EQ(debug.read(comparator(2, kBcr)), kHit | type << 20) << "the guest reads what it wrote";
  }
}

TEST_F(DebugRegistersTest, InUseOnlyWhileEnabledAndUnlocked) {
  for (const std::uint64_t enable : {Mdscr::SS::kMask, Mdscr::MDE::kMask}) {
    make(6, 4);
    ASSERT_TRUE(debug.write(sysreg::MDSCR_EL1, enable | Mdscr::KDE::kMask | Mdscr::TDCC::kMask));
    EXPECT_FALSE(debug.in_use()) << "the OS Lock is locked";
    EXPECT_EQ(debug.hardware_mdscr(), Mdscr::KDE::kMask | Mdscr::TDCC::kMask);
    unlock();
    EXPECT_TRUE(debug.in_use());
    EXPECT_EQ(debug.hardware_mdscr(), enable | Mdscr::KDE::kMask | Mdscr::TDCC::kMask);
    ASSERT_TRUE(debug.write(sysreg::OSDLR_EL1, 1));
    EXPECT_FALSE(debug.in_use()) << "the double lock";
    ASSERT_TRUE(debug.write(sysreg::DBGPRCR_EL1, 1));
    EXPECT_TRUE(debug.in_use()) << "no power-down: the double lock has no effect";
    ASSERT_TRUE(debug.write(sysreg::DBGPRCR_EL1, 0));
    ASSERT_TRUE(debug.write(sysreg::OSDLR_EL1, 0));
    ASSERT_TRUE(debug.write(sysreg::MDSCR_EL1, Mdscr::KDE::kMask));
    EXPECT_FALSE(debug.in_use()) << "nothing is enabled";
  }
}

TEST_F(DebugRegistersTest, WithoutTheDoubleLockItsBitIsIgnored) {
  make(6, 4, false);
  unlock();
  ASSERT_TRUE(debug.write(sysreg::MDSCR_EL1, Mdscr::MDE::kMask));
  ASSERT_TRUE(debug.write(sysreg::OSDLR_EL1, 1));
  EXPECT_EQ(debug.read(sysreg::OSDLR_EL1), 0U);
  EXPECT_TRUE(debug.in_use());
}

// An operating system that saves them around a power-down writes them back under the OS Lock.
TEST_F(DebugRegistersTest, TheExternalDebuggersBitsAreWritableUnderTheOsLockOnly) {
  ASSERT_TRUE(debug.write(sysreg::MDSCR_EL1, Mdscr::TXfull::kMask | Mdscr::HDE::kMask));
  EXPECT_EQ(debug.read(sysreg::MDSCR_EL1), Mdscr::TXfull::kMask | Mdscr::HDE::kMask);
  unlock();
  ASSERT_TRUE(debug.write(sysreg::MDSCR_EL1, Mdscr::KDE::kMask));
  EXPECT_EQ(debug.read(sysreg::MDSCR_EL1), Mdscr::TXfull::kMask | Mdscr::HDE::kMask | Mdscr::KDE::kMask);
  EXPECT_EQ(debug.hardware_mdscr(), Mdscr::KDE::kMask) << "the real ones are the real debugger's";
}

TEST_F(DebugRegistersTest, ClaimTags) {
  EXPECT_EQ(debug.read(sysreg::DBGCLAIMSET_EL1), 0xFFU);
  ASSERT_TRUE(debug.write(sysreg::DBGCLAIMSET_EL1, 0xF05));
  ASSERT_TRUE(debug.write(sysreg::DBGCLAIMSET_EL1, 0xA0));
  EXPECT_EQ(debug.read(sysreg::DBGCLAIMCLR_EL1), 0xA5U);
  ASSERT_TRUE(debug.write(sysreg::DBGCLAIMCLR_EL1, 0x21));
  EXPECT_EQ(debug.read(sysreg::DBGCLAIMCLR_EL1), 0x84U);
}

TEST_F(DebugRegistersTest, NobodyIsAtTheOtherEndOfTheChannel) {
  for (const SysRegId id :
       {sysreg::OSDTRRX_EL1, sysreg::OSDTRTX_EL1, sysreg::OSECCR_EL1, sysreg::DBGDTR_EL0, sysreg::DBGDTRRX_EL0}) {
    EXPECT_TRUE(debug.write(id, ~std::uint64_t{0}));
    EXPECT_EQ(debug.read(id), 0U);
  }
  EXPECT_EQ(debug.read(sysreg::MDCCSR_EL0), 0U);
  EXPECT_EQ(debug.read(sysreg::MDRAR_EL1), 0U);
  EXPECT_EQ(debug.read(sysreg::DBGAUTHSTATUS_EL1), 0xAU);
}

TEST_F(DebugRegistersTest, ReadOnlyAndWriteOnlyRegistersAndHoles) {
  for (const SysRegId id : {sysreg::OSLSR_EL1, sysreg::MDRAR_EL1, sysreg::DBGAUTHSTATUS_EL1, sysreg::MDCCSR_EL0}) {
    EXPECT_FALSE(debug.write(id, 0));
  }
  EXPECT_FALSE(debug.read(sysreg::OSLAR_EL1));
  EXPECT_FALSE(debug.read({2, 0, 1, 5, 4}));
  EXPECT_FALSE(debug.write({2, 3, 0, 7, 0}, 0));
  EXPECT_FALSE(debug.read(sysreg::DBGVCR32_EL2));
}

// Every op0 2 encoding: whatever it is, a write never enables the hardware but by MDSCR_EL1.
TEST_F(DebugRegistersTest, NoEncodingCrashesOrEnables) {
  unlock();
  for (unsigned bits = 0; bits < 1U << 14; ++bits) {
    const SysRegId id{2, bits >> 11, bits >> 7, bits >> 3, bits};
    if (id == sysreg::MDSCR_EL1) continue;
    (void)debug.read(id);
    (void)debug.write(id, ~std::uint64_t{0});
    EXPECT_FALSE(debug.in_use());
  }
}

}  // namespace
}  // namespace arm_vcpu
