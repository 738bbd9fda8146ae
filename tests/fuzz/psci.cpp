// SPDX-License-Identifier: Apache-2.0
// A VM's CPUs call PSCI and SMCCC functions in any order; the machine does what each call asks for, or does not.
#include "arm_vcpu/psci.hpp"

#include "fuzz.hpp"

namespace arm_vcpu {
namespace {

using Exit = AxVCpuExitReason;

FUZZ_TARGET(psci, "PSCI and SMCCC calls of several CPUs, and their power states") {
  PowerSlot slots[4]{{.mpidr = 0}, {.mpidr = 1}, {.mpidr = 0x100}, {.mpidr = 0x1'0001'0000}};
  const EntryRange executable[] = {{0x4000'0000, 0x4800'0000}};
  PowerDomain power{slots, input.flag() ? std::span{executable} : std::span<const EntryRange>{}};
  power.reset(input.below(4));
  const bool has_domain = input.below(8) != 0;
  PsciConfig config{};
  config.workarounds.workaround_1 = static_cast<Workaround>(static_cast<int>(input.below(3)) - 1);
  config.workarounds.workaround_2 = static_cast<Workaround>(static_cast<int>(input.below(3)) - 1);
  config.workarounds.workaround_3 = static_cast<Workaround>(static_cast<int>(input.below(3)) - 1);
  while (!input.empty()) {
    const unsigned caller = input.below(4);
    if (input.below(4) == 0) {
      static_cast<void>(input.flag() ? power.mark_on(caller) : power.cpu_off(caller));
      continue;
    }
    PowerState before[4];
    for (unsigned i = 0; i < 4; ++i) before[i] = power.state(i);
    PsciCall call{};
    constexpr std::uint64_t kOwners[] = {0x8000'0000, 0x8400'0000, 0xC400'0000, 0xC000'0000};
    call.x0 = input.flag() ? kOwners[input.below(4)] + input.byte() : input.number();
    if (input.below(4) == 0) call.x0 = 0x8000'8000 + (input.take<std::uint16_t>() & 0x7FFF);
    call.x1 = input.flag() ? slots[input.below(4)].mpidr : input.number();
    call.x2 = input.flag() ? 0x4000'0000 + input.take<std::uint32_t>() % 0x1000'0000 : input.number();
    call.x3 = input.number();
    const PsciOutcome outcome = handle_call(call, has_domain ? &power : nullptr, config);
    if (!outcome.mine) {
      FUZZ_CHECK(!outcome.x0 && outcome.exit.is<Exit::Nothing>() && !outcome.forward);
      continue;
    }
    // Every call of ours is answered, or leaves the guest, or the caller decides.
    FUZZ_CHECK(outcome.x0 || outcome.forward || !outcome.exit.is<Exit::Nothing>());
    if (const auto* up = outcome.exit.get_if<Exit::CpuUp>(); up != nullptr && has_domain) {
      const auto index = power.index_of(up->target_cpu & kPsciAffinityMask);
      FUZZ_CHECK(index && before[*index] == PowerState::off && power.state(*index) == PowerState::on_pending);
      const auto start = power.pending_start(*index);
      FUZZ_CHECK(start && start->entry == up->entry_point && power.is_executable(start->entry));
      FUZZ_CHECK(outcome.x0 == 0);
    } else if (has_domain) {
      for (unsigned i = 0; i < 4; ++i) FUZZ_CHECK(power.state(i) == before[i]);  // only CPU_ON changes a state here
    }
    for (unsigned i = 0; i < 4; ++i) FUZZ_CHECK(power.state(i) != PowerState::claimed);
  }
}

}  // namespace
}  // namespace arm_vcpu
