// SPDX-License-Identifier: Apache-2.0
// State that is switched apart from the general-purpose registers: FP/SIMD, and the keys of pointer authentication.
#include "exits.hpp"
#include "guest/check.hpp"
#include "guest/console.hpp"
#include "guest/gic.hpp"
#include "guest/smp.hpp"
#include "guest/timer.hpp"

namespace exits {

using namespace guest;

struct alignas(16) FpState {
  u64 v[64];
  u64 fpcr;
  u64 fpsr;

  [[nodiscard]] bool is(const FpState& other) const noexcept {
    u64 different = fpcr ^ other.fpcr;
    different |= fpsr ^ other.fpsr;
    for (unsigned i = 0; i < 64; ++i) different |= v[i] ^ other.v[i];
    return different == 0;
  }
};

struct PauthOutcome {
  u64 first;
  u64 second;
  u64 authenticated;
};

extern "C" {
void fp_load(const FpState* state) noexcept;
void fp_store(FpState* state) noexcept;
void pauth_across_exits(u64 pointer, u64 modifier, u64 address, PauthOutcome* out) noexcept;
}

namespace {

constexpr u64 kFpen = 3U << 20;
constexpr u64 kPcellId3 = kUart + 0xFFC;

constinit FpState g_expected{};
constinit FpState g_found{};
constinit FpState g_other{};
const FpState kZero{};

void allow_fp() noexcept {
  GUEST_WRITE(cpacr_el1, GUEST_READ(cpacr_el1) | kFpen);
  isb();
}

void fill(FpState& state, u64 seed) noexcept {
  for (u64 i = 0; i < 64; ++i) state.v[i] = seed * (i + 1);
  state.fpcr = 0x0300'0000;  // FZ and DN
  state.fpsr = 0x0800'009F;  // QC and all cumulative flags
}

bool is_kept() noexcept {
  fp_store(&g_found);
  return g_found.is(g_expected);
}

// CPU 1: stores what its registers hold, leaves others behind.
void use_fp(u64) noexcept {
  allow_fp();
  fp_store(&g_other);
  static constinit FpState left{};
  fill(left, 0xDEAD'BEEF'1234'5679);
  fp_load(&left);
}

// Two CPUs that call each other in turns, by SGI and WFI. Each finds what it has left in its registers, and leaves
// something else.
constexpr u32 kTurns = 120;
constexpr u32 kTurnSgi = 2;
volatile u32 g_turn = 0;
volatile u32 g_wrong = 0;

void take_turns(unsigned self) noexcept {
  static constinit FpState mine[2]{};
  static constinit FpState found[2]{};
  gic::enable(kTurnSgi);
  while (g_turn < kTurns) {
    if (g_turn % 2 != self) {
      wfi();
      const auto intid = static_cast<u32>(GUEST_READ(S3_0_C12_C12_0));  // ICC_IAR1_EL1
      if (intid == kTurnSgi) GUEST_WRITE(S3_0_C12_C12_1, intid);        // ICC_EOIR1_EL1
      continue;
    }
    const u32 turn = g_turn;
    if (turn >= 2) {
      fp_store(&found[self]);
      if (!found[self].is(mine[self])) g_wrong = g_wrong + 1;
    }
    fill(mine[self], turn * 0x9E37'79B9U + 1);
    fp_load(&mine[self]);
    g_turn = turn + 1;
    dsb();
    gic::send_sgi(kTurnSgi, 1U << (1 - self));
  }
}

void take_turns_as_other(u64) noexcept {
  gic::init_cpu();
  allow_fp();
  take_turns(1);
}

void test_turns() noexcept {
  g_turn = 0;
  g_wrong = 0;
  dsb();
  check("fp.turns.start", start_cpu(1, take_turns_as_other), psci::kSuccess);
  take_turns(0);
  check_true("fp.turns.off", wait_until_off(1));
  check("fp.turns.turns", g_turn, kTurns);
  check("fp.turns.wrong", g_wrong, 0);
  gic::disable(kTurnSgi);
}

}  // namespace

void test_fresh_fp() noexcept {
  const Caught caught = catching([] {
    asm volatile(".inst 0x4EA01C00" : : : "memory");  // MOV V0.16B, V0.16B
  });
  check("fp.fresh.trapped_by_cpacr", caught.ec(), 0x07);
  allow_fp();
  fp_store(&g_found);
  check_true("fp.fresh.zero", g_found.is(kZero));
}

void test_fp(const Machine& machine) noexcept {
  fill(g_expected, 0x9E37'79B9'7F4A'7C15);
  fp_load(&g_expected);
  check_true("fp.loads", is_kept());
  (void)read32(kPcellId3);
  check_true("fp.across_mmio", is_kept());
  (void)GUEST_READ(actlr_el1);
  (void)GUEST_READ(id_aa64pfr0_el1);
  check_true("fp.across_system_registers", is_kept());
  gic::enable(1);
  gic::send_sgi(1, 1);
  wfi();
  unmask_interrupts();
  isb();
  (void)wait_until([] { return false; }, 1);
  mask_interrupts();
  check_true("fp.across_wfi_and_interrupt", is_kept());
  gic::disable(1);
  print("fp.across_console\n");
  check_true("fp.across_console", is_kept());
  if (machine.is_virtual) {
    (void)call(Conduit::smc, psci::kVersion);
    (void)call(Conduit::hvc, 0xC600'0001);
    check_true("fp.across_calls", is_kept());
  }
  if (machine.cpus < 2) return;
  check("fp.other.first", start_cpu(1, use_fp), psci::kSuccess);
  check_true("fp.other.first_off", wait_until_off(1));
  check_true("fp.other.first_zero", g_other.is(kZero));
  fill(g_other, 1);
  check("fp.other.second", start_cpu(1, use_fp), psci::kSuccess);
  check_true("fp.other.second_off", wait_until_off(1));
  check_true("fp.other.second_zero", g_other.is(kZero));
  check_true("fp.across_other_cpu", is_kept());
  test_turns();
}

void test_pauth(const Machine&) noexcept {
  const u64 isar1 = GUEST_READ(id_aa64isar1_el1);
  const u64 isar2 = GUEST_READ(S3_0_C0_C6_2);
  if ((isar1 & 0xFF0) == 0 && (isar2 & 0xF000) == 0) {
    skip("pauth", "not in the ID registers");
    return;
  }
  constexpr u64 kKey = 0x1357'9BDF'0246'8ACE;
  GUEST_WRITE(S3_0_C2_C1_0, kKey * 1);   // APIAKeyLo_EL1
  GUEST_WRITE(S3_0_C2_C1_1, kKey * 3);   // APIAKeyHi_EL1
  GUEST_WRITE(S3_0_C2_C1_2, kKey * 5);   // APIBKeyLo_EL1
  GUEST_WRITE(S3_0_C2_C1_3, kKey * 7);   // APIBKeyHi_EL1
  GUEST_WRITE(S3_0_C2_C2_0, kKey * 9);   // APDAKeyLo_EL1
  GUEST_WRITE(S3_0_C2_C2_1, kKey * 11);  // APDAKeyHi_EL1
  GUEST_WRITE(S3_0_C2_C2_2, kKey * 13);  // APDBKeyLo_EL1
  GUEST_WRITE(S3_0_C2_C2_3, kKey * 15);  // APDBKeyHi_EL1
  GUEST_WRITE(S3_0_C2_C3_0, kKey * 17);  // APGAKeyLo_EL1
  GUEST_WRITE(S3_0_C2_C3_1, kKey * 19);  // APGAKeyHi_EL1
  isb();
  constexpr u64 kPointer = 0x4012'3456;
  PauthOutcome outcome{};
  gic::enable(2);
  gic::send_sgi(2, 1);  // ends the WFI
  pauth_across_exits(kPointer, 0xC0FF'EE00, kPcellId3, &outcome);
  gic::set_pending(2, false);
  gic::disable(2);
  check_true("pauth.signs", outcome.first != kPointer);
  check("pauth.same_signature_after_exits", outcome.second, outcome.first);
  check("pauth.authenticates", outcome.authenticated, kPointer);
  const bool kept = GUEST_READ(S3_0_C2_C1_0) == kKey * 1 && GUEST_READ(S3_0_C2_C1_1) == kKey * 3 &&
                    GUEST_READ(S3_0_C2_C1_2) == kKey * 5 && GUEST_READ(S3_0_C2_C1_3) == kKey * 7 &&
                    GUEST_READ(S3_0_C2_C2_0) == kKey * 9 && GUEST_READ(S3_0_C2_C2_1) == kKey * 11 &&
                    GUEST_READ(S3_0_C2_C2_2) == kKey * 13 && GUEST_READ(S3_0_C2_C2_3) == kKey * 15 &&
                    GUEST_READ(S3_0_C2_C3_0) == kKey * 17 && GUEST_READ(S3_0_C2_C3_1) == kKey * 19;
  check_true("pauth.keys_kept", kept);
}

}  // namespace exits
