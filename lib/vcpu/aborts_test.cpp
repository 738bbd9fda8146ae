// SPDX-License-Identifier: Apache-2.0
// Data and instruction aborts: accesses that are answered, and faults that are the guest's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vcpu/test_vcpu.hpp"

namespace arm_vcpu {
namespace {

using ::testing::Contains;

constexpr std::uint32_t isv(unsigned sas, unsigned srt, bool sse = false, bool sf = false, bool write = false) {
  return 1U << 24 | sas << 22 | (sse ? 1U << 21 : 0) | srt << 16 | (sf ? 1U << 15 : 0) | (write ? 1U << 6 : 0) | 0x07;
}

TEST_F(VCpuTest, MmioReadMovesThePcOnlyWhenCompleted) {
  prepare();
  const Exit exit = run(sync_exit(Ec::data_abort_lower, isv(2, 3), 0xFFFF'0000'0900'0018, 0x900'0000));
  ASSERT_TRUE(exit.is<Exit::MmioRead>());
  EXPECT_EQ(exit.get_if<Exit::MmioRead>()->addr, 0x900'0018U);
  EXPECT_EQ(pc(), kEntry);
  EXPECT_EQ(vcpu.complete_mmio_write().error().code, Errc::no_access_pending) << "it was a read";
  ASSERT_TRUE(vcpu.complete_mmio_read(0x1'2345'6789));
  EXPECT_EQ(vcpu.trap_frame().gpr[3], 0x2345'6789U);
  EXPECT_EQ(pc(), kEntry + 4);
  EXPECT_EQ(vcpu.complete_mmio_read(0).error().code, Errc::no_access_pending) << "only once";
  EXPECT_EQ(pc(), kEntry + 4);
}

TEST_F(VCpuTest, MmioReadThatIsNotAnsweredIsExecutedAgain) {
  prepare();
  run(sync_exit(Ec::data_abort_lower, isv(2, 3)));
  run(sync_exit(Ec::data_abort_lower, isv(2, 3)));
  EXPECT_EQ(pc(), kEntry);
}

struct Extension {
  unsigned sas;
  bool sse, sf;
  std::uint64_t value, expected;
};

TEST_F(VCpuTest, MmioReadExtends) {
  prepare();
  constexpr Extension kCases[] = {
      {0, false, false, 0x1FF, 0xFF},                                  // LDRB
      {0, true, false, 0x80, 0xFFFF'FF80},                             // LDRSB Wt: the upper half is 0
      {0, true, true, 0x80, 0xFFFF'FFFF'FFFF'FF80},                    // LDRSB Xt
      {1, true, true, 0x7FFF, 0x7FFF},                                 // LDRSH Xt, positive
      {1, false, false, 0xFFFF'8000, 0x8000},                          // LDRH
      {2, true, true, 0x8000'0000, 0xFFFF'FFFF'8000'0000},             // LDRSW
      {2, false, true, 0xFFFF'FFFF'8000'0000, 0x8000'0000},            // LDR Wt
      {3, false, true, 0x8000'0000'0000'0001, 0x8000'0000'0000'0001},  // LDR Xt
  };
  for (const Extension& c : kCases) {
    run(sync_exit(Ec::data_abort_lower, isv(c.sas, 7, c.sse, c.sf)));
    ASSERT_TRUE(vcpu.complete_mmio_read(c.value));
    EXPECT_EQ(vcpu.trap_frame().gpr[7], c.expected) << "SAS " << c.sas << " SSE " << c.sse << " SF " << c.sf;
  }
}

TEST_F(VCpuTest, MmioReadToXzrIsDropped) {
  prepare();
  vcpu.trap_frame().sp_el0 = 0x55;
  run(sync_exit(Ec::data_abort_lower, isv(3, 31, false, true)));
  ASSERT_TRUE(vcpu.complete_mmio_read(~0ULL));
  EXPECT_EQ(vcpu.trap_frame().sp_el0, 0x55U) << "register 31 must not reach what follows x30";
}

TEST_F(VCpuTest, MmioWriteDataIsCutToItsWidth) {
  prepare();
  ASSERT_TRUE(vcpu.set_gpr(2, 0x1122'3344'5566'7788));
  const Exit exit = run(sync_exit(Ec::data_abort_lower, isv(1, 2, false, false, true)));
  ASSERT_TRUE(exit.is<Exit::MmioWrite>());
  EXPECT_EQ(exit.get_if<Exit::MmioWrite>()->data, 0x7788U);
  ASSERT_TRUE(vcpu.complete_mmio_write());
  EXPECT_EQ(pc(), kEntry + 4);
}

// Has one register, and refuses all other addresses.
class OneRegister final : public fake::DeviceResponder {
 public:
  static constexpr std::uint64_t kAddress = 0x900'0018;

  Reply read(std::uint64_t ipa, AccessWidth width) noexcept override {
    ++asked;
    widths = width;
    return {ipa == kAddress, value};
  }
  bool write(std::uint64_t ipa, AccessWidth width, std::uint64_t data) noexcept override {
    ++asked;
    widths = width;
    if (ipa == kAddress) value = data;
    return ipa == kAddress;
  }

  std::uint64_t value{};
  AccessWidth widths{};
  unsigned asked{};
};

TEST_F(VCpuTest, AResponderAnswersPlainAccessesInTheExit) {
  prepare();
  OneRegister device;
  vcpu.set_exit_responder(&device);
  device.value = 0xFFFF'FFFF'1234'5680;
  ASSERT_TRUE(vcpu.set_gpr(4, 0xAABB'CCDD'EEFF'0011));
  run(sync_exit(Ec::data_abort_lower, isv(2, 3), 0x18, 0x900'0000),                                    // LDR W3
      sync_exit(Ec::data_abort_lower, isv(0, 5, true), 0x18, 0x900'0000),                              // LDRSB W5
      sync_exit(Ec::data_abort_lower, isv(0, 6, true, true), 0x18, 0x900'0000),                        // LDRSB X6
      sync_exit(Ec::data_abort_lower, isv(3, 7, false, true), 0x18, 0x900'0000),                       // LDR X7
      sync_exit(Ec::data_abort_lower, isv(1, 4, false, false, true), 0x18, 0x900'0000), interrupt());  // STRH W4
  EXPECT_EQ(vcpu.trap_frame().gpr[3], 0x1234'5680U);
  EXPECT_EQ(vcpu.trap_frame().gpr[5], 0xFFFF'FF80U);
  EXPECT_EQ(vcpu.trap_frame().gpr[6], 0xFFFF'FFFF'FFFF'FF80U);
  EXPECT_EQ(vcpu.trap_frame().gpr[7], 0xFFFF'FFFF'1234'5680U);
  EXPECT_EQ(device.value, 0x11U) << "a halfword";
  EXPECT_EQ(device.widths, AccessWidth::halfword);
  EXPECT_EQ(pc(), kEntry + 5 * 4);
}

TEST_F(VCpuTest, WhatAResponderRefusesIsAnExit) {
  prepare();
  OneRegister device;
  vcpu.set_exit_responder(&device);
  EXPECT_TRUE(run(sync_exit(Ec::data_abort_lower, isv(2, 3), 0x1C, 0x900'0000)).is<Exit::MmioRead>());
  ASSERT_TRUE(vcpu.complete_mmio_read(1));
  EXPECT_TRUE(
      run(sync_exit(Ec::data_abort_lower, isv(2, 3, false, false, true), 0x1C, 0x900'0000)).is<Exit::MmioWrite>());
  ASSERT_TRUE(vcpu.complete_mmio_write());
  EXPECT_EQ(device.asked, 2U);
  EXPECT_EQ(pc(), kEntry + 8);
}

// What needs a second look is not for it: the start of a page, a fault whose IPA HPFAR_EL2 does not have.
TEST_F(VCpuTest, AResponderIsNotAskedForOtherAccesses) {
  prepare();
  OneRegister device;
  vcpu.set_exit_responder(&device);
  EXPECT_TRUE(run(sync_exit(Ec::data_abort_lower, isv(0, 3), 0x1000, 0x900'0000)).is<Exit::MmioRead>());
  ASSERT_TRUE(vcpu.complete_mmio_read(1));
  constexpr std::uint32_t kPermission = (isv(2, 3) & ~0x3FU) | 0x0F;
  fake::cpu().stage1_result = 0x900'0018;
  EXPECT_TRUE(run(sync_exit(Ec::data_abort_lower, kPermission, 0x18)).is<Exit::MmioRead>());
  EXPECT_EQ(device.asked, 0U);
}

TEST_F(VCpuTest, PermissionFaultAsksStage1ForTheIpa) {
  prepare();
  fake::cpu().stage1_result = 0x5000'0018;
  const Exit exit =
      run(sync_exit(Ec::data_abort_lower, (isv(2, 3, false, false, true) & ~0x3FU) | 0x0F, 0x18, 0xBAD0'0000));
  ASSERT_TRUE(exit.is<Exit::MmioWrite>());
  EXPECT_EQ(exit.get_if<Exit::MmioWrite>()->addr, 0x5000'0018U) << "HPFAR is UNKNOWN for a permission fault";
}

TEST_F(VCpuTest, PermissionFaultWhoseWalkFailsIsRetried) {
  prepare();
  fake::cpu().stage1_result = std::nullopt;
  run(sync_exit(Ec::data_abort_lower, (isv(2, 3) & ~0x3FU) | 0x0F), interrupt());
  EXPECT_EQ(pc(), kEntry);
}

TEST_F(VCpuTest, CacheMaintenanceWhereNothingIsMappedIsComplete) {
  prepare();
  run(sync_exit(Ec::data_abort_lower, 1U << 8 | 1U << 6 | 0x07), interrupt());
  EXPECT_EQ(pc(), kEntry + 4);
}

TEST_F(VCpuTest, ExternalAbortIsTheGuestsOwn) {
  prepare();
  run(sync_exit(Ec::data_abort_lower, 0x10, 0xABC0), interrupt());
  EXPECT_EQ(fake::cpu().entry_esr.get<Esr::EC>(), Ec::data_abort_same);
  EXPECT_EQ(fake::cpu().entry_far, 0xABC0U);
}

// Every fault status, on data and on instructions: what the guest gets, or what run() returns.
TEST_F(VCpuTest, EveryFaultStatusHasItsOutcome) {
  prepare();
  constexpr std::uint32_t kWalk = 1U << 7;
  for (unsigned code = 0; code < 64; ++code) {
    const auto fsc = static_cast<Fsc>(code);
    for (const Ec ec : {Ec::data_abort_lower, Ec::instruction_abort_lower}) {
      SCOPED_TRACE(std::to_string(code) + (ec == Ec::data_abort_lower ? " data" : " instruction"));
      fake::cpu().entry.reset();
      fake::cpu().log.clear();
      vcpu.trap_frame().set_exception_pc(kEntry);
      switch (fault_status(fsc).kind) {
        case FaultKind::external_abort:
        case FaultKind::parity:
        case FaultKind::alignment:
        case FaultKind::tag_check:
        case FaultKind::unsupported_hw_update:
        case FaultKind::implementation_defined: {
          run(sync_exit(ec, code, 0xABC0), interrupt());
          const auto iss = DataAbortIss::from(fake::cpu().entry_esr.get<Esr::ISS>());
          EXPECT_EQ(fake::cpu().entry_esr.get<Esr::EC>(),
                    ec == Ec::data_abort_lower ? Ec::data_abort_same : Ec::instruction_abort_same);
          EXPECT_EQ(iss.get<DataAbortIss::DFSC>(), fsc);
          EXPECT_EQ(fake::cpu().entry_far, 0xABC0U);
          ASSERT_TRUE(fake::cpu().entry);
          EXPECT_EQ(fake::cpu().entry->elr_el1, kEntry);
          break;
        }
        case FaultKind::tlb_conflict:
          run(sync_exit(ec, code), interrupt());
          EXPECT_THAT(fake::cpu().log, Contains("flush_guest_tlb"));
          EXPECT_EQ(pc(), kEntry) << "executed again";
          EXPECT_FALSE(fake::cpu().entry);
          break;
        case FaultKind::address_size:
        case FaultKind::translation:
        case FaultKind::access_flag:
        case FaultKind::permission: {
          // On a walk, so that it is the same for both, and for permission faults too.
          const Exit exit = run(sync_exit(ec, code | kWalk, 0x123, 0x7000'0000));
          const auto* fault = exit.get_if<Exit::NestedPageFault>();
          ASSERT_NE(fault, nullptr);
          EXPECT_TRUE(fault->on_table_walk);
          EXPECT_EQ(fault->addr, 0x7000'0000U);
          EXPECT_EQ(fault->is_fetch, ec == Ec::instruction_abort_lower);
          break;
        }
        case FaultKind::granule_protection:
        case FaultKind::reserved: EXPECT_TRUE(run(sync_exit(ec, code)).is<Exit::FailEntry>()); break;
      }
    }
  }
}

}  // namespace
}  // namespace arm_vcpu
