// SPDX-License-Identifier: Apache-2.0
// Cache maintenance by set and way, as boot loaders do it. How often the hypervisor had to act is in its table of
// exits.
#include "features.hpp"
#include "guest/check.hpp"
#include "guest/cpu.hpp"

namespace features {
namespace {

using namespace guest;

constexpr u64 kC = 1U << 2;
constinit volatile u64 g_mark = 0;

void sweep() noexcept {
  dsb();
  for (u64 set = 0; set < 64; ++set) {
    asm volatile("dc cisw, %0" : : "r"(set << 6) : "memory");
    asm volatile("dc csw, %0" : : "r"(u64{1} << 32 | set << 6) : "memory");
  }
  dsb();
}

}  // namespace

void test_set_way() noexcept {
  g_mark = 0x1234;
  const Caught caught = catching([] {
    sweep();
    sweep();
  });
  check("set_way.is_defined", caught.count, 0);
  check("set_way.memory", g_mark, 0x1234);
  const u64 sctlr = GUEST_READ(sctlr_el1);
  const u64 mair = GUEST_READ(mair_el1);
  g_mark = 0x5678;
  GUEST_WRITE(sctlr_el1, sctlr & ~kC);
  isb();
  const u64 off = GUEST_READ(sctlr_el1);
  const u64 seen = g_mark;
  g_mark = 0x9ABC;
  GUEST_WRITE(mair_el1, mair);
  GUEST_WRITE(contextidr_el1, 0x77);
  GUEST_WRITE(far_el1, 0x1122'3344'5566'7788);
  GUEST_WRITE(sctlr_el1, sctlr);
  isb();
  check("set_way.caches_were_off", off, sctlr & ~kC);
  check("set_way.memory_without_caches", seen, 0x5678);
  check("set_way.memory_with_caches", g_mark, 0x9ABC);
  check("set_way.trapped_writes.sctlr", GUEST_READ(sctlr_el1), sctlr);
  check("set_way.trapped_writes.mair", GUEST_READ(mair_el1), mair);
  check("set_way.trapped_writes.contextidr", GUEST_READ(contextidr_el1), 0x77);
  check("set_way.trapped_writes.far", GUEST_READ(far_el1), 0x1122'3344'5566'7788);
}

}  // namespace features
