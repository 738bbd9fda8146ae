// SPDX-License-Identifier: Apache-2.0
// Instructions carried out on a flat memory: registers, memory, the sequence of accesses.
#include "arm_vcpu/emulation.hpp"

#include "arm_vcpu/arch/pointer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace arm_vcpu {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

constexpr std::uint64_t kBase = 0x1'0000;

// A CPU with 8 KiB of memory at kBase.
struct Machine {
  GeneralRegisters gpr;
  std::uint64_t sp = kBase + 0x400;
  std::array<std::array<std::uint64_t, 2>, 32> v{};
  std::vector<std::uint8_t> memory = std::vector<std::uint8_t>(0x2000);
  std::vector<std::string> accesses;  // "r8@0", "w4@12", offsets from the access's first byte
  bool big_endian = false;
  std::uint64_t tcr_el1 = 0x19'0019;  // 39 bits in both halves
  std::uint64_t block = 64;           // bytes, of DC ZVA

  Machine() {
    for (unsigned i = 0; i < 31; ++i) gpr[i] = 0x0101'0101'0101'0101 * i;
    gpr[1] = kBase + 0x800;
    for (unsigned i = 0; i < 32; ++i)
      v[i] = {std::uint64_t{0x1111'1111'1111'1111} * (i % 16), 0xAAAA'0000'0000'0000 + i};
    for (unsigned i = 0; i < memory.size(); ++i) memory[i] = static_cast<std::uint8_t>(i ^ (i >> 8) ^ 0x80);
  }

  std::uint8_t* at(std::uint64_t address) { return &memory.at(address - kBase); }
  std::uint64_t peek(std::uint64_t address, unsigned bytes = 8) {
    std::uint64_t value = 0;
    std::memcpy(&value, at(address), bytes);
    return value;
  }

  Emulation begin(std::uint32_t opcode) {
    const auto instruction = a64::decode_load_store(opcode);
    EXPECT_TRUE(instruction) << std::hex << opcode;
    Emulation it{
        *instruction,
        {.gpr = gpr, .sp = sp, .pc = kBase, .big_endian = big_endian, .block_bytes = block, .tcr_el1 = tcr_el1}};
    for (unsigned i = 0; i < it.vector_count(); ++i) it.vectors()[i] = v[it.vector_number(i)];
    it.take_vectors();
    return it;
  }

  void run(std::uint32_t opcode) {
    Emulation it = begin(opcode);
    accesses.clear();
    while (const auto piece = it.next()) {
      const unsigned bytes = bytes_of(piece->width);
      const std::uint64_t address = it.address() + piece->offset;
      accesses.push_back((piece->is_write ? "w" : "r") + std::to_string(bytes) + "@" + std::to_string(piece->offset));
      EXPECT_EQ(address % bytes, 0U);
      std::uint64_t value = 0;
      if (piece->is_write) {
        std::memcpy(at(address), &piece->data, bytes);
      } else {
        std::memcpy(&value, at(address), bytes);
      }
      it.complete(value);
    }
    it.commit(gpr, sp);
    for (unsigned i = 0; i < it.vector_count(); ++i) v[it.vector_number(i)] = it.vectors()[i];
  }
};

TEST(Emulation, PairWithWriteBack) {
  Machine m;
  m.run(0xA8C1'0C22);  // ldp x2, x3, [x1], #16
  EXPECT_THAT(m.accesses, ElementsAre("r8@0", "r8@8"));
  EXPECT_EQ(m.gpr[2], m.peek(kBase + 0x800));
  EXPECT_EQ(m.gpr[3], m.peek(kBase + 0x808));
  EXPECT_EQ(m.gpr[1], kBase + 0x810);
  m.run(0xA9BF'0C22);  // stp x2, x3, [x1, #-16]!
  EXPECT_THAT(m.accesses, ElementsAre("w8@0", "w8@8"));
  EXPECT_EQ(m.peek(kBase + 0x800), m.gpr[2]);
  EXPECT_EQ(m.gpr[1], kBase + 0x800);
}

TEST(Emulation, SignedPair) {
  Machine m;
  std::memcpy(m.at(kBase + 0x808), "\x01\x00\x00\x80\xFF\xFF\xFF\x7F", 8);
  m.run(0x6941'0C22);  // ldpsw x2, x3, [x1, #8]
  EXPECT_THAT(m.accesses, ElementsAre("r4@0", "r4@4"));
  EXPECT_EQ(m.gpr[2], 0xFFFF'FFFF'8000'0001);
  EXPECT_EQ(m.gpr[3], 0x7FFF'FFFFU);
}

TEST(Emulation, ExtensionAndIndex) {
  Machine m;
  *m.at(kBase + 0x800) = 0x80;
  m.run(0x39C0'0022);  // ldrsb w2, [x1]
  EXPECT_EQ(m.gpr[2], 0xFFFF'FF80U) << "the upper half of X2 is zero";
  m.gpr[3] = 0x1234'5678'FFFF'FFFE;  // -2 as a word
  std::memcpy(m.at(kBase + 0x7FC), "\x34\xF2", 2);
  m.run(0x78A3'D822);  // ldrsh x2, [x1, w3, sxtw #1]
  EXPECT_EQ(m.gpr[2], 0xFFFF'FFFF'FFFF'F234);
}

TEST(Emulation, StackPointerAndZeroRegister) {
  Machine m;
  m.run(0xF842'07E2);  // ldr x2, [sp], #32
  EXPECT_EQ(m.gpr[2], m.peek(kBase + 0x400));
  EXPECT_EQ(m.sp, kBase + 0x420);
  m.run(0x29BE'0FFF);  // stp wzr, w3, [sp, #-16]!
  EXPECT_EQ(m.sp, kBase + 0x410);
  EXPECT_EQ(m.peek(kBase + 0x410), (m.gpr[3] & 0xFFFF'FFFF) << 32);
  const GeneralRegisters before = m.gpr;
  m.run(0x3840'143F);  // ldrb wzr, [x1], #1
  EXPECT_EQ(m.gpr[1], before[1] + 1);
  for (unsigned i = 2; i < 31; ++i) EXPECT_EQ(m.gpr[i], before[i]);
  m.run(0xF800'843F);  // str xzr, [x1], #8: unaligned now
  EXPECT_EQ(m.accesses.size(), 8U);
  EXPECT_THAT(m.accesses.front(), "w1@0");
  EXPECT_EQ(m.peek(before[1] + 1), 0U);
}

TEST(Emulation, Literal) {
  Machine m;
  m.run(0x5800'4002);  // ldr x2, . + 0x800
  EXPECT_EQ(m.gpr[2], m.peek(kBase + 0x800));
}

TEST(Emulation, ScalarVectorRegisters) {
  Machine m;
  m.run(0x3D80'0422);  // str q2, [x1, #16]
  EXPECT_THAT(m.accesses, ElementsAre("w8@0", "w8@8"));
  EXPECT_EQ(m.peek(kBase + 0x810), m.v[2][0]);
  EXPECT_EQ(m.peek(kBase + 0x818), m.v[2][1]);
  m.run(0x7D40'0022);  // ldr h2, [x1]
  EXPECT_THAT(m.accesses, ElementsAre("r2@0"));
  EXPECT_THAT(m.v[2], ElementsAre(m.peek(kBase + 0x800, 2), 0U)) << "the rest is zeroed";
  m.run(0xAD40'0C22);  // ldp q2, q3, [x1]
  EXPECT_THAT(m.v[3], ElementsAre(m.peek(kBase + 0x810), m.peek(kBase + 0x818)));
}

TEST(Emulation, Structures) {
  Machine m;
  m.run(0x4CDF'043E);  // ld4 {v30.8h, v31.8h, v0.8h, v1.8h}, [x1], #64
  EXPECT_EQ(m.accesses.size(), 32U);
  EXPECT_EQ(m.gpr[1], kBase + 0x840);
  for (unsigned e = 0; e < 8; ++e) {
    for (unsigned s = 0; s < 4; ++s) {
      EXPECT_EQ(m.v[(30 + s) % 32][e / 4] >> (16 * (e % 4)) & 0xFFFF, m.peek(kBase + 0x800 + 8 * e + 2 * s, 2));
    }
  }
  m.gpr[1] = kBase + 0x800;
  m.gpr[3] = 0x21;
  m.run(0x0C83'8422);  // st2 {v2.4h, v3.4h}, [x1], x3
  EXPECT_EQ(m.gpr[1], kBase + 0x821);
  EXPECT_EQ(m.peek(kBase + 0x802, 2), m.v[3][0] & 0xFFFF);
  EXPECT_EQ(m.peek(kBase + 0x80C, 2), m.v[2][0] >> 48);
  m.gpr[1] = kBase + 0x800;
  m.run(0x4C40'6022);  // ld1 {v2.16b, v3.16b, v4.16b}, [x1]
  EXPECT_EQ(m.accesses.size(), 48U);
  EXPECT_THAT(m.v[4], ElementsAre(m.peek(kBase + 0x820), m.peek(kBase + 0x828)));
  m.run(0x4D40'E822);  // ld3r {v2.4s, v3.4s, v4.4s}, [x1]
  EXPECT_THAT(m.accesses, ElementsAre("r4@0", "r4@4", "r4@8"));
  EXPECT_THAT(m.v[3], Each(m.peek(kBase + 0x804, 4) * 0x1'0000'0001));
  const auto before = m.v;
  m.run(0x4D60'0422);  // ld2 {v2.b, v3.b}[9], [x1]
  EXPECT_EQ(m.v[3][0], before[3][0]) << "the other elements stay";
  EXPECT_EQ(m.v[3][1], (before[3][1] & ~std::uint64_t{0xFF00}) | m.peek(kBase + 0x801, 1) << 8);
  m.run(0x4D9F'8422);  // st1 {v2.d}[1], [x1], #8
  EXPECT_EQ(m.peek(kBase + 0x800), m.v[2][1]);
}

struct Atomic {
  std::uint32_t opc;  // bits 15:12
  std::uint64_t memory, operand, expected;
};

TEST(Emulation, Atomics) {
  constexpr Atomic kCases[] = {
      {0, 0xFF, 2, 0x01},      {1, 0xF3, 0x51, 0xA2},     {2, 0xF3, 0x51, 0xA2}, {3, 0xA2, 0x51, 0xF3},
      {4, 0x80, 0x7F, 0x7F},   {4, 0x05, 0xFFFF03, 0x05}, {5, 0x80, 0x7F, 0x80}, {5, 0x05, 0x03, 0x03},
      {6, 0x80, 0x7F, 0x80},   {6, 0x05, 0x106, 0x06},    {7, 0x80, 0x7F, 0x7F}, {7, 0x05, 0x103, 0x03},
      {8, 0x80, 0x1'23, 0x23},
  };
  for (const Atomic& c : kCases) {
    Machine m;
    *m.at(kBase + 0x800) = static_cast<std::uint8_t>(c.memory);
    m.gpr[2] = c.operand;
    m.run(0x3822'0023 | c.opc << 12);  // ld<op>b w2, w3, [x1]
    EXPECT_THAT(m.accesses, ElementsAre("r1@0", "w1@0"));
    EXPECT_EQ(*m.at(kBase + 0x800), c.expected) << c.opc << " of " << c.memory << " and " << c.operand;
    EXPECT_EQ(m.gpr[3], c.memory);
    EXPECT_EQ(m.gpr[2], c.operand);
  }
  Machine m;
  const std::uint64_t old = m.peek(kBase + 0x800);
  m.run(0xF822'8023);  // swp x2, x3, [x1]
  EXPECT_EQ(m.gpr[3], old);
  EXPECT_EQ(m.peek(kBase + 0x800), m.gpr[2]);
  m.gpr[2] = ~std::uint64_t{0};
  std::memset(m.at(kBase + 0x800), 0, 8);
  m.run(0xF822'4023);  // ldsmax x2, x3, [x1]
  EXPECT_EQ(m.peek(kBase + 0x800), 0U) << "0 is greater than -1";
}

TEST(Emulation, CompareAndSwap) {
  Machine m;
  const std::uint64_t old = m.peek(kBase + 0x800, 4);
  m.gpr[2] = old | 0xFFFF'FFFF'0000'0000;  // the word is compared
  m.run(0x88E2'FC23);                      // casal w2, w3, [x1]
  EXPECT_THAT(m.accesses, ElementsAre("r4@0", "w4@0"));
  EXPECT_EQ(m.peek(kBase + 0x800, 4), m.gpr[3] & 0xFFFF'FFFF);
  EXPECT_EQ(m.gpr[2], old);
  m.gpr[2] = 1;
  m.run(0x88E2'FC23);
  EXPECT_THAT(m.accesses, ElementsAre("r4@0")) << "nothing is written when they differ";
  EXPECT_EQ(m.gpr[2], m.gpr[3] & 0xFFFF'FFFF);

  const std::uint64_t low = m.peek(kBase + 0x800), high = m.peek(kBase + 0x808);
  m.gpr[2] = low;
  m.gpr[3] = high + 1;
  m.run(0x4822'7C24);  // casp x2, x3, x4, x5, [x1]
  EXPECT_THAT(m.accesses, ElementsAre("r8@0", "r8@8"));
  EXPECT_EQ(m.gpr[3], high);
  m.run(0x4822'7C24);
  EXPECT_THAT(m.accesses, ElementsAre("r8@0", "r8@8", "w8@0", "w8@8"));
  EXPECT_EQ(m.peek(kBase + 0x808), m.gpr[5]);
}

TEST(Emulation, ExclusivesLoadAndNeverStore) {
  Machine m;
  m.run(0xC87F'0C22);  // ldxp x2, x3, [x1]
  EXPECT_EQ(m.gpr[3], m.peek(kBase + 0x808));
  const auto before = m.memory;
  m.run(0xC802'7C23);  // stxr w2, x3, [x1]
  EXPECT_TRUE(m.accesses.empty());
  EXPECT_EQ(m.gpr[2], 1U);
  EXPECT_EQ(m.memory, before);
}

TEST(Emulation, ZeroBlock) {
  Machine m;
  m.gpr[1] = kBase + 0x87F;
  m.run(0xD50B'7421);  // dc zva, x1
  EXPECT_EQ(m.accesses.size(), 8U);
  EXPECT_EQ(m.peek(kBase + 0x838), 0x8F8E'8D8C'8B8A'8988 ^ 0x3838'3838'3838'3838) << "not touched";
  for (unsigned i = 0; i < 64; i += 8) EXPECT_EQ(m.peek(kBase + 0x840 + i), 0U);
  EXPECT_NE(m.peek(kBase + 0x880), 0U);
  EXPECT_EQ(m.begin(0xD50B'743F).address(), 0U) << "XZR, not SP";
}

// DCZID_EL0.BS is 0: the least block that there can be.
TEST(Emulation, ZeroBlockOfOneWord) {
  Machine m;
  m.block = 4;
  m.gpr[1] = kBase + 0x847;
  const std::uint64_t below = m.peek(kBase + 0x840, 4);
  const std::uint64_t above = m.peek(kBase + 0x848, 4);
  m.run(0xD50B'7421);  // dc zva, x1
  EXPECT_EQ(m.accesses.size(), 1U);
  EXPECT_EQ(m.peek(kBase + 0x840, 4), below);
  EXPECT_EQ(m.peek(kBase + 0x844, 4), 0U);
  EXPECT_EQ(m.peek(kBase + 0x848, 4), above);
}

TEST(Emulation, BigEndian) {
  Machine m;
  m.big_endian = true;
  std::memcpy(m.at(kBase + 0x800), "\x01\x23\x45\x67\x89\xAB\xCD\xEF\x10\x11\x12\x13\x14\x15\x16\x17", 16);
  m.run(0xA940'0C22);  // ldp x2, x3, [x1]
  EXPECT_EQ(m.gpr[2], 0x0123'4567'89AB'CDEFU);
  EXPECT_EQ(m.gpr[3], 0x1011'1213'1415'1617U);
  m.run(0xAD40'0C22);  // ldp q2, q3, [x1]
  EXPECT_THAT(m.v[2], ElementsAre(0x1011'1213'1415'1617U, 0x0123'4567'89AB'CDEFU));
  m.gpr[1] = kBase + 0x908;
  m.gpr[2] = 0x0A0B'0C0D;
  m.run(0x29BF'0C22);  // stp w2, w3, [x1, #-8]!
  EXPECT_EQ(m.peek(kBase + 0x900, 4), 0x0D0C'0B0AU);
  m.gpr[2] = 1;
  m.run(0x38E2'0023);  // ldaddalb
  std::memcpy(m.at(kBase + 0x900), "\x00\x00\x00\x00\x00\x00\x01\x00", 8);
  m.gpr[2] = 0x300;
  m.run(0xF822'4023);  // ldsmax x2, x3, [x1]
  EXPECT_EQ(m.gpr[3], 0x100U);
  EXPECT_EQ(m.peek(kBase + 0x900), 0x0003'0000'0000'0000U);
}

TEST(Emulation, SyndromeMustAgree) {
  Machine m;
  const Emulation load = m.begin(0xA940'0C22);  // ldp x2, x3, [x1]
  EXPECT_EQ(load.offset_of(kBase + 0x800, false), 0U);
  EXPECT_EQ(load.offset_of(kBase + 0x80F, false), 15U);
  EXPECT_FALSE(load.offset_of(kBase + 0x810, false));
  EXPECT_FALSE(load.offset_of(kBase + 0x7FF, false));
  EXPECT_FALSE(load.offset_of(kBase + 0x800, true)) << "it is a load";
  EXPECT_EQ(load.offset_of(0xAB00'0000'0000'0000 | (kBase + 0x808), false), 8U) << "a tag";
  const Emulation store = m.begin(0xA900'0C22);
  EXPECT_FALSE(store.offset_of(kBase + 0x800, false));
  const Emulation atomic = m.begin(0xF822'8023);
  EXPECT_TRUE(atomic.offset_of(kBase + 0x800, false) && atomic.offset_of(kBase + 0x800, true));
  EXPECT_FALSE(m.begin(0xF980'0020).offset_of(kBase + 0x800, false)) << "a prefetch has no bytes";
}

TEST(Emulation, PointersWithoutTheirAuthenticationCode) {
  constexpr std::uint64_t kTbi0 = std::uint64_t{1} << 37;
  constexpr std::uint64_t kTbi1 = std::uint64_t{1} << 38;
  constexpr std::uint64_t k39 = 0x19'0019;
  constexpr std::uint64_t k48 = 0x10'0010;
  struct {
    std::uint64_t pointer, tcr, expected;
  } const rows[] = {
      {0x0000'0012'3456'789A, k39, 0x0000'0012'3456'789A},
      {0xA55A'A592'3456'789A, k39, 0x0000'0012'3456'789A},
      {0xA55A'A592'3456'789A, k39 | kTbi0, 0xA500'0012'3456'789A},
      {0xA55A'A592'3456'789A, k39 | kTbi1, 0x0000'0012'3456'789A},
      {0x5AAB'C012'3456'789A, k39, 0xFFFF'FF92'3456'789A},
      {0x5AAB'C012'3456'789A, k39 | kTbi1, 0x5AFF'FF92'3456'789A},
      {0x5AAB'C012'3456'789A, k48, 0xFFFF'C012'3456'789A},
      {0x0F7F'8012'3456'789A, k48, 0x0000'8012'3456'789A},
      {0x0F7F'8012'3456'789A, 0, 0x0F7F'8012'3456'789A},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(without_pac(row.pointer, row.tcr), row.expected) << std::hex << row.pointer << " " << row.tcr;
  }
}

TEST(Emulation, AuthenticatedLoad) {
  Machine m;
  m.gpr[1] |= 0x1234'5680'0000'0000;  // bit 55 is 0
  EXPECT_EQ(m.begin(0xF820'1C22).offset_of(kBase + 0x808, false), 0U);
  EXPECT_FALSE(m.begin(0xF820'1C22).offset_of(kBase + 0x800, false));
  m.run(0xF820'1C22);  // ldraa x2, [x1, #8]!
  EXPECT_THAT(m.accesses, ElementsAre("r8@0"));
  EXPECT_EQ(m.gpr[2], m.peek(kBase + 0x808));
  EXPECT_EQ(m.gpr[1], kBase + 0x808) << "the code is gone";
  m.gpr[1] = 0x1234'5680'0000'0000 | (kBase + 0x800);
  m.run(0xF8A0'0422);  // ldrab x2, [x1]
  EXPECT_EQ(m.gpr[2], m.peek(kBase + 0x800));
  EXPECT_EQ(m.gpr[1], 0x1234'5680'0000'0000 | (kBase + 0x800)) << "no write-back";
}

TEST(Emulation, TagsOutsideMemory) {
  Machine m;
  m.gpr[1] += 4;
  m.gpr[2] = 0xABCD'EF01'2345'6789;
  EXPECT_EQ(m.begin(0xD960'0022).offset_of(kBase + 0x80C, false), 12U) << "ldg: the granule";
  m.run(0xD960'0022);  // ldg x2, [x1]
  EXPECT_THAT(m.accesses, ElementsAre());
  EXPECT_EQ(m.gpr[2], 0xA0CD'EF01'2345'6789U) << "tag 0";
  EXPECT_TRUE(m.begin(0xD920'1422).is_misaligned()) << "stg";
  m.gpr[1] -= 4;
  m.run(0xD920'1422);  // stg x2, [x1], #16
  EXPECT_THAT(m.accesses, ElementsAre());
  EXPECT_EQ(m.gpr[1], kBase + 0x810);
  m.run(0xD9E0'2C22);  // stz2g x2, [x1, #32]!
  EXPECT_THAT(m.accesses, ElementsAre("w8@0", "w8@8", "w8@16", "w8@24"));
  EXPECT_EQ(m.peek(kBase + 0x830) | m.peek(kBase + 0x838) | m.peek(kBase + 0x840) | m.peek(kBase + 0x848), 0U);
  EXPECT_NE(m.peek(kBase + 0x850), 0U);
  EXPECT_EQ(m.gpr[1], kBase + 0x830);
  m.gpr[2] = 0x1111;
  m.gpr[3] = 0x2222;
  m.run(0x6900'8C22);  // stgp x2, x3, [x1, #16]
  EXPECT_EQ(m.peek(kBase + 0x840), 0x1111U);
  EXPECT_EQ(m.peek(kBase + 0x848), 0x2222U);
}

TEST(Emulation, WhatMustBeAligned) {
  Machine m;
  m.gpr[1] += 4;
  EXPECT_TRUE(m.begin(0xF822'8023).is_misaligned()) << "swp";
  EXPECT_TRUE(m.begin(0xC87F'0C22).is_misaligned()) << "ldxp: 16 bytes";
  EXPECT_FALSE(m.begin(0x88DF'FC22).is_misaligned()) << "ldar w";
  EXPECT_FALSE(m.begin(0xA940'0C22).is_misaligned()) << "ldp";
}

}  // namespace
}  // namespace arm_vcpu
