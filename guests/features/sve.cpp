// SPDX-License-Identifier: Apache-2.0
// SVE: the lengths that can be had, and registers that nobody else changes.
#include "features.hpp"
#include "guest/check.hpp"
#include "guest/cpu.hpp"
#include "guest/gic.hpp"
#include "guest/smp.hpp"
#include "guest/timer.hpp"

extern "C" {
guest::u64 sve_vector_bytes() noexcept;
void sve_load(const void* from) noexcept;
void sve_store(void* to) noexcept;
}

namespace features {
namespace {

using namespace guest;

constexpr u64 kFpenAndZen = 3U << 20 | 3U << 16;
constexpr unsigned kMostBytes = 32 * 256 + 17 * 32;

struct alignas(16) State {
  unsigned char bytes[kMostBytes];
};
constinit State g_expected[2]{};
constinit State g_found[2]{};
volatile bool g_other_ready = false;
volatile bool g_other_ends = false;
volatile u64 g_other_failures = 0;
volatile u64 g_other_rounds = 0;

unsigned bytes_at(u64 vector_bytes) noexcept {
  return static_cast<unsigned>(32 * vector_bytes + 17 * (vector_bytes / 8));
}

void fill(State& state, u64 seed) noexcept {
  for (unsigned char& byte : state.bytes) {
    seed = seed * 6364136223846793005 + 1442695040888963407;
    byte = static_cast<unsigned char>(seed >> 56);
  }
}

// FFR holds a first run of ones only: what an implementation keeps of other values is not defined.
void make_ffr_monotonic(State& state, u64 vector_bytes, unsigned ones) noexcept {
  const u64 predicate = vector_bytes / 8;
  for (u64 i = 0; i < predicate; ++i) {
    const unsigned left = ones > 8 * i ? ones - static_cast<unsigned>(8 * i) : 0;
    state.bytes[32 * vector_bytes + 16 * predicate + i] =
        static_cast<unsigned char>(left >= 8 ? 0xFF : (1U << left) - 1);
  }
}

bool is_kept(unsigned who, u64 vector_bytes) noexcept {
  sve_store(&g_found[who]);
  for (unsigned i = 0; i < bytes_at(vector_bytes); ++i) {
    if (g_found[who].bytes[i] != g_expected[who].bytes[i]) return false;
  }
  // P0 was used to read FFR.
  sve_load(&g_expected[who]);
  return true;
}

void allow_sve() noexcept {
  GUEST_WRITE(cpacr_el1, GUEST_READ(cpacr_el1) | kFpenAndZen);
  isb();
}

u64 set_length(u64 zcr) noexcept {
  GUEST_WRITE(S3_0_C1_C2_0, zcr);
  isb();
  return sve_vector_bytes();
}

// The other CPU: its own values at its own length, checked over and over, between waits.
void work(u64 zcr) noexcept {
  allow_sve();
  const u64 length = set_length(zcr);
  fill(g_expected[1], 0x5EED'0000 + zcr);
  make_ffr_monotonic(g_expected[1], length, 5);
  sve_load(&g_expected[1]);
  g_other_ready = true;
  while (!g_other_ends) {
    if (!is_kept(1, length) || sve_vector_bytes() != length) g_other_failures = g_other_failures + 1;
    g_other_rounds = g_other_rounds + 1;
    (void)call(Conduit::hvc, psci::kVersion);
    asm volatile("yield");
  }
}

void exit_a_lot() noexcept {
  (void)read32(kUart + 0xFFC);
  (void)GUEST_READ(id_aa64pfr0_el1);
  (void)call(Conduit::smc, psci::kVersion);
  gic::enable(1);
  gic::send_sgi(1, 1);
  wfi();
  unmask_interrupts();
  isb();
  (void)wait_until([] { return false; }, 1);
  mask_interrupts();
  gic::disable(1);
}

void test_at(u64 zcr, unsigned cpus) noexcept {
  const u64 length = set_length(zcr);
  fill(g_expected[0], 0xABCD'0000 + zcr);
  make_ffr_monotonic(g_expected[0], length, static_cast<unsigned>(length) - 3);
  sve_load(&g_expected[0]);
  check_true("sve.loads", is_kept(0, length));
  exit_a_lot();
  check_true("sve.across_exits", is_kept(0, length));
  check("sve.length_is_kept", sve_vector_bytes(), length);
  if (cpus < 2) return;
  g_other_ready = false;
  g_other_ends = false;
  g_other_failures = 0;
  g_other_rounds = 0;
  check("sve.other.cpu_on", start_cpu(1, work, 15 - zcr), psci::kSuccess);
  check_true("sve.other.ready", wait_until([] { return g_other_ready; }));
  bool kept = true;
  for (unsigned i = 0; i < 20; ++i) {
    exit_a_lot();
    kept = kept && is_kept(0, length);
  }
  check_true("sve.beside_another_cpu", kept);
  check_true("sve.other.works", wait_until([] { return g_other_rounds > 3; }));
  g_other_ends = true;
  check_true("sve.other.off", wait_until_off(1));
  check("sve.other.failures", g_other_failures, 0);
}

}  // namespace

void test_sve(unsigned cpus) noexcept {
  const u64 pfr0 = GUEST_READ(id_aa64pfr0_el1);
  if ((pfr0 >> 32 & 0xF) == 0) {
    check("sve.none.zfr0", GUEST_READ(S3_0_C0_C4_4), 0);
    GUEST_WRITE(cpacr_el1, GUEST_READ(cpacr_el1) | kFpenAndZen);
    isb();
    check("sve.none.is_undefined", catching([] { (void)sve_vector_bytes(); }).esr, 0x0200'0000);
    check("sve.none.zcr_is_undefined", catching([] { (void)GUEST_READ(S3_0_C1_C2_0); }).esr, 0x0200'0000);
    return;
  }
  allow_sve();
  check("sve.fresh.zcr", GUEST_READ(S3_0_C1_C2_0) & 0xF, 0);
  sve_store(&g_found[0]);
  bool zero = true;
  u64 longest = set_length(15);
  sve_store(&g_found[0]);
  for (unsigned i = 0; i < bytes_at(longest); ++i) zero = zero && g_found[0].bytes[i] == 0;
  check_true("sve.fresh.zero", zero);
  g_outcome.sve_bits = static_cast<unsigned>(longest * 8);
  for (u64 zcr = 0; zcr < 16; ++zcr) {
    const u64 length = set_length(zcr);
    if (length != (16 * (zcr + 1) < longest ? 16 * (zcr + 1) : longest)) {
      check("sve.every_length", length, 16 * (zcr + 1));
    }
  }
  for (const u64 zcr : {u64{0}, u64{1}, u64{2}, u64{7}, u64{15}}) test_at(zcr, cpus);
}

}  // namespace features
