// SPDX-License-Identifier: Apache-2.0
#include "gicv2.hpp"

#include "guest/check.hpp"
#include "guest/console.hpp"
#include "guest/smp.hpp"

namespace gicv2 {
namespace {

using Job = void (*)();
volatile bool g_is_ready = false;
volatile Job g_job = nullptr;
volatile bool g_stop = false;

void serve(u64) noexcept {
  init_cpu();
  dsb();
  g_is_ready = true;
  while (!g_stop) {
    if (const Job job = g_job; job != nullptr) {
      dsb();
      job();
      dsb();
      g_job = nullptr;
    }
    asm volatile("yield");
  }
}

}  // namespace

u32 take(u64 ms) noexcept {
  u32 iar = kSpurious;
  (void)wait_until(
      [&] {
        iar = read32(kIar);
        return (iar & 0x3FF) != kSpurious;
      },
      ms);
  return iar;
}

void drain() noexcept {
  for (u32 iar = take(); (iar & 0x3FF) < 1020; iar = take()) end(iar);
}

void init_distributor() noexcept {
  write32(kCtlr, 0);
  for (u32 word = 1; word < 9; ++word) {
    write32(kIcenabler + 4 * word, ~0U);
    write32(kIcpendr + 4 * word, ~0U);
    write32(kIcactiver + 4 * word, ~0U);
    write32(kIgroupr + 4 * word, 0);
  }
  write32(kCtlr, 1);
}

void init_cpu() noexcept {
  write32(kIcenabler, ~0U);
  write32(kIcpendr, ~0U);
  write32(kIcactiver, ~0U);
  write32(kIgroupr, 0);
  for (u32 i = 0; i < 16; i += 4) write32(kCpendsgir + i, ~0U);
  for (u32 i = 0; i < 32; i += 4) write32(kIpriorityr + i, kDefaultPriority * 0x0101'0101U);
  write32(kPmr, 0xFF);
  write32(kBpr, 0);
  write32(kCpuCtlr, kEnableGrp0);
}

bool start_helper() noexcept {
  g_is_ready = false;
  g_stop = false;
  g_job = nullptr;
  dsb();
  return start_cpu(1, serve) == psci::kSuccess && wait_until([] { return g_is_ready; });
}
void give_helper(Job what) noexcept {
  dsb();
  g_job = what;
}
bool helper_is_done() noexcept {
  return g_job == nullptr;
}
bool on_helper(Job what) noexcept {
  give_helper(what);
  return wait_until([] { return helper_is_done(); });
}
bool stop_helper() noexcept {
  g_stop = true;
  dsb();
  return wait_until_off(1);
}

}  // namespace gicv2

void guest_main(guest::u64) noexcept {
  using namespace gicv2;
  const unsigned cpus = (read32(kTyper) >> 5 & 7) + 1;
  guest::print("gicv2: ", cpus, guest::has_hypervisor() ? " virtual CPUs\n" : " CPUs without a hypervisor\n");
  init_distributor();
  init_cpu();
  if (cpus > 1) guest::check_true("helper.starts", start_helper());
  test_registers(cpus);
  test_sgis(cpus);
  test_spis(cpus);
  test_timer();
  if (guest::has_hypervisor()) {
    test_abuse(cpus);
    test_sgis(cpus);
    test_spis(cpus);
    test_timer();
  }
  if (cpus > 1) guest::check_true("helper.stops", stop_helper());
  guest::done();
}
