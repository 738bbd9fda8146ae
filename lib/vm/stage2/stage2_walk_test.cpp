// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/vm/stage2_walk.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "arm_vcpu/text.hpp"

namespace arm_vcpu::stage2 {
namespace {

constexpr std::uint64_t kRoot = 0x4000'0000;
constexpr Layout kThree = *make_layout({.ipa_bits = 40, .pa_bits = 40});
constexpr Layout kFour = *make_layout({.ipa_bits = 48, .pa_bits = 48});

struct Dump {
  std::map<std::uint64_t, std::uint64_t> words;
  bool complete = true;

  Walk walk(const Layout& layout, std::uint64_t ipa) {
    return stage2::walk(layout, kRoot, ipa, [this](std::uint64_t pa) -> std::optional<std::uint64_t> {
      const auto word = words.find(pa);
      if (word != words.end()) return word->second;
      return complete ? std::optional<std::uint64_t>{0} : std::nullopt;
    });
  }
};

TEST(Stage2Descriptor, KnownEncodings) {
  // Normal Write-Back, read-write, Inner Shareable, AF: MemAttr 0b1111, S2AP 0b11, SH 0b11.
  static_assert(leaf_descriptor(1, 0x8000'0000, kGuestRam).raw == 0x0000'0000'8000'07FD);
  static_assert(leaf_descriptor(3, 0x8000'1000, kGuestRam).raw == 0x0000'0000'8000'17FF);
  static_assert(leaf_descriptor(2, 0x0800'0000, kGuestDevice).raw == 0x0040'0000'0800'06C5);
  static_assert(leaf_descriptor(3, 0, kGuestRom).raw == 0x0000'0000'0000'077F);
  static_assert(leaf_descriptor(3, 0, {.type = MemoryType::normal_nc, .read = false, .execute = false}).raw ==
                0x0040'0000'0000'0797);
  static_assert(table_descriptor(0x8000'1000).raw == 0x8000'1003);
  // Device memory is never executable.
  static_assert(leaf_descriptor(3, 0, {.type = MemoryType::device_nGnRE}).get<Descriptor::XN>());
  SUCCEED();
}

TEST(Stage2Descriptor, AttributesRoundTrip) {
  for (const MemoryType type :
       {MemoryType::normal_wb, MemoryType::normal_nc, MemoryType::device_nGnRE, MemoryType::device_nGnRnE}) {
    for (unsigned bits = 0; bits < 8; ++bits) {
      for (const Shareability sh : {Shareability::non, Shareability::outer, Shareability::inner}) {
        const Attributes wanted{type, (bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0 && !is_device(type), sh};
        EXPECT_EQ(attributes_of(leaf_descriptor(2, 0x1234'5678'9000 & ~0x1F'FFFFULL, wanted)), wanted);
      }
    }
  }
}

TEST(Stage2Descriptor, ReservedEncodingsAreNotLeaves) {
  EXPECT_FALSE(Descriptor::from(0x8000'07FD).is_leaf(0));  // no block at level 0
  EXPECT_FALSE(Descriptor::from(0x8000'07FD).is_leaf(3));  // level 3 needs bit 1
  EXPECT_TRUE(Descriptor::from(0x8000'07FD).is_leaf(1));
  EXPECT_FALSE(Descriptor::from(0x8000'07FF).is_table(3));
  EXPECT_FALSE(Descriptor::from(0x8000'07FC).is_leaf(1));
}

TEST(Stage2Descriptor, DirectReplacement) {
  const Descriptor ram = leaf_descriptor(3, 0x8000'0000, kGuestRam);
  EXPECT_TRUE(may_replace_directly(ram, leaf_descriptor(3, 0x8000'0000, kGuestRom)));
  EXPECT_TRUE(may_replace_directly(ram, leaf_descriptor(3, 0x8000'0000, {.execute = false})));
  EXPECT_FALSE(may_replace_directly(ram, leaf_descriptor(3, 0x8000'1000, kGuestRam)));
  EXPECT_FALSE(may_replace_directly(ram, leaf_descriptor(3, 0x8000'0000, {.type = MemoryType::normal_nc})));
  EXPECT_FALSE(may_replace_directly(ram, leaf_descriptor(3, 0x8000'0000, {.shareability = Shareability::outer})));
  EXPECT_FALSE(may_replace_directly(ram, table_descriptor(0x8000'0000)));
}

TEST(Stage2Walk, FourLevelsToAPage) {
  Dump dump;
  const std::uint64_t ipa = (3ULL << 39) | (5ULL << 30) | (7ULL << 21) | (9ULL << 12) | 0x123;
  dump.words[kRoot + 8 * 3] = table_descriptor(0x5000'1000).raw;
  dump.words[0x5000'1000 + 8 * 5] = table_descriptor(0x5000'2000).raw;
  dump.words[0x5000'2000 + 8 * 7] = table_descriptor(0x5000'3000).raw;
  dump.words[0x5000'3000 + 8 * 9] = leaf_descriptor(3, 0x9'8765'4000, kGuestRom).raw;
  const Walk walk = dump.walk(kFour, ipa);
  ASSERT_TRUE(walk.translated());
  EXPECT_EQ(walk.output_address, 0x9'8765'4123U);
  EXPECT_EQ(walk.level, 3);
  EXPECT_EQ(walk.region_bytes, 4096U);
  EXPECT_EQ(walk.attributes, kGuestRom);
  ASSERT_EQ(walk.steps().size(), 4U);
  EXPECT_EQ(walk.steps()[2].descriptor_pa, 0x5000'2038U);
  EXPECT_EQ(walk.steps()[2].level, 2);
}

TEST(Stage2Walk, ConcatenatedRootIsOneArray) {
  Dump dump;
  const std::uint64_t ipa = (1ULL << 39) | (2ULL << 30) | 0x3456'7890;  // second root table
  dump.words[kRoot + 4096 + 8 * 2] = leaf_descriptor(1, 0xC000'0000, kGuestRam).raw;
  const Walk walk = dump.walk(kThree, ipa);
  ASSERT_TRUE(walk.translated());
  EXPECT_EQ(walk.output_address, 0xC000'0000U + 0x3456'7890U);
  EXPECT_EQ(walk.region_bytes, 1ULL << 30);
  EXPECT_EQ(walk.steps().size(), 1U);
}

TEST(Stage2Walk, Faults) {
  Dump dump;
  EXPECT_EQ(dump.walk(kThree, 0x1234'5678).outcome, WalkOutcome::translation_fault);
  EXPECT_EQ(dump.walk(kThree, 0x1234'5678).level, 1);
  EXPECT_EQ(dump.walk(kThree, 0x1234'5678).region_bytes, 1ULL << 30);

  const Walk beyond = dump.walk(kThree, 1ULL << 40);
  EXPECT_EQ(beyond.outcome, WalkOutcome::translation_fault);
  EXPECT_EQ(beyond.level, 0);
  EXPECT_TRUE(beyond.steps().empty());

  dump.words[kRoot] = leaf_descriptor(1, 0x8000'0000, kGuestRam).with<Descriptor::AF>(false).raw;
  EXPECT_EQ(dump.walk(kThree, 0x1000).outcome, WalkOutcome::access_flag_fault);
  EXPECT_EQ(dump.walk(kThree, 0x1000).output_address, 0x8000'1000U);

  dump.words[kRoot] = leaf_descriptor(1, 1ULL << 40, kGuestRam).raw;
  EXPECT_EQ(dump.walk(kThree, 0x1000).outcome, WalkOutcome::address_size_fault);
  dump.words[kRoot] = table_descriptor(1ULL << 41).raw;
  EXPECT_EQ(dump.walk(kThree, 0x1000).outcome, WalkOutcome::address_size_fault);
  EXPECT_EQ(dump.walk(kThree, 0x1000).level, 1);

  dump.words[kRoot] = leaf_descriptor(1, 0x8000'0000, kGuestRam).raw;
  EXPECT_EQ(dump.walk(kFour, 0x1000).outcome, WalkOutcome::translation_fault);  // a block at level 0 is reserved

  dump.words[kRoot] = table_descriptor(0x5000'1000).raw;
  dump.complete = false;
  const Walk torn = dump.walk(kThree, 0x1000);
  EXPECT_EQ(torn.outcome, WalkOutcome::unreadable);
  EXPECT_EQ(torn.level, 2);
  EXPECT_EQ(torn.steps().size(), 1U);
}

TEST(Stage2Walk, Text) {
  Dump dump;
  dump.words[kRoot] = table_descriptor(0x5000'1000).raw;
  dump.words[0x5000'1000] = leaf_descriptor(2, 0x800'0000, kGuestDevice).raw;
  char storage[512];
  TextBuffer out{storage};
  append(out, dump.walk(kThree, 0x1234));
  EXPECT_EQ(std::string{out.view()},
            "L1 @0x40000000: 0x0000000050001003 table\n"
            "L2 @0x50001000: 0x00400000080006c5 block\n"
            "translated, level 2, pa 0x8001234, device-nGnRE rw- outer\n");
  out.clear();
  append(out, dump.walk(kThree, 0x20'0000));
  EXPECT_EQ(std::string{out.view()},
            "L1 @0x40000000: 0x0000000050001003 table\n"
            "L2 @0x50001008: 0x0000000000000000 invalid\n"
            "translation fault, level 2\n");
  out.clear();
  append(out, Attributes{.type = static_cast<MemoryType>(0b1010), .read = false});
  EXPECT_EQ(std::string{out.view()}, "MemAttr=0xa -wx inner");
}

}  // namespace
}  // namespace arm_vcpu::stage2
