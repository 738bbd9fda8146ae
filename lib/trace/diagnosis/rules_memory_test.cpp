// SPDX-License-Identifier: Apache-2.0
#include "test_state.hpp"

namespace arm_vcpu::diag {
namespace {

class Memory : public TestState {
 protected:
  const DiagnosisList& bad_access(std::uint64_t ipa, AccessWidth width, MmioOutcome outcome, bool write = false) {
    set_exit(esr_of(Ec::data_abort_lower, abort_iss(Fsc::translation_l2, true, write)), exit.frame.elr, ipa, ipa);
    return look(trigger::MmioFailure{ipa, width, write, 0, outcome});
  }
  const DiagnosisList& fault(std::uint64_t ipa, Fsc fsc, bool fetch = false, bool walk = false, bool write = false,
                             std::uint64_t va = 0) {
    const auto iss = static_cast<std::uint32_t>(DataAbortIss{}
                                                    .with<DataAbortIss::DFSC>(fsc)
                                                    .with<DataAbortIss::S1PTW>(walk)
                                                    .with<DataAbortIss::WnR>(write)
                                                    .raw);
    set_exit(esr_of(fetch ? Ec::instruction_abort_lower : Ec::data_abort_lower, iss), exit.frame.elr,
             va == 0 ? ipa : va, ipa);
    return look(trigger::StageTwoFault{{.addr = ipa,
                                        .gva = va == 0 ? ipa : va,
                                        .is_write = write,
                                        .is_fetch = fetch,
                                        .on_table_walk = walk,
                                        .isv = false,
                                        .fsc = static_cast<std::uint8_t>(fsc)}});
  }
  // The guest has been running for a while: no first step.
  void running() {
    exit.frame.elr = 0x4100'0000;
    for (int i = 0; i < 4; ++i)
      push(record(trace::Kind::exit_sync, 0x4100'0000, esr_of(Ec::wfx), trace::Outcome::returned));
  }
};

TEST_F(Memory, AccessPastADevice) {
  running();
  bad_access(0x900'1004, AccessWidth::word, MmioOutcome::hole);
  EXPECT_THAT(codes(), ElementsAre(Code::mmio_failure));
  const std::string all = text();
  EXPECT_EQ(all.substr(0, all.find('\n')),
            "AV0003 MMIO access failure: vm0 (linux) vcpu0: read of 4 bytes at IPA 0x9001004, PC 0x41000000: " +
                std::string{name_of(MmioOutcome::hole)});
  EXPECT_THAT(all, HasSubstr("evidence: device below 0x9000000 (pl011@9000000: the access is 0x5 past its last byte)"));
  EXPECT_THAT(all, HasSubstr("evidence: stage 2 of IPA 0x9001004"));
  EXPECT_THAT(all, HasSubstr("cause (certain): no device has this address, and it is not RAM"));
  EXPECT_THAT(all, HasSubstr("\n  check: "));
  EXPECT_THAT(all, HasSubstr("\n  considered: AV0034: "));
}

TEST_F(Memory, AccessBelowADevice) {
  running();
  bad_access(0x700'0000, AccessWidth::byte, MmioOutcome::hole, true);
  EXPECT_THAT(text(), HasSubstr("device above 0x8000000 (gic@8000000: the access is 0x1000000 below it)"));
  EXPECT_THAT(text(), HasSubstr("write of 1 byte at"));
}

TEST_F(Memory, WrongWidth) {
  bad_access(kUart, AccessWidth::doubleword, MmioOutcome::bad_width);
  EXPECT_THAT(codes(), ElementsAre(Code::mmio_failure));
  EXPECT_THAT(text(), HasSubstr("pl011@9000000 takes accesses of 1, 2, 4 bytes, this one has 8"));
}

TEST_F(Memory, UnalignedAndRefused) {
  bad_access(kUart + 2, AccessWidth::word, MmioOutcome::unaligned);
  EXPECT_THAT(text(), HasSubstr("not a multiple of the width"));
  bad_access(kUart + 4, AccessWidth::word, MmioOutcome::refused);
  EXPECT_THAT(text(), HasSubstr("pl011@9000000 has no such register"));
}

TEST_F(Memory, WriteToReadOnlyMemory) {
  ram.push_back({"flash", 0, 0x2'0000'0000, 0x40'0000, false});
  configuration.ram = ram;
  memory.mappings.push_back({0, 0x2'0000'0000, 0x40'0000, stage2::kGuestRom});
  set_exit(esr_of(Ec::data_abort_lower, abort_iss(Fsc::permission_l2, true, true)), kEntry, 0x1000, 0x1000);
  look(trigger::MmioFailure{0x1000, AccessWidth::word, true, 0, MmioOutcome::hole});
  EXPECT_THAT(codes(), Contains(Code::mmio_failure));
  EXPECT_THAT(text(), HasSubstr("the guest writes to read-only memory (flash)"));
}

TEST_F(Memory, MemoryThatOnlyTheDeviceTreeHas) {
  tree.memory[0].bytes = 2 * kRamBytes;
  bad_access(kRam + kRamBytes + 0x1000, AccessWidth::word, MmioOutcome::hole, true);
  EXPECT_THAT(codes(), ElementsAre(Code::memory_node));
  EXPECT_THAT(text(), HasSubstr("considered: AV0003"));
  fault(kRam + kRamBytes + 0x1000, Fsc::translation_l2, true);
  EXPECT_EQ(codes()[0], Code::memory_node);
}

TEST_F(Memory, TheDeviceTreeSaysNothingOfAHole) {
  bad_access(kRam + kRamBytes + 0x1000, AccessWidth::word, MmioOutcome::hole, true);
  EXPECT_EQ(codes()[0], Code::mmio_failure);
  EXPECT_THAT(text(), HasSubstr("RAM below 0x40000000 (RAM: the access is 0x1001 past its last byte)"));
}

TEST_F(Memory, PairToADevice) {
  running();
  memory.poke(0x4100'0000, 0x2940'0440, 4);  // ldp w0, w1, [x2]
  fault(kUart + 0x18, Fsc::translation_l2);
  EXPECT_THAT(codes(), ElementsAre(Code::no_syndrome));
  EXPECT_EQ(list[0].confidence(), Confidence::certain);
  EXPECT_THAT(text(), HasSubstr("a load or store of a pair (LDP, STP)"));
  memory.poke(0x4100'0000, 0xB940'0020, 4);  // a plain load: strange, so not certain
  fault(kUart + 0x18, Fsc::translation_l2);
  EXPECT_THAT(codes(), ElementsAre(Code::no_syndrome));
  EXPECT_EQ(list[0].confidence(), Confidence::likely);
}

TEST_F(Memory, PairToAHoleIsAHole) {
  running();
  memory.poke(0x4100'0000, 0x2940'0440, 4);
  fault(0xA00'0000, Fsc::translation_l2);
  EXPECT_THAT(codes(), ElementsAre(Code::mmio_failure));
}

TEST_F(Memory, TableOutsideRam) {
  running();
  registers.sctlr_el1 |= 1;
  registers.tcr_el1 = 16 | std::uint64_t{16} << 16 | 2U << 30;
  registers.ttbr0_el1 = 0x1000'0000;
  fault(0x1000'0000, Fsc::translation_l1, false, true, false, 0x8000'1234);
  EXPECT_THAT(codes(), ElementsAre(Code::table_walk_fault));
  EXPECT_EQ(list[0].confidence(), Confidence::certain);
  EXPECT_THAT(text(), HasSubstr("TTBR0_EL1 0x10000000"));
  EXPECT_THAT(text(), HasSubstr("VA 0x80001234"));
}

TEST_F(Memory, ReadOnlyTableWithHardwareUpdates) {
  running();
  ram.push_back({"flash", 0, 0x2'0000'0000, 0x40'0000, false});
  configuration.ram = ram;
  memory.mappings.push_back({0, 0x2'0000'0000, 0x40'0000, stage2::kGuestRom});
  fault(0x1000, Fsc::permission_l2, false, true, true, 0x8000'0000);
  EXPECT_THAT(codes(), ElementsAre(Code::table_walk_fault));
  EXPECT_THAT(text(), HasSubstr("hardware management of the Access flag"));
}

TEST_F(Memory, PermissionFaultAtTheWrongIpa) {
  running();
  // MMU off: the VA is the IPA. HPFAR says another page.
  fault(0x4200'0000, Fsc::permission_l3, false, false, true, 0x4300'0000);
  EXPECT_THAT(codes(), ElementsAre(Code::stale_fault_address));
  EXPECT_THAT(text(), HasSubstr("the access was to IPA 0x43000000"));
}

TEST_F(Memory, PermissionFaultThatTheTablesDoNotExplain) {
  running();
  fault(0x4200'0000, Fsc::permission_l3, false, false, true);
  EXPECT_THAT(codes(), ElementsAre(Code::stale_tlb));
  EXPECT_EQ(list[0].confidence(), Confidence::likely);
}

TEST_F(Memory, TranslationFaultOfAMappedPage) {
  running();
  fault(0x4200'0000, Fsc::translation_l3);
  EXPECT_THAT(codes(), ElementsAre(Code::stale_tlb));
}

TEST_F(Memory, RootLevelFaultOfAMappedPage) {
  running();
  fault(0x4200'0000, Fsc::translation_l0);
  EXPECT_THAT(codes(), ElementsAre(Code::start_level));
  EXPECT_THAT(text(), HasSubstr("VTCR_EL2"));
}

TEST_F(Memory, VtcrThatIsIllegal) {
  running();
  registers.vtcr_el2 = Vtcr::from(registers.vtcr_el2).with<Vtcr::SL0>(2).with<Vtcr::T0SZ>(30).raw;
  fault(0x4200'0000, Fsc::translation_l0);
  EXPECT_THAT(codes(), ElementsAre(Code::start_level));
}

TEST_F(Memory, AddressSize) {
  running();
  fault(0x4200'0000, Fsc::address_size_l1);
  EXPECT_THAT(codes(), ElementsAre(Code::address_size));
  EXPECT_THAT(text(), HasSubstr("VTCR_EL2.PS 4 (44 bits of PA)"));
}

TEST_F(Memory, BeyondTheIpaSize) {
  running();
  fault(std::uint64_t{1} << 36, Fsc::translation_l0);
  EXPECT_THAT(codes(), ElementsAre(Code::address_size));
  EXPECT_THAT(text(), HasSubstr("beyond the size that VTCR_EL2.T0SZ gives"));
}

TEST_F(Memory, FetchFromAVector) {
  running();
  registers.vbar_el1 = 0;
  exit.frame.elr = 0x200;
  fault(0x200, Fsc::translation_l1, true);
  EXPECT_THAT(codes(), ElementsAre(Code::exception_loop));
  EXPECT_EQ(list[0].confidence(), Confidence::likely);
}

TEST_F(Memory, FetchFromNowhere) {
  running();
  exit.frame.elr = 0x1234'5678;
  exit.frame.gpr[30] = 0x4100'0040;
  fault(0x1234'5678, Fsc::translation_l1, true);
  EXPECT_THAT(codes(), ElementsAre(Code::guest_bug));
  EXPECT_THAT(text(), HasSubstr("called from 0x41000040"));
}

TEST_F(Memory, FirstJumpGoesElsewhere) {
  push(record(trace::Kind::vcpu_scheduled));
  push(record(trace::Kind::exit_sync, 0x8000'0000, esr_of(Ec::instruction_abort_lower, 5), trace::Outcome::injected));
  exit.frame.elr = 0x8000'0000;
  fault(0x8000'0000, Fsc::translation_l1, true);
  EXPECT_THAT(codes(), Contains(Code::linked_elsewhere));
  running();
  exit.frame.elr = 0x8000'0000;
  fault(0x8000'0000, Fsc::translation_l1, true);
  EXPECT_THAT(codes(), Not(Contains(Code::linked_elsewhere))) << "it has run before";
}

TEST_F(Memory, FirstDataAccessGoesElsewhere) {
  bad_access(0x8000'4000, AccessWidth::word, MmioOutcome::hole, true);
  EXPECT_THAT(codes(), ElementsAre(Code::mmio_failure, Code::linked_elsewhere));
  EXPECT_EQ(list[1].confidence(), Confidence::possible);
  bad_access(0x900'4000, AccessWidth::word, MmioOutcome::hole, true);
  EXPECT_THAT(codes(), ElementsAre(Code::mmio_failure)) << "a device that is not there";
}

TEST_F(Memory, TlbConflict) {
  const Esr esr = Esr::from(esr_of(Ec::data_abort_lower, abort_iss(Fsc::tlb_conflict, false)));
  set_exit(esr.raw, kEntry);
  look(trigger::FailedEntry{{esr, 0x1000, false}});
  EXPECT_THAT(codes(), ElementsAre(Code::stale_tlb));
  EXPECT_EQ(list[0].confidence(), Confidence::certain);
}

TEST_F(Memory, WhatNobodyKnowsIsDumped) {
  const Esr esr = Esr::from(esr_of(Ec::data_abort_lower, 0x3F));
  set_exit(esr.raw, kEntry);
  look(trigger::FailedEntry{{esr, 0x1000, false}});
  EXPECT_THAT(codes(), ElementsAre(Code::unknown));
  EXPECT_THAT(text(), HasSubstr("x28"));
  EXPECT_THAT(text(), HasSubstr("vtcr_el2"));
  EXPECT_THAT(text(), Not(HasSubstr("apiakey"))) << "the guest's secret";
}

TEST_F(Memory, NothingButTheTrigger) {
  state = {};
  look(trigger::MmioFailure{0x1000, AccessWidth::word, false, 0, MmioOutcome::hole});
  EXPECT_THAT(codes(), ElementsAre(Code::mmio_failure));
  look(trigger::StageTwoFault{{.addr = 0x1000, .fsc = 7}});
  EXPECT_THAT(codes(), ElementsAre(Code::mmio_failure));
}

TEST_F(Memory, SmallImageThatIsLinkedARoundDistanceAway) {
  loaded[0].bytes = 0x8000;
  bad_access(kEntry + 0x4000'0000 + 0x4000, AccessWidth::word, MmioOutcome::hole, true);
  EXPECT_THAT(codes(), ElementsAre(Code::linked_elsewhere, Code::mmio_failure));
  EXPECT_EQ(list[0].confidence(), Confidence::likely);
  bad_access(kEntry + 0x4000'0000 + 0x8000, AccessWidth::word, MmioOutcome::hole, true);
  EXPECT_THAT(codes(), ElementsAre(Code::mmio_failure, Code::linked_elsewhere)) << "behind the image";
}

TEST_F(Memory, AccessBeyondTheIpaSizeWithASyndrome) {
  running();
  bad_access(std::uint64_t{1} << 47, AccessWidth::word, MmioOutcome::hole);
  EXPECT_THAT(codes(), ElementsAre(Code::address_size));
  EXPECT_THAT(text(), HasSubstr("beyond the size that VTCR_EL2.T0SZ gives"));
}

}  // namespace
}  // namespace arm_vcpu::diag
