// SPDX-License-Identifier: Apache-2.0
// The general-purpose registers: each as an operand, and all of them kept across an exit.
#include "exits.hpp"
#include "guest/check.hpp"
#include "guest/console.hpp"
#include "guest/cpu.hpp"
#include "guest/gic.hpp"

extern "C" {
extern guest::u64 (*const load_into[31])(guest::u64 address);
extern void (*const store_from[31])(guest::u64 address, guest::u64 value);
using Across = void(guest::u64 address, guest::u64* out);
Across across_load, across_store, across_wfi, across_sysreg, across_id_register, across_sgi, across_hvc;
}

namespace exits {
namespace {

using namespace guest;

constexpr u64 kPriorities = kGicd + gic::kIpriorityr + 204;  // of four SPIs without a device

// Does the exit and compares every register. `x0` is what x0 holds afterwards.
void check_kept(const char* name, Across* across, u64 address, u64 x0) noexcept {
  u64 out[32] = {};
  across(address, out);
  bool kept = out[0] == x0;
  for (u64 n = 1; n < 30; ++n) kept &= out[n] == n * 0x0101'0101'0101'0101;
  kept &= out[30] == 0xA000'0000 && out[31] == 0x0101'0101'0101'0101;
  if (check_true(name, kept)) return;
  for (unsigned n = 0; n < 32; ++n) print(n, ' ', Hex{out[n]}, '\n');
}

}  // namespace

void test_registers(const Machine& machine) noexcept {
  u32 bad_loads = 0;
  u32 bad_stores = 0;
  for (unsigned n = 0; n < 31; ++n) {
    const u32 value = 0x8000'0000 | n << 19 | n << 3;
    store_from[n](kPriorities, 0xFFFF'FFFF'0000'0000 | value);
    if (read32(kPriorities) != value) bad_stores |= 1U << n;
    if (load_into[n](kPriorities) != value) bad_loads |= 1U << n;
  }
  check("registers.load_into_each", bad_loads, 0);
  check("registers.store_from_each", bad_stores, 0);
  write32(kPriorities, 0);

  check_kept("registers.across_load", across_load, kPriorities, kPriorities);
  check_kept("registers.across_store", across_store, kPriorities, kPriorities);
  check_kept("registers.across_sysreg", across_sysreg, 0x1234, 0x1234);
  check_kept("registers.across_id_register", across_id_register, 0x1234, 0x1234);
  check_kept("registers.across_sgi", across_sgi, 0x1234, 0x1234);
  // Pending and masked, so that WFI ends.
  gic::enable(0);
  gic::send_sgi(0, 1);
  check_kept("registers.across_wfi", across_wfi, 0x1234, 0x1234);
  gic::set_pending(0, false);
  gic::disable(0);
  if (machine.is_virtual) {
    check_kept("registers.across_hvc", across_hvc, 0x1234, ~u64{0});
  } else {
    skip("registers.across_hvc", "no hypervisor");
  }
}

}  // namespace exits
