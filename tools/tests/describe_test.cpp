// SPDX-License-Identifier: Apache-2.0
// Records in words: what the vCPU's decoders make of them, and what a reader sees.
#include "describe.hpp"

#include <gtest/gtest.h>

#include "arm_vcpu/arch/smccc.hpp"
#include "arm_vcpu/arch/sysreg_id.hpp"
#include "text.hpp"

namespace arm_vcpu::scope {
namespace {

using trace::Kind;
using trace::Outcome;
using trace::Record;

struct DescribeTest : ::testing::Test {
  std::string reason(const Record& record) { return std::string{name_of(describer.syndromes().reason(record))}; }
  std::string detail(const Record& record) {
    text.mark();
    describer.detail(text, record);
    return std::string{text.take_line()};
  }
  Describer describer;
  Text text{-1};
};

constexpr std::uint64_t hpfar(std::uint64_t ipa) {
  return Hpfar{}.with<Hpfar::FIPA>(ipa >> 12).raw;
}

TEST_F(DescribeTest, MmioWrite) {
  // EC 0x24, IL, ISV, SAS 2, SRT 1, WnR, translation fault level 3.
  const Record r{.esr = 0x9381'0047, .far = 0xFFFF'8000'1000'0000, .hpfar = hpfar(0x0900'0000), .data = 0x1'0000'0041};
  EXPECT_EQ(reason(r), "MmioWrite");
  EXPECT_EQ(detail(r), "write4 0x09000000 PL011.DR <- 0x41") << "cut to the width of the access";
  EXPECT_EQ(describer.target(r), "PL011.DR");
  EXPECT_EQ(exit_reason(r).get_if<AxVCpuExitReason::MmioWrite>()->addr, 0x0900'0000U);
}

TEST_F(DescribeTest, AStoreOfXzrWritesZero) {
  const Record r{.esr = 0x939F'0047, .hpfar = hpfar(0x0900'0000), .data = 0x55};
  EXPECT_EQ(detail(r), "write4 0x09000000 PL011.DR <- 0x0");
}

TEST_F(DescribeTest, MmioReadWithItsOffsetInThePage) {
  const Record r{.esr = 0x9303'0007, .far = 0xFFFF'8000'1000'0018, .hpfar = hpfar(0x0900'0000)};
  EXPECT_EQ(reason(r), "MmioRead");
  EXPECT_EQ(detail(r), "read1 0x09000018 PL011.FR");
}

TEST_F(DescribeTest, APermissionFaultHasNoIpa) {
  const Record r{.esr = 0x9381'004F, .far = 0xFFFF'0000'0000'1234, .hpfar = hpfar(0xDEAD'0000), .data = 1};
  EXPECT_EQ(reason(r), "MmioWrite");
  EXPECT_EQ(detail(r), "write4 VA 0xffff000000001234 <- 0x1") << "HPFAR_EL2 is UNKNOWN";
  EXPECT_FALSE(abort_ipa(r));
}

TEST_F(DescribeTest, FaultOnAStage1Walk) {
  const Record r{.esr = 0x9200'0087, .far = 0xFFFF'8000'0000'1234, .hpfar = hpfar(0x1'2345'6000)};
  EXPECT_EQ(reason(r), "NestedPageFault");
  EXPECT_EQ(detail(r),
            "read, translation fault, level 3, on a stage-1 table walk, IPA 0x123456000 RAM+0xe3456000, "
            "VA 0xffff800000001234");
}

TEST_F(DescribeTest, InstructionAbort) {
  const Record r{.esr = 0x8200'0007, .far = 0x1000, .hpfar = hpfar(0x0A00'1000)};
  EXPECT_EQ(reason(r), "NestedPageFault");
  EXPECT_EQ(detail(r), "fetch, translation fault, level 3, IPA 0x0a001000, VA 0x0000000000001000");
}

TEST_F(DescribeTest, AnAbortThatTheGuestWasToldOfIsNoFailure) {
  Record r{.esr = 0x9200'0021, .far = 0x1001};  // alignment fault
  r.outcome = Outcome::injected;
  EXPECT_EQ(reason(r), "data_abort_lower");
  r.outcome = Outcome::returned;
  EXPECT_EQ(reason(r), "FailEntry");
}

TEST_F(DescribeTest, SystemRegisters) {
  const Record read{.esr = 0x6230'1841};  // mrs x2, from the encoding below
  const auto iss = [](SysRegId id, bool is_read, unsigned rt) {
    return 0x6200'0000 | id.iss() | (is_read ? 1U : 0U) | rt << 5;
  };
  const Record mrs{.esr = iss(sysreg::ID_AA64MMFR0_EL1, true, 2)};
  EXPECT_EQ(reason(mrs), "SysRegRead");
  EXPECT_EQ(detail(mrs), "mrs x2, ID_AA64MMFR0_EL1");
  const Record msr{.esr = iss(sysreg::ACTLR_EL1, false, 31), .data = 7};
  EXPECT_EQ(reason(msr), "SysRegWrite");
  EXPECT_EQ(detail(msr), "msr ACTLR_EL1, xzr = 0x0");
  const Record unnamed{.esr = iss(SysRegId{3, 7, 15, 15, 7}, true, 0)};
  EXPECT_EQ(detail(unnamed), "mrs x0, S3_7_C15_C15_7");
  EXPECT_FALSE(detail(read).empty());
}

TEST_F(DescribeTest, AnSgiNamesItsTargets) {
  const Record r{.esr = 0x6200'0000 | sysreg::ICC_SGI1R_EL1.iss(), .data = 5ULL << 24 | 1ULL << 16 | 0b1010};
  EXPECT_EQ(reason(r), "SendIPI");
  EXPECT_EQ(detail(r), "SGI 5 to affinity 0.0.1.1 0.0.1.3");
}

TEST_F(DescribeTest, Calls) {
  const Record on{.esr = 0x5A00'0000, .data = 0xC400'0003};
  EXPECT_EQ(reason(on), "Psci");
  EXPECT_EQ(detail(on), "hvc #0 CPU_ON");
  const Record version{.esr = 0x5E00'0000, .data = 0x8000'0000};
  EXPECT_EQ(reason(version), "Smccc");
  EXPECT_EQ(detail(version), "smc #0 SMCCC_VERSION");
  const Record own{.esr = 0x5A00'4A48, .data = 0x1234};
  EXPECT_EQ(reason(own), "Hypercall");
  EXPECT_EQ(detail(own), "hvc #19016 function 0x00001234");
}

TEST_F(DescribeTest, PsciAnswers) {
  const auto answer = [&](std::uint64_t id, std::int32_t w0) {
    return detail({.far = 1,
                   .hpfar = 0x4008'0000,
                   .data = std::uint64_t{static_cast<std::uint32_t>(w0)} << 32 | id,
                   .kind = Kind::psci_call});
  };
  EXPECT_EQ(answer(0xC400'0003, 0), "CPU_ON(0x1, 0x40080000, ...) = SUCCESS");
  EXPECT_EQ(answer(0xC400'0003, -4), "CPU_ON(0x1, 0x40080000, ...) = ALREADY_ON");
  EXPECT_EQ(answer(0x8400'0000, 0x1'0001), "PSCI_VERSION(0x1, 0x40080000, ...) = 1.1");
  EXPECT_EQ(answer(0x8000'0001, -1), "SMCCC_ARCH_FEATURES(0x1, 0x40080000, ...) = NOT_SUPPORTED");
  EXPECT_EQ(answer(0xC400'0004, 1), "AFFINITY_INFO(0x1, 0x40080000, ...) = 0x1");
  EXPECT_EQ(answer(0xC400'0004, 0), "AFFINITY_INFO(0x1, 0x40080000, ...) = 0x0");
}

TEST_F(DescribeTest, InterruptsAndWaits) {
  EXPECT_EQ(reason({.data = 27, .kind = Kind::exit_irq}), "ExternalInterrupt");
  EXPECT_EQ(detail({.data = 27, .kind = Kind::exit_irq}), "INTID 27 virtual timer");
  EXPECT_EQ(reason({.esr = 0x0600'0001}), "Halt");
  EXPECT_EQ(detail({.esr = 0x0600'0001}), "WFE");
  EXPECT_EQ(detail({.data = 1, .kind = Kind::vcpu_parked}), "WFI");
  EXPECT_EQ(detail({.kind = Kind::vcpu_scheduled}), "");
  EXPECT_EQ(detail({.data = 1, .kind = Kind::vcpu_scheduled}), "after a wait");
}

TEST_F(DescribeTest, WhatNoTableNamesIsShownAsItIs) {
  EXPECT_EQ(reason({.esr = 0x2AULL << 26}), "EC 0x2a");
  EXPECT_EQ(reason({.kind = static_cast<Kind>(99)}), "kind 99");
  EXPECT_EQ(detail({.data = 7, .kind = static_cast<Kind>(99)}), "esr 0x0, far 0x0, hpfar 0x0, data 0x7");
  EXPECT_EQ(detail({.data = 200, .kind = Kind::vm_event}), "unknown event");
}

TEST_F(DescribeTest, EveryKindAndClassHasAReasonAndNoneFails) {
  for (unsigned kind = 0; kind < 256; ++kind) {
    for (std::uint64_t ec = 0; ec < 64; ++ec) {
      Record r{.esr = ec << 26 | 0x1FF'FFFF, .far = ~0ULL, .hpfar = ~0ULL, .data = ~0ULL};
      r.kind = static_cast<Kind>(kind);
      EXPECT_FALSE(reason(r).empty());
      (void)detail(r);
      (void)describer.target(r);
    }
  }
}

}  // namespace
}  // namespace arm_vcpu::scope
