// SPDX-License-Identifier: Apache-2.0
#include "opcode.hpp"

#include "features.hpp"
#include "test_state.hpp"

namespace arm_vcpu::diag {
namespace {

struct Case {
  std::uint32_t opcode;
  OpcodeClass expected;
  const char* text;
};

// Encodings as an assembler gives them.
constexpr Case kCases[] = {
    {0xB9400020, OpcodeClass::load_store_plain, "ldr w0, [x1]"},
    {0xF8626820, OpcodeClass::load_store_plain, "ldr x0, [x1, x2]"},
    {0xF8404020, OpcodeClass::load_store_plain, "ldur x0, [x1, #4]"},
    {0x58000040, OpcodeClass::load_store_plain, "ldr x0, .+8"},
    {0x88DFFC20, OpcodeClass::load_store_plain, "ldar w0, [x1]"},
    {0xB8BFC020, OpcodeClass::load_store_plain, "ldapr w0, [x1]"},
    {0xB8004420, OpcodeClass::load_store_writeback, "str w0, [x1], #4"},
    {0xB8004C20, OpcodeClass::load_store_writeback, "str w0, [x1, #4]!"},
    {0x29400440, OpcodeClass::load_store_pair, "ldp w0, w1, [x2]"},
    {0xA9BF0440, OpcodeClass::load_store_pair, "stp x0, x1, [x2, #-16]!"},
    {0x3D800020, OpcodeClass::load_store_simd, "str q0, [x1]"},
    {0x4C407020, OpcodeClass::load_store_simd, "ld1 {v0.16b}, [x1]"},
    {0xAD000440, OpcodeClass::load_store_simd, "stp q0, q1, [x2]"},
    {0x885F7C20, OpcodeClass::load_store_exclusive, "ldxr w0, [x1]"},
    {0x88027C20, OpcodeClass::load_store_exclusive, "stxr w2, w0, [x1]"},
    {0x88A07C41, OpcodeClass::load_store_atomic, "cas w0, w1, [x2]"},
    {0xB8200041, OpcodeClass::load_store_atomic, "ldadd w0, w1, [x2]"},
    {0xB8208041, OpcodeClass::load_store_atomic, "swp w0, w1, [x2]"},
    {0xF8200420, OpcodeClass::load_store_pauth, "ldraa x0, [x1]"},
    {0xD9200820, OpcodeClass::load_store_tag, "stg x0, [x1]"},
    {0x19010440, OpcodeClass::memory_copy, "cpyfp [x0]!, [x1]!, x2!"},
    {0xD50B7420, OpcodeClass::dc_zva, "dc zva, x0"},
    {0xD50B7E20, OpcodeClass::cache_maintenance, "dc civac, x0"},
    {0xD508751F, OpcodeClass::cache_maintenance, "ic iallu"},
    {0xD5087800, OpcodeClass::system_instruction, "at s1e1r, x0"},
    {0xD508871F, OpcodeClass::system_instruction, "tlbi vmalle1"},
    {0xD5380000, OpcodeClass::system_register, "mrs x0, midr_el1"},
    {0xD51BE020, OpcodeClass::system_register, "msr cntpct.., x0"},
    {0xD4000002, OpcodeClass::hvc, "hvc #0"},
    {0xD4000003, OpcodeClass::smc, "smc #0"},
    {0xD4000021, OpcodeClass::svc, "svc #1"},
    {0xD4210000, OpcodeClass::brk, "brk #0x800"},
    {0xD69F03E0, OpcodeClass::eret, "eret"},
    {0xD69F0BFF, OpcodeClass::eret, "eretaa"},
    {0x1E602800, OpcodeClass::fp_simd, "fadd d0, d0, d0"},
    {0x4EA01C00, OpcodeClass::fp_simd, "mov v0.16b, v0.16b"},
    {0x04A0E3E0, OpcodeClass::sve, "cntw x0"},
    {0xC0080000, OpcodeClass::sme, "zero {}"},
    {0x00000000, OpcodeClass::udf, "udf #0"},
    {0x0000BEEF, OpcodeClass::udf, "udf #0xbeef"},
    {0x00010000, OpcodeClass::unallocated, "op0 0"},
    {0xFFFFFFFF, OpcodeClass::fp_simd, "erased flash"},
    {0xD503201F, OpcodeClass::other, "nop"},
    {0xD65F03C0, OpcodeClass::other, "ret"},
    {0x14000000, OpcodeClass::other, "b ."},
    {0x91000421, OpcodeClass::other, "add x1, x1, #1"},
    {0xAA0103E0, OpcodeClass::other, "mov x0, x1"},
};

TEST(Opcode, Classes) {
  for (const Case& one : kCases) {
    EXPECT_EQ(classify(one.opcode), one.expected) << one.text << ": " << name_of(classify(one.opcode));
  }
}

TEST(Opcode, EveryOpcodeHasAClassWithAName) {
  for (std::uint64_t opcode = 0; opcode < 0x1'0000'0000; opcode += 0xFFF1) {
    EXPECT_FALSE(name_of(classify(static_cast<std::uint32_t>(opcode))).empty());
  }
}

TEST(Opcode, WhatHasNoSyndrome) {
  EXPECT_TRUE(has_no_syndrome(OpcodeClass::load_store_pair));
  EXPECT_TRUE(has_no_syndrome(OpcodeClass::dc_zva));
  EXPECT_FALSE(has_no_syndrome(OpcodeClass::load_store_plain));
  EXPECT_FALSE(has_no_syndrome(OpcodeClass::system_register));
}

TEST(Features, RegistersBelongToTheFieldThatTellsOfThem) {
  const auto field = [](SysRegId id) {
    const Feature* feature = feature_of(id);
    return feature == nullptr ? std::string_view{"none"} : feature->field;
  };
  EXPECT_EQ(field(sysreg::PMCR_EL0), "PMUVer");
  EXPECT_EQ(field(sysreg::PMEVCNTR30_EL0), "PMUVer");
  EXPECT_EQ(field(sysreg::PMINTENSET_EL1), "PMUVer");
  EXPECT_EQ(field(sysreg::PMSCR_EL1), "PMSVer");
  EXPECT_EQ(field(sysreg::TRBLIMITR_EL1), "TraceBuffer");
  EXPECT_EQ(field(sysreg::ERRIDR_EL1), "RAS");
  EXPECT_EQ(field(sysreg::ZCR_EL1), "SVE");
  EXPECT_EQ(field(sysreg::SVCR), "SME");
  EXPECT_EQ(field(sysreg::GCR_EL1), "MTE");
  EXPECT_EQ(field(sysreg::LORC_EL1), "LO");
  EXPECT_EQ(field(sysreg::AMCR_EL0), "AMU");
  EXPECT_EQ(field(sysreg::ICC_DIR_EL1), "GIC");
  EXPECT_EQ(field(sysreg::OSLAR_EL1), "DebugVer");
  EXPECT_EQ(field(SysRegId(2, 1, 0, 0, 0)), "TraceVer");
  EXPECT_EQ(field(sysreg::HCR_EL2), "EL2");
  EXPECT_EQ(field(sysreg::RNDR), "RNDR");
  EXPECT_EQ(field(sysreg::TCR2_EL1), "TCRX");
  for (const SysRegId id : {sysreg::SCTLR_EL1, sysreg::TTBR0_EL1, sysreg::VBAR_EL1, sysreg::CNTV_CTL_EL0,
                            sysreg::TPIDR_EL0, sysreg::CONTEXTIDR_EL1}) {
    EXPECT_EQ(field(id), "none");
  }
}

TEST(Features, VisibilityFollowsThePolicyAndTheCpu) {
  Capabilities cpu{};
  EXPECT_EQ(visibility_of(*feature_of(sysreg::PMCR_EL0), &cpu), Visibility::hidden) << "by policy";
  EXPECT_EQ(visibility_of(*feature_of(sysreg::PMCR_EL0), nullptr), Visibility::hidden);
  EXPECT_EQ(visibility_of(*feature_of(sysreg::ICC_DIR_EL1), nullptr), Visibility::unknown);
  EXPECT_EQ(visibility_of(*feature_of(sysreg::ICC_DIR_EL1), &cpu), Visibility::hidden) << "this CPU has none";
  cpu.id.id_aa64pfr0_el1 = IdAa64Pfr0{}.with<IdAa64Pfr0::GIC>(1).raw;
  EXPECT_EQ(visibility_of(*feature_of(sysreg::ICC_DIR_EL1), &cpu), Visibility::advertised);
  const Feature& fp = *feature_of(Ec::fp_access);
  EXPECT_EQ(visibility_of(fp, &cpu), Visibility::advertised) << "0 stands for present";
  cpu.id.id_aa64pfr0_el1 = IdAa64Pfr0{}.with<IdAa64Pfr0::FP>(15).raw;
  EXPECT_EQ(visibility_of(fp, &cpu), Visibility::hidden);
  const Feature& pauth = *feature_of(Ec::pauth_use);
  EXPECT_EQ(visibility_of(pauth, &cpu), Visibility::hidden);
  cpu.id.id_aa64isar1_el1 = IdAa64Isar1{}.with<IdAa64Isar1::API>(1).raw;
  EXPECT_EQ(visibility_of(pauth, &cpu), Visibility::advertised) << "API counts as APA";
}

}  // namespace
}  // namespace arm_vcpu::diag
