// SPDX-License-Identifier: Apache-2.0
// What each physical CPU has for itself; TPIDR_EL2 points to it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "arm_vcpu/el2/panic.hpp"
#include "arm_vcpu/el2/sysreg.hpp"
#include "platform_asm.h"

namespace arm_vcpu::hv {

inline constexpr unsigned kMaxCpus = 64;

using WorkFunction = void (*)(void*);

struct alignas(128) PerCpu {
  El2PanicArea panic;
  std::uint64_t stack_top;      // initial SP
  std::uint64_t mpidr;          // affinity fields only
  unsigned index;               // CPU 0 is the one the boot loader started
  unsigned panics;              // a panic in a panic is reported by other means
  std::uint64_t redistributor;  // physical address, found by gic::init_this_cpu()
  std::atomic<bool> online;
  std::atomic<WorkFunction> work;  // null: idle
  void* work_argument;
  std::uint8_t gic_target;  // of a GICv2: the bit of this CPU's interface, found by gic::init_this_cpu()
};

static_assert(offsetof(PerCpu, panic.stack_top) == HV_PERCPU_EMERGENCY_TOP);
static_assert(offsetof(PerCpu, stack_top) == HV_PERCPU_STACK_TOP);
static_assert(offsetof(PerCpu, panic) == 0, "TPIDR_EL2 is an El2PanicArea*, too");

[[nodiscard]] inline PerCpu& this_cpu() noexcept {
  return *reinterpret_cast<PerCpu*>(VCPU_READ_SYSREG(tpidr_el2));
}

}  // namespace arm_vcpu::hv

extern "C" {
extern arm_vcpu::hv::PerCpu hv_per_cpu[arm_vcpu::hv::kMaxCpus];
extern unsigned char hv_stacks[arm_vcpu::hv::kMaxCpus * HV_STACK_SLOT_BYTES];
}
