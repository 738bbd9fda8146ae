// SPDX-License-Identifier: Apache-2.0
// Accesses that fail in the middle: the abort says where, and nothing has changed.
#include "accesses.hpp"
#include "guest/check.hpp"

namespace accesses {
namespace {

using namespace guest;

constexpr unsigned kEcDataAbort = 0x25;
constexpr unsigned kExternal = 0x10;
constexpr unsigned kTranslation3 = 0x07;
constexpr unsigned kPermission3 = 0x0F;
constexpr unsigned kAlignment = 0x21;

constexpr u32 kLdpPost = 0xA8C1'1424;  // ldp x4, x5, [x1], #16
constexpr u32 kStpPost = 0xA881'1424;  // stp x4, x5, [x1], #16
constexpr u32 kLdrPost = 0xF840'8424;  // ldr x4, [x1], #8
constexpr u32 kLdpQ = 0xACC1'1424;     // ldp q4, q5, [x1], #32
constexpr u32 kSwp = 0xF824'8025;      // swp x4, x5, [x1]
constexpr u32 kLdxr = 0xC85F'7C24;     // ldxr x4, [x1]
constexpr u32 kStxr = 0xC805'7C24;     // stxr w5, x4, [x1]

struct Expected {
  const char* name;
  u32 opcode;
  Page first, second;
  u64 address;
  unsigned fsc;
  u64 far;
  bool write;
};

constexpr Expected kFaults[] = {
    {"fault.load.second_page_unmapped", kLdpPost, Page::device, Page::unmapped, kEdge - 8, kTranslation3, kEdge, false},
    {"fault.store.second_page_unmapped", kStpPost, Page::device, Page::unmapped, kEdge - 8, kTranslation3, kEdge, true},
    {"fault.store.second_page_read_only", kStpPost, Page::device, Page::read_only, kEdge - 8, kPermission3, kEdge,
     true},
    {"fault.load.second_page_hole", kLdpPost, Page::device, Page::hole, kEdge - 8, kExternal, kEdge, false},
    {"fault.load.first_page_hole", kLdpPost, Page::hole, Page::ram, kEdge - 8, kExternal, kEdge - 8, false},
    {"fault.load.unaligned_into_hole", kLdrPost, Page::ram, Page::hole, kEdge - 3, kExternal, kEdge, false},
    {"fault.load.unaligned_into_unmapped", kLdrPost, Page::device, Page::unmapped, kEdge - 3, kTranslation3, kEdge,
     false},
    {"fault.load.vector_into_hole", kLdpQ, Page::device, Page::hole, kEdge - 24, kExternal, kEdge, false},
    {"fault.store.hole", kStpPost, Page::hole, Page::hole, kMiddle, kExternal, kMiddle, true},
};

bool is_unchanged(const Run& run, const Run& before) noexcept {
  for (unsigned i = 0; i < 31; ++i) {
    if (run.x[i] != before.x[i]) return false;
  }
  for (unsigned i = 0; i < 64; ++i) {
    if (run.v[i] != before.v[i]) return false;
  }
  return run.out_sp[1] == before.sp;
}

Run g_run, g_before;

void run_at(u32 opcode, u64 address) noexcept {
  fill_registers(g_run, address, kEl1h);
  g_before = g_run;
  execute(opcode, g_run);
}

void check_fault(const Expected& e) noexcept {
  map_window(e.first, e.second);
  run_at(e.opcode, e.address);
  const bool as_expected = g_run.ec() == kEcDataAbort && (g_run.esr & 0x3F) == e.fsc && g_run.far == e.far &&
                           ((g_run.esr >> 6 & 1) != 0) == e.write && g_run.elr == kCode;
  if (!check_true(e.name, as_expected && is_unchanged(g_run, g_before))) {
    check("fault.esr", g_run.esr, e.fsc);
    check("fault.far", g_run.far, e.far);
  }
}

void test_exclusives() noexcept {
  map_window(Page::device, Page::device);
  poke(Page::device, 0x800, 0x1122'3344'5566'7788);
  run_at(kLdxr, kMiddle);
  check("exclusive.load", g_run.x[4], 0x1122'3344'5566'7788);
  run_at(kStxr, kMiddle);
  check("exclusive.store_status", g_run.x[5], 1);
  check("exclusive.store_memory", peek(Page::device, 0x800), 0x1122'3344'5566'7788);
}

void test_misaligned_atomic() noexcept {
  map_window(Page::device, Page::device);
  run_at(kSwp, kMiddle + 4);
  if (g_run.ec() == kEcUndefined) return skip("fault.atomic.misaligned", "no FEAT_LSE");
  check("fault.atomic.misaligned", g_run.esr & 0x3F, kAlignment);
  check("fault.atomic.far", g_run.far, kMiddle + 4);
}

}  // namespace

void test_faults() noexcept {
  for (const Expected& e : kFaults) check_fault(e);
  test_exclusives();
  test_misaligned_atomic();
}

}  // namespace accesses
