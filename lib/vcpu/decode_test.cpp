// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/decode.hpp"

#include <gtest/gtest.h>

#include <set>

namespace arm_vcpu {
namespace {

using Exit = AxVCpuExitReason;

ExitFrame data_abort(std::uint32_t iss) {
  ExitFrame exit{};
  exit.esr = Esr{}.with<Esr::EC>(Ec::data_abort_lower).with<Esr::IL>(true).with<Esr::ISS>(iss);
  for (unsigned i = 0; i < 31; ++i) {
    exit.frame.gpr[i] = 0x8182'8384'8586'8700U + i;
  }
  return exit;
}

// Every ISS a data abort can have: the decoder's answer follows from the fields alone.
TEST(DecodeDataAbort, AllSyndromes) {
  ExitFrame exit = data_abort(0);
  std::uint64_t reads = 0;
  std::uint64_t writes = 0;
  for (std::uint32_t iss = 0; iss < 1U << 25; ++iss) {
    exit.esr = Esr::from((0x24ULL << 26) | (1U << 25) | iss);
    const Exit reason = decode_data_abort(exit, 0x900'0000);
    const unsigned dfsc = iss & 0x3F;
    const bool stage2 = dfsc < 0x10 || dfsc == 0x29 || dfsc == 0x2B;
    const bool isv = (iss >> 24 & 1) != 0;
    const bool walk_or_maintenance = (iss >> 7 & 3) != 0;
    if (!stage2) {
      ASSERT_TRUE(reason.is<Exit::FailEntry>()) << std::hex << iss;
    } else if (!isv || walk_or_maintenance) {
      ASSERT_TRUE(reason.is<Exit::NestedPageFault>()) << std::hex << iss;
    } else if ((iss >> 6 & 1) != 0) {
      const auto* write = reason.get_if<Exit::MmioWrite>();
      ASSERT_NE(write, nullptr) << std::hex << iss;
      const unsigned srt = iss >> 16 & 31;
      const unsigned width_bits = 8U << (iss >> 22 & 3);
      const std::uint64_t reg = srt == 31 ? 0 : exit.frame.gpr[srt];
      ASSERT_EQ(write->data, width_bits == 64 ? reg : reg & ((1ULL << width_bits) - 1)) << std::hex << iss;
      ++writes;
    } else {
      const auto* read = reason.get_if<Exit::MmioRead>();
      ASSERT_NE(read, nullptr) << std::hex << iss;
      ASSERT_EQ(read->reg, iss >> 16 & 31);
      ASSERT_EQ(static_cast<unsigned>(read->width), iss >> 22 & 3);
      ASSERT_EQ(read->signed_ext, (iss >> 21 & 1) != 0);
      ASSERT_EQ(read->reg_width == AccessWidth::doubleword, (iss >> 15 & 1) != 0);
      ++reads;
    }
  }
  EXPECT_EQ(reads, writes);
  EXPECT_GT(reads, 0U);
}

TEST(DecodeDataAbort, StoreOfXzrWritesZero) {
  const Exit reason = decode_data_abort(data_abort(1U << 24 | 3U << 22 | 31U << 16 | 1U << 6 | 0x07), 0x1000);
  ASSERT_TRUE(reason.is<Exit::MmioWrite>());
  EXPECT_EQ(reason.get_if<Exit::MmioWrite>()->data, 0U);
}

TEST(DecodeDataAbort, WithoutSyndromeNothingIsGuessed) {
  const Exit reason = decode_data_abort(data_abort(3U << 22 | 1U << 6 | 0x07), 0x900'0008);
  const auto* fault = reason.get_if<Exit::NestedPageFault>();
  ASSERT_NE(fault, nullptr);
  EXPECT_EQ(fault->addr, 0x900'0008U);
  EXPECT_TRUE(fault->is_write);
  EXPECT_FALSE(fault->isv);
  EXPECT_EQ(fault->fsc, 0x07);
}

TEST(DecodeInstructionAbort, IsAFetch) {
  ExitFrame exit{};
  exit.far = 0xFFFF'8000'1234'5678;
  exit.esr = Esr{}.with<Esr::EC>(Ec::instruction_abort_lower).with<Esr::ISS>(0x86U);
  const Exit reason = decode_instruction_abort(exit, 0x4000'0000);
  const auto* fault = reason.get_if<Exit::NestedPageFault>();
  ASSERT_NE(fault, nullptr);
  EXPECT_TRUE(fault->is_fetch);
  EXPECT_TRUE(fault->on_table_walk);
  EXPECT_EQ(fault->gva, exit.far);
}

TEST(FaultIpa, OffsetComesFromFarExceptOnAWalk) {
  const Hpfar hpfar = Hpfar::from(0x9000 << 4);
  EXPECT_EQ(fault_ipa(hpfar, 0xFFFF'0000'0000'0018, false), 0x900'0018U);
  EXPECT_EQ(fault_ipa(hpfar, 0xFFFF'0000'0000'0018, true), 0x900'0000U);
  EXPECT_EQ(fault_ipa(Hpfar::from(0x8000'F000'0000'0000), 0, false), 0x00F0'0000'0000'0000U)
      << "bits 55:52 of the IPA are kept, NS is not part of it";
}

TEST(HpfarIsValid, NotForPermissionFaults) {
  EXPECT_TRUE(hpfar_is_valid(Fsc::translation_l3, false));
  EXPECT_TRUE(hpfar_is_valid(Fsc::access_flag_l2, false));
  EXPECT_FALSE(hpfar_is_valid(Fsc::permission_l3, false));
  EXPECT_TRUE(hpfar_is_valid(Fsc::permission_l3, true));
  EXPECT_FALSE(hpfar_is_valid(Fsc::external, false));
}

TEST(FaultStatus, EveryCode) {
  std::set<unsigned> known;
#define VCPU_FSC(value, name, kind_, level_, meaning)                    \
  EXPECT_EQ(fault_status(Fsc::name).kind, FaultKind::kind_) << #name;    \
  EXPECT_EQ(fault_status(Fsc::name).level.value_or(9), level_) << #name; \
  EXPECT_FALSE(meaning_of(Fsc::name).empty()) << #name;                  \
  EXPECT_TRUE(known.insert(value).second) << #name;
#include "arm_vcpu/arch/fsc.def"
#undef VCPU_FSC
  for (unsigned code = 0; code < 64; ++code) {
    EXPECT_EQ(fault_status(static_cast<Fsc>(code)).kind == FaultKind::reserved, !known.contains(code)) << code;
    EXPECT_EQ(meaning_of(static_cast<Fsc>(code)).empty(), !known.contains(code)) << code;
  }
}

TEST(ExceptionClass, EveryClassHasANameAndTheRestHasNone) {
  std::set<unsigned> known;
#define VCPU_EC(value, name, meaning)                \
  EXPECT_EQ(name_of(Ec::name), #name);               \
  EXPECT_EQ(static_cast<unsigned>(Ec::name), value); \
  known.insert(value);
#include "arm_vcpu/arch/ec.def"
#undef VCPU_EC
  for (unsigned ec = 0; ec < 64; ++ec) {
    EXPECT_EQ(meaning_of(static_cast<Ec>(ec)).empty(), !known.contains(ec)) << ec;
    EXPECT_EQ(Esr::from(std::uint64_t{ec} << 26 | 0x1FF'FFFF).get<Esr::EC>(), static_cast<Ec>(ec));
  }
}

TEST(DecodeSystemRegister, DirectionAndValue) {
  ExitFrame exit = data_abort(0);
  const std::uint32_t iss = sysreg::CNTP_CTL_EL0.iss() | 5U << 5;
  exit.esr = Esr{}.with<Esr::EC>(Ec::sysreg).with<Esr::ISS>(iss | 1);
  const Exit read = decode_system_register(exit);
  ASSERT_TRUE(read.is<Exit::SysRegRead>());
  EXPECT_EQ(read.get_if<Exit::SysRegRead>()->addr, sysreg::CNTP_CTL_EL0.iss());
  EXPECT_EQ(read.get_if<Exit::SysRegRead>()->reg, 5);
  exit.esr = Esr{}.with<Esr::EC>(Ec::sysreg).with<Esr::ISS>(iss);
  const Exit write = decode_system_register(exit);
  ASSERT_TRUE(write.is<Exit::SysRegWrite>());
  EXPECT_EQ(write.get_if<Exit::SysRegWrite>()->value, exit.frame.gpr[5]);
}

TEST(DecodeSgi, EveryField) {
  // Aff3 0x12, RS 3, Aff2 0x34, INTID 7, Aff1 0x56, targets 0x8001.
  const std::uint64_t value = 0x12ULL << 48 | 3ULL << 44 | 0x34ULL << 32 | 7ULL << 24 | 0x56ULL << 16 | 0x8001;
  const Exit::SendIPI ipi = decode_sgi(sysreg::ICC_SGI1R_EL1, value, 0);
  EXPECT_EQ(ipi.target_cpu, 0x12'0034'5600U);
  EXPECT_EQ(ipi.range_base, 48);
  EXPECT_EQ(ipi.target_cpu_aux, 0x8001U);
  EXPECT_EQ(ipi.vector, 7);
  EXPECT_TRUE(ipi.group1);
  EXPECT_FALSE(ipi.send_to_all);
  EXPECT_FALSE(ipi.send_to_self);
}

TEST(DecodeSgi, SelfAllAndGroup0) {
  EXPECT_TRUE(decode_sgi(sysreg::ICC_SGI1R_EL1, 1ULL << 2 | 1ULL << 16, 0x102).send_to_self);
  EXPECT_FALSE(decode_sgi(sysreg::ICC_SGI1R_EL1, 3ULL << 2 | 1ULL << 16, 0x102).send_to_self) << "and another CPU";
  EXPECT_FALSE(decode_sgi(sysreg::ICC_SGI1R_EL1, 1ULL << 2, 0x102).send_to_self) << "Aff1 differs";
  EXPECT_TRUE(decode_sgi(sysreg::ICC_SGI1R_EL1, 1ULL << 44 | 1ULL << 2, 0x12).send_to_self) << "range selector";
  const Exit::SendIPI all = decode_sgi(sysreg::ICC_ASGI1R_EL1, 1ULL << 40 | 0xFFFF, 0);
  EXPECT_TRUE(all.send_to_all);
  EXPECT_FALSE(all.group1);
  EXPECT_EQ(all.target_cpu_aux, 0U) << "with IRM the target list means nothing";
}

TEST(ExitReason, NamesFollowTheVariant) {
#define VCPU_EXIT(name, what)                             \
  EXPECT_EQ(name_of(kind_of(Exit{Exit::name{}})), #name); \
  EXPECT_EQ(kind_of(Exit{Exit::name{}}), ExitKind::name);
#include "arm_vcpu/exit_reason.def"
#undef VCPU_EXIT
}

}  // namespace
}  // namespace arm_vcpu
