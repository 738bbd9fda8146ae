// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/vm/stage2.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_stage2.hpp"

namespace arm_vcpu::stage2::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t k2M = 0x20'0000;
constexpr std::uint64_t k1G = 0x4000'0000;
constexpr std::uint16_t kVmid = 0x2A;
constexpr Layout kLayout = *make_layout({.ipa_bits = 40, .pa_bits = 40});

class Stage2Test : public testing::Test {
 protected:
  Stage2Test() : Stage2Test{kLayout} {}
  explicit Stage2Test(const Layout& layout)
      : machine{layout}, stage2{*FakeStage2::create(layout, machine, machine, kVmid)} {
    machine.watch(stage2.root(), kVmid);
    machine.clear_history();
  }
  ~Stage2Test() override {
    machine.on_state = {};
    machine.check_quiet();
    EXPECT_EQ(machine.tables(), machine.reachable_tables());
    EXPECT_EQ(machine.empty_tables(), 0U);
    destroy();
    EXPECT_THAT(machine.violations, IsEmpty());
  }
  void destroy() {
    // The root stays readable by whoever still points to it, so it must be empty by the time it is freed.
    if (stage2.root() != 0) {
      machine.unwatch_root_on_free = true;
      stage2.destroy();
    }
    EXPECT_EQ(machine.tables(), 0U);
  }
  std::uint64_t levels_at(std::uint64_t ipa) { return stage2.translate(ipa).level; }

  FakeMachine machine;
  FakeStage2 stage2;
};

TEST_F(Stage2Test, Registers) {
  EXPECT_EQ(stage2.vttbr().raw, 0x002A'0000'0000'0000U | stage2.root());
  EXPECT_TRUE(bits::aligned(stage2.root(), 8192));
  stage2.set_vmid(7);
  EXPECT_EQ(stage2.vttbr().get<Vttbr::VMID>(), 7);
  stage2.set_vmid(kVmid);
}

TEST_F(Stage2Test, AGibibyteIsOneWriteAndNoInvalidation) {
  ASSERT_TRUE(stage2.map(k1G, 0x80'0000'0000, k1G, kGuestRam));
  EXPECT_EQ(machine.writes, 1U);
  EXPECT_THAT(machine.log, ElementsAre("dsb_ishst", "isb"));
  const Walk walk = stage2.translate(k1G + 0x1234567);
  EXPECT_EQ(walk.output_address, 0x80'0123'4567U);
  EXPECT_EQ(walk.level, 1);
  EXPECT_EQ(walk.attributes, kGuestRam);
}

TEST_F(Stage2Test, MappingIsLinearInThePages) {
  // Pages whose output is not aligned as their input is: no blocks. A table of 512 pages is one more write, and a link
  // to it.
  for (const std::uint64_t tables : {1U, 4U, 16U}) {
    machine.clear_history();
    const std::uint64_t ipa = k1G * tables;
    ASSERT_TRUE(stage2.map(ipa, 0x80'0000'1000, tables * k2M, kGuestRam));
    EXPECT_EQ(machine.writes, tables * 512 + tables + 1) << "pages, tables of pages, the table of tables";
    EXPECT_THAT(machine.log, ElementsAre("dsb_ishst", "dsb_ishst", "isb")) << "as many for any size";
  }
}

TEST_F(Stage2Test, BlocksAsLargeAsBothAlignmentsPermit) {
  // 4 KiB before, 2 MiB, 1 GiB, 2 MiB, 4 KiB after.
  const std::uint64_t begin = k1G - k2M - kPage;
  const std::uint64_t size = k1G + 2 * (k2M + kPage);
  ASSERT_TRUE(stage2.map(begin, begin + 8 * k1G, size, kGuestRam));
  EXPECT_EQ(levels_at(begin), 3U);
  EXPECT_EQ(levels_at(k1G - k2M), 2U);
  EXPECT_EQ(levels_at(k1G), 1U);
  EXPECT_EQ(levels_at(2 * k1G), 2U);
  EXPECT_EQ(levels_at(2 * k1G + k2M), 3U);
  EXPECT_EQ(machine.tables(), 2 + 4U);
  EXPECT_THAT(extents_of(stage2), ElementsAre(Extent{begin, size, begin + 8 * k1G, kGuestRam}));
  ASSERT_TRUE(stage2.unmap(begin, size));
  EXPECT_EQ(machine.tables(), 2U);
}

TEST_F(Stage2Test, OutputAlignmentLimitsBlocksToo) {
  ASSERT_TRUE(stage2.map(0, k2M, k1G, kGuestRam));  // 1 GiB in, 2 MiB out
  EXPECT_EQ(levels_at(0), 2U);
  ASSERT_TRUE(stage2.map(k1G, kPage, 2 * k2M, kGuestRam));
  EXPECT_EQ(levels_at(k1G), 3U);
  EXPECT_EQ(stage2.translate(k1G + 2 * k2M - 1).output_address, 2 * k2M + kPage - 1);
}

TEST_F(Stage2Test, TheWholeAddressSpace) {
  const std::uint64_t all = std::uint64_t{1} << 40;
  ASSERT_TRUE(stage2.map(0, 0, all, kGuestRam));
  EXPECT_EQ(machine.writes, 1024U);
  EXPECT_THAT(extents_of(stage2), ElementsAre(Extent{0, all, 0, kGuestRam}));
  ASSERT_TRUE(stage2.protect(all - kPage, kPage, kGuestRom));
  ASSERT_TRUE(stage2.unmap(0, all));
  EXPECT_THAT(extents_of(stage2), IsEmpty());
}

TEST_F(Stage2Test, BadArguments) {
  const auto error_of = [](const Result<>& result) { return result.error(); };
  const std::uint64_t limit = std::uint64_t{1} << 40;
  EXPECT_EQ(error_of(stage2.map(1, 0, kPage, kGuestRam)), (Error{Errc::unaligned_address, 1, kPage}));
  EXPECT_EQ(error_of(stage2.map(0, 8, kPage, kGuestRam)), (Error{Errc::unaligned_address, 8, kPage}));
  EXPECT_EQ(error_of(stage2.map(0, 0, 0x1800, kGuestRam)), (Error{Errc::unaligned_address, 0x1800, kPage}));
  EXPECT_EQ(error_of(stage2.map(0, 0, 0, kGuestRam)), (Error{Errc::unaligned_address, 0, kPage}));
  EXPECT_EQ(error_of(stage2.map(limit, 0, kPage, kGuestRam)), (Error{Errc::address_out_of_range, limit, limit}));
  EXPECT_EQ(error_of(stage2.map(limit - kPage, 0, 2 * kPage, kGuestRam)),
            (Error{Errc::address_out_of_range, limit + kPage - 1, limit}));
  EXPECT_EQ(error_of(stage2.map(0, limit - kPage, 2 * kPage, kGuestRam)),
            (Error{Errc::address_out_of_range, limit + kPage - 1, limit}));
  EXPECT_EQ(error_of(stage2.map(0, ~std::uint64_t{0xFFF}, kPage, kGuestRam)).code, Errc::address_out_of_range);
  EXPECT_EQ(error_of(stage2.map(kPage, 0, ~std::uint64_t{0xFFF}, kGuestRam)).code, Errc::address_out_of_range);
  EXPECT_EQ(error_of(stage2.unmap(0, kPage)), (Error{Errc::not_mapped, 0, 0}));
  EXPECT_EQ(error_of(stage2.protect(0, kPage, kGuestRom)), (Error{Errc::not_mapped, 0, 0}));
  EXPECT_EQ(machine.writes, 0U);
}

TEST_F(Stage2Test, MappingTwiceChangesNothing) {
  ASSERT_TRUE(stage2.map(k1G + 5 * kPage, 0, kPage, kGuestDevice));
  const auto before = extents_of(stage2);
  machine.clear_history();
  EXPECT_EQ(stage2.map(0, 0, 2 * k1G, kGuestRam).error(), (Error{Errc::already_mapped, k1G + 5 * kPage, 0}));
  EXPECT_EQ(stage2.map(k1G, 0, 6 * kPage, kGuestRam).error(), (Error{Errc::already_mapped, k1G + 5 * kPage, 0}));
  EXPECT_EQ(machine.writes, 0U);
  EXPECT_EQ(extents_of(stage2), before);
  ASSERT_TRUE(stage2.map(k1G, k1G, 5 * kPage, kGuestRam));  // beside it
}

TEST_F(Stage2Test, HolesStopUnmapAndProtectBeforeAnyChange) {
  ASSERT_TRUE(stage2.map(0, 0, k1G, kGuestRam));
  ASSERT_TRUE(stage2.map(k1G + k2M, k1G, k2M, kGuestRam));
  const auto before = extents_of(stage2);
  machine.clear_history();
  EXPECT_EQ(stage2.unmap(kPage, k1G + k2M).error(), (Error{Errc::not_mapped, k1G, 0}));
  EXPECT_EQ(stage2.protect(kPage, k1G + k2M, kGuestRom).error(), (Error{Errc::not_mapped, k1G, 0}));
  EXPECT_EQ(machine.writes, 0U);
  EXPECT_EQ(extents_of(stage2), before);
}

TEST_F(Stage2Test, OutOfTablesLeavesNothingBehind) {
  // Needs three tables: level 2 and 3 at the start, level 3 at the end; fails at each in turn.
  ASSERT_TRUE(stage2.map(8 * k1G, 0, kPage, kGuestRam));
  const auto before = extents_of(stage2);
  for (unsigned budget = 0; budget < 5; ++budget) {
    const std::size_t tables = machine.tables();
    machine.allocations_left = budget;
    const auto result = stage2.map(k1G - k2M - kPage, 0x1000, 2 * k2M + 2 * kPage, kGuestRam);
    ASSERT_FALSE(result) << budget;
    EXPECT_EQ(result.error().code, Errc::out_of_table_memory);
    EXPECT_EQ(machine.tables(), tables);
    EXPECT_EQ(machine.allocations_left, budget);
    EXPECT_EQ(extents_of(stage2), before);
    machine.check_quiet();
  }
  machine.allocations_left = 1000;
}

TEST_F(Stage2Test, OutOfTablesDuringASplitChangesNoTranslation) {
  ASSERT_TRUE(stage2.map(0, 0, 8 * k1G, kGuestRam));
  const auto before = extents_of(stage2);
  // Both ends need three tables: one of level 2, two of level 3. What was split stays so, hence fresh blocks each time.
  for (unsigned budget = 0; budget < 3; ++budget) {
    const std::uint64_t block = 2 * budget * k1G;
    machine.allocations_left = budget;
    EXPECT_EQ(stage2.unmap(block + kPage, k2M).error().code, Errc::out_of_table_memory);
    EXPECT_EQ(extents_of(stage2), before);
    machine.allocations_left = budget;
    EXPECT_EQ(stage2.protect(block + k1G + kPage, 5 * k2M, kGuestRom).error().code, Errc::out_of_table_memory);
    EXPECT_EQ(extents_of(stage2), before);
    machine.check_quiet();
  }
  machine.allocations_left = 1000;
}

TEST_F(Stage2Test, UnmapOfAPageOutOfAGibibyte) {
  ASSERT_TRUE(stage2.map(k1G, 4 * k1G, k1G, kGuestRam));
  machine.clear_history();
  const std::uint64_t hole = k1G + 100 * k2M + 7 * kPage;
  // While the block is being split the neighbours may be absent, but they never map elsewhere.
  machine.on_state = [&] {
    for (const std::uint64_t ipa : {k1G, hole - kPage, hole + kPage, 2 * k1G - 1}) {
      const Walk walk = stage2.translate(ipa);
      EXPECT_TRUE(!walk.translated() || walk.output_address == ipa + 3 * k1G);
    }
  };
  ASSERT_TRUE(stage2.unmap(hole, kPage));
  machine.on_state = {};
  EXPECT_FALSE(stage2.translate(hole).translated());
  EXPECT_EQ(levels_at(k1G), 2U);
  EXPECT_EQ(levels_at(hole - kPage), 3U);
  EXPECT_THAT(extents_of(stage2),
              ElementsAre(Extent{k1G, hole - k1G, 4 * k1G, kGuestRam},
                          Extent{hole + kPage, 2 * k1G - hole - kPage, hole + kPage + 3 * k1G, kGuestRam}));
  EXPECT_EQ(machine.count("ipas2e1is"), 2U);  // the block once, the page once
}

TEST_F(Stage2Test, UnmapFreesTablesOnlyWhenEmpty) {
  ASSERT_TRUE(stage2.map(k2M, 0x1000, k2M, kGuestRam));
  EXPECT_EQ(machine.tables(), 2 + 2U);
  ASSERT_TRUE(stage2.unmap(k2M, k2M - kPage));
  EXPECT_EQ(machine.tables(), 2 + 2U);
  ASSERT_TRUE(stage2.unmap(2 * k2M - kPage, kPage));
  EXPECT_EQ(machine.tables(), 2U);
}

TEST_F(Stage2Test, LargeUnmapUsesOneOperationForTheVmid) {
  ASSERT_TRUE(stage2.map(0, 0x1000, k2M, kGuestRam));  // 512 pages
  machine.clear_history();
  ASSERT_TRUE(stage2.unmap(0, k2M));
  EXPECT_THAT(machine.log,
              ElementsAre("dsb_ishst", "enter", "vmalls12e1is", "dsb_ish", "isb", "leave", "free", "free"));
  EXPECT_EQ(machine.writes, 2 + 2U);  // two links, and the list of what to free
}

TEST_F(Stage2Test, RangeOperationsWhereTheCpuHasThem) {
  machine.range_ops = true;
  ASSERT_TRUE(stage2.map(0, 0x1000, k2M + 5 * kPage, kGuestRam));
  machine.clear_history();
  ASSERT_TRUE(stage2.unmap(0, k2M + 5 * kPage));
  EXPECT_EQ(machine.count("vmalls12e1is"), 0U);
  EXPECT_EQ(machine.count("ripas2e1is"), 2U);
  EXPECT_EQ(machine.count("ipas2e1is"), 1U);
  EXPECT_EQ(machine.count("vmalle1is"), 1U);
}

TEST_F(Stage2Test, PermissionsChangeInPlace) {
  ASSERT_TRUE(stage2.map(0, 0, 4 * k2M, kGuestRam));
  machine.clear_history();
  // Nobody sees a hole: permissions need no break.
  machine.on_state = [&] { EXPECT_TRUE(stage2.translate(k2M).translated()); };
  ASSERT_TRUE(stage2.protect(0, 4 * k2M, kGuestRom));
  machine.on_state = {};
  EXPECT_EQ(machine.writes, 4U);
  EXPECT_EQ(machine.count("ipas2e1is"), 4U);
  EXPECT_EQ(levels_at(0), 2U);
  EXPECT_THAT(extents_of(stage2), ElementsAre(Extent{0, 4 * k2M, 0, kGuestRom}));
}

TEST_F(Stage2Test, MemoryTypeChangesByBreakBeforeMakeInOneBatch) {
  ASSERT_TRUE(stage2.map(0, 0, 4 * k2M, kGuestRam));
  machine.clear_history();
  constexpr Attributes kUncached{.type = MemoryType::normal_nc};
  ASSERT_TRUE(stage2.protect(0, 4 * k2M, kUncached));
  EXPECT_EQ(machine.writes, 8U);
  EXPECT_EQ(machine.count("vmalle1is"), 1U);
  EXPECT_THAT(extents_of(stage2), ElementsAre(Extent{0, 4 * k2M, 0, kUncached}));
}

TEST_F(Stage2Test, ProtectOfWhatIsSoAlreadyIsFree) {
  ASSERT_TRUE(stage2.map(0, 0, k1G, kGuestRam));
  machine.clear_history();
  ASSERT_TRUE(stage2.protect(5 * kPage, k2M, kGuestRam));
  EXPECT_EQ(machine.writes, 0U);
  EXPECT_THAT(machine.log, IsEmpty());
  EXPECT_EQ(levels_at(5 * kPage), 1U);
}

TEST_F(Stage2Test, ProtectSplitsOnlyAtItsEnds) {
  ASSERT_TRUE(stage2.map(0, 0, 2 * k1G, kGuestRam));
  ASSERT_TRUE(stage2.protect(k2M, 3 * k1G / 2, kGuestRom));
  EXPECT_EQ(levels_at(0), 2U);
  EXPECT_EQ(machine.tables(), 2 + 2U);
  EXPECT_THAT(extents_of(stage2), ElementsAre(Extent{0, k2M, 0, kGuestRam}, Extent{k2M, 3 * k1G / 2, k2M, kGuestRom},
                                              Extent{k2M + 3 * k1G / 2, k1G / 2 - k2M, k2M + 3 * k1G / 2, kGuestRam}));
}

TEST_F(Stage2Test, DeviceIsNeverExecutable) {
  ASSERT_TRUE(stage2.map(0x900'0000, 0x900'0000, kPage, {.type = MemoryType::device_nGnRE, .execute = true}));
  EXPECT_FALSE(stage2.translate(0x900'0000).attributes.execute);
}

TEST_F(Stage2Test, MoveLeavesAnEmptyShell) {
  ASSERT_TRUE(stage2.map(0, 0, kPage, kGuestRam));
  FakeStage2 other{std::move(stage2)};
  EXPECT_EQ(stage2.root(), 0U);  // NOLINT(bugprone-use-after-move): that is the point
  stage2.destroy();
  EXPECT_TRUE(other.translate(0).translated());
  machine.unwatch_root_on_free = true;
  other.destroy();
}

TEST_F(Stage2Test, DestroyFreesAllBehindOneInvalidation) {
  ASSERT_TRUE(stage2.map(kPage, 0, 3 * k2M, kGuestRam));
  ASSERT_TRUE(stage2.map(7 * k1G, 0, k2M, kGuestRam));
  machine.clear_history();
  destroy();
  EXPECT_EQ(machine.count("vmalls12e1is"), 1U);
  EXPECT_EQ(machine.count("vmalle1is"), 0U);
  stage2.destroy();
}

class Stage2FourLevels : public Stage2Test {
 protected:
  Stage2FourLevels() : Stage2Test{*make_layout({.ipa_bits = 48, .pa_bits = 48, .vmid_bits = 16})} {}
};

TEST_F(Stage2FourLevels, NoBlocksAtLevel0) {
  ASSERT_TRUE(stage2.map(0, 0, std::uint64_t{1} << 40, kGuestRam));  // 1 TiB
  EXPECT_EQ(levels_at(0), 1U);
  EXPECT_EQ(machine.tables(), 1 + 2U);
  EXPECT_EQ(stage2.translate(0x12'3456'7890).steps().size(), 2U);
  ASSERT_TRUE(stage2.unmap(0, std::uint64_t{1} << 40));
  EXPECT_EQ(machine.tables(), 1U);
}

TEST_F(Stage2FourLevels, TopOfTheAddressSpace) {
  const std::uint64_t last = (std::uint64_t{1} << 48) - kPage;
  ASSERT_TRUE(stage2.map(last, last, kPage, kGuestRam));
  EXPECT_EQ(stage2.translate(last + 5).output_address, last + 5);
  EXPECT_EQ(stage2.translate(last).steps().size(), 4U);
  ASSERT_TRUE(stage2.unmap(last, kPage));
}

TEST(Stage2Create, PassesErrorsOn) {
  FakeMachine machine{kLayout};
  machine.allocations_left = 1;
  EXPECT_EQ(FakeStage2::create(kLayout, machine, machine, 1).error(), (Error{Errc::out_of_table_memory, 2, 1}));
  EXPECT_EQ(machine.tables(), 0U);
}

// The checker itself: each breach that it is there for is found.
class Stage2Checker : public testing::Test {
 protected:
  Stage2Checker() : machine{kLayout}, root{*machine.allocate_tables(2, 8192)} {
    machine.dsb_ishst();
    machine.watch(root, kVmid);
    previous = machine.enter(kLayout.vttbr(root, kVmid).raw);
  }
  void full_invalidation(std::uint64_t operand) {
    machine.dsb_ishst();
    machine.tlbi_ipas2e1is(operand);
    machine.dsb_ish();
    machine.tlbi_vmalle1is();
    machine.dsb_ish();
  }
  FakeMachine machine;
  std::uint64_t root;
  std::uint64_t previous{};
  std::uint64_t block = leaf_descriptor(1, 0, kGuestRam).raw;
  std::uint64_t other = leaf_descriptor(1, k1G, kGuestRam).raw;
};

TEST_F(Stage2Checker, ValidOverValid) {
  machine.write(root, block);
  machine.write(root, other);
  EXPECT_EQ(machine.violations.size(), 1U);
}
TEST_F(Stage2Checker, MissingPartsOfTheSequence) {
  for (unsigned missing = 0; missing < 6; ++missing) {
    machine.violations.clear();
    machine.write(root, block);
    machine.write(root, 0);
    if (missing != 0) machine.dsb_ishst();
    if (missing != 1) machine.tlbi_ipas2e1is(0);
    if (missing != 2) machine.dsb_ish();
    if (missing != 3) machine.tlbi_vmalle1is();
    if (missing != 4) machine.dsb_ish();
    machine.write(root, other);
    EXPECT_EQ(machine.violations.empty(), missing == 5) << missing;
    machine.write(root, 0);
    machine.dsb_ishst();
    machine.tlbi_vmalls12e1is();
    machine.dsb_ish();
  }
}
TEST_F(Stage2Checker, InvalidationElsewhere) {
  machine.write(root, block);
  machine.write(root, 0);
  full_invalidation(k1G >> 12);
  machine.write(root, other);
  EXPECT_EQ(machine.violations.size(), 1U);
}
TEST_F(Stage2Checker, InvalidationUnderAnotherVmid) {
  machine.write(root, block);
  machine.write(root, 0);
  machine.leave(previous);
  full_invalidation(0);
  EXPECT_FALSE(machine.violations.empty());
}
TEST_F(Stage2Checker, HintOfTheWrongLevel) {
  machine.write(root, block);
  machine.write(root, 0);
  full_invalidation(tlbi_ipa_operand(0, 2).raw);
  machine.leave(previous);
  machine.check_quiet();
  EXPECT_EQ(machine.violations.size(), 1U);
}
TEST_F(Stage2Checker, TableLinkedTooEarly) {
  const std::uint64_t table = *machine.allocate_tables(1, 4096);
  machine.write(root, table_descriptor(table).raw);
  EXPECT_EQ(machine.violations.size(), 1U);
}
TEST_F(Stage2Checker, TableFreedTooEarly) {
  const std::uint64_t table = *machine.allocate_tables(1, 4096);
  machine.dsb_ishst();
  machine.write(root, table_descriptor(table).raw);
  machine.write(root, 0);
  machine.free_table(table);
  EXPECT_EQ(machine.violations.size(), 1U);
}

}  // namespace
}  // namespace arm_vcpu::stage2::test
