// SPDX-License-Identifier: Apache-2.0
// Random sequences of operations against a model that knows nothing of tables.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "model_stage2.hpp"

namespace arm_vcpu::stage2::test {
namespace {

struct Case {
  unsigned seed;
  unsigned ipa_bits;
  bool range_ops;
  bool level_hint;
};

class Stage2Random : public testing::TestWithParam<Case> {};

TEST_P(Stage2Random, AgreesWithTheModel) {
  const auto [seed, ipa_bits, range_ops, level_hint] = GetParam();
  const Layout layout = *make_layout({.ipa_bits = ipa_bits, .pa_bits = 48});
  FakeMachine machine{layout};
  machine.range_ops = range_ops;
  machine.level_hint = level_hint;
  auto stage2 = *FakeStage2::create(layout, machine, machine, 9);
  machine.watch(stage2.root(), 9);
  Model model;
  std::mt19937_64 random{seed};
  const auto below = [&](std::uint64_t n) { return random() % n; };

  const Attributes kinds[] = {kGuestRam, kGuestRom, kGuestDevice, {.type = MemoryType::normal_nc}, {.execute = false}};
  // A window of 4 GiB at each end of the address space, so that every level and every root table index matters.
  const auto pick_address = [&] {
    std::uint64_t at = 0;
    switch (below(4)) {
      case 0: at = below(4) << 30; break;
      case 1: at = below(4) << 30 | below(4) << 21; break;
      case 2: at = below(4) << 30 | below(4) << 21 | below(512) << 12; break;
      default: at = (below(4) << 30) + (below(2) << 30) - (below(8) << 12); break;
    }
    at &= (std::uint64_t{1} << 32) - 1;
    return ipa_bits > 32 && below(3) == 0 ? layout.ipa_limit() - (std::uint64_t{1} << 32) + at : at;
  };
  const auto pick_size = [&](std::uint64_t ipa) {
    static constexpr unsigned kShifts[] = {12, 12, 15, 21, 22, 30};
    const std::uint64_t size = (below(3) + 1) << kShifts[below(6)];
    return std::min(below(4) == 0 ? size + (below(600) << 12) : size, layout.ipa_limit() - ipa);
  };

  unsigned changes = 0;
  for (unsigned step = 0; step < 250; ++step) {
    SCOPED_TRACE(step);
    const std::uint64_t operation = below(3);
    std::uint64_t ipa = 0;
    std::uint64_t size = 0;
    for (unsigned attempt = 0; attempt < 6; ++attempt) {  // most steps shall do something
      ipa = pick_address();
      size = pick_size(ipa);
      if (!(operation == 0 ? model.first_mapped(ipa, ipa + size) : model.first_hole(ipa, ipa + size))) break;
    }
    const Attributes& kind = kinds[below(5)];
    machine.allocations_left = below(8) == 0 ? static_cast<unsigned>(below(5)) : 1000;
    Result<> result;
    if (operation == 0) {
      // Large ranges keep 2 MiB alignment: hundreds of thousands of pages would prove no more, slowly.
      std::uint64_t pa = ipa + (8ULL << 30);
      if (below(2) == 0) pa += size < (32ULL << 20) ? below(1 << 14) << 12 : below(64) << 21;
      pa &= layout.pa_limit() / 2 - 1;
      const auto expected = model.first_mapped(ipa, ipa + size);
      result = stage2.map(ipa, pa, size, kind);
      if (expected) {
        ASSERT_FALSE(result);
        ASSERT_EQ(result.error(), (Error{Errc::already_mapped, *expected, 0}));
      } else if (result) {
        model.map({ipa, size, pa, kind});
      }
    } else {
      const auto expected = model.first_hole(ipa, ipa + size);
      result = operation == 1 ? stage2.unmap(ipa, size) : stage2.protect(ipa, size, kind);
      if (expected) {
        ASSERT_FALSE(result);
        ASSERT_EQ(result.error(), (Error{Errc::not_mapped, *expected, 0}));
      } else if (result) {
        operation == 1 ? model.unmap(ipa, ipa + size) : model.protect(ipa, ipa + size, kind);
      }
    }
    changes += result ? 1U : 0U;
    machine.check_quiet();
    ASSERT_THAT(machine.violations, testing::IsEmpty());
    ASSERT_EQ(machine.tables(), machine.reachable_tables());
    ASSERT_EQ(machine.empty_tables(), 0U);
    ASSERT_EQ(extents_of(stage2), model.extents());
  }
  EXPECT_GT(changes, 100U);
  machine.unwatch_root_on_free = true;
  stage2.destroy();
  EXPECT_EQ(machine.tables(), 0U);
  EXPECT_THAT(machine.violations, testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Seeds, Stage2Random,
                         testing::Values(Case{1, 32, false, false}, Case{2, 36, false, true}, Case{3, 39, true, true},
                                         Case{4, 40, true, false}, Case{5, 40, false, true}, Case{6, 41, true, true},
                                         Case{7, 36, true, true}, Case{8, 32, true, true}));

}  // namespace
}  // namespace arm_vcpu::stage2::test
