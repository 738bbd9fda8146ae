// SPDX-License-Identifier: Apache-2.0
// map, unmap and protect in any order, on any ranges, with little memory for tables, against the model of the unit
// tests; the memory checks every intermediate state.
#include "fuzz.hpp"
#include "vm/stage2/model_stage2.hpp"

namespace arm_vcpu::stage2::test {
namespace {

FUZZ_TARGET(stage2, "stage-2 map, unmap, protect and walk against a model, break-before-make checked") {
  constexpr unsigned kIpaBits[] = {32, 36, 39, 40, 41, 44};
  const Layout layout = *make_layout({.ipa_bits = kIpaBits[input.below(6)], .pa_bits = 48});
  FakeMachine machine{layout};
  machine.range_ops = input.flag();
  machine.level_hint = input.flag();
  auto stage2 = *FakeStage2::create(layout, machine, machine, 9);
  machine.watch(stage2.root(), 9);
  Model model;
  const Attributes kinds[] = {kGuestRam, kGuestRom, kGuestDevice, {.type = MemoryType::normal_nc}, {.execute = false}};
  for (unsigned step = 0; step < 24 && !input.empty(); ++step) {
    const unsigned operation = input.below(3);
    // Near the block sizes: that is where tables are split and joined. Large ranges are whole blocks, for time's sake.
    const std::uint64_t pages = input.below(4) == 0 ? 1 + input.take<std::uint16_t>() % 1100 : 1 + input.below(3);
    const std::uint64_t size =
        input.flag() ? pages << 12 : std::uint64_t{1 + input.below(3)} << (input.flag() ? 21 : 30);
    std::uint64_t ipa = std::uint64_t{input.byte()} % 4 << 30 | std::uint64_t{input.byte()} % 4 << 21;
    if (input.flag()) ipa |= std::uint64_t{input.take<std::uint16_t>()} % 512 << 12;
    if (input.flag()) ipa = layout.ipa_limit() - (std::uint64_t{1} << 31) + ipa % (std::uint64_t{1} << 31);
    if (input.below(16) == 0) ipa += input.byte();  // an error, of the caller
    const Attributes& kind = kinds[input.below(5)];
    machine.allocations_left = input.flag() ? 1000 : input.below(6);
    const bool in_range = bits::aligned(ipa, kPageBytes) && size <= layout.ipa_limit() - ipa;
    Result<> result;
    if (operation == 0) {
      std::uint64_t pa = ipa + (std::uint64_t{8} << 30) + (std::uint64_t{input.byte()} << (size < 1 << 22 ? 12 : 21));
      pa &= layout.pa_limit() / 2 - 1;
      result = stage2.map(ipa, pa, size, kind);
      if (!in_range) {
        FUZZ_CHECK(!result);
      } else if (const auto taken = model.first_mapped(ipa, ipa + size)) {
        FUZZ_CHECK(!result && result.error() == (Error{Errc::already_mapped, *taken, 0}));
      } else if (result) {
        model.map({ipa, size, pa, kind});
      }
    } else {
      result = operation == 1 ? stage2.unmap(ipa, size) : stage2.protect(ipa, size, kind);
      if (!in_range) {
        FUZZ_CHECK(!result);
      } else if (const auto hole = model.first_hole(ipa, ipa + size)) {
        FUZZ_CHECK(!result && result.error() == (Error{Errc::not_mapped, *hole, 0}));
      } else if (result) {
        operation == 1 ? model.unmap(ipa, ipa + size) : model.protect(ipa, ipa + size, kind);
      }
    }
    // What fails for want of memory is as it was before.
    machine.check_quiet();
    FUZZ_CHECK(machine.violations.empty());
    FUZZ_CHECK(machine.tables() == machine.reachable_tables() && machine.empty_tables() == 0);
  }
  FUZZ_CHECK(extents_of(stage2) == model.extents());
  machine.unwatch_root_on_free = true;
  stage2.destroy();
  FUZZ_CHECK(machine.tables() == 0 && machine.violations.empty());
}

}  // namespace
}  // namespace arm_vcpu::stage2::test
