// SPDX-License-Identifier: Apache-2.0
// The vCPU on a fake CPU: life cycle, exits, answers, injection.
#include "arm_vcpu/vcpu.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "arm_vcpu/text.hpp"
#include "vcpu/fake_hw.hpp"
#include "vcpu/stage2_root.hpp"

namespace arm_vcpu {
namespace {

using Exit = AxVCpuExitReason;
using ::testing::Contains;
using ::testing::ElementsAre;

// 40-bit IPA, start level 1, two concatenated tables: an 8 KiB root.
constexpr Stage2Root kRoot{.vttbr_el2 = 0x1ULL << 48 | 0x8000'2000, .vtcr_el2 = 0x8002'3558};
constexpr std::uint64_t kEntry = 0x4008'0000;

std::function<void(VCpuContext&)> sync_exit(Ec ec, std::uint32_t iss, std::uint64_t far = 0x10, std::uint64_t ipa = 0) {
  return [=](VCpuContext& context) {
    context.kind = TrapKind::sync;
    context.esr = Esr{}.with<Esr::EC>(ec).with<Esr::IL>(true).with<Esr::ISS>(iss);
    context.far = far;
    context.hpfar = Hpfar::from(ipa >> 12 << 4);
  };
}

std::function<void(VCpuContext&)> interrupt(TrapKind kind = TrapKind::irq) {
  return [kind](VCpuContext& context) { context.kind = kind; };
}

class VCpuTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fake::reset();
    ASSERT_TRUE(per_cpu.hardware_enable());
  }

  void prepare(const Aarch64VCpuSetupConfig& config = {}) {
    ASSERT_TRUE(vcpu.setup(config));
    ASSERT_TRUE(vcpu.set_ept_root(kRoot));
    ASSERT_TRUE(vcpu.set_entry(kEntry));
    ASSERT_TRUE(vcpu.bind(per_cpu));
  }

  template <class... Steps>
  Exit run(Steps... steps) {
    fake::cpu().guest = {steps...};
    const Result<Exit> exit = vcpu.run();
    EXPECT_TRUE(exit);
    EXPECT_TRUE(fake::cpu().guest.empty()) << "run() returned early";
    return exit ? *exit : Exit{};
  }

  std::uint64_t pc() const { return vcpu.trap_frame().exception_pc(); }

  Aarch64PerCpu per_cpu{0};
  Aarch64VCpu vcpu = *Aarch64VCpu::create({.mpidr_el1 = 0x1, .dtb_addr = 0x4800'0000});
};

// --- life cycle -----------------------------------------------------------------------------------------------------

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

// --- hardware support -----------------------------------------------------------------------------------------------

struct SupportCase {
  const char* name;
  void (*change)(CpuIdentity&);
  Requirements wanted;
  Error expected;
};

class Support : public ::testing::TestWithParam<SupportCase> {};

TEST_P(Support, IsAnErrorThatSaysWhatIsMissing) {
  CpuIdentity id = fake::Cpu::supported_cpu();
  ASSERT_TRUE(check_hardware_support({id}, Requirements{.ipa_bits = 44}));
  GetParam().change(id);
  const Result<> result = check_hardware_support({id}, GetParam().wanted);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, GetParam().expected.code);
  EXPECT_EQ(result.error().asked, GetParam().expected.asked);
  EXPECT_EQ(result.error().has, GetParam().expected.has);
  char storage[512];
  TextBuffer line{storage};
  append(line, result.error());
  EXPECT_FALSE(line.truncated());
  EXPECT_NE(line.view().find(describe(result.error().code).fix), std::string_view::npos) << line.view();
}

INSTANTIATE_TEST_SUITE_P(
    All, Support,
    ::testing::Values(
        SupportCase{"at_el1", [](CpuIdentity& id) { id.current_el = 1; }, {}, {Errc::not_at_el2, 2, 1}},
        SupportCase{"vhe_only", [](CpuIdentity& id) { id.e2h_is_res1 = true; }, {}, {Errc::vhe_only, 0, 1ULL << 34}},
        SupportCase{"no_a64_el1",
                    [](CpuIdentity& id) { id.id_aa64pfr0_el1 = 0x0100'0002; },
                    {},
                    {Errc::no_el1_aarch64, 0, 0x0100'0002}},
        SupportCase{"ipa_beyond_pa",
                    [](CpuIdentity& id) { id.id_aa64mmfr0_el1 = 0x1122; },
                    {.ipa_bits = 48},
                    {Errc::unsupported_ipa_size, 48, 40}},
        SupportCase{"ipa_too_small", [](CpuIdentity&) {}, {.ipa_bits = 31}, {Errc::unsupported_ipa_size, 31, 44}},
        SupportCase{"reserved_parange",
                    [](CpuIdentity& id) { id.id_aa64mmfr0_el1 = 0x112F; },
                    {},
                    {Errc::unsupported_ipa_size, 32, 0}},
        SupportCase{"granule_asked", [](CpuIdentity&) {}, {.granule_kib = 64}, {Errc::unsupported_granule, 64, 0x1124}},
        SupportCase{"no_4k_granule",
                    [](CpuIdentity& id) { id.id_aa64mmfr0_el1 = 0xF000'1124; },
                    {},
                    {Errc::unsupported_granule, 4, 0xF000'1124}},
        SupportCase{"no_4k_at_stage2",
                    [](CpuIdentity& id) { id.id_aa64mmfr0_el1 = 0x0100'0000'1124; },
                    {},
                    {Errc::unsupported_granule, 4, 0x0100'0000'1124}},
        SupportCase{
            "no_gic", [](CpuIdentity& id) { id.id_aa64pfr0_el1 = 0x2222; }, {}, {Errc::no_gic_system_registers, 3, 0}},
        SupportCase{
            "gic_sre_denied", [](CpuIdentity& id) { id.icc_sre_el2 = 0; }, {}, {Errc::no_gic_system_registers, 3, 1}}),
    [](const auto& each) { return std::string{each.param.name}; });

TEST(Capabilities, PaBitsOfEveryParange) {
  constexpr unsigned kExpected[16] = {32, 36, 40, 42, 44, 48, 52, 56};
  for (std::uint8_t parange = 0; parange < 16; ++parange) {
    EXPECT_EQ((Capabilities{.id = {.id_aa64mmfr0_el1 = parange}}.pa_bits()), kExpected[parange]);
  }
}

TEST(Capabilities, HasHardwareSupportIsItsYesOrNo) {
  fake::reset();
  EXPECT_TRUE(has_hardware_support());
  fake::cpu().id.current_el = 1;
  EXPECT_FALSE(has_hardware_support());
}

TEST(PerCpu, EnableOnce) {
  fake::reset();
  Aarch64PerCpu cpu{3};
  EXPECT_EQ(cpu.hardware_disable().error().code, Errc::cpu_not_enabled);
  ASSERT_TRUE(cpu.hardware_enable());
  EXPECT_EQ(cpu.hardware_enable().error().code, Errc::cpu_already_enabled);
  ASSERT_TRUE(cpu.hardware_disable());
  EXPECT_THAT(fake::cpu().log, ElementsAre("take_el2", "restore_host vbar 4096"));
}

TEST(PerCpu, CannotEnableAtEl1) {
  fake::reset();
  fake::cpu().id.current_el = 1;
  Aarch64PerCpu cpu;
  EXPECT_EQ(cpu.hardware_enable().error(), (Error{Errc::not_at_el2, 2, 1}));
  EXPECT_FALSE(cpu.is_enabled());
}

// --- MMIO -----------------------------------------------------------------------------------------------------------

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

// --- calls ----------------------------------------------------------------------------------------------------------

TEST_F(VCpuTest, HypercallCarriesItsArguments) {
  prepare();
  for (unsigned i = 0; i < 8; ++i) {
    ASSERT_TRUE(vcpu.set_gpr(i, 0xC600'0000 + i));
  }
  const Exit exit = run(sync_exit(Ec::hvc64, 0));
  const auto* call = exit.get_if<Exit::Hypercall>();
  ASSERT_NE(call, nullptr);
  EXPECT_EQ(call->nr, 0xC600'0000U);
  EXPECT_THAT(call->args, ElementsAre(0xC600'0001, 0xC600'0002, 0xC600'0003, 0xC600'0004, 0xC600'0005, 0xC600'0006));
  EXPECT_EQ(pc(), kEntry) << "ELR of an HVC is already past it";
}

TEST_F(VCpuTest, HvcWithAnImmediateIsNotPsci) {
  prepare();
  ASSERT_TRUE(vcpu.set_gpr(0, 0x8400'0000));
  const Exit exit = run(sync_exit(Ec::hvc64, 7));
  ASSERT_TRUE(exit.is<Exit::Hypercall>());
  EXPECT_EQ(exit.get_if<Exit::Hypercall>()->imm, 7);
}

TEST_F(VCpuTest, PsciVersionByHvcAndSmc) {
  prepare();
  ASSERT_TRUE(vcpu.set_gpr(0, 0xFFFF'FFFF'8400'0000));  // the upper half of x0 means nothing
  run(sync_exit(Ec::hvc64, 0), interrupt());
  EXPECT_EQ(vcpu.trap_frame().gpr[0], 0x1'0001U);
  EXPECT_EQ(pc(), kEntry);
  ASSERT_TRUE(vcpu.set_gpr(0, 0x8400'0000));
  run(sync_exit(Ec::smc64, 0), interrupt());
  EXPECT_EQ(vcpu.trap_frame().gpr[0], 0x1'0001U);
  EXPECT_EQ(pc(), kEntry + 4) << "ELR of a trapped SMC is at it";
}

TEST_F(VCpuTest, UnknownSmcIsAnsweredAndNotForwarded) {
  prepare();
  ASSERT_TRUE(vcpu.set_gpr(0, 0xC200'0001));
  run(sync_exit(Ec::smc64, 0), interrupt());
  EXPECT_EQ(vcpu.trap_frame().gpr[0], ~0ULL);
  EXPECT_EQ(pc(), kEntry + 4);
  for (const std::string& line : fake::cpu().log) {
    EXPECT_FALSE(line.starts_with("firmware")) << line;
  }
}

TEST_F(VCpuTest, AnAllowedSmcIsForwardedWithX0ToX17) {
  constexpr FunctionRange kAllowed[] = {{0xC200'0000, 0xC200'00FF}};
  prepare({.smc_filter = SmcFilter{kAllowed}});
  for (unsigned i = 0; i < 31; ++i) {
    ASSERT_TRUE(vcpu.set_gpr(i, 0x1000 + i));
  }
  ASSERT_TRUE(vcpu.set_gpr(0, 0xFFFF'FFFF'C201'0042));  // with the SVE hint
  fake::cpu().firmware = [](hw::FirmwareRegisters& x) {
    for (std::uint64_t& value : x) value += 0x10'0000;
  };
  run(sync_exit(Ec::smc64, 0), interrupt());
  EXPECT_EQ(fake::cpu().firmware_saw[0], 0xC200'0042U) << "the firmware has to keep SVE state";
  EXPECT_EQ(fake::cpu().firmware_saw[17], 0x1011U);
  EXPECT_EQ(vcpu.trap_frame().gpr[0], 0xC210'0042U);
  for (unsigned i = 1; i < 18; ++i) {
    EXPECT_EQ(vcpu.trap_frame().gpr[i], 0x10'1000U + i);
  }
  for (unsigned i = 18; i < 31; ++i) {
    EXPECT_EQ(vcpu.trap_frame().gpr[i], 0x1000U + i);
  }
  EXPECT_EQ(pc(), kEntry + 4);
}

TEST_F(VCpuTest, WhatTheFilterDoesNotNameStaysHere) {
  constexpr FunctionRange kAllowed[] = {{0xC200'0000, 0xC200'00FF}, {0x8400'0000, 0x8400'FFFF}};
  prepare({.smc_filter = SmcFilter{kAllowed}});
  for (const std::uint64_t id : {0xC200'0100ULL, 0xC1FF'FFFFULL, 0x8200'0000ULL, 0x8400'001FULL, 0x8000'8000ULL}) {
    ASSERT_TRUE(vcpu.set_gpr(0, id));
    ASSERT_TRUE(vcpu.set_gpr(1, 5));
    run(sync_exit(Ec::smc64, 0), interrupt());
    EXPECT_EQ(vcpu.trap_frame().gpr[0], ~0ULL) << std::hex << id;
    EXPECT_EQ(vcpu.trap_frame().gpr[1], 5U) << std::hex << id;
  }
  ASSERT_TRUE(vcpu.set_gpr(0, 0xC200'0000));
  run(sync_exit(Ec::smc64, 1), interrupt());  // SMC #1 is outside the convention
  EXPECT_EQ(vcpu.trap_frame().gpr[0], ~0ULL);
  ASSERT_TRUE(vcpu.set_gpr(0, 0xC200'0000));
  EXPECT_TRUE(run(sync_exit(Ec::hvc64, 0)).is<Exit::Hypercall>()) << "an HVC is for the hypervisor";
  for (const std::string& line : fake::cpu().log) {
    EXPECT_FALSE(line.starts_with("firmware")) << line;
  }
}

TEST_F(VCpuTest, AWorkaroundIsForwardedWithoutArguments) {
  prepare({.psci = {.workarounds = {.workaround_1 = Workaround::required}}});
  for (unsigned i = 1; i < 18; ++i) {
    ASSERT_TRUE(vcpu.set_gpr(i, 0x1000 + i));
  }
  ASSERT_TRUE(vcpu.set_gpr(0, 0x8000'8000));
  run(sync_exit(Ec::hvc64, 0), interrupt());
  EXPECT_EQ(fake::cpu().firmware_saw, (hw::FirmwareRegisters{0x8000'8000}));
  EXPECT_EQ(vcpu.trap_frame().gpr[0], 0U);
  EXPECT_EQ(vcpu.trap_frame().gpr[17], 0x1011U);
}

TEST_F(VCpuTest, ServicesByHvcAndSmc) {
  prepare({.services = {.entropy = EntropySource::rndrrs, .stolen_time_ipa = 0x90A'0000}});
  for (const Ec ec : {Ec::hvc64, Ec::smc64}) {
    ASSERT_TRUE(vcpu.set_gpr(0, 0xC400'0053));
    ASSERT_TRUE(vcpu.set_gpr(1, 192));
    run(sync_exit(ec, 0), interrupt());
    EXPECT_EQ(vcpu.trap_frame().gpr[0], 0U);
    EXPECT_EQ(vcpu.trap_frame().gpr[1], 3U);
    EXPECT_EQ(vcpu.trap_frame().gpr[3], 1U);
    ASSERT_TRUE(vcpu.set_gpr(0, 0xC500'0021));
    ASSERT_TRUE(vcpu.set_gpr(1, 77));
    run(sync_exit(ec, 0), interrupt());
    EXPECT_EQ(vcpu.trap_frame().gpr[0], 0x90A'0000U);
    EXPECT_EQ(vcpu.trap_frame().gpr[1], 77U) << "one result, one register";
  }
}

TEST_F(VCpuTest, SystemOffAndReset) {
  prepare();
  ASSERT_TRUE(vcpu.set_gpr(0, 0x8400'0008));
  EXPECT_TRUE(run(sync_exit(Ec::hvc64, 0)).is<Exit::SystemDown>());
  ASSERT_TRUE(vcpu.set_gpr(0, 0x8400'0009));
  EXPECT_TRUE(run(sync_exit(Ec::hvc64, 0)).is<Exit::SystemReset>());
}

TEST_F(VCpuTest, CpuOnMarksTheTargetAndExits) {
  PowerSlot slots[2];
  slots[0].mpidr = 1;
  slots[1].mpidr = 2;
  PowerDomain domain{slots, {}};
  domain.reset(0);
  prepare({.power = &domain});
  ASSERT_TRUE(vcpu.set_gpr(0, 0xC400'0003));
  ASSERT_TRUE(vcpu.set_gpr(1, 2));
  ASSERT_TRUE(vcpu.set_gpr(2, 0x4010'0000));
  ASSERT_TRUE(vcpu.set_gpr(3, 77));
  const Exit exit = run(sync_exit(Ec::hvc64, 0));
  const auto* up = exit.get_if<Exit::CpuUp>();
  ASSERT_NE(up, nullptr);
  EXPECT_EQ(up->target_cpu, 2U);
  EXPECT_EQ(up->entry_point, 0x4010'0000U);
  EXPECT_EQ(up->arg, 77U);
  EXPECT_EQ(vcpu.trap_frame().gpr[0], 0U) << "SUCCESS is in x0 already";
  ASSERT_TRUE(vcpu.set_gpr(0, 0xC400'0003));
  run(sync_exit(Ec::hvc64, 0), interrupt());
  EXPECT_EQ(static_cast<std::int64_t>(vcpu.trap_frame().gpr[0]), -5) << "ON_PENDING";
}

TEST_F(VCpuTest, CpuOffExits) {
  prepare();
  ASSERT_TRUE(vcpu.set_gpr(0, 0x8400'0002));
  const Exit exit = run(sync_exit(Ec::hvc64, 0));
  ASSERT_TRUE(exit.is<Exit::CpuDown>());
  EXPECT_EQ(exit.get_if<Exit::CpuDown>()->state, 0U);
}

// --- system registers -----------------------------------------------------------------------------------------------

constexpr std::uint32_t mrs(SysRegId id, unsigned rt) {
  return id.iss() | rt << 5 | 1;
}
constexpr std::uint32_t msr(SysRegId id, unsigned rt) {
  return id.iss() | rt << 5;
}

TEST_F(VCpuTest, IdRegistersAreSanitisedWithoutLeaving) {
  prepare();
  run(sync_exit(Ec::sysreg, mrs(sysreg::ID_AA64PFR0_EL1, 9)), interrupt());
  EXPECT_EQ(IdAa64Pfr0::from(vcpu.trap_frame().gpr[9]).get<IdAa64Pfr0::SVE>(), 0) << "SVE is not virtualised";
  EXPECT_EQ(IdAa64Pfr0::from(vcpu.trap_frame().gpr[9]).get<IdAa64Pfr0::EL1>(), 1) << "AArch64 only: HCR_EL2.RW is 1";
  EXPECT_EQ(pc(), kEntry + 4);
}

TEST_F(VCpuTest, OtherSystemRegistersExitAndWaitForTheAnswer) {
  prepare();
  ASSERT_TRUE(run(sync_exit(Ec::sysreg, mrs(sysreg::CNTP_CTL_EL0, 4))).is<Exit::SysRegRead>());
  EXPECT_EQ(pc(), kEntry);
  ASSERT_TRUE(vcpu.complete_sysreg_read(5));
  EXPECT_EQ(vcpu.trap_frame().gpr[4], 5U);
  EXPECT_EQ(pc(), kEntry + 4);
  const Exit exit = run(sync_exit(Ec::sysreg, msr(sysreg::CNTP_CTL_EL0, 4)));
  ASSERT_TRUE(exit.is<Exit::SysRegWrite>());
  EXPECT_EQ(exit.get_if<Exit::SysRegWrite>()->value, 5U);
  ASSERT_TRUE(vcpu.complete_sysreg_write());
  EXPECT_EQ(pc(), kEntry + 8);
}

TEST_F(VCpuTest, SgiIsDecoded) {
  prepare();
  ASSERT_TRUE(vcpu.set_gpr(1, 1ULL << 40 | 3ULL << 24));
  const Exit exit = run(sync_exit(Ec::sysreg, msr(sysreg::ICC_SGI1R_EL1, 1)));
  const auto* ipi = exit.get_if<Exit::SendIPI>();
  ASSERT_NE(ipi, nullptr);
  EXPECT_TRUE(ipi->send_to_all);
  EXPECT_EQ(ipi->vector, 3);
  EXPECT_EQ(pc(), kEntry + 4);
}

// --- everything else ------------------------------------------------------------------------------------------------

TEST_F(VCpuTest, WfiHalts) {
  prepare();
  EXPECT_FALSE(run(sync_exit(Ec::wfx, 0)).get_if<Exit::Halt>()->is_wfe);
  EXPECT_TRUE(run(sync_exit(Ec::wfx, 1)).get_if<Exit::Halt>()->is_wfe);
  EXPECT_EQ(pc(), kEntry + 8);
}

TEST_F(VCpuTest, PhysicalInterruptsAreReported) {
  prepare();
  fake::cpu().pending_interrupt = 27;
  EXPECT_EQ(run(interrupt()).get_if<Exit::ExternalInterrupt>()->vector, 27U);
  EXPECT_TRUE(run(interrupt(TrapKind::fiq)).is<Exit::ExternalInterrupt>());
}

TEST_F(VCpuTest, SErrorIsReportedNotFatal) {
  prepare();
  const Exit exit = run([](VCpuContext& context) {
    context.kind = TrapKind::serror;
    context.esr = Esr{}.with<Esr::EC>(Ec::serror);
  });
  ASSERT_TRUE(exit.is<Exit::FailEntry>());
  EXPECT_TRUE(exit.get_if<Exit::FailEntry>()->is_serror);
  ASSERT_TRUE(vcpu.inject_serror());
  EXPECT_TRUE(fake::cpu().serror_pending);
}

TEST_F(VCpuTest, EveryUnhandledClassInjectsUndefined) {
  prepare();
  for (unsigned ec = 0; ec < 64; ++ec) {
    switch (static_cast<Ec>(ec)) {
      case Ec::hvc64:
      case Ec::smc64:
      case Ec::sysreg:
      case Ec::wfx:
      case Ec::data_abort_lower:
      case Ec::instruction_abort_lower:
      case Ec::fp_access:
      case Ec::cp15_mcr_mrc:
      case Ec::cp15_mcrr_mrrc: continue;
      default: break;
    }
    fake::cpu().entry.reset();
    const std::uint64_t from = pc();
    run(sync_exit(static_cast<Ec>(ec), 0), interrupt());
    ASSERT_TRUE(fake::cpu().entry) << ec;
    EXPECT_EQ(fake::cpu().entry_esr.raw, 0x0200'0000U) << ec;
    EXPECT_EQ(fake::cpu().entry->elr_el1, from) << ec;
    EXPECT_EQ(pc(), 0x8'0200U) << "current EL with SPx, synchronous";
  }
  EXPECT_GT(vcpu.unexpected_exits(), 30U);
}

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
  EXPECT_TRUE(Cptr::from(fake::cpu().live.cptr_el2).get<Cptr::TFP>());
  run(sync_exit(Ec::fp_access, 0), interrupt());
  EXPECT_EQ(fake::cpu().fp.v[0], 0xAAU);
}

TEST_F(VCpuTest, ImplementationRegistersReadAsZero) {
  prepare();
  EXPECT_TRUE(Hcr::from(fake::cpu().live.hcr_el2).get<Hcr::TID1>());
  for (const SysRegId id : {sysreg::REVIDR_EL1, sysreg::AIDR_EL1, sysreg::ACTLR_EL1}) {
    ASSERT_TRUE(vcpu.set_gpr(7, 99));
    const std::uint64_t from = pc();
    run(sync_exit(Ec::sysreg, static_cast<std::uint32_t>(id.iss() | 7U << 5 | 1)), interrupt());
    EXPECT_EQ(vcpu.trap_frame().gpr[7], 0U);
    EXPECT_EQ(pc(), from + 4);
  }
}

TEST_F(VCpuTest, AnAbsentIdRegisterNamesItselfWithIdst) {
  prepare();
  const auto iss = static_cast<std::uint32_t>(sysreg::SMIDR_EL1.iss() | 7U << 5 | 1);
  run(sync_exit(Ec::sysreg, iss), interrupt());
  EXPECT_EQ(fake::cpu().entry_esr.get<Esr::EC>(), Ec::unknown);
  ASSERT_TRUE(vcpu.unbind());
  fake::cpu().id_aa64mmfr2 = std::uint64_t{1} << 36;
  ASSERT_TRUE(vcpu.setup({}));
  ASSERT_TRUE(vcpu.bind(per_cpu));
  run(sync_exit(Ec::sysreg, iss), interrupt());
  EXPECT_EQ(fake::cpu().entry_esr.get<Esr::EC>(), Ec::sysreg);
  EXPECT_EQ(fake::cpu().entry_esr.get<Esr::ISS>(), iss);
}

// --- set and way, waits with an end, AArch32
// ------------------------------------------------------------------------------

std::uint32_t write_of(SysRegId id, unsigned rt) {
  return static_cast<std::uint32_t>(id.iss() | rt << 5);
}

TEST_F(VCpuTest, OneFlushForASweepBySetAndWay) {
  prepare();
  EXPECT_TRUE(Hcr::from(fake::cpu().live.hcr_el2).get<Hcr::TSW>());
  EXPECT_FALSE(Hcr::from(fake::cpu().live.hcr_el2).get<Hcr::TVM>());
  const auto cisw = [this](std::uint64_t operand) {
    EXPECT_TRUE(vcpu.set_gpr(3, operand));
    const std::uint64_t from = pc();
    const Exit exit = run(sync_exit(Ec::sysreg, write_of(sysreg::DC_CISW, 3)), interrupt());
    EXPECT_EQ(pc(), from + 4);
    return exit;
  };
  ASSERT_TRUE(vcpu.set_gpr(3, 0x40));
  EXPECT_TRUE(run(sync_exit(Ec::sysreg, write_of(sysreg::DC_CISW, 3))).is<Exit::CacheFlush>());
  EXPECT_THAT(fake::cpu().log, Contains("TVM 1"));
  for (unsigned i = 0; i < 100; ++i) {
    EXPECT_FALSE(cisw(0x1000 + i * 0x40).is<Exit::CacheFlush>());
  }
  ASSERT_TRUE(vcpu.set_gpr(3, 0x40));
  EXPECT_TRUE(run(sync_exit(Ec::sysreg, write_of(sysreg::DC_CSW, 3))).is<Exit::CacheFlush>()) << "a second sweep";
}

TEST_F(VCpuTest, TurningCachesOnOrOffFlushesWhileTheyAreMaintained) {
  prepare();
  constexpr std::uint64_t kOn = SctlrEl1::kReset | 1 | 4;
  fake::cpu().el1.sctlr_el1 = SctlrEl1::from(kOn);
  ASSERT_TRUE(vcpu.set_gpr(3, 0x40));
  EXPECT_TRUE(run(sync_exit(Ec::sysreg, write_of(sysreg::DC_ISW, 3))).is<Exit::CacheFlush>());
  ASSERT_TRUE(vcpu.set_gpr(3, 0x1234));
  run(sync_exit(Ec::sysreg, write_of(sysreg::TTBR0_EL1, 3)), interrupt());
  EXPECT_THAT(fake::cpu().log, Contains("TTBR0 4660"));
  ASSERT_TRUE(vcpu.set_gpr(3, SctlrEl1::kReset));
  EXPECT_TRUE(run(sync_exit(Ec::sysreg, write_of(sysreg::SCTLR_EL1, 3))).is<Exit::CacheFlush>());
  EXPECT_EQ(fake::cpu().el1.sctlr_el1.raw, SctlrEl1::kReset);
  EXPECT_THAT(fake::cpu().log, ::testing::Not(Contains("TVM 0"))) << "until they are on again";
  run(sync_exit(Ec::sysreg, write_of(sysreg::SCTLR_EL1, 3)), interrupt());  // off, and stays off
  ASSERT_TRUE(vcpu.set_gpr(3, kOn));
  EXPECT_TRUE(run(sync_exit(Ec::sysreg, write_of(sysreg::SCTLR_EL1, 3))).is<Exit::CacheFlush>());
  EXPECT_THAT(fake::cpu().log, Contains("TVM 0"));
}

TEST_F(VCpuTest, WfitHasItsDeadlineInPhysicalTime) {
  prepare({.cntvoff_el2 = 1000});
  ASSERT_TRUE(vcpu.set_gpr(9, 77));
  const Exit exit = run(sync_exit(Ec::wfx, 9U << 5 | 1U << 2 | 2));
  ASSERT_TRUE(exit.is<Exit::Halt>());
  EXPECT_TRUE(exit.get_if<Exit::Halt>()->has_deadline);
  EXPECT_FALSE(exit.get_if<Exit::Halt>()->is_wfe);
  EXPECT_EQ(exit.get_if<Exit::Halt>()->deadline, 1077U);
  EXPECT_EQ(pc(), kEntry + 4);
  run(sync_exit(Ec::wfx, 9U << 5 | 2), interrupt());  // without RV: a wait that ends at once
  EXPECT_FALSE(run(sync_exit(Ec::wfx, 0)).get_if<Exit::Halt>()->has_deadline);
}

class AArch32Test : public VCpuTest {
 protected:
  // EL0, T32.
  void enter(std::uint64_t itstate = 0, std::uint64_t nzcv = 0) {
    prepare();
    vcpu.trap_frame().spsr = Spsr::from(0x30 | itstate >> 2 << 10 | (itstate & 3) << 25 | nzcv << 28);
  }
  static std::function<void(VCpuContext&)> exit_of(Ec ec, std::uint64_t iss, bool is_32_bit = true) {
    return [=](VCpuContext& context) {
      context.kind = TrapKind::sync;
      context.esr = Esr{}.with<Esr::EC>(ec).with<Esr::IL>(is_32_bit).with<Esr::ISS>(static_cast<std::uint32_t>(iss));
    };
  }
};

constexpr std::uint64_t kAlways = 1U << 24 | 0xEU << 20;
constexpr std::uint64_t kCntpCtl = 1U << 17 | 14U << 10 | 2U << 1;

TEST_F(AArch32Test, PhysicalTimerByMrcAndMcr) {
  enter();
  const Exit read = run(exit_of(Ec::cp15_mcr_mrc, kAlways | kCntpCtl | 4U << 5 | 1));
  ASSERT_TRUE(read.is<Exit::SysRegRead>());
  EXPECT_EQ(read.get_if<Exit::SysRegRead>()->addr, sysreg::CNTP_CTL_EL0.iss());
  ASSERT_TRUE(vcpu.complete_sysreg_read(0xFFFF'FFFF'0000'0005));
  EXPECT_EQ(vcpu.trap_frame().gpr[4], 5U);
  EXPECT_EQ(pc(), kEntry + 4);
  ASSERT_TRUE(vcpu.set_gpr(4, 0xFFFF'FFFF'0000'0001));
  const Exit write = run(exit_of(Ec::cp15_mcr_mrc, kAlways | kCntpCtl | 4U << 5));
  ASSERT_TRUE(write.is<Exit::SysRegWrite>());
  EXPECT_EQ(write.get_if<Exit::SysRegWrite>()->value, 1U);
}

TEST_F(AArch32Test, CompareValueByPairs) {
  enter();
  constexpr std::uint64_t kCval = kAlways | 2U << 16 | 6U << 10 | 5U << 5 | 14U << 1;
  const Exit read = run(exit_of(Ec::cp15_mcrr_mrrc, kCval | 1));
  ASSERT_TRUE(read.is<Exit::SysRegRead>());
  EXPECT_EQ(read.get_if<Exit::SysRegRead>()->addr, sysreg::CNTP_CVAL_EL0.iss());
  ASSERT_TRUE(vcpu.complete_sysreg_read(0x1122'3344'5566'7788));
  EXPECT_EQ(vcpu.trap_frame().gpr[5], 0x5566'7788U);
  EXPECT_EQ(vcpu.trap_frame().gpr[6], 0x1122'3344U);
  const Exit write = run(exit_of(Ec::cp15_mcrr_mrrc, kCval));
  EXPECT_EQ(write.get_if<Exit::SysRegWrite>()->value, 0x1122'3344'5566'7788U);
}

TEST_F(AArch32Test, OthersAreUndefined) {
  for (const std::uint64_t iss : {kAlways | 15U << 10, kAlways | 1U << 14 | kCntpCtl, kAlways | 7U << 10}) {
    enter();
    fake::cpu().entry.reset();
    run(exit_of(Ec::cp15_mcr_mrc, iss), interrupt());
    ASSERT_TRUE(fake::cpu().entry);
    EXPECT_EQ(pc(), 0x8'0600U) << "lower EL, AArch32";
    ASSERT_TRUE(vcpu.unbind());
  }
}

TEST_F(AArch32Test, AConditionThatFailsSkipsTheInstruction) {
  enter(0, 0b0100);                                                                             // Z
  run(exit_of(Ec::cp15_mcr_mrc, 1U << 24 | 0x1U << 20 | kCntpCtl | 4U << 5 | 1), interrupt());  // NE
  EXPECT_EQ(pc(), kEntry + 4);
  const Exit taken = run(exit_of(Ec::cp15_mcr_mrc, 1U << 24 | kCntpCtl | 4U << 5 | 1));  // EQ
  EXPECT_TRUE(taken.is<Exit::SysRegRead>());
}

TEST_F(AArch32Test, WfiInAnItBlock) {
  enter(0x04, 0b0100);  // ITT EQ, at its first instruction: two to come
  EXPECT_TRUE(run(exit_of(Ec::wfx, 0, false)).is<Exit::Halt>());
  EXPECT_EQ(pc(), kEntry + 2) << "16 bits";
  EXPECT_EQ(vcpu.trap_frame().itstate(), 0x08U);
  run(exit_of(Ec::wfx, 0, false));
  EXPECT_EQ(vcpu.trap_frame().itstate(), 0U) << "the block is over";
  EXPECT_EQ(pc(), kEntry + 4);
}

TEST_F(AArch32Test, AnItBlockWhoseConditionFails) {
  enter(0x04, 0);  // EQ, and Z is 0
  run(exit_of(Ec::wfx, 0, false), interrupt());
  EXPECT_EQ(pc(), kEntry + 2);
  EXPECT_EQ(vcpu.trap_frame().itstate(), 0x08U);
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
  EXPECT_TRUE(cptr().get<Cptr::TZ>() && cptr().get<Cptr::TFP>());
  run(sync_exit(Ec::fp_access, 0), interrupt());
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
  fake::cpu().ia_key[0] = 0x1111;
  prepare();
  EXPECT_EQ(fake::cpu().ia_key[0], 0x1111U) << "bind() itself returns with the host's key";
  EXPECT_TRUE(Hcr::from(fake::cpu().live.hcr_el2).get<Hcr::API>());
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
