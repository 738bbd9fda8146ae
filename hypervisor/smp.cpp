// SPDX-License-Identifier: Apache-2.0
#include "smp.hpp"

#include "arm_vcpu/el2/sysreg.hpp"
#include "check.hpp"
#include "console.hpp"
#include "gic.hpp"
#include "host_psci.hpp"
#include "layout.hpp"
#include "mmu.hpp"
#include "pauth.hpp"

constinit arm_vcpu::hv::PerCpu hv_per_cpu[arm_vcpu::hv::kMaxCpus]{};

extern "C" {
extern const char hv_secondary_start[];
[[noreturn]] void hv_secondary_main(arm_vcpu::hv::PerCpu* self);
}

namespace arm_vcpu::hv::smp {
namespace {

constexpr std::uint64_t kStartSeconds = 5;

constinit unsigned g_count = 1;

void name_cpu(unsigned index, std::uint64_t mpidr) noexcept {
  PerCpu& self = hv_per_cpu[index];
  const std::uint64_t slot = address_of(&hv_stacks[std::size_t{index} * HV_STACK_SLOT_BYTES]);
  self.panic.stack_top = slot + HV_EMERGENCY_STACK_TOP;
  self.stack_top = slot + HV_STACK_SLOT_BYTES;
  self.mpidr = mpidr;
  self.index = index;
}

bool start(PerCpu& target) noexcept {
  // The new CPU reads these with its MMU off, past the caches.
  el2::dc_cvac_range(&target, sizeof target);
  el2::dc_cvac_range(&hv_regime, sizeof hv_regime);
  const std::int32_t status = host_psci::cpu_on(target.mpidr, address_of(hv_secondary_start), address_of(&target));
  if (status != 0) {
    log(Level::warn, "CPU {} (MPIDR {:x}) cannot be started: PSCI CPU_ON returned {}", target.index, target.mpidr,
        status);
    return false;
  }
  const std::uint64_t deadline = el2::counter_ticks() + kStartSeconds * el2::counter_hz();
  while (!target.online.load(std::memory_order_acquire)) {
    if (el2::counter_ticks() > deadline) {
      log(Level::warn, "CPU {} (MPIDR {:x}) was started but did not report in", target.index, target.mpidr);
      return false;
    }
    el2::yield();
  }
  return true;
}

}  // namespace

void init(const CpuList& cpus) noexcept {
  const std::uint64_t self = el2::mpidr_affinity();
  name_cpu(0, self);
  hv_per_cpu[0].online.store(true, std::memory_order_relaxed);
  for (std::size_t i = 0; i < cpus.count && g_count < kMaxCpus; ++i) {
    if (cpus.mpidr[i] != self) name_cpu(g_count++, cpus.mpidr[i]);
  }
}

void start_secondaries() noexcept {
  for (unsigned index = 1; index < g_count; ++index) (void)start(hv_per_cpu[index]);
}

unsigned count() noexcept {
  return g_count;
}

unsigned online_count() noexcept {
  unsigned online = 0;
  for (unsigned index = 0; index < g_count; ++index) online += hv_per_cpu[index].online.load() ? 1 : 0;
  return online;
}

PerCpu& cpu(unsigned index) noexcept {
  CHECK(index < g_count);
  return hv_per_cpu[index];
}

bool run_on(unsigned index, WorkFunction work, void* argument) noexcept {
  if (index == 0 || !is_idle(index)) return false;
  PerCpu& target = cpu(index);
  target.work_argument = argument;
  target.work.store(work, std::memory_order_release);
  el2::sev();
  return true;
}

bool is_idle(unsigned index) noexcept {
  return index < g_count && hv_per_cpu[index].online.load(std::memory_order_acquire) &&
         hv_per_cpu[index].work.load(std::memory_order_acquire) == nullptr;
}

}  // namespace arm_vcpu::hv::smp

void hv_secondary_main(arm_vcpu::hv::PerCpu* self) {
  using namespace arm_vcpu;
  using namespace arm_vcpu::hv;
  enable_pauth_if_built_in();
  if (const Result<> gic = hv::gic::init_this_cpu(); !gic) {
    char storage[200];
    TextBuffer text{storage};
    append(text, gic.error());
    log(Level::warn, "CPU {} stays off: {}", self->index, text.view());
    hv_park();
  }
  log(Level::debug, "CPU {} (MPIDR {:x}) is up, redistributor at {:x}", self->index, self->mpidr, self->redistributor);
  self->online.store(true, std::memory_order_release);
  for (;;) {
    const WorkFunction work = self->work.load(std::memory_order_acquire);
    if (work == nullptr) {
      el2::wfe();
      continue;
    }
    work(self->work_argument);
    self->work.store(nullptr, std::memory_order_release);
    el2::sev();
  }
}
