// SPDX-License-Identifier: Apache-2.0
// Stage 1 of garbage: descriptors and tables that point anywhere, control registers with anything in them that leaves
// the way home open.
#include "classes.hpp"
#include "guest/cpu.hpp"

namespace torture {
namespace {

using namespace guest;

constexpr u64 kMiB2 = u64{2} << 20;
constexpr u64 kGiB = u64{1} << 30;
constexpr u64 kSlotFetch = 0;
constexpr u64 kLoads = 8;

alignas(4096) constinit u64 g_level_1[512]{};
alignas(4096) constinit u64 g_ram[512]{};

// What must not be reached by a store through garbage: the program. Its RAM is below the code's.
bool is_program(u64 output) noexcept {
  return output >= 0x4000'0000 && output < kScratch;
}

u64 garbage(Random& random, u64 block_bytes) noexcept {
  u64 descriptor = random.bits();
  if (random.one_in(2)) {
    // A table, or a block, somewhere that means something; else nearly all are address size faults.
    descriptor = (descriptor & 0xFFF0'0000'0000'0FFF) | (interesting_address(random) & 0x0000'FFFF'FFFF'F000);
  }
  if (random.one_in(2)) descriptor = (descriptor | 1 | 1 << 10) & ~u64{0x30'0000'0000'0000};
  // A table at such an address is read only. A block is written through; it may begin below the program.
  const u64 output = descriptor & 0x0000'FFFF'FFFF'F000;
  const u64 base = output & ~(block_bytes - 1);
  if ((descriptor & 3) == 1 && (is_program(output) || (base < kScratch && base + block_bytes > 0x4000'0000))) {
    return 0;
  }
  // In garbage tables in the scratch memory the words are made by this function too.
  if ((descriptor & 3) == 3 && is_program(output)) return 0;
  return descriptor;
}

void renew(Random& random) noexcept {
  for (u64& entry : g_level_1) entry = garbage(random, kGiB);
  for (u64& entry : g_ram) entry = garbage(random, kMiB2);
  const Regime& known = sandbox();
  const auto* level_1 = reinterpret_cast<const u64*>(known.ttbr0);
  g_level_1[1] = reinterpret_cast<u64>(g_ram) | 3;
  g_level_1[kCode / kGiB] = level_1[kCode / kGiB];
  g_ram[reinterpret_cast<u64>(&torture_state) / kMiB2 % 512] = table_of_page();
  // Tables of garbage for those of its descriptors that point at the scratch memory.
  auto* scratch = reinterpret_cast<volatile u64*>(kScratch);
  for (u64 i = 0; i < 512; ++i) scratch[random.below(kScratchBytes / 8)] = garbage(random, 4096);
  dsb();
}

constexpr u32 kAccesses[kLoads] = {
    0xB940'0022,  // ldr w2, [x1]
    0xF900'0022,  // str x2, [x1]
    0x3940'0022,  // ldrb w2, [x1]
    0xA940'0C22,  // ldp x2, x3, [x1]
    0xD508'7801,  // at s1e1r, x1
    0xD508'7861,  // at s1e0w, x1
    0xD50B'7E21,  // dc civac, x1
    0xD61F'0020,  // br x1
};

void prepare(Random& random) noexcept {
  for (u64 i = 0; i < kLoads; ++i) write_slot(kSlotFetch + i, kAccesses[i]);
  finish_code(0, kLoads);
  renew(random);
}

// SCTLR_EL1: M stays, EE stays 0 (tables and state are little-endian), the rest is chance. [armarm] "SCTLR_EL1"
u64 any_sctlr(Random& random) noexcept {
  constexpr u64 kM = 1;
  constexpr u64 kEE = 1 << 25;
  return ((random.one_in(2) ? sandbox().sctlr : random.bits()) | kM) & ~kEE;
}
// TCR_EL1: the lower half's geometry stays (T0SZ, EPD0, TG0), and the descriptors' format (DS).
u64 any_tcr(Random& random) noexcept {
  constexpr u64 kGeometry = 0x3F | 1 << 7 | 3 << 14 | u64{1} << 59;
  if (random.one_in(2)) return sandbox().tcr;
  return (random.bits() & ~kGeometry) | (sandbox().tcr & kGeometry);
}

void operate(Random& random, u64 number) noexcept {
  if (number % 64 == 63) renew(random);
  const u64 slot = random.below(kLoads);
  fill_registers(random);
  torture_state.x[1] = random.one_in(3)   ? interesting_address(random)
                       : random.one_in(2) ? random.bits() & 0x7F'FFFF'FFFF
                                          : random.bits() | 0xFFFF'FF80'0000'0000;
  Regime regime{.sctlr = any_sctlr(random),
                .tcr = any_tcr(random),
                .mair = random.bits(),
                .ttbr0 = reinterpret_cast<u64>(g_level_1)};
  if (random.one_in(8)) regime.ttbr0 = sandbox().ttbr0;
  regime.ttbr0 |= random.one_in(2) ? random.bits() << 48 : 0;  // ASID
  GUEST_WRITE(ttbr1_el1, random.one_in(2) ? random.bits() : interesting_address(random));
  isb();
  arm_watchdog();
  const Outcome& outcome = attempt(address_of_slot(slot), random.one_in(2) ? kModeEl0 : kModeEl1h, regime);
  disarm_watchdog();
  if (outcome.is_serror()) fail("an SError of an address", torture_state.x[1], slot);
  if (!outcome.is_sync()) drain_interrupts();
}

}  // namespace

constinit const Class kTables{"tables", prepare, operate};

}  // namespace torture
