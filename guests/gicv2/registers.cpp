// SPDX-License-Identifier: Apache-2.0
// The Distributor's registers that do not depend on what is pending.
#include "gicv2.hpp"
#include "guest/check.hpp"

namespace gicv2 {
namespace {

volatile u32 g_seen[3] = {};

void read_helpers() noexcept {
  g_seen[0] = read8(kIpriorityr + 20);
  g_seen[1] = read32(kItargetsr);
  g_seen[2] = read32(kIsenabler) >> 20 & 1;
}

void test_identification(unsigned cpus) noexcept {
  constexpr u32 kIds[] = {0x04, 0, 0, 0, 0x90, 0xB4, 0x2B, 0, 0x0D, 0xF0, 0x05, 0xB1};
  u32 right = 0;
  for (u32 i = 0; i < 12; ++i) right += u32{read32(kGicd + 0xFD0 + 4 * i) == kIds[i]};
  check("id.registers", right, 12);
  check("id.cpus", (read32(kTyper) >> 5 & 7) + 1, cpus);
  check("id.no_security", read32(kTyper) >> 10 & 1, 0);
  check_true("id.spis", (read32(kTyper) & 0x1F) >= 8);
  check("id.implementer", read32(kGicd + 8) & 0xFFF, 0x43B);
}

void test_targets(unsigned cpus) noexcept {
  constexpr u32 kSpi = 100;
  if (cpus == 1) {
    write32(kItargetsr + kSpi, ~0U);
    check("targets.one_cpu.spi", read32(kItargetsr + kSpi), 0);
    check("targets.one_cpu.sgi", read32(kItargetsr), 0);
    return;
  }
  check("targets.sgi", read32(kItargetsr), 0x0101'0101);
  write32(kItargetsr, 0x0202'0202);
  check("targets.sgi.read_only", read32(kItargetsr), 0x0101'0101);
  write32(kItargetsr + kSpi, 0x0003'0201);
  check("targets.spi.word", read32(kItargetsr + kSpi), 0x0003'0201);
  write8(kItargetsr + kSpi + 3, 2);
  check("targets.spi.byte", read32(kItargetsr + kSpi), 0x0203'0201);
  check("targets.spi.read_byte", read8(kItargetsr + kSpi + 2), 3);
  for (u32 i = 0; i < 4; ++i) write8(kItargetsr + kSpi + i, 1);
}

void test_banks(unsigned cpus) noexcept {
  if (cpus == 1) return skip("banked", "one CPU");
  write8(kIpriorityr + 20, 0x40);
  set_bit(kIsenabler, 20);
  check_true("banked.helper", on_helper(read_helpers));
  check("banked.priority", g_seen[0], kDefaultPriority);
  check("banked.enable", g_seen[2], 0);
  check("banked.targets", g_seen[1], 0x0202'0202);
  check("banked.own_priority", read8(kIpriorityr + 20), 0x40);
  set_bit(kIcenabler, 20);
  write8(kIpriorityr + 20, kDefaultPriority);
}

}  // namespace

void test_registers(unsigned cpus) noexcept {
  test_identification(cpus);
  write32(kCtlr, 3);
  check("ctlr.both_groups", read32(kCtlr), 3);
  write32(kCtlr, 1);
  check("ctlr.group_0", read32(kCtlr), 1);
  write32(kIcenabler, ~0U);
  check("sgi.always_enabled", read32(kIsenabler) & 0xFFFF, 0xFFFF);
  check("ppi.disabled", read32(kIsenabler) >> 16, 0);
  write32(kIcfgr, 0);
  check("sgi.edge_triggered", read32(kIcfgr), 0xAAAA'AAAA);
  write32(kIgroupr + 12, 0x5A5A'A5A5);
  check("groups.read_write", read32(kIgroupr + 12), 0x5A5A'A5A5);
  write32(kIgroupr + 12, 0);
  write32(kIpriorityr + 100, 0x4080'C000);
  check("priorities.word", read32(kIpriorityr + 100), 0x4080'C000);
  write8(kIpriorityr + 101, 0x20);
  check("priorities.byte", read32(kIpriorityr + 100), 0x4080'2000);
  write32(kPmr, 0xF8);
  check("cpu.pmr", read32(kPmr), 0xF8);
  write32(kCpuCtlr, kEnableGrp0 | kEoiMode);
  check("cpu.ctlr", read32(kCpuCtlr), kEnableGrp0 | kEoiMode);
  write32(kCpuCtlr, kEnableGrp0);
  check("cpu.idle_priority", read32(kRpr) & 0xF8, 0xF8);
  check("cpu.nothing_pending", read32(kHppir) & 0x3FF, kSpurious);
  check("cpu.spurious", read32(kIar) & 0x3FF, kSpurious);
  test_targets(cpus);
  test_banks(cpus);
}

}  // namespace gicv2
