// SPDX-License-Identifier: Apache-2.0
#include "guest/smp.hpp"

#include "guest/console.hpp"
#include "guest/timer.hpp"

extern "C" {
[[gnu::visibility("hidden")]] alignas(64) constinit guest::PerCpu guest_cpus[guest::kMaxCpus]{};
[[gnu::visibility("hidden")]] alignas(16) constinit unsigned char guest_stacks[guest::kMaxCpus][GUEST_STACK_BYTES]{};
[[gnu::visibility("hidden")]] extern const char guest_secondary[];

[[noreturn]] void guest_start(guest::u64 tree) noexcept {
  guest::console_init();
  guest_main(tree);
  guest::psci::system_off();
}

[[noreturn]] void guest_secondary_start(guest::PerCpu* self) noexcept {
  self->task(self->argument);
  guest::mask_interrupts();
  (void)guest::call(guest::Conduit::hvc, guest::psci::kCpuOff);
  for (;;) guest::wfi();
}
}

namespace guest {

PerCpu& cpu(unsigned index) noexcept {
  return guest_cpus[index];
}
bool has_hypervisor() noexcept {
  return catching([] { (void)call(Conduit::smc, psci::kVersion); }).count == 0;
}

u64 secondary_entry() noexcept {
  return reinterpret_cast<u64>(guest_secondary);
}

u64 start_cpu(unsigned index, void (*task)(u64), u64 argument) noexcept {
  PerCpu& target = guest_cpus[index];
  target.stack_top = reinterpret_cast<u64>(guest_stacks[index]) + GUEST_STACK_BYTES;
  target.index = index;
  target.task = task;
  target.argument = argument;
  // The other CPU begins with its caches off; what it reads then must be in memory.
  for (u64 at = reinterpret_cast<u64>(&target), end = at + sizeof(PerCpu); at < end; at += 16) {
    asm volatile("dc civac, %0" : : "r"(at) : "memory");
  }
  dsb();
  return call(Conduit::hvc, psci::kCpuOn, affinity_of(index), secondary_entry(), reinterpret_cast<u64>(&target)).x0;
}

bool wait_until_off(unsigned index) noexcept {
  return wait_until([=] { return call(Conduit::hvc, psci::kAffinityInfo, affinity_of(index)).x0 == psci::kOff; });
}

}  // namespace guest
