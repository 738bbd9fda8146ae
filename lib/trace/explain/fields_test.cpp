// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "arm_vcpu/arch/gic.hpp"
#include "arm_vcpu/arch/id_registers.hpp"
#include "arm_vcpu/arch/registers.hpp"
#include "arm_vcpu/text.hpp"
#include "arm_vcpu/trace/explain.hpp"
#include "arm_vcpu/vm/stage2_layout.hpp"

namespace arm_vcpu::explain {
namespace {

std::string explained(std::string_view name, std::uint64_t value, bool all = false) {
  static std::array<char, 16384> storage;
  TextBuffer out{storage};
  append(out, register_of(find_register(name)), value, all);
  EXPECT_FALSE(out.truncated());
  return std::string{out.view()};
}

// Rows that can be there at the same time: their conditions do not exclude each other.
bool exclusive(const Row& a, const Row& b) {
  if (!a.conditional || !b.conditional) return false;
  const std::uint64_t both = bits::mask(a.when_hi, a.when_lo) & bits::mask(b.when_hi, b.when_lo);
  return ((a.value << a.when_lo) & both) != ((b.value << b.when_lo) & both);
}

TEST(Fields, TablesAreSound) {
  std::set<std::string> names;
  for (unsigned i = 0; i < register_count(); ++i) {
    const Register reg = register_at(i);
    SCOPED_TRACE(std::string{reg.name()});
    EXPECT_TRUE(names.insert(std::string{reg.name()}).second) << "twice";
    EXPECT_FALSE(reg.title().empty());
    std::vector<const Row*> fields;
    const Row* last = nullptr;
    for (const Row& row : reg) {
      if (row.row == RowKind::value) {
        ASSERT_NE(last, nullptr) << "a value without a field";
        EXPECT_LE(row.value, bits::mask(last->hi - last->lo, 0)) << row.text << " does not fit " << last->name;
        EXPECT_FALSE(row.text.empty());
        continue;
      }
      EXPECT_LE(row.lo, row.hi);
      EXPECT_LT(row.hi, reg.bits()) << row.name;
      if (row.row == RowKind::field) {
        EXPECT_FALSE(row.name.empty());
        EXPECT_FALSE(row.text.empty()) << row.name;
        EXPECT_TRUE(row.kind != FieldKind::flag || row.hi == row.lo) << row.name << ": a flag is one bit";
        EXPECT_TRUE(row.kind != FieldKind::mair || row.hi - row.lo == 7) << row.name;
        last = &row;
      } else {
        last = nullptr;
      }
      if (row.conditional) {
        EXPECT_LE(row.value, bits::mask(row.when_hi - row.when_lo, 0));
      }
      for (const Row* other : fields) {
        if ((bits::mask(row.hi, row.lo) & bits::mask(other->hi, other->lo)) == 0) continue;
        EXPECT_TRUE(exclusive(row, *other)) << row.name << " overlaps " << other->name;
      }
      fields.push_back(&row);
    }
  }
  EXPECT_GT(names.size(), 70U);
}

TEST(Fields, ValuesOfAFieldAreUnique) {
  for (unsigned i = 0; i < register_count(); ++i) {
    std::set<std::uint64_t> seen;
    for (const Row& row : register_at(i)) {
      if (row.row != RowKind::value) {
        seen.clear();
      } else {
        EXPECT_TRUE(seen.insert(row.value).second) << register_at(i).name() << " " << row.text;
      }
    }
  }
}

// Whatever the value, every bit is in exactly one field, or told as reserved.
TEST(Fields, EveryBitIsAccountedFor) {
  for (unsigned i = 0; i < register_count(); ++i) {
    const Register reg = register_at(i);
    const std::uint64_t legal = reg.bits() == 64 ? ~std::uint64_t{0} : bits::mask(reg.bits() - 1, 0);
    for (std::uint64_t raw = 1, n = 0; n < 200; ++n, raw = raw * 6364136223846793005U + 1442695040888963407U) {
      for (const std::uint64_t value : {raw & legal, legal, std::uint64_t{0}}) {
        std::uint64_t seen = 0;
        std::uint64_t rebuilt = 0;
        visit(reg, value, [&](const FieldView& field) {
          EXPECT_EQ(seen & bits::mask(field.hi, field.lo), 0U) << reg.name() << "." << field.name;
          seen |= bits::mask(field.hi, field.lo);
          rebuilt |= field.value << field.lo;
        });
        EXPECT_EQ(value & ~seen &
                      ~(value &
                        [&] {  // RES1 bits that are 1 are not worth a word
                          std::uint64_t res1 = 0;
                          for (const Row& row : reg) {
                            if (row.row == RowKind::res1) res1 |= bits::mask(row.hi, row.lo);
                          }
                          return res1;
                        }()),
                  0U)
            << reg.name();
        EXPECT_EQ(rebuilt & ~value, 0U) << reg.name();
      }
    }
  }
}

TEST(Fields, FoundInAnyCaseAndByShortName) {
  for (const char* name : {"HCR_EL2", "hcr_el2", "Hcr", "hcr"}) {
    const Row* found = find_register(name);
    ASSERT_NE(found, nullptr) << name;
    EXPECT_EQ(found->name, "HCR_EL2");
  }
  EXPECT_EQ(find_register("sctlr")->name, "SCTLR_EL2");
  EXPECT_EQ(find_register("sctlr_el1")->name, "SCTLR_EL1");
  EXPECT_EQ(find_register("mpidr")->name, "MPIDR_EL1");
  EXPECT_EQ(find_register("ctr")->name, "CTR_EL0");
  EXPECT_EQ(find_register("currentel")->name, "CurrentEL");
  EXPECT_EQ(find_register("ICH_LR3_EL2")->name, "ICH_LR<n>_EL2");
  EXPECT_EQ(find_register("ich_lr15_el2")->name, "ICH_LR<n>_EL2");
  EXPECT_EQ(find_register("ich_lr")->name, "ICH_LR<n>_EL2");
  EXPECT_EQ(find_register("NO_SUCH_EL1"), nullptr);
  EXPECT_EQ(find_register(""), nullptr);
}

struct Position {
  const char* reg;
  const char* field;
  unsigned hi;
  unsigned lo;
};

void expect_position(const Position& want) {
  const Row* found = find_register(want.reg);
  ASSERT_NE(found, nullptr) << want.reg;
  for (const Row& row : register_of(found)) {
    if (row.row == RowKind::field && row.name == want.field) {
      EXPECT_EQ(row.hi, want.hi) << want.reg << "." << want.field;
      EXPECT_EQ(row.lo, want.lo) << want.reg << "." << want.field;
      return;
    }
  }
  ADD_FAILURE() << want.reg << " has no field " << want.field;
}

#define VCPU_SAME(reg, image, field) expect_position({reg, #field, image::field::kHi, image::field::kLo})

// The tables and the typed images are two statements of one fact: they agree.
TEST(Fields, AgreeWithTheTypedImages){
#define F(field) VCPU_SAME("HCR_EL2", Hcr, field);
    F(VM) F(SWIO) F(PTW) F(FMO) F(IMO) F(AMO) F(VF) F(VI) F(VSE) F(FB) F(BSU) F(DC) F(TWI) F(TWE) F(TID0) F(TID1)
        F(TID2) F(TID3) F(TSC) F(TIDCP) F(TACR) F(TSW) F(TPCP) F(TPU) F(TTLB) F(TVM) F(TGE) F(TDZ) F(HCD) F(TRVM) F(RW)
            F(CD) F(ID) F(E2H) F(TLOR) F(TERR) F(TEA) F(APK) F(API) F(FIEN) F(ATA)
#undef F
#define F(field) VCPU_SAME("SPSR_EL2", Spsr, field);
                F(M) F(F) F(I) F(A) F(D) F(BTYPE) F(ALLINT) F(IL) F(SS) F(PAN) F(UAO) F(DIT) F(TCO)
#undef F
#define F(field) VCPU_SAME("SCTLR_EL1", SctlrEl1, field);
                    F(M) F(A) F(C) F(SA) F(I) F(WXN) F(SPAN) F(EE) F(DSSBS)
#undef F
#define F(field) VCPU_SAME("CPTR_EL2", Cptr, field);
                        F(TZ) F(TFP) F(TSM) F(TTA) F(TAM) F(TCPAC)
#undef F
#define F(field) VCPU_SAME("MDCR_EL2", Mdcr, field);
                            F(HPMN) F(TPMCR) F(TPM) F(HPME) F(TDE) F(TDA) F(TDOSA) F(TDRA) F(E2PB) F(TPMS) F(TTRF)
                                F(E2TB)
#undef F
#define F(field) VCPU_SAME("CNTHCTL_EL2", Cnthctl, field);
                                    F(EL1PCTEN) F(EL1PCEN)
#undef F
#define F(field) VCPU_SAME("VTCR_EL2", Vtcr, field);
                                        F(T0SZ) F(SL0) F(IRGN0) F(ORGN0) F(SH0) F(TG0) F(PS) F(VS) F(HA) F(HD) F(NSW)
                                            F(NSA) F(DS) F(SL2)
#undef F
#define F(field) VCPU_SAME("VTTBR_EL2", Vttbr, field);
                                                F(VMID) F(BADDR) F(CnP)
#undef F
#define F(field) VCPU_SAME("ICH_LR0_EL2", gic::IchLr, field);
                                                    F(State) F(HW) F(Group) F(Priority) F(pINTID) F(EOI) F(vINTID)
#undef F
#define F(field) VCPU_SAME("ICH_HCR_EL2", gic::IchHcr, field);
                                                        F(EOIcount) F(TDIR) F(TSEI) F(TALL1) F(TALL0) F(TC) F(VGrp1DIE)
                                                            F(VGrp1EIE) F(VGrp0DIE) F(VGrp0EIE) F(NPIE) F(LRENPIE)
                                                                F(UIE) F(En)
#undef F
#define F(field) VCPU_SAME("ICH_VMCR_EL2", gic::IchVmcr, field);
                                                                    F(VPMR) F(VBPR0) F(VBPR1) F(VEOIM) F(VCBPR) F(
                                                                        VFIQEn) F(VAckCtl) F(VENG1) F(VENG0)
#undef F
#define F(field) VCPU_SAME("ICH_MISR_EL2", gic::IchMisr, field);
                                                                        F(VGrp1D) F(VGrp1E) F(VGrp0D) F(VGrp0E) F(NP) F(
                                                                            LRENP) F(U) F(EOI)
#undef F
#define F(field) VCPU_SAME("ICH_VTR_EL2", gic::IchVtr, field);
                                                                            F(PRIbits) F(
                                                                                PREbits) F(IDbits) F(SEIS) F(A3V) F(nV4) F(TDS) F(DVIM) F(ListRegs)
#undef F
#define F(field) VCPU_SAME("GICD_TYPER", gic::GicdTyper, field);
                                                                                F(ESPI_range) F(RSS) F(No1N) F(
                                                                                    A3V) F(IDbits) F(DVIS) F(LPIS) F(MBIS) F(num_LPIs) F(SecurityExtn) F(ESPI)
                                                                                    F(CPUNumber) F(ITLinesNumber)
#undef F
#define F(field) VCPU_SAME("GICR_TYPER", gic::GicrTyper, field);
                                                                                        F(Affinity_Value) F(
                                                                                            PPInum) F(CommonLPIAff) F(Processor_Number) F(DPGS) F(Last) F(VLPIS) F(PLPIS)
#undef F
#define F(field) VCPU_SAME("GICD_CTLR", gic::GicdCtlr, field);
                                                                                            F(RWP) F(
                                                                                                nASSGIreq) F(E1NWF) F(DS)
                                                                                                F(ARE) F(EnableGrp1) F(
                                                                                                    EnableGrp0)
#undef F
#define F(field) VCPU_SAME("HPFAR_EL2", Hpfar, field);
                                                                                                    F(NS) F(FIPA)
#undef F
#define F(field) VCPU_SAME("ISS_DATA_ABORT", DataAbortIss, field);
                                                                                                        F(ISV) F(SAS) F(SSE) F(
                                                                                                            SRT) F(SF) F(AR) F(VNCR) F(SET)
                                                                                                            F(FnV) F(EA) F(CM) F(
                                                                                                                S1PTW) F(WnR) F(DFSC)
#undef F
#define F(field) VCPU_SAME("ISS_INSTRUCTION_ABORT", InstructionAbortIss, field);
                                                                                                                F(SET) F(FnV) F(
                                                                                                                    EA) F(S1PTW) F(IFSC)
#undef F
#define F(field) VCPU_SAME("ISS_SYSREG", SysRegIss, field);
                                                                                                                    F(Op0) F(Op2) F(
                                                                                                                        Op1) F(CRn)
                                                                                                                        F(Rt) F(
                                                                                                                            CRm) F(Direction)
#undef F
#define F(field) VCPU_SAME("ISS_WFX", WfxIss, field);
                                                                                                                            F(CV) F(
                                                                                                                                COND)
                                                                                                                                F(RN) F(
                                                                                                                                    RV)
                                                                                                                                    F(TI)
#undef F
}

// Every field that the guest's view of an ID register keeps is explained, at the same place.
TEST(Fields, AgreeWithTheIdPolicy) {
#define VCPU_ID_REGISTER(name)
#define VCPU_ID_FIELD(name, field, hi_bit, lo_bit, policy, value) \
  if (find_register(#name) != nullptr) expect_position({#name, #field, hi_bit, lo_bit});
#include "arm_vcpu/arch/id_policy.def"
#undef VCPU_ID_REGISTER
#undef VCPU_ID_FIELD
}

TEST(Fields, Text) {
  EXPECT_EQ(explained("hcr", 0x8000'0001),
            "HCR_EL2 = 0x80000001: Hypervisor Configuration Register\n"
            "  RW[31] = 1: Execution state of EL1: AArch64 at EL1\n"
            "  BSU[11:10] = 0: least shareability of a barrier of EL1 and EL0: no effect\n"
            "  VM[0] = 1: stage-2 translation is on for EL1 and EL0\n");
  EXPECT_EQ(explained("HPFAR_EL2", 0x9'0000),
            "HPFAR_EL2 = 0x90000: Hypervisor IPA Fault Address Register\n"
            "  FIPA[47:4] = 0x9000: page of the faulting IPA: bits 55:12: 0x9000000\n");
  EXPECT_NE(explained("hcr", 0, true).find("  TWI[13] = 0: not: WFI that would wait traps\n"), std::string::npos);
}

TEST(Fields, ReservedBitsAreFlagged) {
  EXPECT_EQ(explained("CurrentEL", 0x18),
            "CurrentEL = 0x18: Current Exception Level\n"
            "  EL[3:2] = 2: Exception level: EL2\n"
            "! RES0[4] = 1: reserved bits are set, or a feature that this table does not know\n");
  EXPECT_NE(explained("VTCR_EL2", 0).find("! RES1[31] = 0: should be all ones\n"), std::string::npos);
  EXPECT_EQ(explained("VTCR_EL2", 0x8000'0000).find('!'), std::string::npos);
  EXPECT_EQ(explained("GICD_CTLR", 0x10).find('!'), std::string::npos);
}

TEST(Fields, FieldsThatDependOnOthers) {
  EXPECT_NE(explained("ICH_LR0_EL2", 0x7000'001B'0000'001B).find("pINTID[44:32] = 0x1b: physical INTID"),
            std::string::npos);
  EXPECT_NE(explained("ICH_LR0_EL2", 0x5000'0200'0000'001B).find("EOI[41] = 1"), std::string::npos);
  EXPECT_NE(explained("ICH_LR0_EL2", 0x7000'001B'0000'001B).find("vINTID[31:0] = 0x1b: virtual INTID: PPI 27"),
            std::string::npos);
  EXPECT_NE(explained("SPSR_EL2", 0x3C5).find("M[3:0] = 5: Exception level and stack pointer: EL1 with SP_EL1 (EL1h)"),
            std::string::npos);
  EXPECT_NE(explained("SPSR_EL2", 0x1D3).find("AArch32 mode: Supervisor"), std::string::npos);
  EXPECT_NE(explained("PAR_EL1", 0xFF00'0000'4000'0B80).find("PA[51:12] = 0x40000: output address: 0x40000000"),
            std::string::npos);
  EXPECT_NE(explained("PAR_EL1", 0x0A0F).find("FST[6:1] = 7: translation fault, level 3"), std::string::npos);
}

TEST(Fields, MairBytes) {
  const auto text = [](unsigned attr) {
    char storage[128];
    TextBuffer out{storage};
    append_mair(out, static_cast<std::uint8_t>(attr));
    return std::string{out.view()};
  };
  EXPECT_EQ(text(0x00), "Device-nGnRnE");
  EXPECT_EQ(text(0x04), "Device-nGnRE");
  EXPECT_EQ(text(0x08), "Device-nGRE");
  EXPECT_EQ(text(0x0C), "Device-GRE");
  EXPECT_EQ(text(0x01), "Device-nGnRnE, XS 0");
  EXPECT_EQ(text(0x02), "reserved");
  EXPECT_EQ(text(0x40), "Normal, Inner and Outer Non-cacheable, XS 0");
  EXPECT_EQ(text(0x44), "Normal, Inner and Outer Non-cacheable");
  EXPECT_EQ(text(0xFF), "Normal, Inner and Outer Write-Back RW-allocate");
  EXPECT_EQ(text(0xBB), "Normal, Inner and Outer Write-Through RW-allocate");
  EXPECT_EQ(text(0xF0), "Normal Tagged, Inner and Outer Write-Back RW-allocate");
  EXPECT_EQ(text(0x4F), "Normal, Inner Write-Back RW-allocate, Outer Non-cacheable");
  EXPECT_EQ(text(0x10), "reserved");
  for (unsigned attr = 0; attr < 256; ++attr) EXPECT_FALSE(text(attr).empty());
}

TEST(Fields, RealValues) {
  // QEMU 7.2, -cpu max and cortex-a57: no reserved bit, and what is known of them.
  EXPECT_NE(explained("MIDR_EL1", 0x411F'D070).find("Implementer[31:24] = 0x41: who made the CPU: Arm"),
            std::string::npos);
  EXPECT_NE(explained("CTR_EL0", 0x8444'8004).find("DminLine[19:16] = 4: smallest data cache line: 64 bytes"),
            std::string::npos);
  for (const auto& [name, value] :
       std::initializer_list<std::pair<const char*, std::uint64_t>>{{"ID_AA64PFR0_EL1", 0x1201'0011'2111'0222},
                                                                    {"ID_AA64PFR1_EL1", 0x0100'0021},
                                                                    {"ID_AA64DFR0_EL1", 0x1030'5609},
                                                                    {"ID_AA64ISAR0_EL1", 0x1221'1111'1021'2120},
                                                                    {"ID_AA64ISAR1_EL1", 0x0011'1111'1021'1102},
                                                                    {"ID_AA64MMFR0_EL1", 0x0000'0323'1020'1126},
                                                                    {"ID_AA64MMFR1_EL1", 0x0000'0110'1021'1122},
                                                                    {"ID_AA64MMFR2_EL1", 0x1021'0110'1001'1011},
                                                                    {"MPIDR_EL1", 0x8000'0003},
                                                                    {"SCTLR_EL1", 0x30D0'0800},
                                                                    {"SCTLR_EL2", 0x30C5'0830},
                                                                    {"CPTR_EL2", 0x33FF},
                                                                    {"GICD_TYPER", 0x037A'0008}}) {
    EXPECT_EQ(explained(name, value).find('!'), std::string::npos) << explained(name, value);
  }
}

}  // namespace
}  // namespace arm_vcpu::explain
