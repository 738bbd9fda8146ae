// SPDX-License-Identifier: Apache-2.0
// Identification registers, and registers that are not there.
#include <span>

#include "exits.hpp"
#include "guest/check.hpp"
#include "guest/console.hpp"
#include "guest/cpu.hpp"

namespace exits {
namespace {

using namespace guest;

constexpr u64 kOld = 0x5A5A'A5A5'5A5A'A5A5;

// An access, and where its instruction is. The destination of a read keeps kOld when the instruction is undefined.
struct Access {
  const char* name;
  u64 (*execute)(u64& value) noexcept;
  bool writes;
};

#define READS(name, encoding)                                                                      \
  Access {                                                                                         \
    "undefined.read." name,                                                                        \
        [](u64& value) noexcept {                                                                  \
          u64 pc = 0;                                                                              \
          asm volatile("adr %0, 1f\n1: mrs %1, " encoding : "=&r"(pc), "+&r"(value) : : "memory"); \
          return pc;                                                                               \
        },                                                                                         \
        false                                                                                      \
  }
#define WRITES(name, encoding)                                                           \
  Access {                                                                               \
    "undefined.write." name,                                                             \
        [](u64&) noexcept {                                                              \
          u64 pc = 0;                                                                    \
          asm volatile("adr %0, 1f\n1: msr " encoding ", xzr" : "=&r"(pc) : : "memory"); \
          return pc;                                                                     \
        },                                                                               \
        true                                                                             \
  }

// Left out, because QEMU 7.2 lets a guest have them whatever EL2 asks for: TPIDR2_EL0 (hidden by FEAT_FGT only), and
// the IMPLEMENTATION DEFINED registers that it has (HCR_EL2.TIDCP has no effect).
constexpr Access kHidden[] = {
    READS("SMCR_EL1", "S3_0_C1_C2_6"),        READS("SVCR", "S3_3_C4_C2_2"),
    READS("TRFCR_EL1", "S3_0_C1_C2_1"),       READS("GCR_EL1", "S3_0_C1_C0_6"),
    READS("RGSR_EL1", "S3_0_C1_C0_5"),        READS("TFSR_EL1", "S3_0_C5_C6_0"),
    READS("PMSCR_EL1", "S3_0_C9_C9_0"),       READS("TRBLIMITR_EL1", "S3_0_C9_C11_0"),
    READS("TRCIDR0", "S2_1_C0_C8_7"),         READS("AMCR_EL0", "S3_3_C13_C2_0"),
    READS("ERRIDR_EL1", "S3_0_C5_C3_0"),      READS("ERRSELR_EL1", "S3_0_C5_C3_1"),
    READS("LORID_EL1", "S3_0_C10_C4_7"),      READS("LORC_EL1", "S3_0_C10_C4_3"),
    WRITES("LORC_EL1", "S3_0_C10_C4_3"),      READS("MPAM1_EL1", "S3_0_C10_C5_0"),
    READS("MPAMIDR_EL1", "S3_0_C10_C4_4"),    READS("ACCDATA_EL1", "S3_0_C13_C0_5"),
    READS("SCTLR2_EL1", "S3_0_C1_C0_3"),      READS("TCR2_EL1", "S3_0_C2_C0_3"),
    READS("CNTPCTSS_EL0", "S3_3_C14_C0_5"),   READS("S3_0_C15_C0_0", "S3_0_C15_C0_0"),
    WRITES("S3_0_C15_C0_0", "S3_0_C15_C0_0"), READS("S3_7_C15_C15_7", "S3_7_C15_C15_7"),
    READS("unallocated", "S3_0_C2_C7_5"),     READS("HCR_EL2", "S3_4_C1_C1_0"),
    WRITES("VTTBR_EL2", "S3_4_C2_C1_0"),      READS("SCTLR_EL12", "S3_5_C1_C0_0"),
    READS("SCR_EL3", "S3_6_C1_C1_0"),
};

// Without performance monitors.
constexpr Access kPmu[] = {
    READS("PMCR_EL0", "S3_3_C9_C12_0"),       WRITES("PMCR_EL0", "S3_3_C9_C12_0"),
    READS("PMCCNTR_EL0", "S3_3_C9_C13_0"),    READS("PMCEID0_EL0", "S3_3_C9_C12_6"),
    READS("PMINTENSET_EL1", "S3_0_C9_C14_1"), READS("PMUSERENR_EL0", "S3_3_C9_C14_0"),
    READS("PMCCFILTR_EL0", "S3_3_C14_C15_7"), WRITES("PMSWINC_EL0", "S3_3_C9_C12_4"),
};

void test_undefined(std::span<const Access> registers) noexcept {
  // CPACR_EL1 comes before EL2 in the order of traps; ZEN and SMEN out of the way.
  const u64 cpacr = GUEST_READ(cpacr_el1);
  GUEST_WRITE(cpacr_el1, cpacr | 3U << 16 | 3U << 24);
  isb();
  for (const Access& access : registers) {
    u64 value = kOld;
    u64 pc = 0;
    const Caught caught = catching([&] { pc = access.execute(value); });
    const bool right =
        caught.count == 1 && caught.ec() == 0 && caught.elr == pc && value == kOld && caught.esr == 0x0200'0000;
    if (!check_true(access.name, right)) {
      print("  count ", caught.count, " ESR ", Hex{caught.esr}, " ELR ", Hex{caught.elr}, " PC ", Hex{pc}, " value ",
            Hex{value}, '\n');
    }
  }
  GUEST_WRITE(cpacr_el1, cpacr);
  isb();
}

void check_field(const char* name, u64 value, unsigned low, u64 expected) noexcept {
  check(name, value >> low & 0xF, expected);
}

void test_hidden_fields() noexcept {
  const u64 pfr0 = GUEST_READ(id_aa64pfr0_el1);
  check_field("id.pfr0.el1", pfr0, 4, 1);
  check_field("id.pfr0.el2", pfr0, 8, 0);
  check_field("id.pfr0.el3", pfr0, 12, 0);
  check_field("id.pfr0.gic", pfr0, 24, 1);
  check_field("id.pfr0.ras", pfr0, 28, 0);
  check_field("id.pfr0.mpam", pfr0, 40, 0);
  check_field("id.pfr0.amu", pfr0, 44, 0);
  const u64 pfr1 = GUEST_READ(id_aa64pfr1_el1);
  check_field("id.pfr1.mte", pfr1, 8, 0);
  check_field("id.pfr1.sme", pfr1, 24, 0);
  const u64 dfr0 = GUEST_READ(id_aa64dfr0_el1);
  check_field("id.dfr0.tracever", dfr0, 4, 0);
  check_field("id.dfr0.pmsver", dfr0, 32, 0);
  const u64 mmfr1 = GUEST_READ(id_aa64mmfr1_el1);
  check_field("id.mmfr1.vh", mmfr1, 8, 0);
  check_field("id.mmfr1.lo", mmfr1, 16, 0);
  check_field("id.mmfr2.nv", GUEST_READ(id_aa64mmfr2_el1), 24, 0);
  check_field("id.mmfr0.fgt", GUEST_READ(id_aa64mmfr0_el1), 56, 0);
  check("id.smfr0", GUEST_READ(S3_0_C0_C4_5), 0);
}

// The whole block answers, the parts that are allocated to nothing with 0.
void test_id_block() noexcept {
  const Caught caught = catching([] {
    (void)GUEST_READ(S3_0_C0_C1_0);
    (void)GUEST_READ(S3_0_C0_C2_7);
    (void)GUEST_READ(S3_0_C0_C3_3);
    (void)GUEST_READ(S3_0_C0_C3_7);
    (void)GUEST_READ(S3_0_C0_C4_3);
    (void)GUEST_READ(S3_0_C0_C4_7);
    (void)GUEST_READ(S3_0_C0_C5_7);
    (void)GUEST_READ(S3_0_C0_C6_7);
    (void)GUEST_READ(S3_0_C0_C7_7);
  });
  check("id.block_is_defined", caught.count, 0);
  check("id.reserved_is_zero", GUEST_READ(S3_0_C0_C4_7) | GUEST_READ(S3_0_C0_C5_7) | GUEST_READ(S3_0_C0_C7_7), 0);
}

}  // namespace

void test_system_registers(const Machine& machine) noexcept {
  check("id.mpidr", GUEST_READ(mpidr_el1), 0x8000'0000);
  check_true("id.midr", (GUEST_READ(midr_el1) >> 16 & 0xF) == 0xF);
  check_true("id.cntfrq", GUEST_READ(cntfrq_el0) != 0);
  test_id_block();
  if (!machine.is_virtual) {
    skip("sysregs", "nothing is hidden without a hypervisor");
    return;
  }
  test_hidden_fields();
  test_undefined(kHidden);
  if ((GUEST_READ(id_aa64dfr0_el1) >> 8 & 0xF) == 0) test_undefined(kPmu);
  // FEAT_IDST: an ID register that is not there says which it was.
  const u64 expected_ec = (GUEST_READ(id_aa64mmfr2_el1) >> 36 & 0xF) != 0 ? 0x18 : 0x00;
  check("id.smidr", catching([] { (void)GUEST_READ(S3_1_C0_C0_6); }).ec(), expected_ec);
  check("id.gmid", catching([] { (void)GUEST_READ(S3_1_C0_C0_4); }).ec(), expected_ec);
  check("id.revidr", GUEST_READ(revidr_el1), 0);
  check("id.aidr", GUEST_READ(S3_1_C0_C0_7), 0);
  check("dc_cisw", catching([] { asm volatile("dc cisw, %0" : : "r"(u64{0}) : "memory"); }).count, 0);
  check("actlr_el1.reads_zero", GUEST_READ(actlr_el1), 0);
  const Caught write = catching([] { GUEST_WRITE(actlr_el1, ~u64{0}); });
  check("actlr_el1.write_allowed", write.count, 0);
  check("actlr_el1.write_ignored", GUEST_READ(actlr_el1), 0);
}

}  // namespace exits
