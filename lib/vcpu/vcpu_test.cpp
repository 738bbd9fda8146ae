// SPDX-License-Identifier: Apache-2.0
// The life of a vCPU: its steps and their order, what is loaded and saved when, injection.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "arm_vcpu/text.hpp"
#include "vcpu/stage2_root.hpp"
#include "vcpu/test_vcpu.hpp"

namespace arm_vcpu {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;

TEST_F(VCpuTest, ResetState) {
  prepare();
  EXPECT_EQ(vcpu.trap_frame().gpr[0], 0x4800'0000U);
  EXPECT_EQ(pc(), kEntry);
  EXPECT_EQ(vcpu.trap_frame().spsr.raw, 0x3C5U) << "EL1h, DAIF masked";
  EXPECT_EQ(fake::cpu().live.sctlr_el1, SctlrEl1::kReset);
  EXPECT_EQ(fake::cpu().live.vmpidr_el2, 0x8000'0001U);
  EXPECT_EQ(fake::cpu().live.vpidr_el2, 0x410F'D083U);
  const Hcr hcr = Hcr::from(fake::cpu().live.hcr_el2);
  EXPECT_TRUE(hcr.get<Hcr::VM>() && hcr.get<Hcr::IMO>() && hcr.get<Hcr::FMO>() && hcr.get<Hcr::AMO>());
  EXPECT_TRUE(hcr.get<Hcr::TSC>() && hcr.get<Hcr::RW>() && hcr.get<Hcr::TWI>());
  EXPECT_FALSE(hcr.get<Hcr::E2H>() || hcr.get<Hcr::TGE>() || hcr.get<Hcr::API>());
  EXPECT_EQ(fake::cpu().live.mdcr_el2 & 0x1F, 6U) << "HPMN stays the host's";
}

TEST_F(VCpuTest, PassthroughLeavesInterruptsAndTimerToTheGuest) {
  prepare({.passthrough_interrupt = true, .passthrough_timer = true});
  const Hcr hcr = Hcr::from(fake::cpu().live.hcr_el2);
  EXPECT_FALSE(hcr.get<Hcr::IMO>() || hcr.get<Hcr::FMO>());
  EXPECT_TRUE(Cnthctl::from(fake::cpu().live.cnthctl_el2).get<Cnthctl::EL1PCEN>());
}

TEST_F(VCpuTest, SleepsInTheGuestFromTheNextBindOn) {
  prepare();
  vcpu.sleep_in_guest(true);
  ASSERT_TRUE(vcpu.unbind());
  ASSERT_TRUE(vcpu.bind(per_cpu));
  EXPECT_FALSE(Hcr::from(fake::cpu().live.hcr_el2).get<Hcr::TWI>());
  ASSERT_TRUE(vcpu.unbind());
  ASSERT_TRUE(vcpu.reset(kEntry, 0));
  ASSERT_TRUE(vcpu.bind(per_cpu));
  EXPECT_FALSE(Hcr::from(fake::cpu().live.hcr_el2).get<Hcr::TWI>()) << "a reset keeps it";
  vcpu.sleep_in_guest(false);
  ASSERT_TRUE(vcpu.unbind());
  ASSERT_TRUE(vcpu.bind(per_cpu));
  EXPECT_TRUE(Hcr::from(fake::cpu().live.hcr_el2).get<Hcr::TWI>());
}

TEST_F(VCpuTest, AResetForgetsTheVectorsOfTheLifeBefore) {
  prepare();
  fake::cpu().fp.v[7] = 0x77;  // as the guest will leave it
  (void)run(sync_exit(Ec::fp_access, 0), interrupt());
  fake::cpu().fp.v[7] = 0x77;
  vcpu.release_fp(per_cpu);
  ASSERT_TRUE(vcpu.unbind());
  for (const int life : {1, 2}) {
    ASSERT_TRUE(vcpu.reset(kEntry, 0));
    ASSERT_TRUE(vcpu.bind(per_cpu));
    fake::cpu().fp.v[7] = 0x55;  // of somebody else
    (void)run(sync_exit(Ec::fp_access, 0), interrupt());
    EXPECT_EQ(fake::cpu().fp.v[7], 0U) << "life " << life;
    fake::cpu().fp.v[7] = 0x99;
    vcpu.release_fp(per_cpu);
    ASSERT_TRUE(vcpu.unbind());
  }
}

TEST_F(VCpuTest, KnowsTheInstructionItSleepsIn) {
  prepare();
  const auto behind = [&](std::uint32_t word) {
    fake::cpu().pages[kEntry >> 12 << 12] = {
        .kind = hw::GuestPlace::Kind::memory, .cached = true, .address = 0x9000'0000};
    for (unsigned i = 0; i < 4; ++i) {
      fake::cpu().bytes[0x9000'0000 + (kEntry & 0xFFF) + i] = static_cast<std::uint8_t>(word >> 8 * i);
    }
    fake::cpu().guest.emplace_back([](VCpuContext& context) {
      context.kind = TrapKind::irq;
      context.frame.elr = kEntry + 4;
    });
    EXPECT_TRUE(vcpu.run());
    return vcpu.is_behind_wfi();
  };
  EXPECT_TRUE(behind(0xD503'207F)) << "WFI";
  EXPECT_TRUE(behind(0xD503'103F)) << "WFIT XZR";
  EXPECT_TRUE(behind(0xD503'1023)) << "WFIT X3";
  EXPECT_FALSE(behind(0xD503'205F)) << "WFE";
  EXPECT_FALSE(behind(0xD503'1003)) << "WFET X3";
  EXPECT_FALSE(behind(0xD503'201F)) << "NOP";
  fake::cpu().pages.clear();
  EXPECT_FALSE(vcpu.is_behind_wfi()) << "not mapped";
}

TEST_F(VCpuTest, EveryMissingStepIsAnErrorValue) {
  EXPECT_EQ(vcpu.run().error().code, Errc::not_bound);
  EXPECT_EQ(vcpu.bind(per_cpu).error().code, Errc::not_set_up);
  EXPECT_EQ(vcpu.reset(kEntry, 0).error().code, Errc::not_set_up);
  ASSERT_TRUE(vcpu.setup({}));
  EXPECT_EQ(vcpu.bind(per_cpu).error().code, Errc::no_stage2_root);
  ASSERT_TRUE(vcpu.set_ept_root(kRoot));
  EXPECT_EQ(vcpu.bind(per_cpu).error().code, Errc::no_entry);
  ASSERT_TRUE(vcpu.set_entry(kEntry));
  Aarch64PerCpu other{1};
  EXPECT_EQ(vcpu.bind(other).error().code, Errc::cpu_not_enabled);
  EXPECT_EQ(vcpu.unbind().error().code, Errc::not_bound);
  EXPECT_EQ(vcpu.inject_undefined().error().code, Errc::not_bound);
  ASSERT_TRUE(vcpu.bind(per_cpu));
  EXPECT_EQ(vcpu.bind(per_cpu).error().code, Errc::already_bound);
  EXPECT_EQ(vcpu.setup({}).error().code, Errc::already_bound);
  EXPECT_EQ(vcpu.set_ept_root(kRoot).error().code, Errc::already_bound);
  EXPECT_EQ(per_cpu.hardware_disable().error().code, Errc::already_bound);
  ASSERT_TRUE(vcpu.unbind());
  ASSERT_TRUE(per_cpu.hardware_disable());
  EXPECT_FALSE(per_cpu.is_enabled());
}

TEST_F(VCpuTest, TwoVCpusCannotShareACpuAtOnce) {
  prepare();
  Aarch64VCpu second = *Aarch64VCpu::create({.mpidr_el1 = 1, .dtb_addr = 0});
  ASSERT_TRUE(second.setup({}));
  ASSERT_TRUE(second.set_ept_root(kRoot));
  ASSERT_TRUE(second.set_entry(kEntry));
  EXPECT_EQ(second.bind(per_cpu).error().code, Errc::already_bound);
}

TEST_F(VCpuTest, BadArguments) {
  EXPECT_EQ(Aarch64VCpu::create({.mpidr_el1 = 0x8000'0000, .dtb_addr = 0}).error().code, Errc::bad_mpidr);
  EXPECT_EQ(vcpu.set_entry(0x4000'0002).error().code, Errc::bad_entry);
  ASSERT_TRUE(vcpu.set_ept_root(kRoot));
  EXPECT_EQ(vcpu.set_entry(1ULL << 40), (fail(Errc::bad_entry, 1ULL << 40, (1ULL << 40) - 1)));
  EXPECT_EQ(vcpu.set_gpr(31, 0), (fail(Errc::bad_register, 31, 30)));
  EXPECT_EQ(vcpu.set_ept_root({.vttbr_el2 = 0x8000'1000, .vtcr_el2 = kRoot.vtcr_el2}),
            (fail(Errc::unaligned_stage2_root, 0x8000'1000, 0x2000)));
  EXPECT_EQ(vcpu.set_ept_root({.vttbr_el2 = 0x8000'0000, .vtcr_el2 = 16}).error(),
            (Error{Errc::unsupported_ipa_size, 48, 44}));
  EXPECT_EQ(vcpu.set_ept_root({.vttbr_el2 = 0x8000'0000, .vtcr_el2 = kRoot.vtcr_el2 | 1U << 14}).error().code,
            Errc::unsupported_granule);
}

TEST(Stage2Root, RootBytes) {
  const auto bytes = [](unsigned ipa_bits, unsigned sl0) { return stage2_root_bytes((64 - ipa_bits) | sl0 << 6); };
  EXPECT_EQ(bytes(40, 1), 0x2000U) << "two concatenated level 1 tables";
  EXPECT_EQ(bytes(39, 1), 0x1000U);
  EXPECT_EQ(bytes(43, 1), 0x10000U);
  EXPECT_EQ(bytes(48, 2), 0x1000U);
  EXPECT_EQ(bytes(44, 2), 0x100U) << "32 entries at level 0";
  EXPECT_EQ(bytes(40, 2), 0x40U) << "never under 64 bytes";
  EXPECT_EQ(bytes(32, 0), 0x4000U) << "four concatenated level 2 tables";
}

TEST_F(VCpuTest, UnbindSavesAndRestoresTheHost) {
  prepare();
  fake::cpu().live.ttbr0_el1 = 0x1234;
  ASSERT_TRUE(vcpu.unbind());
  EXPECT_EQ(vcpu.system_registers().ttbr0_el1, 0x1234U);
  EXPECT_THAT(fake::cpu().log, Contains("restore_host_traps hcr 2147483648"));
  ASSERT_TRUE(vcpu.bind(per_cpu));
  EXPECT_EQ(fake::cpu().live.ttbr0_el1, 0x1234U);
}

TEST_F(VCpuTest, ResetForgetsTheFormerLife) {
  prepare();
  run(interrupt());
  fake::cpu().live.vbar_el1 = 0x77;
  vcpu.set_return_value(5);
  ASSERT_TRUE(vcpu.unbind());
  ASSERT_TRUE(vcpu.reset(0x4100'0000, 42));
  EXPECT_EQ(vcpu.system_registers().vbar_el1, 0U);
  EXPECT_EQ(vcpu.system_registers().vttbr_el2, kRoot.vttbr_el2);
  EXPECT_EQ(vcpu.trap_frame().gpr[0], 42U);
  EXPECT_EQ(pc(), 0x4100'0000U);
}

// --- floating point, SVE
// ----------------------------------------------------------------------------------------------

TEST_F(VCpuTest, FpIsSwitchedWhenAnotherVCpuNeedsIt) {
  prepare();
  EXPECT_TRUE(Cptr::from(fake::cpu().live.cptr_el2).get<Cptr::TFP>());
  run(sync_exit(Ec::fp_access, 0), interrupt());
  EXPECT_EQ(pc(), kEntry) << "the instruction is executed again";
  fake::cpu().fp.v[0] = 0xAA;
  ASSERT_TRUE(vcpu.unbind());

  Aarch64VCpu second = *Aarch64VCpu::create({.mpidr_el1 = 1, .dtb_addr = 0});
  ASSERT_TRUE(second.setup({}));
  ASSERT_TRUE(second.set_ept_root(kRoot));
  ASSERT_TRUE(second.set_entry(kEntry));
  fake::cpu().log.clear();
  ASSERT_TRUE(second.bind(per_cpu));
  EXPECT_TRUE(fake::cpu().log.empty()) << "nothing is saved as long as nobody needs it";
  fake::cpu().guest = {sync_exit(Ec::fp_access, 0), interrupt()};
  ASSERT_TRUE(second.run());
  EXPECT_THAT(fake::cpu().log, ElementsAre("open_vectors", "save_fp", "load_fp"));
  EXPECT_EQ(fake::cpu().fp.v[0], 0U) << "no leak between vCPUs";
  ASSERT_TRUE(second.unbind());

  ASSERT_TRUE(vcpu.bind(per_cpu));
  EXPECT_FALSE(Cptr::from(fake::cpu().live.cptr_el2).get<Cptr::TFP>()) << "they come with who has used them";
  EXPECT_EQ(fake::cpu().fp.v[0], 0xAAU);
}

class SveTest : public VCpuTest {
 protected:
  void SetUp() override {
    fake::reset();
    fake::cpu().id.id_aa64pfr0_el1 |= std::uint64_t{1} << 32;
    ASSERT_TRUE(per_cpu.hardware_enable());
  }
  Cptr cptr() const { return Cptr::from(fake::cpu().live.cptr_el2); }

  SveState state;
  SveState second_state;
};

TEST_F(SveTest, IsHiddenWithoutStorageOrCpu) {
  prepare();
  fake::cpu().entry.reset();
  run(sync_exit(Ec::sve, 0), interrupt());
  EXPECT_TRUE(fake::cpu().entry) << "UNDEFINED";
  run(sync_exit(Ec::fp_access, 0), interrupt());
  EXPECT_TRUE(cptr().get<Cptr::TZ>()) << "FP does not open SVE";
  ASSERT_TRUE(vcpu.unbind());
  fake::cpu().id.id_aa64pfr0_el1 &= ~(std::uint64_t{0xF} << 32);
  ASSERT_TRUE(vcpu.setup({.sve = &state}));
  ASSERT_TRUE(vcpu.bind(per_cpu));
  fake::cpu().entry.reset();
  run(sync_exit(Ec::sve, 0), interrupt());
  EXPECT_TRUE(fake::cpu().entry) << "the CPU has none";
}

TEST_F(SveTest, FirstUseLoadsFpAndSveTogether) {
  for (const Ec ec : {Ec::sve, Ec::fp_access}) {
    prepare({.sve = &state, .sve_bits = 256});
    EXPECT_TRUE(cptr().get<Cptr::TZ>() && cptr().get<Cptr::TFP>());
    fake::cpu().log.clear();
    fake::cpu().entry.reset();
    run(sync_exit(ec, 0), interrupt());
    EXPECT_FALSE(fake::cpu().entry);
    EXPECT_EQ(pc(), kEntry) << "the instruction is executed again";
    EXPECT_THAT(fake::cpu().log, ElementsAre("open_vectors sve", "load_sve 1"));
    EXPECT_FALSE(cptr().get<Cptr::TZ>() || cptr().get<Cptr::TFP>());
    ASSERT_TRUE(vcpu.unbind());
  }
}

TEST_F(SveTest, EachHasItsLengthAndItsRegisters) {
  prepare({.sve = &state, .sve_bits = 512});
  run(sync_exit(Ec::sve, 0), interrupt());
  fake::cpu().sve.registers[5] = std::byte{0xAA};
  fake::cpu().sve.zcr_el1 = 3;
  fake::cpu().fp.fpsr = 9;
  ASSERT_TRUE(vcpu.unbind());

  Aarch64VCpu second = *Aarch64VCpu::create({.mpidr_el1 = 1, .dtb_addr = 0});
  ASSERT_TRUE(second.setup({.sve = &second_state, .sve_bits = 128}));
  ASSERT_TRUE(second.set_ept_root(kRoot));
  ASSERT_TRUE(second.set_entry(kEntry));
  ASSERT_TRUE(second.bind(per_cpu));
  fake::cpu().log.clear();
  fake::cpu().guest = {sync_exit(Ec::sve, 0), interrupt()};
  ASSERT_TRUE(second.run());
  EXPECT_THAT(fake::cpu().log, ElementsAre("open_vectors sve", "save_sve 3", "load_sve 0"))
      << "what is saved has the length that its owner had";
  EXPECT_EQ(fake::cpu().sve.registers[5], std::byte{0}) << "no leak between vCPUs";
  EXPECT_EQ(fake::cpu().sve.zcr_el1, 0U);
  EXPECT_EQ(fake::cpu().fp.fpsr, 0U);
  ASSERT_TRUE(second.unbind());

  ASSERT_TRUE(vcpu.bind(per_cpu));
  EXPECT_FALSE(cptr().get<Cptr::TZ>() || cptr().get<Cptr::TFP>()) << "they come with who has used them";
  EXPECT_EQ(fake::cpu().sve.registers[5], std::byte{0xAA});
  EXPECT_EQ(fake::cpu().sve.zcr_el1, 3U);
  EXPECT_EQ(fake::cpu().fp.fpsr, 9U);
  EXPECT_EQ(fake::cpu().zcr_el2, 3U);
}

TEST_F(SveTest, ANeighbourWithoutSveMakesItSaveAll) {
  prepare({.sve = &state});
  run(sync_exit(Ec::sve, 0), interrupt());
  ASSERT_TRUE(vcpu.unbind());
  Aarch64VCpu second = *Aarch64VCpu::create({.mpidr_el1 = 1, .dtb_addr = 0});
  ASSERT_TRUE(second.setup({}));
  ASSERT_TRUE(second.set_ept_root(kRoot));
  ASSERT_TRUE(second.set_entry(kEntry));
  ASSERT_TRUE(second.bind(per_cpu));
  fake::cpu().log.clear();
  fake::cpu().guest = {sync_exit(Ec::fp_access, 0), interrupt()};
  ASSERT_TRUE(second.run());
  EXPECT_THAT(fake::cpu().log, ElementsAre("open_vectors sve", "save_sve 15", "load_fp"));
  EXPECT_TRUE(cptr().get<Cptr::TZ>());
  EXPECT_FALSE(cptr().get<Cptr::TFP>());
}

TEST_F(SveTest, ResetForgetsTheRegisters) {
  prepare({.sve = &state});
  run(sync_exit(Ec::sve, 0), interrupt());
  fake::cpu().sve.registers[5] = std::byte{0xAA};
  ASSERT_TRUE(vcpu.unbind());
  ASSERT_TRUE(vcpu.reset(kEntry, 0));
  ASSERT_TRUE(vcpu.bind(per_cpu));
  run(sync_exit(Ec::sve, 0), interrupt());
  EXPECT_EQ(fake::cpu().sve.registers[5], std::byte{0});
}

TEST_F(SveTest, LengthsAreCheckedAndTheSameEverywhere) {
  for (const unsigned bits : {0U, 64U, 129U, 2176U}) {
    EXPECT_EQ(vcpu.setup({.sve = &state, .sve_bits = bits}).error(), (Error{Errc::bad_sve_length, bits, 2048}));
  }
  EXPECT_TRUE(vcpu.setup({.sve_bits = 0})) << "without storage it does not matter";
  prepare({.sve = &state, .sve_bits = 256});
  ASSERT_TRUE(vcpu.unbind());
  fake::cpu().sve_lengths = 0x3;  // longer ones than the limit may differ
  Aarch64PerCpu alike{1};
  ASSERT_TRUE(alike.hardware_enable());
  ASSERT_TRUE(vcpu.bind(alike));
  ASSERT_TRUE(vcpu.unbind());
  fake::cpu().sve_lengths = 0x1;
  Aarch64PerCpu other{2};
  ASSERT_TRUE(other.hardware_enable());
  EXPECT_EQ(vcpu.bind(other).error(), (Error{Errc::sve_lengths_differ, 0x1, 0x3}));
}

class MteTest : public VCpuTest {
 protected:
  static constexpr std::uint64_t kGcr = 0x1'5555;
  static constexpr std::uint64_t kNobodys = 0xDEAD;

  void SetUp() override {
    fake::reset();
    fake::cpu().id.id_aa64pfr1_el1 = 3U << 8;
    fake::cpu().live.gcr_el1 = kNobodys;
    ASSERT_TRUE(per_cpu.hardware_enable());
  }
  Hcr hcr() const { return Hcr::from(fake::cpu().live.hcr_el2); }
  std::uint64_t shown() {
    run(sync_exit(Ec::sysreg, SysRegIss::from(sysreg::ID_AA64PFR1_EL1.iss())
                                  .with<SysRegIss::Direction>(true)
                                  .with<SysRegIss::Rt>(std::uint8_t{3})
                                  .raw),
        interrupt());
    return bits::extract(vcpu.trap_frame().gpr[3], 11, 8);
  }
};

TEST_F(MteTest, IsHiddenUnlessAskedFor) {
  prepare();
  EXPECT_FALSE(vcpu.has_mte());
  EXPECT_FALSE(hcr().get<Hcr::ATA>()) << "no tags, and the registers trap";
  EXPECT_TRUE(hcr().get<Hcr::TID5>());
  EXPECT_EQ(shown(), 0U);
  EXPECT_EQ(fake::cpu().live.gcr_el1, kNobodys) << "not touched";
}

TEST_F(MteTest, IsHiddenWhereTheCpuHasNoTagsInMemory) {
  for (const unsigned version : {0U, 1U}) {
    fake::cpu().id.id_aa64pfr1_el1 = version << 8;
    prepare({.mte = true});
    EXPECT_FALSE(vcpu.has_mte());
    EXPECT_FALSE(hcr().get<Hcr::ATA>() || hcr().get<Hcr::TID5>());
    EXPECT_EQ(shown(), 0U) << "FEAT_MTE alone has no tags";
    EXPECT_EQ(fake::cpu().live.gcr_el1, kNobodys);
    ASSERT_TRUE(vcpu.unbind());
  }
}

TEST_F(MteTest, RegistersAreSwitchedAndResetForgetsThem) {
  prepare({.mte = true});
  EXPECT_TRUE(vcpu.has_mte());
  EXPECT_TRUE(hcr().get<Hcr::ATA>());
  EXPECT_FALSE(hcr().get<Hcr::TID5>()) << "GMID_EL1 is the CPU's";
  EXPECT_EQ(shown(), 3U);
  EXPECT_EQ(fake::cpu().live.gcr_el1, 0U);
  fake::cpu().live.gcr_el1 = kGcr;
  fake::cpu().live.rgsr_el1 = 0x12'3405;
  fake::cpu().live.tfsr_el1 = 1;
  fake::cpu().live.tfsre0_el1 = 2;
  ASSERT_TRUE(vcpu.unbind());
  fake::cpu().live = {};
  ASSERT_TRUE(vcpu.bind(per_cpu));
  EXPECT_EQ(fake::cpu().live.gcr_el1, kGcr);
  EXPECT_EQ(fake::cpu().live.rgsr_el1, 0x12'3405U);
  EXPECT_EQ(fake::cpu().live.tfsr_el1, 1U);
  EXPECT_EQ(fake::cpu().live.tfsre0_el1, 2U);
  ASSERT_TRUE(vcpu.unbind());
  ASSERT_TRUE(vcpu.reset(kEntry, 0));
  ASSERT_TRUE(vcpu.bind(per_cpu));
  EXPECT_EQ(
      fake::cpu().live.gcr_el1 | fake::cpu().live.rgsr_el1 | fake::cpu().live.tfsr_el1 | fake::cpu().live.tfsre0_el1,
      0U);
}

TEST_F(VCpuTest, FpStateMustNotBeLeftBehind) {
  prepare();
  run(sync_exit(Ec::fp_access, 0), interrupt());
  ASSERT_TRUE(vcpu.unbind());
  Aarch64PerCpu other{1};
  ASSERT_TRUE(other.hardware_enable());
  EXPECT_EQ(vcpu.bind(other).error(), (Error{Errc::fp_state_elsewhere, 1, 0}));
  vcpu.release_fp(per_cpu);
  EXPECT_TRUE(vcpu.bind(other));
  ASSERT_TRUE(vcpu.unbind());
}

TEST_F(VCpuTest, PointerAuthenticationKeyIsSwappedAtTheVectorWhenEl2UsesIt) {
  fake::cpu().id.id_aa64isar1_el1 = 0x10;
  fake::cpu().uses_ia_key = true;
  fake::cpu().live.apiakeylo_el1 = 0x1111;
  prepare();
  EXPECT_EQ(fake::cpu().live.apiakeylo_el1, 0x1111U) << "bind() itself returns with the host's key";
  EXPECT_TRUE(Hcr::from(fake::cpu().live.hcr_el2).get<Hcr::API>());
  run([](VCpuContext& context) {
    context.guest_ia_key[0] = 0x2222;  // as the vector leaves it
    interrupt()(context);
  });
  ASSERT_TRUE(vcpu.unbind());
  EXPECT_EQ(vcpu.system_registers().apiakeylo_el1, 0x2222U);
  EXPECT_EQ(fake::cpu().live.apiakeylo_el1, 0x1111U);
}

TEST_F(VCpuTest, AndIsARegisterLikeOthersWhenEl2DoesNot) {
  fake::cpu().id.id_aa64isar1_el1 = 0x10;
  prepare();
  EXPECT_EQ(fake::cpu().live.apiakeylo_el1, 0U);
  fake::cpu().live.apiakeylo_el1 = 0x2222;
  ASSERT_TRUE(vcpu.unbind());
  EXPECT_EQ(vcpu.system_registers().apiakeylo_el1, 0x2222U);
  fake::cpu().live.apiakeylo_el1 = 0;
  ASSERT_TRUE(vcpu.bind(per_cpu));
  EXPECT_EQ(fake::cpu().live.apiakeylo_el1, 0x2222U);
}

TEST_F(VCpuTest, InjectInterruptChecksTheRange) {
  prepare();
  for (const std::uint32_t bad : {1020U, 1023U, 1024U, 8191U, 1U << 24}) {
    EXPECT_EQ(vcpu.inject_interrupt(bad).error(), (Error{Errc::bad_interrupt_id, bad, 1019})) << bad;
  }
  for (const std::uint32_t good : {0U, 27U, 1019U, 8192U}) {
    EXPECT_TRUE(vcpu.inject_interrupt(good)) << good;
  }
  EXPECT_THAT(fake::cpu().log, Contains("list register 8192"));
}

TEST(GuestSystemRegisters, DumpNamesEveryRegister) {
  GuestSystemRegisters registers{};
  registers.sctlr_el1 = 0x1'2345'6789;
  static char storage[8192];
  TextBuffer out{storage};
  append(out, registers);
  EXPECT_FALSE(out.truncated());
  EXPECT_NE(out.view().find("sctlr_el1 0000000123456789\n"), std::string_view::npos) << "64 bits, not 32";
  for (const char* name : {"hcr_el2", "vttbr_el2", "vtcr_el2", "cntvoff_el2", "esr_el1", "spsr_el1"}) {
    EXPECT_NE(out.view().find(name), std::string_view::npos) << name;
  }
}

}  // namespace
}  // namespace arm_vcpu
