// SPDX-License-Identifier: Apache-2.0
#include "accesses.hpp"

extern "C" {
[[gnu::visibility("hidden")]] extern guest::u64 guest_level_2[512];
void access_run(accesses::Run* run) noexcept;
}

namespace accesses {
namespace {

using namespace guest;

constexpr u64 kValid = 3;
constexpr u64 kAccessed = 1U << 10;
constexpr u64 kShareable = 3U << 8;
constexpr u64 kEl0Too = 1U << 6;  // AP[1]
constexpr u64 kReadOnly = 1U << 7;
constexpr u64 kNoExecute = u64{3} << 53;
constexpr u64 kData = kValid | kAccessed | kShareable | kEl0Too | kNoExecute;  // Normal, write-back, as start.S has it
constexpr u32 kSvc = 0xD400'0001;

alignas(kPage) u64 g_table[512];
alignas(kPage) u64 g_ram[2][512];
alignas(kPage) u32 g_code[1024];

u64 address_of(const void* object) noexcept {
  return reinterpret_cast<u64>(object);
}

u64 entry(Page page, unsigned n) noexcept {
  switch (page) {
    case Page::ram: return address_of(g_ram[n]) | kData;
    case Page::read_only: return address_of(g_ram[n]) | kData | kReadOnly;
    case Page::device: return (kScratch + n * kPage) | kData;
    case Page::hole: return (kHole + n * kPage) | kData;
    case Page::unmapped: break;
  }
  return 0;
}

void invalidate_tlb() noexcept {
  asm volatile("dsb ishst\n\ttlbi vmalle1is\n\tdsb ish\n\tisb" : : : "memory");
}

}  // namespace

void init_window() noexcept {
  constexpr u64 kDze = 1U << 14;
  GUEST_WRITE(cpacr_el1, u64{3} << 20);  // FP is not trapped
  GUEST_WRITE(sctlr_el1, GUEST_READ(sctlr_el1) | kDze);
  g_table[0] = address_of(g_code) | kValid | kAccessed | kShareable | kEl0Too | kReadOnly;
  guest_level_2[kCode / (u64{2} << 20) % 512] = address_of(g_table) | kValid;
  invalidate_tlb();
}

void map_window(Page first, Page second) noexcept {
  g_table[1] = g_table[2] = 0;  // break before make
  invalidate_tlb();
  g_table[1] = entry(first, 0);
  g_table[2] = entry(second, 1);
  dsb();
  isb();
}

u64 peek(Page page, u64 offset) noexcept {
  return page == Page::device ? read64(kScratch + offset)
                              : *reinterpret_cast<volatile u64*>(address_of(g_ram) + offset);
}
void poke(Page page, u64 offset, u64 value) noexcept {
  if (page == Page::device) {
    write64(kScratch + offset, value);
  } else {
    *reinterpret_cast<volatile u64*>(address_of(g_ram) + offset) = value;
  }
}

void execute(u32 opcode, Run& run) noexcept {
  g_code[0] = opcode;
  g_code[1] = kSvc;
  asm volatile("dc cvau, %0\n\tdsb ish\n\tic ivau, %0\n\tdsb ish\n\tisb" : : "r"(g_code) : "memory");
  // The code is executed by another virtual address.
  asm volatile("ic ivau, %0\n\tdsb ish\n\tisb" : : "r"(kCode) : "memory");
  run.pc = kCode;
  access_run(&run);
}

void fill_registers(Run& run, u64 base, u64 pstate) noexcept {
  for (unsigned i = 0; i < 31; ++i) run.x[i] = 0x8F01'0204'7081'0204 * (i + 3) ^ 0x5A5A;
  for (unsigned i = 0; i < 64; ++i) run.v[i] = 0x9E37'79B9'7F4A'7C15 * (i + 7);
  run.x[1] = run.sp = base;
  run.x[2] = 0x18;
  run.x[3] = 0xABCD'EF01'FFFF'FFF0;
  run.pstate = pstate;
}

}  // namespace accesses
