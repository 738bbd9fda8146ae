// SPDX-License-Identifier: Apache-2.0
#include "guest/cpu.hpp"
#include "witness.hpp"

namespace witness {
namespace {

using namespace guest;

struct alignas(16) Registers {
  u64 word[34 + 64];  // x0 to x30, SP_EL0, FPCR, FPSR, v0 to v31
};
constexpr unsigned kFpcr = 32;
constexpr unsigned kFpsr = 33;

constinit Registers g_in{};
constinit Registers g_out{};

// Every register of EL1 that keeps what is written to it, and some that never change. X(name, value it is given)
#define WITNESS_KEPT(X)                 \
  X(tpidr_el0, 0x1111'2222'3333'4444)   \
  X(tpidrro_el0, 0x5555'6666'7777'8888) \
  X(contextidr_el1, 0x1357'9BDF)        \
  X(cntkctl_el1, 3)                     \
  X(cpacr_el1, 3 << 20)                 \
  X(csselr_el1, 2)                      \
  X(far_el1, 0x0000'1234'5678'9ABC)     \
  X(ttbr1_el1, 0x4321'0000'0000)
#define WITNESS_FIXED(X) \
  X(sctlr_el1)           \
  X(tcr_el1)             \
  X(mair_el1)            \
  X(ttbr0_el1)           \
  X(vbar_el1)            \
  X(tpidr_el1)           \
  X(midr_el1) X(mpidr_el1) X(cntfrq_el0) X(id_aa64pfr0_el1) X(id_aa64mmfr0_el1) X(S3_0_C4_C6_0) X(S3_0_C12_C12_7)

struct Fixed {
#define X(name) u64 name;
  WITNESS_FIXED(X)
#undef X
};
constinit Fixed g_fixed{};

void check_system_registers() noexcept {
#define X(name, value) \
  if (const u64 got = GUEST_READ(name); got != (value)) wrong(#name, got, value);
  WITNESS_KEPT(X)
#undef X
#define X(name) \
  if (const u64 got = GUEST_READ(name); got != g_fixed.name) wrong(#name, got, g_fixed.name);
  WITNESS_FIXED(X)
#undef X
}

}  // namespace

extern "C" void witness_hold(const Registers* in, Registers* out) noexcept;

void prepare_registers() noexcept {
#define X(name, value) GUEST_WRITE(name, value);
  WITNESS_KEPT(X)
#undef X
  isb();
#define X(name) g_fixed.name = GUEST_READ(name);
  WITNESS_FIXED(X)
#undef X
}

void check_registers(u64 round) noexcept {
  for (unsigned n = 0; n < 34 + 64; ++n) g_in.word[n] = (round << 32 | (n + 1)) * 0x9E37'79B9'7F4A'7C15;
  g_in.word[kFpcr] = (round & 3) << 22;  // RMode
  g_in.word[kFpsr] = round & 0x1F;       // the cumulative exception flags
  witness_hold(&g_in, &g_out);
  for (unsigned n = 0; n < 34 + 64; ++n) {
    if (g_out.word[n] != g_in.word[n]) {
      wrong(n < 31   ? "a general-purpose register"
            : n < 34 ? "SP_EL0, FPCR or FPSR"
                     : "a SIMD register",
            g_out.word[n], g_in.word[n]);
    }
  }
  check_system_registers();
}

void check_interrupts() noexcept {
  const PerCpu& self = this_cpu();
  for (u32 intid = 0; intid < kIntids; ++intid) {
    if (intid != kVirtualTimerIntid && self.taken[intid] != 0) wrong("an interrupt of nobody", intid, 0);
  }
  if (self.fiqs != 0) wrong("FIQs", self.fiqs, 0);
}

}  // namespace witness
