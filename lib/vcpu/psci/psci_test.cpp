// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/psci.hpp"

#include <gtest/gtest.h>

#include <array>

namespace arm_vcpu {
namespace {

constexpr std::uint64_t kRam = 0x4000'0000;
constexpr std::uint64_t kRamEnd = 0x8000'0000;
constexpr std::uint64_t kEntry = 0x4008'0000;
constexpr auto kStatus = [](PsciStatus status) { return static_cast<std::int64_t>(status); };

class Psci : public testing::Test {
 protected:
  Psci() {
    slots_[1].mpidr = 1;
    slots_[2].mpidr = 0x1'0000'0100;  // Aff3 1, Aff1 1
    domain_.reset(0);
  }

  PsciOutcome call(std::uint64_t x0, std::uint64_t x1 = 0, std::uint64_t x2 = 0, std::uint64_t x3 = 0) {
    return handle_call({x0, x1, x2, x3}, &domain_, config_);
  }

  // The answer of a call that must return to the guest and ask nothing of the caller.
  std::int64_t answer(std::uint64_t x0, std::uint64_t x1 = 0, std::uint64_t x2 = 0, std::uint64_t x3 = 0) {
    const PsciOutcome outcome = call(x0, x1, x2, x3);
    EXPECT_TRUE(outcome.mine);
    EXPECT_TRUE(outcome.exit.is<AxVCpuExitReason::Nothing>());
    EXPECT_FALSE(outcome.forward);
    EXPECT_TRUE(outcome.x0.has_value());
    return outcome.x0.value_or(0x7777);
  }

  std::array<PowerSlot, 3> slots_{};
  std::array<EntryRange, 1> executable_{{{kRam, kRamEnd}}};
  PowerDomain domain_{slots_, executable_};
  PsciConfig config_{};
};

TEST_F(Psci, Version) {
  EXPECT_EQ(answer(0x8400'0000), 0x10001);
  EXPECT_EQ(answer(0xC400'0000), kStatus(PsciStatus::NOT_SUPPORTED)) << "PSCI_VERSION has no SMC64 form";
}

TEST_F(Psci, UpperHalfOfX0IsIgnored) {
  EXPECT_EQ(answer(0xFFFF'FFFF'8400'0000), 0x10001);
  EXPECT_EQ(answer(0x1234'5678'8000'0000), 0x10003);
  EXPECT_TRUE(call(0xFFFF'FFFF'8400'0008).exit.is<AxVCpuExitReason::SystemDown>());
}

TEST_F(Psci, OtherRangesAreNotMine) {
  for (const std::uint64_t id : {
           0x0ULL,
           0x1ULL,
           0x0400'0003ULL,  // yielding
           0x8100'0000ULL,
           0x8200'0000ULL,  // CPU, SiP
           0x8400'0020ULL,
           0x8400'0050ULL,  // SDEI, TRNG
           0xC500'0020ULL,
           0x8600'FF01ULL,  // paravirtualized time, vendor UID
           0xBF00'FF01ULL,
           0xFFFF'FFFF'0400'0000ULL,
       }) {
    const PsciOutcome outcome = call(id);
    EXPECT_FALSE(outcome.mine) << std::hex << id;
    EXPECT_FALSE(outcome.x0.has_value());
    EXPECT_TRUE(outcome.exit.is<AxVCpuExitReason::Nothing>());
  }
}

TEST_F(Psci, CpuOnExitsWithItsArguments) {
  const PsciOutcome outcome = call(0xC400'0003, 0x1'0000'0100, kEntry, 0xABCD'0000'1234'5678);
  EXPECT_EQ(outcome.x0, 0);
  const auto* up = outcome.exit.get_if<AxVCpuExitReason::CpuUp>();
  ASSERT_NE(up, nullptr);
  EXPECT_EQ(up->target_cpu, 0x1'0000'0100U);
  EXPECT_EQ(up->entry_point, kEntry);
  EXPECT_EQ(up->arg, 0xABCD'0000'1234'5678U);
  EXPECT_EQ(domain_.state(2), PowerState::on_pending);
  EXPECT_EQ(domain_.pending_start(2)->entry, kEntry);
  EXPECT_EQ(domain_.pending_start(2)->context_id, 0xABCD'0000'1234'5678U);
}

TEST_F(Psci, Smc32CutsArgumentsTo32Bits) {
  const PsciOutcome outcome =
      call(0x8400'0003, 0xFFFF'FFFF'0000'0001, 0xFFFF'FFFF'0000'0000 | kEntry, 0xABCD'0000'1234'5678);
  const auto* up = outcome.exit.get_if<AxVCpuExitReason::CpuUp>();
  ASSERT_NE(up, nullptr);
  EXPECT_EQ(up->target_cpu, 1U);
  EXPECT_EQ(up->entry_point, kEntry);
  EXPECT_EQ(up->arg, 0x1234'5678U);
}

TEST_F(Psci, CpuOnErrors) {
  struct {
    std::uint64_t target;
    std::uint64_t entry;
    PsciStatus expected;
  } const rows[] = {
      {0, kEntry, PsciStatus::ALREADY_ON},  // itself
      {7, kEntry, PsciStatus::INVALID_PARAMETERS},
      {0x8000'0001, kEntry, PsciStatus::INVALID_PARAMETERS},  // MPIDR_EL1 with its RES1 bit
      {0x0100'0001, kEntry, PsciStatus::INVALID_PARAMETERS},
      {0x100'0000'0001, kEntry, PsciStatus::INVALID_PARAMETERS},
      {0x1'0000'0001, kEntry, PsciStatus::INVALID_PARAMETERS},
      {1, kEntry + 1, PsciStatus::INVALID_ADDRESS},
      {1, kEntry + 2, PsciStatus::INVALID_ADDRESS},
      {1, kRam - 4, PsciStatus::INVALID_ADDRESS},
      {1, kRamEnd, PsciStatus::INVALID_ADDRESS},
      {1, ~std::uint64_t{3}, PsciStatus::INVALID_ADDRESS},
      {7, kEntry + 1, PsciStatus::INVALID_PARAMETERS},  // of two errors, the target's
  };
  for (const auto& row : rows) {
    EXPECT_EQ(answer(0xC400'0003, row.target, row.entry), kStatus(row.expected)) << std::hex << row.target << row.entry;
  }
  EXPECT_EQ(domain_.state(1), PowerState::off) << "a refused call changes nothing";
  EXPECT_TRUE(call(0xC400'0003, 1, kRam).exit.is<AxVCpuExitReason::CpuUp>()) << "first byte of RAM";
  EXPECT_EQ(answer(0xC400'0003, 1, kEntry), kStatus(PsciStatus::ON_PENDING));
  EXPECT_TRUE(domain_.mark_on(1));
  EXPECT_EQ(answer(0xC400'0003, 1, kEntry), kStatus(PsciStatus::ALREADY_ON));
}

TEST_F(Psci, CpuOffDoesNotReturnAndLeavesTheStateToItsCpu) {
  const PsciOutcome outcome = call(0x8400'0002);
  const auto* down = outcome.exit.get_if<AxVCpuExitReason::CpuDown>();
  ASSERT_NE(down, nullptr);
  EXPECT_EQ(down->state, 0U);
  EXPECT_FALSE(outcome.x0.has_value());
  EXPECT_EQ(answer(0xC400'0003, 0, kEntry), kStatus(PsciStatus::ALREADY_ON)) << "its vCPU is still live";
  EXPECT_TRUE(domain_.cpu_off(0));
  EXPECT_TRUE(call(0xC400'0003, 0, kEntry).exit.is<AxVCpuExitReason::CpuUp>());
}

TEST_F(Psci, AffinityInfo) {
  EXPECT_EQ(answer(0xC400'0004, 0, 0), 0);
  EXPECT_EQ(answer(0xC400'0004, 1, 0), 1);
  EXPECT_EQ(answer(0x8400'0004, 0xF'0000'0001, 0), 1) << "SMC32";
  EXPECT_EQ(domain_.cpu_on(1, kEntry, 0), PsciStatus::SUCCESS);
  EXPECT_EQ(answer(0xC400'0004, 1, 0), 2);
  EXPECT_EQ(answer(0xC400'0004, 1, 0xFFFF'FFFF'0000'0000), 2) << "the level is 32 bits";
  EXPECT_EQ(answer(0xC400'0004, 5, 0), kStatus(PsciStatus::INVALID_PARAMETERS));
  EXPECT_EQ(answer(0xC400'0004, 0x8000'0000, 0), kStatus(PsciStatus::INVALID_PARAMETERS));
  EXPECT_EQ(answer(0xC400'0004, 0, 4), kStatus(PsciStatus::INVALID_PARAMETERS));
  EXPECT_EQ(answer(0xC400'0004, 0xFF, 1), 0) << "fields below the level are ignored";
}

TEST_F(Psci, SuspendIsStandby) {
  for (const std::uint64_t id : {0x8400'0001ULL, 0xC400'0001ULL}) {
    for (const std::uint64_t state :
         {0x0ULL, 0x0000'1234ULL, 0x0001'0000ULL, 0x0301'FFFFULL, 0xFFFF'FFFF'0000'0000ULL}) {
      const PsciOutcome outcome = call(id, state, kEntry, 5);
      const auto* halt = outcome.exit.get_if<AxVCpuExitReason::Halt>();
      ASSERT_NE(halt, nullptr) << std::hex << state;
      EXPECT_FALSE(halt->is_wfe);
      EXPECT_EQ(outcome.x0, 0);
    }
  }
  EXPECT_EQ(answer(0xC400'0001, 0x0400'0000, kEntry), kStatus(PsciStatus::INVALID_PARAMETERS));
  EXPECT_EQ(answer(0xC400'0001, 0x0002'0000, kEntry), kStatus(PsciStatus::INVALID_PARAMETERS));
  EXPECT_EQ(answer(0xC400'0001, 0x0001'0000, kEntry + 2), kStatus(PsciStatus::INVALID_ADDRESS));
  EXPECT_EQ(answer(0xC400'0001, 0x0001'0000, 0), kStatus(PsciStatus::INVALID_ADDRESS));
  EXPECT_TRUE(call(0xC400'0001, 0, 3).exit.is<AxVCpuExitReason::Halt>()) << "standby has no entry point";
}

TEST_F(Psci, SystemCalls) {
  EXPECT_TRUE(call(0x8400'0008).exit.is<AxVCpuExitReason::SystemDown>());
  EXPECT_TRUE(call(0x8400'0009).exit.is<AxVCpuExitReason::SystemReset>());
  EXPECT_FALSE(call(0x8400'0009).x0.has_value());
  EXPECT_EQ(answer(0xC400'0008), kStatus(PsciStatus::NOT_SUPPORTED));
  for (const std::uint64_t id : {0x8400'0012ULL, 0xC400'0012ULL}) {
    EXPECT_TRUE(call(id, 0, 99).exit.is<AxVCpuExitReason::SystemReset>());
    EXPECT_TRUE(call(id, 0xFFFF'FFFF'0000'0000).exit.is<AxVCpuExitReason::SystemReset>()) << "reset_type is 32 bits";
    EXPECT_EQ(answer(id, 1), kStatus(PsciStatus::INVALID_PARAMETERS));
    EXPECT_EQ(answer(id, 0x8000'0000), kStatus(PsciStatus::INVALID_PARAMETERS));
  }
}

TEST_F(Psci, MigrateInfoTypeIsNotNeeded) {
  EXPECT_EQ(answer(0x8400'0006), 2);
}

// PSCI_FEATURES and the function itself agree, for every number and convention.
TEST_F(Psci, FeaturesTellWhatIsImplemented) {
  for (const std::uint64_t base : {0x8400'0000ULL, 0xC400'0000ULL}) {
    for (std::uint64_t number = 0; number < 0x20; ++number) {
      const std::int64_t feature = answer(0x8400'000A, base + number);
      EXPECT_TRUE(feature == 0 || feature == -1);
      const PsciOutcome outcome = call(base + number, 0x8400'0000, kEntry);
      EXPECT_EQ(outcome.x0 == -1, feature == -1) << std::hex << base + number;
    }
  }
  EXPECT_EQ(answer(0x8400'000A, 0x8000'0000), 0) << "SMCCC_VERSION";
  EXPECT_EQ(answer(0x8400'000A, 0xFFFF'FFFF'8000'0000), 0);
  EXPECT_EQ(answer(0x8400'000A, 0x8000'0001), -1);
  EXPECT_EQ(answer(0x8400'000A, 0xC400'0003), 0);
  EXPECT_EQ(answer(0x8400'000A, 0x8400'000E), -1) << "SYSTEM_SUSPEND";
  EXPECT_EQ(answer(0x8400'000A, 0x8400'0005), -1) << "MIGRATE";
  EXPECT_EQ(answer(0x8400'000A, 0), -1);
}

TEST_F(Psci, NotSupported) {
  for (const unsigned number :
       {0x05U, 0x07U, 0x0BU, 0x0CU, 0x0DU, 0x0EU, 0x0FU, 0x10U, 0x11U, 0x13U, 0x14U, 0x15U, 0x1FU}) {
    EXPECT_EQ(answer(0x8400'0000U + number), -1) << std::hex << number;
    EXPECT_EQ(answer(0xC400'0000U + number), -1) << std::hex << number;
  }
}

TEST_F(Psci, SmcccVersionAndFeatures) {
  EXPECT_EQ(answer(0x8000'0000), 0x10003);
  EXPECT_EQ(answer(0x8000'0001, 0x8000'0000), 0);
  EXPECT_EQ(answer(0x8000'0001, 0x8000'0001), 0);
  EXPECT_EQ(answer(0x8000'0001, 0xDEAD'0000'8000'0000), 0) << "the argument is W1";
  for (const std::uint64_t id : {0x8000'0002ULL, 0x8000'0004ULL, 0x8000'3FFFULL, 0x8000'7FFFULL, 0x8000'8000ULL,
                                 0xC500'0020ULL, 0x8400'0000ULL, 0ULL}) {
    EXPECT_EQ(answer(0x8000'0001, id), -1) << std::hex << id;
  }
  for (const std::uint64_t id : {0xC000'0000ULL, 0x8000'0002ULL, 0x8000'8000ULL, 0x8000'7FFFULL, 0xC000'8000ULL}) {
    EXPECT_EQ(answer(id), -1) << std::hex << id;
  }
}

TEST_F(Psci, Workarounds) {
  config_.workarounds = {Workaround::required, Workaround::not_needed, Workaround::not_supported};
  EXPECT_EQ(answer(0x8000'0001, 0x8000'8000), 0);
  EXPECT_EQ(answer(0x8000'0001, 0x8000'7FFF), 1);
  EXPECT_EQ(answer(0x8000'0001, 0x8000'3FFF), -1);

  const PsciOutcome required = call(0x8000'8000);
  EXPECT_TRUE(required.forward);
  EXPECT_EQ(required.x0, 0);
  EXPECT_EQ(answer(0x8000'7FFF, 1), 0);
  EXPECT_EQ(answer(0x8000'3FFF), -1);
}

TEST_F(Psci, TheSveHintSelectsNothing) {
  EXPECT_EQ(answer(0x8401'0000), 0x10001);
  EXPECT_EQ(answer(0x8001'0000), 0x10003);
  EXPECT_EQ(answer(0x8001'0001, 0x8001'0000), 0);
  EXPECT_TRUE(call(0x8401'0008).exit.is<AxVCpuExitReason::SystemDown>());
  EXPECT_FALSE(call(0x8402'0000).mine) << "bits 23:17 are reserved";
  EXPECT_FALSE(call(0x0401'0000).mine) << "not of yielding calls";
}

TEST_F(Psci, SocIdIsRefused) {
  for (const std::uint64_t id : {0x8000'0002ULL, 0xC000'0002ULL}) {
    EXPECT_EQ(answer(0x8000'0001, id), -1);
    EXPECT_EQ(answer(id, 0), -1);
    EXPECT_EQ(answer(id, 1), -1);
  }
}

TEST_F(Psci, StolenTimeIsDiscoveredByArchFeatures) {
  EXPECT_EQ(answer(0x8000'0001, 0xC500'0020), -1);
  config_.stolen_time = true;
  EXPECT_EQ(answer(0x8000'0001, 0xC500'0020), 0);
  EXPECT_EQ(answer(0x8000'0001, 0xC500'0021), -1);
}

TEST(Workarounds, WhatTheHardwareAndTheFirmwareSay) {
  using enum Workaround;
  constexpr std::uint64_t kCsv2 = std::uint64_t{1} << 56;
  constexpr std::uint64_t kSsbs = 1U << 4;
  struct Row {
    std::uint64_t pfr0, pfr1;
    FirmwareWorkarounds firmware;
    ArchWorkarounds expected;
  };
  const Row rows[] = {
      {0, 0, {-1, -1, -1}, {not_supported, not_supported, not_supported}},
      {0, 0, {0, 0, 0}, {required, not_needed, required}},
      {0, 0, {1, 1, 1}, {not_needed, not_needed, not_needed}},
      {1 * kCsv2, 0, {-1, -1, -1}, {not_needed, not_supported, not_supported}},
      {2 * kCsv2, 0, {0, -1, 0}, {not_needed, not_supported, required}},
      {3 * kCsv2, 0, {0, 0, 0}, {not_needed, not_needed, not_needed}},
      {0, 2 * kSsbs, {0, 0, 0}, {required, not_supported, required}},
  };
  for (const Row& row : rows) {
    const ArchWorkarounds told = workarounds_of(row.pfr0, row.pfr1, row.firmware);
    EXPECT_EQ(told.workaround_1, row.expected.workaround_1) << row.pfr0;
    EXPECT_EQ(told.workaround_2, row.expected.workaround_2) << row.pfr0;
    EXPECT_EQ(told.workaround_3, row.expected.workaround_3) << row.pfr0;
  }
}

TEST(PsciWithoutDomain, CpuOnIsTheCallers) {
  const PsciOutcome outcome = handle_call({0xC400'0003, 0x102, 0x1000, 9}, nullptr);
  EXPECT_TRUE(outcome.mine);
  EXPECT_FALSE(outcome.x0.has_value());
  const auto* up = outcome.exit.get_if<AxVCpuExitReason::CpuUp>();
  ASSERT_NE(up, nullptr);
  EXPECT_EQ(up->target_cpu, 0x102U);
  EXPECT_EQ(up->entry_point, 0x1000U);
  EXPECT_EQ(up->arg, 9U);
  EXPECT_EQ(handle_call({0xC400'0003, 0x8000'0000, 0x1000, 9}, nullptr).x0, kStatus(PsciStatus::INVALID_PARAMETERS));
  EXPECT_EQ(handle_call({0xC400'0003, 0, 0x1002, 9}, nullptr).x0, kStatus(PsciStatus::INVALID_ADDRESS));
}

TEST(PsciWithoutDomain, TheRest) {
  EXPECT_TRUE(handle_call({.x0 = 0x8400'0002}, nullptr).exit.is<AxVCpuExitReason::CpuDown>());
  EXPECT_TRUE(handle_call({.x0 = 0x8400'0008}, nullptr).exit.is<AxVCpuExitReason::SystemDown>());
  EXPECT_TRUE(handle_call({0xC400'0001, 0x1'0000, 0x1000, 0}, nullptr).exit.is<AxVCpuExitReason::Halt>());
  EXPECT_EQ(handle_call({0xC400'0001, 0x1'0000, 0x1002, 0}, nullptr).x0, kStatus(PsciStatus::INVALID_ADDRESS));
  EXPECT_EQ(handle_call({.x0 = 0xC400'0004}, nullptr).x0, -1);
  EXPECT_EQ(handle_call({.x0 = 0x8400'000A, .x1 = 0xC400'0004}, nullptr).x0, -1);
  EXPECT_EQ(handle_call({.x0 = 0x8400'000A, .x1 = 0xC400'0003}, nullptr).x0, 0);
}

}  // namespace
}  // namespace arm_vcpu
