// SPDX-License-Identifier: Apache-2.0
// When EL2 itself takes an exception: what the vectors save, and the function that the hypervisor provides.
#pragma once

#include <cstddef>
#include <cstdint>

#include "arm_vcpu/el2/panic_asm.h"

namespace arm_vcpu {

// The vector that was taken, in the order of the vector table. [armarm] "Exception vectors"
enum class El2VectorKind : std::uint64_t {
  sync_sp0,
  irq_sp0,
  fiq_sp0,
  serror_sp0,
  sync_spx,
  irq_spx,
  fiq_spx,
  serror_spx,
};

struct El2PanicFrame {
  std::uint64_t x[31];
  std::uint64_t sp;
  std::uint64_t elr;
  std::uint64_t spsr;
  std::uint64_t esr;
  std::uint64_t far;
  El2VectorKind kind;
};

// TPIDR_EL2 points to one of these on every CPU. The frame is saved here and not on the stack, and the handler runs on
// a stack of its own, so that an overflown stack is reported like any other fault. A hypervisor puts its per-CPU data
// behind it.
struct alignas(16) El2PanicArea {
  El2PanicFrame frame;
  std::uint64_t stack_top;  // of the emergency stack, 16-byte aligned
};

static_assert(offsetof(El2PanicArea, frame.x) == VCPU_PANIC_X0);
static_assert(offsetof(El2PanicArea, frame.sp) == VCPU_PANIC_SP);
static_assert(offsetof(El2PanicArea, frame.elr) == VCPU_PANIC_ELR);
static_assert(offsetof(El2PanicArea, frame.esr) == VCPU_PANIC_ESR);
static_assert(offsetof(El2PanicArea, frame.kind) == VCPU_PANIC_KIND);
static_assert(offsetof(El2PanicArea, stack_top) == VCPU_PANIC_STACK_TOP);

}  // namespace arm_vcpu

// Provided by the hypervisor. Does not return.
extern "C" [[noreturn]] void arm_vcpu_el2_panic(const arm_vcpu::El2PanicFrame* frame);
