// SPDX-License-Identifier: Apache-2.0
// A window of two pages of virtual addresses, each of which is RAM or a page of the scratch device, and one instruction
// at a time that accesses it.
#pragma once

#include <cstddef>

#include "guest/cpu.hpp"
#include "offsets.h"

namespace accesses {

using guest::u32;
using guest::u64;

inline constexpr u64 kPage = 4096;
inline constexpr u64 kScratch = 0x0A00'0000;  // two pages that read back what is written
inline constexpr u64 kCode = 0x7000'0000;     // VA; the window is behind it
inline constexpr u64 kWindow = kCode + kPage;
inline constexpr u64 kEdge = kWindow + kPage;  // between its pages
inline constexpr u64 kMiddle = kWindow + 0x800;
static_assert(kMiddle - kCode == ACCESS_LITERAL_BYTES);

// One row of cases.S.
struct Case {
  u32 flags;
  int displacement;
  u32 opcode;
  u32 unused;
  const char* name;

  [[nodiscard]] bool is(u32 flag) const noexcept { return (flags & flag) != 0; }
};
static_assert(sizeof(Case) == 24);

// Registers before, and after, the instruction; what ended it.
struct alignas(16) Run {
  u64 x[31];
  u64 sp;
  u64 pc;
  u64 pstate;
  u64 esr;
  u64 elr;
  u64 far;
  u64 spsr;
  u64 out_sp[2];  // SP_EL0, SP_EL1
  u64 host[4];
  u64 v[64];

  [[nodiscard]] unsigned ec() const noexcept { return static_cast<unsigned>(esr >> 26 & 0x3F); }
};
static_assert(offsetof(Run, sp) == RUN_SP && offsetof(Run, v) == RUN_V && offsetof(Run, pc) == RUN_PC);
static_assert(offsetof(Run, esr) == RUN_ESR && offsetof(Run, out_sp) == RUN_OUT_SP && offsetof(Run, host) == RUN_HOST);

inline constexpr unsigned kEcUndefined = 0x00;
inline constexpr unsigned kEcSvc = 0x15;
inline constexpr u64 kEl0 = 0x3C0;  // PSTATE, interrupts masked
inline constexpr u64 kEl1t = 0x3C4;
inline constexpr u64 kEl1h = 0x3C5;

// What a page of the window is.
enum class Page : unsigned char { ram, device, unmapped, read_only, hole };

void init_window() noexcept;
void map_window(Page first, Page second) noexcept;

// Memory of the window by another mapping, by plain accesses. Bytes `offset` to `offset` + 8 of it, aligned.
[[nodiscard]] u64 peek(Page page, u64 offset) noexcept;
void poke(Page page, u64 offset, u64 value) noexcept;

// Executes `opcode` with the registers of `run`.
void execute(u32 opcode, Run& run) noexcept;

// Registers that differ from case to case, and from register to register.
void fill_registers(Run& run, u64 base, u64 pstate) noexcept;

void test_faults() noexcept;

}  // namespace accesses
