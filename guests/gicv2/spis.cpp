// SPDX-License-Identifier: Apache-2.0
// Shared peripheral interrupts: more than there are list registers, priorities, preemption, both ways to end one,
// targets.
#include "gicv2.hpp"
#include "guest/check.hpp"
#include "guest/smp.hpp"

namespace gicv2 {
namespace {

constexpr u32 kFirst = 100;  // no device on these
constexpr u32 kCount = 40;
constexpr u32 kSpi = 160;
constexpr u32 kUrgent = 161;

constexpr u32 priority_of(u32 intid) noexcept {
  return 0x20 + (intid - kFirst) * 7 % 20 * 8;
}

void prepare(u32 intid, u32 priority) noexcept {
  const u64 config = kIcfgr + intid / 16 * 4;
  write32(config, read32(config) | 2U << intid % 16 * 2);  // edge-triggered
  write8(kIpriorityr + intid, priority);
  write8(kItargetsr + intid, 1);
  set_bit(kIsenabler, intid);
}

void test_forty() noexcept {
  for (u32 intid = kFirst; intid < kFirst + kCount; ++intid) prepare(intid, priority_of(intid));
  for (u32 intid = kFirst; intid < kFirst + kCount; ++intid) set_bit(kIspendr, intid);
  u32 in_order = 0;
  u32 last = 0;
  u64 seen = 0;
  for (u32 i = 0; i < kCount; ++i) {
    const u32 intid = take(100);
    if (intid < kFirst || intid >= kFirst + kCount) break;
    in_order += u32{priority_of(intid) >= last};
    last = priority_of(intid);
    seen |= u64{1} << (intid - kFirst);
    end(intid);
  }
  check("spi.forty.in_order", in_order, kCount);
  check("spi.forty.each_once", seen, (u64{1} << kCount) - 1);
  check("spi.forty.none_left", take() & 0x3FF, kSpurious);
  for (u32 intid = kFirst; intid < kFirst + kCount; ++intid) set_bit(kIcenabler, intid);
}

// All taken at once, each above the one before, and more than there are list registers; ended in reverse.
void test_nested() noexcept {
  constexpr u32 kDepth = 12;
  u32 taken = 0;
  for (u32 i = 0; i < kDepth; ++i) {
    prepare(kFirst + i, 0xE0 - 16 * i);
    set_bit(kIspendr, kFirst + i);
    taken += u32{take(100) == kFirst + i && (read32(kRpr) & 0xF8) == 0xE0 - 16 * i};
  }
  check("spi.nested.taken", taken, kDepth);
  u32 active = 0;
  for (u32 i = 0; i < kDepth; ++i) active += u32{bit(kIsactiver, kFirst + i)};
  check("spi.nested.active", active, kDepth);
  u32 ended = 0;
  for (u32 i = kDepth; i-- != 0;) {
    end(kFirst + i);
    ended += u32{!bit(kIsactiver, kFirst + i) && (read32(kRpr) & 0xF8) == (i == 0 ? 0xF8 : 0xE0 - 16 * (i - 1))};
    set_bit(kIcenabler, kFirst + i);
  }
  check("spi.nested.ended", ended, kDepth);
}

void test_masks() noexcept {
  prepare(kSpi, kDefaultPriority);
  set_bit(kIcenabler, kSpi);
  set_bit(kIspendr, kSpi);
  check("spi.disabled.pending", bit(kIspendr, kSpi), true);
  check("spi.disabled.not_taken", take() & 0x3FF, kSpurious);
  set_bit(kIsenabler, kSpi);
  check("spi.highest", wait_until([] { return read32(kHppir) == kSpi; }, 100), true);
  check("spi.enabled.taken", take(), kSpi);
  end(kSpi);
  set_bit(kIspendr, kSpi);
  set_bit(kIcpendr, kSpi);
  check("spi.cleared", take() & 0x3FF, kSpurious);
  write32(kPmr, kDefaultPriority);
  set_bit(kIspendr, kSpi);
  check("spi.mask.holds", take() & 0x3FF, kSpurious);
  write32(kPmr, 0xF8);
  check("spi.mask.releases", take(), kSpi);
  end(kSpi);
  write32(kCtlr, 0);
  set_bit(kIspendr, kSpi);
  check("spi.distributor_off", take() & 0x3FF, kSpurious);
  write32(kCtlr, 1);
  check("spi.distributor_on", take(100), kSpi);
  end(kSpi);
}

// With a binary point of 5 priorities 0x80 and 0x90 are of one group: none preempts the other.
void test_binary_point() noexcept {
  prepare(kSpi, 0x90);
  prepare(kUrgent, 0x80);
  write32(kBpr, 5);
  set_bit(kIspendr, kSpi);
  check("spi.bpr.first", take(100), kSpi);
  set_bit(kIspendr, kUrgent);
  check("spi.bpr.no_preemption", take() & 0x3FF, kSpurious);
  end(kSpi);
  check("spi.bpr.after", take(100), kUrgent);
  end(kUrgent);
  write32(kBpr, 0);
  set_bit(kIcenabler, kUrgent);
  write8(kIpriorityr + kSpi, kDefaultPriority);
}

void helper_deactivates() noexcept {
  write32(kCpuCtlr, kEnableGrp0 | kEoiMode);
  write32(kDir, kSpi);
  write32(kCpuCtlr, kEnableGrp0);
}

void test_split(unsigned cpus) noexcept {
  write32(kCpuCtlr, kEnableGrp0 | kEoiMode);
  set_bit(kIspendr, kSpi);
  check("spi.split.taken", take(), kSpi);
  end(kSpi);
  check("spi.split.priority_dropped", read32(kRpr) & 0xF8, 0xF8);
  check("spi.split.still_active", bit(kIsactiver, kSpi), true);
  set_bit(kIspendr, kSpi);
  check("spi.split.not_again", take() & 0x3FF, kSpurious);
  write32(kDir, kSpi);
  check("spi.split.again", take(100), kSpi);
  end(kSpi);
  // An SPI is active for all CPUs. QEMU 7.2 has a state for each, and does not find this one from the other CPU.
  if (cpus > 1 && has_hypervisor()) {
    check_true("spi.split.helper", on_helper(helper_deactivates));
    check("spi.split.deactivated_there", bit(kIsactiver, kSpi), false);
  }
  write32(kDir, kSpi);
  check("spi.split.inactive", bit(kIsactiver, kSpi), false);

  // More active ones than list registers, deactivated in any order.
  for (u32 i = 0; i < 12; ++i) {
    prepare(kFirst + i, kDefaultPriority);
    set_bit(kIspendr, kFirst + i);
    const u32 iar = take(100);
    end(iar);
  }
  for (u32 i = 0; i < 12; ++i) write32(kDir, kFirst + i * 5 % 12);
  u32 active = 0;
  for (u32 i = 0; i < 12; ++i) {
    active += u32{bit(kIsactiver, kFirst + i)};
    set_bit(kIcenabler, kFirst + i);
  }
  check("spi.split.many", active, 0);
  write32(kCpuCtlr, kEnableGrp0);
}

void test_software_active() noexcept {
  set_bit(kIsactiver, kSpi);
  set_bit(kIspendr, kSpi);
  check("spi.set_active.holds", take() & 0x3FF, kSpurious);
  set_bit(kIcactiver, kSpi);
  check("spi.clear_active.releases", take(100), kSpi);
  end(kSpi);
}

volatile u32 g_helper_took = 0;
void helper_takes() noexcept {
  g_helper_took = take(100);
  end(g_helper_took);
}

void test_targets() noexcept {
  write8(kItargetsr + kSpi, 2);
  set_bit(kIspendr, kSpi);
  check("spi.target.not_here", take() & 0x3FF, kSpurious);
  check_true("spi.target.helper", on_helper(helper_takes));
  check("spi.target.there", g_helper_took, kSpi);
  // A change counts for what is pending. Not so in QEMU 7.2.
  if (has_hypervisor()) {
    set_bit(kIspendr, kSpi);
    write8(kItargetsr + kSpi, 1);
    check("spi.target.changed", take(100), kSpi);
    end(kSpi);
  }
  write8(kItargetsr + kSpi, 0);
  set_bit(kIspendr, kSpi);
  check("spi.target.nobody", take() & 0x3FF, kSpurious);
  if (has_hypervisor()) {  // QEMU 7.2 gives it to each
    write8(kItargetsr + kSpi, 3);
    const u32 here = take(10);
    if (here == kSpi) end(here);
    check_true("spi.target.either.helper", on_helper(helper_takes));
    check("spi.target.either.once", u32{here == kSpi} + u32{g_helper_took == kSpi}, 1);
  }
  write8(kItargetsr + kSpi, 1);
}

}  // namespace

void test_spis(unsigned cpus) noexcept {
  test_forty();
  test_nested();
  test_masks();
  test_binary_point();
  test_split(cpus);
  test_software_active();
  if (cpus > 1) {
    test_targets();
  } else {
    skip("spi.target", "one CPU");
  }
  set_bit(kIcenabler, kSpi);
  drain();
}

}  // namespace gicv2
