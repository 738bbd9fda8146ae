// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <string>
#include <vector>

#include "arm_vcpu/text.hpp"
#include "arm_vcpu/trace/stage1_walk.hpp"

namespace arm_vcpu::stage1 {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kAf = 1U << 10;
constexpr std::uint64_t kReadOnly = 1U << 7;
constexpr std::uint64_t kEl0 = 1U << 6;
constexpr std::uint64_t kPxn = std::uint64_t{1} << 53;
constexpr std::uint64_t kUxn = std::uint64_t{1} << 54;
constexpr std::uint64_t kDbm = std::uint64_t{1} << 51;
constexpr std::uint64_t kMmuOn = 0x30D0'0801;

// A granule as the manual's tables give it: bits resolved at each level, written down and not worked out.
struct Granule {
  const char* name;
  unsigned tg0, tg1;  // TCR_EL1.TG0, TG1
  unsigned page_shift;
  unsigned va_bits;
  bool ds;
  unsigned ips;  // TCR_EL1.IPS
  int start;
  std::vector<int> blocks;                             // levels with blocks
  std::map<int, std::pair<unsigned, unsigned>> index;  // level: VA bits, high and low
};

const std::vector<Granule>& granules() {
  static const std::vector<Granule> all{
      {"4K48", 0, 2, 12, 48, false, 5, 0, {1, 2}, {{0, {47, 39}}, {1, {38, 30}}, {2, {29, 21}}, {3, {20, 12}}}},
      {"4K39", 0, 2, 12, 39, false, 2, 1, {1, 2}, {{1, {38, 30}}, {2, {29, 21}}, {3, {20, 12}}}},
      {"4K36", 0, 2, 12, 36, false, 2, 1, {1, 2}, {{1, {35, 30}}, {2, {29, 21}}, {3, {20, 12}}}},
      {"4K30", 0, 2, 12, 30, false, 2, 2, {2}, {{2, {29, 21}}, {3, {20, 12}}}},
      {"4K25", 0, 2, 12, 25, false, 0, 2, {2}, {{2, {24, 21}}, {3, {20, 12}}}},
      {"4K52",
       0,
       2,
       12,
       52,
       true,
       6,
       -1,
       {0, 1, 2},
       {{-1, {51, 48}}, {0, {47, 39}}, {1, {38, 30}}, {2, {29, 21}}, {3, {20, 12}}}},
      {"16K48", 2, 1, 14, 48, false, 5, 0, {2}, {{0, {47, 47}}, {1, {46, 36}}, {2, {35, 25}}, {3, {24, 14}}}},
      {"16K47", 2, 1, 14, 47, false, 5, 1, {2}, {{1, {46, 36}}, {2, {35, 25}}, {3, {24, 14}}}},
      {"16K36", 2, 1, 14, 36, false, 5, 2, {2}, {{2, {35, 25}}, {3, {24, 14}}}},
      {"16K52", 2, 1, 14, 52, true, 6, 0, {1, 2}, {{0, {51, 47}}, {1, {46, 36}}, {2, {35, 25}}, {3, {24, 14}}}},
      {"64K48", 1, 3, 16, 48, false, 5, 1, {2}, {{1, {47, 42}}, {2, {41, 29}}, {3, {28, 16}}}},
      {"64K42", 1, 3, 16, 42, false, 5, 2, {2}, {{2, {41, 29}}, {3, {28, 16}}}},
      {"64K52", 1, 3, 16, 52, false, 6, 1, {1, 2}, {{1, {51, 42}}, {2, {41, 29}}, {3, {28, 16}}}},
  };
  return all;
}

// Tables in a map; what the guest would have built.
struct Guest {
  const Granule& granule;
  bool upper;
  Registers registers{};
  std::map<std::uint64_t, std::uint64_t> memory{};
  std::uint64_t next_table = 0x1'0000'0000 >> 2;  // 1 GiB
  std::map<std::pair<int, std::uint64_t>, std::uint64_t> tables{};

  explicit Guest(const Granule& of, bool in_upper_range = false) : granule{of}, upper{in_upper_range} {
    if (granule.ips == 0) next_table = 0x1000'0000;
    registers.sctlr_el1 = kMmuOn;
    registers.mair_el1 = 0x44'04'FF;
    const std::uint64_t size = 64 - granule.va_bits;
    registers.tcr_el1 = std::uint64_t{granule.ips} << 32 | std::uint64_t{granule.ds} << 59 |
                        std::uint64_t{granule.tg0} << 14 | std::uint64_t{granule.tg1} << 30 | size | size << 16;
    const std::uint64_t root = table(granule.start, 0);
    (upper ? registers.ttbr1_el1 : registers.ttbr0_el1) = root | std::uint64_t{7} << 48;
  }

  std::uint64_t va(std::uint64_t offset) const {
    return upper ? offset | ~((std::uint64_t{1} << granule.va_bits) - 1) : offset;
  }
  std::uint64_t address_bits(std::uint64_t pa) const {
    if (granule.ds) return (pa & ((std::uint64_t{1} << 50) - 1)) | (pa >> 50 & 3) << 8;
    if (granule.page_shift == 16 && granule.ips == 6)
      return (pa & ((std::uint64_t{1} << 48) - 1)) | (pa >> 48 & 15) << 12;
    return pa;
  }
  std::uint64_t table(int level, std::uint64_t prefix) {
    auto [at, made] = tables.try_emplace({level, prefix}, next_table);
    if (made) {
      for (std::uint64_t i = 0; i < std::uint64_t{8} << (granule.page_shift - 3); i += 8) memory[next_table + i] = 0;
      next_table += 0x1'0000;
    }
    return at->second;
  }
  // Where the descriptor of `offset` is in the table of `level`.
  std::uint64_t slot(int level, std::uint64_t offset) {
    const auto [hi, lo] = granule.index.at(level);
    const std::uint64_t prefix = hi == 63 ? 0 : offset >> (hi + 1);
    return table(level, prefix) + 8 * (offset >> lo & ((std::uint64_t{2} << (hi - lo)) - 1));
  }
  std::uint64_t size_of(int level) const { return std::uint64_t{1} << granule.index.at(level).second; }

  // Maps at `level`; `table_bits` go into the table descriptors on the way.
  void map(std::uint64_t offset, std::uint64_t pa, int level, std::uint64_t bits, std::uint64_t table_bits = 0) {
    for (int at = granule.start; at < level; ++at) {
      const auto [hi, lo] = granule.index.at(at);
      (void)hi;
      memory[slot(at, offset)] = address_bits(table(at + 1, offset >> lo)) | table_bits | 3;
    }
    memory[slot(level, offset)] = address_bits(pa) | bits | (level == 3 ? 3 : 1);
  }

  Walk walk(std::uint64_t va, Access access = Access::read, unsigned el = 1) const {
    return stage1::walk(registers, request(va, access, el), [this](std::uint64_t at) -> std::optional<std::uint64_t> {
      const auto found = memory.find(at);
      return found == memory.end() ? std::nullopt : std::optional{found->second};
    });
  }
  static Request request(std::uint64_t va, Access access, unsigned el, bool pan = false) {
    return {.va = va, .access = access, .el = static_cast<std::uint8_t>(el), .pan = pan};
  }
  Verdict judge(std::uint64_t va, Access access, unsigned el, bool pan = false) const {
    return stage1::judge(registers, request(va, access, el, pan), walk(va, access, el));
  }
};

std::string text(const Guest& guest, const Walk& walk) {
  std::array<char, 2048> storage{};
  TextBuffer out{storage};
  append(out, guest.registers, walk);
  EXPECT_FALSE(out.truncated());
  return std::string{out.view()};
}

class Stage1 : public testing::TestWithParam<std::tuple<std::size_t, bool>> {
 protected:
  const Granule& granule() const { return granules()[std::get<0>(GetParam())]; }
  bool upper() const { return std::get<1>(GetParam()); }
};

TEST_P(Stage1, PagesAndBlocksTranslate) {
  Guest guest{granule(), upper()};
  const std::uint64_t pa = granule().ips == 6   ? 0xF'1234'0000'0000
                           : granule().ips == 5 ? 0x7234'0000'0000
                                                : 0x4000'0000;
  std::vector<int> levels = granule().blocks;
  levels.push_back(3);
  for (const int level : levels) {
    const std::uint64_t size = guest.size_of(level);
    // A place for each level that no other shares: the index in the start table differs where there is room.
    Guest fresh{granule(), upper()};
    const std::uint64_t offset = (std::uint64_t{1} << granule().va_bits) - size;
    const std::uint64_t target = pa & ~(size - 1);
    fresh.map(offset, target, level, kAf | 0x300);
    for (const std::uint64_t inside : {std::uint64_t{0}, size - 8, size / 2}) {
      const Walk walk = fresh.walk(fresh.va(offset + inside));
      ASSERT_EQ(walk.outcome, Outcome::translated) << granule().name << " level " << level << text(fresh, walk);
      EXPECT_EQ(walk.output_address, target + inside);
      EXPECT_EQ(walk.level, level);
      EXPECT_EQ(walk.start_level, granule().start);
      EXPECT_EQ(walk.region_bytes, size);
      EXPECT_EQ(walk.step_count, level - granule().start + 1);
      EXPECT_EQ(walk.ttbr1, upper());
    }
  }
}

TEST_P(Stage1, HolesFaultAtTheirLevel) {
  Guest guest{granule(), upper()};
  guest.map(0, 0x4000'0000 & ~(guest.size_of(3) - 1), 3, kAf);
  for (int level = granule().start; level <= 3; ++level) {
    // The neighbour in the table of `level` is a hole, unless the table has one entry.
    const auto [hi, lo] = granule().index.at(level);
    const std::uint64_t neighbour = std::uint64_t{1} << lo;
    if (neighbour >> granule().va_bits != 0 || hi < lo) continue;
    const Walk walk = guest.walk(guest.va(neighbour));
    EXPECT_EQ(walk.outcome, Outcome::translation_fault) << granule().name;
    EXPECT_EQ(walk.level, level) << granule().name;
    const Verdict verdict = guest.judge(guest.va(neighbour), Access::read, 1);
    EXPECT_FALSE(verdict.allowed);
    EXPECT_EQ(fault_status(*verdict.fsc).kind, FaultKind::translation);
    EXPECT_EQ(fault_status(*verdict.fsc).level, level);
  }
}

TEST_P(Stage1, BlocksWhereThereAreNoneAreReserved) {
  for (int level = granule().start; level < 3; ++level) {
    if (std::ranges::find(granule().blocks, level) != granule().blocks.end()) continue;
    Guest guest{granule(), upper()};
    guest.map(0, 0, level, kAf);
    const Walk walk = guest.walk(guest.va(0));
    EXPECT_EQ(walk.outcome, Outcome::translation_fault) << granule().name << level;
    EXPECT_EQ(walk.steps().back().kind, StepKind::reserved);
  }
  Guest guest{granule(), upper()};
  guest.map(0, 0, 3, kAf);
  guest.memory[guest.slot(3, 0)] &= ~std::uint64_t{2};  // 0b01 at level 3
  EXPECT_EQ(guest.walk(guest.va(0)).steps().back().kind, StepKind::reserved);
}

TEST_P(Stage1, AddressesOutsideTheRangeFault) {
  const Guest guest{granule(), upper()};
  const std::uint64_t other = guest.va(0) ^ std::uint64_t{1} << granule().va_bits;
  if (granule().va_bits < 55) {
    const Walk walk = guest.walk(other);
    EXPECT_EQ(walk.outcome, Outcome::translation_fault);
    EXPECT_EQ(walk.reason, Reason::not_canonical);
    EXPECT_EQ(walk.level, 0);
    EXPECT_EQ(walk.step_count, 0);
  }
}

TEST_P(Stage1, AddressSizeFaults) {
  if (granule().ips == 6) return;  // every address fits
  constexpr std::array<unsigned, 6> kBits{32, 36, 40, 42, 44, 48};
  Guest guest{granule(), upper()};
  guest.registers.tcr_el1 &= ~(std::uint64_t{7} << 32);  // 32 bits
  ASSERT_LT(guest.next_table, std::uint64_t{1} << kBits[0]);
  guest.map(0, std::uint64_t{1} << 36, 3, kAf);
  const Walk walk = guest.walk(guest.va(0));
  EXPECT_EQ(walk.outcome, Outcome::address_size_fault);
  EXPECT_EQ(walk.level, 3);
  (upper() ? guest.registers.ttbr1_el1 : guest.registers.ttbr0_el1) = std::uint64_t{1} << 40;
  const Walk root = guest.walk(guest.va(0));
  EXPECT_EQ(root.outcome, Outcome::address_size_fault);
  EXPECT_EQ(root.level, 0);
  EXPECT_EQ(root.reason, Reason::base_too_large);
}

INSTANTIATE_TEST_SUITE_P(AllGranules, Stage1, testing::Combine(testing::Range<std::size_t>(0, 13), testing::Bool()),
                         [](const auto& param_info) {
                           return std::string{granules()[std::get<0>(param_info.param)].name} +
                                  (std::get<1>(param_info.param) ? "Upper" : "Lower");
                         });

const Granule& k4() {
  return granules()[0];
}

// AP, PXN, UXN and WXN, worked out by hand for every combination. [armarm] "Data access permissions", "Execution"
TEST(Stage1Permissions, EveryCombination) {
  for (unsigned ap = 0; ap < 4; ++ap) {
    for (unsigned xn = 0; xn < 4; ++xn) {
      for (const bool wxn : {false, true}) {
        Guest guest{k4()};
        guest.map(0, 0x4000'0000, 3, kAf | std::uint64_t{ap} << 6 | std::uint64_t{xn} << 53);
        if (wxn) guest.registers.sctlr_el1 |= 1U << 19;
        const bool writable = (ap & 2) == 0;
        const bool el0 = (ap & 1) != 0;
        const bool pxn = (xn & 1) != 0;
        const bool uxn = (xn & 2) != 0;
        const Permissions want{.el1_read = true,
                               .el1_write = writable,
                               .el1_execute = !pxn && !(el0 && writable) && !(wxn && writable),
                               .el0_read = el0,
                               .el0_write = el0 && writable,
                               .el0_execute = !uxn && !(wxn && el0 && writable)};
        EXPECT_EQ(guest.walk(0).permissions, want) << ap << xn << wxn;
        for (const unsigned el : {0U, 1U}) {
          EXPECT_EQ(guest.judge(0, Access::read, el).allowed, el == 0 ? want.el0_read : want.el1_read);
          EXPECT_EQ(guest.judge(0, Access::write, el).allowed, el == 0 ? want.el0_write : want.el1_write);
          EXPECT_EQ(guest.judge(0, Access::fetch, el).allowed, el == 0 ? want.el0_execute : want.el1_execute);
        }
      }
    }
  }
}

TEST(Stage1Permissions, TablesTakeAway) {
  Guest guest{k4()};
  guest.map(0, 0x4000'0000, 3, kAf | kEl0, std::uint64_t{1} << 61);  // APTable[0]: not EL0
  EXPECT_FALSE(guest.judge(0, Access::read, 0).allowed);
  EXPECT_TRUE(guest.judge(0, Access::write, 1).allowed);
  EXPECT_THAT(std::string{guest.judge(0, Access::read, 0).why}, HasSubstr("APTable[0]"));
  guest.map(0, 0x4000'0000, 3, kAf | kEl0, std::uint64_t{2} << 61);  // read only
  EXPECT_FALSE(guest.judge(0, Access::write, 1).allowed);
  EXPECT_THAT(std::string{guest.judge(0, Access::write, 1).why}, HasSubstr("APTable[1]"));
  guest.map(0, 0x4000'0000, 3, kAf, std::uint64_t{3} << 59);  // UXNTable, PXNTable
  EXPECT_FALSE(guest.judge(0, Access::fetch, 1).allowed);
  EXPECT_FALSE(guest.judge(0, Access::fetch, 0).allowed);
  guest.registers.tcr_el1 |= std::uint64_t{1} << 41;  // HPD0
  EXPECT_TRUE(guest.judge(0, Access::fetch, 1).allowed);
}

TEST(Stage1Permissions, PrivilegedAccessNever) {
  Guest guest{k4()};
  guest.map(0, 0x4000'0000, 3, kAf | kEl0 | kPxn);
  EXPECT_TRUE(guest.judge(0, Access::read, 1).allowed);
  const Verdict denied = guest.judge(0, Access::read, 1, true);
  EXPECT_FALSE(denied.allowed);
  EXPECT_EQ(denied.fsc, Fsc::permission_l3);
  EXPECT_THAT(std::string{denied.why}, HasSubstr("PSTATE.PAN"));
  EXPECT_TRUE(guest.judge(0, Access::read, 0, true).allowed);
  // Execute-only for EL0: PAN covers it with EPAN only.
  guest.map(0, 0x4000'0000, 3, kAf | kPxn);
  EXPECT_TRUE(guest.judge(0, Access::read, 1, true).allowed);
  guest.registers.sctlr_el1 |= std::uint64_t{1} << 57;
  EXPECT_FALSE(guest.judge(0, Access::read, 1, true).allowed);
}

TEST(Stage1Permissions, AccessFlagAndDirtyState) {
  Guest guest{k4()};
  guest.map(0, 0x4000'0000, 3, kReadOnly | kDbm);
  EXPECT_EQ(guest.judge(0, Access::read, 1).fsc, Fsc::access_flag_l3);
  guest.registers.tcr_el1 |= std::uint64_t{1} << 39;  // HA
  EXPECT_TRUE(guest.judge(0, Access::read, 1).allowed);
  EXPECT_TRUE(guest.walk(0).hardware_sets_af);
  EXPECT_FALSE(guest.judge(0, Access::write, 1).allowed);
  guest.registers.tcr_el1 |= std::uint64_t{1} << 40;  // HD
  EXPECT_TRUE(guest.judge(0, Access::write, 1).allowed);
  EXPECT_TRUE(guest.walk(0).writable_clean);
}

TEST(Stage1Controls, TopByte) {
  Guest guest{k4()};
  guest.map(0x1000, 0x4000'0000, 3, kAf | kEl0);
  const std::uint64_t tagged = 0xAB00'0000'0000'1000;
  EXPECT_EQ(guest.walk(tagged).reason, Reason::not_canonical);
  guest.registers.tcr_el1 |= std::uint64_t{1} << 37;  // TBI0
  EXPECT_EQ(guest.walk(tagged).output_address, 0x4000'0000U);
  EXPECT_TRUE(guest.walk(tagged, Access::fetch).translated());
  guest.registers.tcr_el1 |= std::uint64_t{1} << 51;  // TBID0
  EXPECT_TRUE(guest.walk(tagged).translated());
  EXPECT_EQ(guest.walk(tagged, Access::fetch).reason, Reason::not_canonical);
}

TEST(Stage1Controls, WalksCanBeDisabled) {
  Guest guest{k4()};
  guest.map(0, 0x4000'0000, 3, kAf | kEl0);
  guest.registers.tcr_el1 |= std::uint64_t{1} << 55;  // E0PD0
  EXPECT_EQ(guest.walk(0, Access::read, 0).reason, Reason::e0pd);
  EXPECT_TRUE(guest.walk(0).translated());
  guest.registers.tcr_el1 |= 1U << 7;  // EPD0
  const Walk walk = guest.walk(0);
  EXPECT_EQ(walk.reason, Reason::walks_disabled);
  EXPECT_EQ(guest.judge(0, Access::read, 1).fsc, Fsc::translation_l0);
}

TEST(Stage1Controls, MmuOff) {
  Guest guest{k4()};
  guest.registers.sctlr_el1 &= ~std::uint64_t{1};
  const Walk walk = guest.walk(0x4008'1234);
  EXPECT_EQ(walk.outcome, Outcome::mmu_off);
  EXPECT_EQ(walk.output_address, 0x4008'1234U);
  EXPECT_TRUE(guest.judge(0x4008'1234, Access::write, 0).allowed);
  EXPECT_EQ(guest.walk(std::uint64_t{1} << 60).outcome, Outcome::address_size_fault);
}

TEST(Stage1Controls, ImpossibleConfigurations) {
  Guest guest{k4()};
  guest.registers.tcr_el1 |= 3U << 14;
  EXPECT_EQ(guest.walk(0).outcome, Outcome::reserved_granule);
  EXPECT_FALSE(guest.judge(0, Access::read, 1).allowed);
  for (std::uint64_t size = 0; size < 64; ++size) {  // no value of T0SZ makes the walk run away
    for (const std::uint64_t tg : {0U, 1U, 2U}) {
      for (const std::uint64_t ds : {0U, 1U}) {
        guest.registers.tcr_el1 = size | tg << 14 | ds << 59 | std::uint64_t{6} << 32;
        const Walk walk = guest.walk(0x1000);
        EXPECT_LE(walk.step_count, 5);
      }
    }
  }
}

TEST(Stage1Controls, BigEndianTables) {
  Guest guest{k4()};
  guest.map(0, 0x4000'0000, 3, kAf);
  for (auto& [at, value] : guest.memory) value = __builtin_bswap64(value);
  EXPECT_FALSE(guest.walk(0).translated());
  guest.registers.sctlr_el1 |= 1U << 25;
  EXPECT_EQ(guest.walk(0).output_address, 0x4000'0000U);
}

TEST(Stage1Controls, UnreadableTables) {
  Guest guest{k4()};
  guest.memory.clear();
  EXPECT_EQ(guest.walk(0).outcome, Outcome::unreadable);
  EXPECT_FALSE(guest.judge(0, Access::read, 1).fsc);
}

TEST(Stage1Text, OneLinePerStep) {
  Guest guest{granules()[1]};
  guest.map(0x8000'0000, 0x4020'0000, 2, kAf | 0x300 | kUxn | 1U << 11);
  EXPECT_EQ(text(guest, guest.walk(0x8000'1234)),
            "stage 1: TTBR0_EL1, 4 KiB granule, 39 bits of VA, 40 bits out, root 0x40000000 at level 1\n"
            "  L1 @0x40000010: 0x0000000040010003 table\n"
            "  L2 @0x40010000: 0x0040000040200f01 block\n"
            "  translated, level 2, ipa 0x40201234, EL1 rwx, EL0 ---, Normal, Inner and Outer Write-Back RW-allocate "
            "(AttrIndx 0), Inner Shareable, of one ASID\n");
  EXPECT_THAT(text(guest, guest.walk(0)), HasSubstr("translation fault, level 1"));
  EXPECT_THAT(text(guest, guest.walk(~std::uint64_t{0} >> 8)), HasSubstr("no range has this address"));
}

}  // namespace
}  // namespace arm_vcpu::stage1
