// SPDX-License-Identifier: Apache-2.0
#include "exits.hpp"
#include "guest/check.hpp"
#include "guest/console.hpp"
#include "guest/gic.hpp"
#include "guest/smp.hpp"

namespace exits {

using namespace guest;

void test_boot(const Machine& machine) noexcept {
  check("boot.el", GUEST_READ(CurrentEL) >> 2, 1);
  check_true("boot.tree_aligned", machine.tree % 8 == 0);
  map_ram(machine.tree);
  check("boot.tree_magic", *reinterpret_cast<const volatile u32*>(machine.tree), 0xEDFE'0DD0);
}

}  // namespace exits

void guest_main(guest::u64 tree) noexcept {
  using namespace exits;
  test_fresh_fp();
  const Machine machine{.cpus = guest::gic::count_cpus(), .is_virtual = guest::has_hypervisor(), .tree = tree};
  guest::print("exits: ", machine.cpus, machine.is_virtual ? " virtual CPUs\n" : " CPUs without a hypervisor\n");
  guest::gic::init_distributor();
  guest::gic::init_cpu();

  test_boot(machine);
  test_mmio(machine);
  test_registers(machine);
  test_holes(machine);
  test_calls(machine);
  test_system_registers(machine);
  test_timers(machine);
  test_sgis(machine);
  test_spis(machine);
  test_fp(machine);
  test_pauth(machine);
  test_debug(machine);
  test_pmu(machine);
  test_power(machine);
  guest::done();
}
