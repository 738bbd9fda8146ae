// SPDX-License-Identifier: Apache-2.0
// A CPU that was just turned on knows nothing of its former life.
#include "features.hpp"
#include "features/fresh_layout.h"
#include "guest/check.hpp"
#include "guest/console.hpp"
#include "guest/cpu.hpp"
#include "guest/smp.hpp"

extern "C" {
void fresh_entry() noexcept;
guest::u64 sve_vector_bytes() noexcept;
}

namespace features {
namespace {

using namespace guest;

constexpr unsigned kVectorBytes = 32 * 256 + 17 * 32;

struct alignas(64) Found {
  unsigned char bytes[FRESH_VECTORS + kVectorBytes];
};
constinit Found g_found{};
constinit unsigned g_vector_bytes = 0;

struct Register {
  const char* name;
  u64 value;
};
constexpr Register kRegisters[] = {
#define FRESH(name, value, other) {#name, value},
#include "features/fresh_registers.def"
#undef FRESH
};
static_assert(FRESH_SYSREGS + sizeof kRegisters / sizeof(Register) * 8 <= FRESH_FP_STATUS);

// The other CPU has no caches on: nothing of these lines may be in this CPU's.
void drop_from_caches() noexcept {
  for (unsigned i = 0; i < sizeof g_found.bytes; i += 16) {
    asm volatile("dc civac, %0" : : "r"(g_found.bytes + i) : "memory");
  }
  dsb();
}

u64 word(unsigned offset) noexcept {
  return read64(reinterpret_cast<u64>(g_found.bytes) + offset);
}

bool has_sve() noexcept {
  return (GUEST_READ(id_aa64pfr0_el1) >> 32 & 0xF) != 0;
}

// What the other CPU stores: Z0 to Z31, P0 to P15 and FFR at the longest length, or V0 to V31.
unsigned count_vector_bytes() noexcept {
  if (!has_sve()) return 32 * 16;
  GUEST_WRITE(cpacr_el1, GUEST_READ(cpacr_el1) | 3U << 20 | 3U << 16);
  isb();
  GUEST_WRITE(S3_0_C1_C2_0, 15);
  isb();
  const u64 length = sve_vector_bytes();
  GUEST_WRITE(S3_0_C1_C2_0, 0);
  isb();
  return static_cast<unsigned>(32 * length + 17 * length / 8);
}

void check_life() noexcept {
  unsigned wrong = 0;
  for (unsigned i = 1; i < 31; ++i) {
    if (word(i * 8) != 0) {
      print("x", i, " ", Hex{word(i * 8)}, '\n');
      ++wrong;
    }
  }
  check("fresh.x1_to_x30", wrong, 0);
  check("fresh.sp", word(FRESH_PSTATE), 0);
  check("fresh.daif", word(FRESH_PSTATE + 8), 0x3C0);
  check("fresh.spsel", word(FRESH_PSTATE + 16), 1);
  check("fresh.current_el", word(FRESH_PSTATE + 24), 4);
  check("fresh.nzcv", word(FRESH_PSTATE + 32), 0);
  for (unsigned i = 0; i < sizeof kRegisters / sizeof(Register); ++i) {
    check(kRegisters[i].name, word(FRESH_SYSREGS + 8 * i), kRegisters[i].value);
  }
  check("fresh.fpsr", word(FRESH_FP_STATUS), 0);
  check("fresh.fpcr", word(FRESH_FP_STATUS + 8), 0);
  if (has_sve()) check("fresh.zcr", word(FRESH_ZCR), 0);
  u64 ones = 0;
  const volatile unsigned char* const vectors = g_found.bytes + FRESH_VECTORS;
  for (unsigned i = 0; i < g_vector_bytes; ++i) ones |= vectors[i];
  check("fresh.vectors", ones, 0);
}

}  // namespace

void test_fresh() noexcept {
  g_vector_bytes = count_vector_bytes();
  for (unsigned life = 0; life < 3; ++life) {
    // What is not written must not look as if it were.
    for (unsigned i = 0; i < sizeof g_found.bytes; i += 8) write64(reinterpret_cast<u64>(g_found.bytes) + i, ~u64{0});
    drop_from_caches();
    const u64 entry = reinterpret_cast<u64>(&fresh_entry);
    check("fresh.cpu_on", call(Conduit::hvc, psci::kCpuOn, affinity_of(1), entry, reinterpret_cast<u64>(&g_found)).x0,
          psci::kSuccess);
    check_true("fresh.cpu_off", wait_until_off(1));
    drop_from_caches();
    check_life();
  }
}

}  // namespace features
