// SPDX-License-Identifier: Apache-2.0
#include "attempt.hpp"

#include "guest/console.hpp"
#include "guest/cpu.hpp"
#include "guest/gic.hpp"
#include "guest/timer.hpp"

extern "C" {
[[gnu::visibility("hidden")]] constinit torture::State torture_state{};
[[gnu::visibility("hidden")]] extern const char torture_page[];
void torture_enter() noexcept;
}

namespace torture {

using namespace guest;

namespace {

// [armarm] "VMSAv8-64 translation table format descriptors"
constexpr u64 kTable = 3;
constexpr u64 kBlock = 1;
constexpr u64 kPage = 3;
constexpr u64 kCommon = 1 << 10 | 3 << 8;  // AF, inner shareable
constexpr u64 kDevice = 1 << 2;            // MAIR attribute 1
constexpr u64 kUser = 1 << 6;
constexpr u64 kReadOnly = 1 << 7;
constexpr u64 kNoExecute = u64{3} << 53;
constexpr u64 kUserNoExecute = u64{1} << 54;
constexpr u64 kGiB = u64{1} << 30;
constexpr u64 kMiB2 = u64{2} << 20;
// Attributes: 0 and 1 as the runtime has them, then Device-nGnRnE, Normal non-cacheable, Device-GRE.
constexpr u64 kMair = 0x0C'44'00'04'FF;

alignas(4096) constinit u64 g_level_1[512]{};
alignas(4096) constinit u64 g_ram[512]{};
alignas(4096) constinit u64 g_code[512]{};
alignas(4096) constinit u64 g_page[512]{};
alignas(4096) constinit u64 g_quiet_level_1[512]{};
alignas(4096) constinit u64 g_low[512]{};

constinit Regime g_sandbox{};
constinit Regime g_quiet{};
constinit Tally g_tally{};
constinit u64 g_failures = 0;
constinit u64 g_redistributors_end = 0;

void count(const Outcome& outcome) noexcept {
  if (!outcome.is_sync()) {
    ++g_tally.interrupted;
    return;
  }
  switch (outcome.ec()) {
    case kEcBrk: ++g_tally.completed; break;
    case kEcUnknown: ++g_tally.undefined; break;
    case kEcFetchLower:
    case kEcFetchSame:
    case kEcDataLower:
    case kEcDataSame: ++g_tally.aborted; break;
    default: ++g_tally.other; break;
  }
}

}  // namespace

void prepare_attempts(unsigned vcpus) noexcept {
  g_redistributors_end = kGicr + vcpus * kGicrStride;
  const u64 page = reinterpret_cast<u64>(torture_page);
  const u64 state = reinterpret_cast<u64>(&torture_state);
  g_page[page / 4096 % 512] = page | kPage | kCommon | kReadOnly | kUserNoExecute;
  g_page[state / 4096 % 512] = state | kPage | kCommon | kReadOnly | kNoExecute;
  if (page / kMiB2 != state / kMiB2) fail("the program is too large", page, state);

  for (u64 at = kRamEnd; at < 2 * kGiB; at += kMiB2) {
    g_ram[at / kMiB2 % 512] = at | kBlock | kCommon | kUser;  // a hole as Normal memory, executable
  }
  g_ram[kScratch / kMiB2 % 512] = kScratch | kBlock | kCommon | kUser | kNoExecute;
  const u64 last = kRamEnd - kMiB2;
  g_ram[last / kMiB2 % 512] = last | kBlock | kCommon | kUser | kNoExecute;
  g_ram[page / kMiB2 % 512] = reinterpret_cast<u64>(g_page) | kTable;
  g_code[kCode / kMiB2 % 512] = kCodeStore | kBlock | kCommon | kUser | kReadOnly;

  g_level_1[0] = 0 | kBlock | kCommon | kUser | kDevice | kNoExecute;
  g_level_1[1] = reinterpret_cast<u64>(g_ram) | kTable;
  g_level_1[2] = 2 * kGiB | kBlock | kCommon | kUser;
  g_level_1[kCode / kGiB] = reinterpret_cast<u64>(g_code) | kTable;
  for (unsigned bit = 2; bit < 9; ++bit) {
    g_level_1[u64{1} << bit] = kGiB << bit | kBlock | kCommon | kUser | kDevice | kNoExecute;
  }
  // Intermediate physical addresses that a virtual address of 39 bits does not reach by itself.
  for (unsigned bit = 39; bit < 48; ++bit) {
    g_level_1[300 + bit] = u64{1} << bit | kBlock | kCommon | kUser | kNoExecute;
  }

  for (unsigned i = 0; i < 512; ++i) {
    g_low[i] = kMiB2 * i | kBlock | kCommon | kUser | kDevice | kNoExecute;
    g_quiet_level_1[i] = g_level_1[i];
  }
  g_low[kGicd / kMiB2] |= kReadOnly;  // and the Redistributors, in the same block
  g_quiet_level_1[0] = reinterpret_cast<u64>(g_low) | kTable;

  torture_state.home = {GUEST_READ(sctlr_el1), GUEST_READ(tcr_el1), GUEST_READ(mair_el1), GUEST_READ(ttbr0_el1)};
  torture_state.home_tpidr = GUEST_READ(tpidr_el1);
  torture_state.home_vbar = GUEST_READ(vbar_el1);
  g_sandbox = torture_state.home;
  g_sandbox.mair = kMair;
  g_sandbox.ttbr0 = reinterpret_cast<u64>(g_level_1);
  g_quiet = g_sandbox;
  g_quiet.ttbr0 = reinterpret_cast<u64>(g_quiet_level_1);
  dsb();
}

const Regime& quiet_sandbox() noexcept {
  return g_quiet;
}
u64 table_of_page() noexcept {
  return reinterpret_cast<u64>(g_page) | kTable;
}
const Regime& sandbox() noexcept {
  return g_sandbox;
}

void write_slot(u64 slot, u32 word) noexcept {
  auto* at = reinterpret_cast<volatile u32*>(kCodeStore + slot * 8);
  at[0] = word;
  at[1] = kBrk;
}

void finish_code(u64 first_slot, u64 count) noexcept {
  for (u64 at = kCodeStore + first_slot * 8, end = at + count * 8; at < end; at += 16) {
    asm volatile("dc cvau, %0" : : "r"(at) : "memory");
  }
  asm volatile("dsb ish\n\tic ialluis\n\tdsb ish\n\tisb" : : : "memory");
}

u64 interesting_address(Random& random) noexcept {
  const u64 chance = random.bits();
  const u64 offset = chance >> 8;
  switch (chance & 15) {
    case 0: return kGicd + (offset & 0xFFFF);
    case 1: return kGicd + (offset & 0xFFF8);
    case 2: return kGicr + (offset & 0x3'FFFC);
    case 3: return kGicr + offset % (g_redistributors_end + 0x1000 - kGicr);
    case 4: return kUart + (offset & 0xFFC);
    case 5: return kUart + (offset & 0x1FFF);
    case 6: return kScratch + (offset & (kScratchBytes - 1));
    case 7: return kRamEnd - 32 + (offset & 63);
    case 8: return kHole + (offset & 0xFF'FFFF);
    case 9: {
      const u64 borders[] = {kGicd,       kGicd + 0x1'0000, kGicr,    g_redistributors_end,
                             kUart,       kUart + 0x1000,   kScratch, kScratch + kScratchBytes,
                             0x4000'0000, kRamEnd,          2 * kGiB, 4 * kGiB};
      return random.pick(borders) - 32 + (offset & 63);
    }
    case 10: return kGiB * (4 + offset % 508) + (offset & 0xF'FFFF);
    case 11: return kGiB * (339 + offset % 9) + (random.bits() & (kGiB - 1));
    case 12: return ~u64{0} - (offset & 0xFFF);
    case 13: return offset & (kGiB - 1);
    case 14: return kRamEnd + (offset & 0x3FFF'FFFF);
    default: return random.number();
  }
}

void fill_registers(Random& random) noexcept {
  for (u64& x : torture_state.x) x = random.one_in(3) ? random.number() : interesting_address(random);
  // No program of ours is where a branch to a register leads, and none but its own code may be stored to.
  torture_state.x[0] = 0x8400'0000;  // PSCI_VERSION: the words for HVC and SMC come up by chance
  torture_state.sp = kScratch + kScratchBytes / 2 + (random.below(4) == 0 ? random.below(64) : 0);
  torture_state.sp_el0 = torture_state.sp;
}

const Outcome& attempt(u64 pc, u64 spsr, const Regime& regime) noexcept {
  torture_state.elr = pc;
  torture_state.spsr = spsr;
  torture_state.abroad = regime;
  torture_enter();
  count(torture_state.out);
  return torture_state.out;
}

const Outcome& attempt(u64 pc, u64 spsr) noexcept {
  return attempt(pc, spsr, g_sandbox);
}

bool is_completed(const Outcome& outcome, u64 pc) noexcept {
  return outcome.is_sync() && outcome.ec() == kEcBrk && outcome.elr == pc + 4;
}

void restore_registers() noexcept {
  GUEST_WRITE(cntv_ctl_el0, 0);
  GUEST_WRITE(mdscr_el1, 0);
  GUEST_WRITE(cpacr_el1, 3 << 20);  // FP and SIMD are not trapped
  GUEST_WRITE(cntkctl_el1, 0);
  GUEST_WRITE(contextidr_el1, 0);
  GUEST_WRITE(ttbr1_el1, 0);
  GUEST_WRITE(S3_0_C4_C6_0, 0xF8);  // ICC_PMR_EL1
  GUEST_WRITE(S3_0_C12_C12_4, 0);   // ICC_CTLR_EL1
  GUEST_WRITE(S3_0_C12_C12_6, 0);   // ICC_IGRPEN0_EL1
  GUEST_WRITE(S3_0_C12_C12_7, 1);   // ICC_IGRPEN1_EL1
  isb();
}

void arm_watchdog() noexcept {
  constexpr u64 kPerSecond = 500;
  GUEST_WRITE(cntv_cval_el0, counter() + GUEST_READ(cntfrq_el0) / kPerSecond);
  GUEST_WRITE(cntv_ctl_el0, 1);
  isb();
}

void disarm_watchdog() noexcept {
  GUEST_WRITE(cntv_ctl_el0, 0);
  isb();
}

void drain_interrupts() noexcept {
  constexpr unsigned kMost = 400;  // more than there are interrupts
  for (unsigned i = 0; i < kMost; ++i) {
    const u64 intid = GUEST_READ(S3_0_C12_C12_0);  // ICC_IAR1_EL1
    dsb();
    if ((intid & 0xFF'FFFF) >= 1020) break;
    GUEST_WRITE(S3_0_C12_C12_1, intid);  // ICC_EOIR1_EL1
    isb();
  }
  for (unsigned i = 0; i < kMost; ++i) {
    const u64 intid = GUEST_READ(S3_0_C12_C8_0);  // ICC_IAR0_EL1
    dsb();
    if ((intid & 0xFF'FFFF) >= 1020) break;
    GUEST_WRITE(S3_0_C12_C8_1, intid);  // ICC_EOIR0_EL1
    isb();
  }
}

void reset_interrupts() noexcept {
  restore_registers();
  GUEST_WRITE(cntp_ctl_el0, 0);
  write32(kUart + 0x38, 0);  // UARTIMSC: its line is low
  console_init();
  // What is active without being in anybody's hands is ended here; what was acknowledged, by priority drops.
  const u64 frame = kGicr + 0x1'0000;
  for (u64 block = 0; block < 10; ++block) {
    const u64 base = block == 0 ? frame : kGicd;
    write32(base + gic::kIcenabler + 4 * block, ~0U);
    write32(base + gic::kIcpendr + 4 * block, ~0U);
    write32(base + gic::kIcactiver + 4 * block, ~0U);
    write32(base + gic::kIgroupr + 4 * block, ~0U);
    for (u64 i = 0; i < 8; ++i) write32(base + gic::kIpriorityr + 32 * block + 4 * i, 0xA0A0'A0A0);
    for (u64 i = 0; i < 2; ++i) write32(base + gic::kIcfgr + 8 * block + 4 * i, block == 0 && i == 0 ? 0xAAAA'AAAA : 0);
  }
  for (unsigned i = 0; i < 300; ++i) {
    GUEST_WRITE(S3_0_C12_C12_1, 1019);  // EOIs beyond those that were acknowledged are without effect
    GUEST_WRITE(S3_0_C12_C8_1, 1019);
  }
  write32(kGicd, 0x13);  // GICD_CTLR: ARE, both groups
  gic::enable(kVirtualTimerIntid);
  drain_interrupts();
}

Tally& tally() noexcept {
  return g_tally;
}
u64 failures() noexcept {
  return g_failures;
}

void fail(const char* what, u64 a, u64 b) noexcept {
  constexpr u64 kMostLines = 20;
  if (++g_failures <= kMostLines) {
    console_init();  // an attempt may have switched it off
    print("FAIL ", what, ": ", Hex{a}, ' ', Hex{b}, '\n');
    const Outcome& o = torture_state.out;
    print("     vector ", o.vector, " ESR ", Hex{o.esr}, " ELR ", Hex{o.elr}, " FAR ", Hex{o.far}, " SPSR ",
          Hex{o.spsr}, '\n');
  }
}

}  // namespace torture
