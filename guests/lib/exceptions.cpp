// SPDX-License-Identifier: Apache-2.0
#include "guest/console.hpp"
#include "guest/cpu.hpp"
#include "guest/gic.hpp"
#include "guest/psci.hpp"

namespace guest {
namespace {

// Vectors of exceptions from EL1 with SP_EL1, in the order of the table.
constexpr u64 kSync = 4;
constexpr u64 kIrq = 5;
constexpr u64 kFiq = 6;

constexpr u64 kSoftwareStep = 0x32;  // ESR_EL1.EC, from EL0; 0x33 from EL1
constexpr u64 kDebugMask = 1U << 9;  // SPSR_EL1.D

InterruptHook g_hook = nullptr;

void count(u32 intid) noexcept {
  PerCpu& self = this_cpu();
  if (intid < kIntids) self.taken[intid] = self.taken[intid] + 1;
  const u32 place = self.ordered;
  if (place < kLoggedInterrupts) {
    self.order[place] = intid;
    self.ordered = place + 1;
  }
  if (g_hook != nullptr) g_hook(intid);
}

void handle_irq() noexcept {
  const auto intid = static_cast<u32>(GUEST_READ(S3_0_C12_C12_0));  // ICC_IAR1_EL1
  dsb();  // the interrupt is acknowledged before its source is told
  if (intid == gic::kSpurious) return;
  count(intid);
  GUEST_WRITE(S3_0_C12_C12_1, intid);  // ICC_EOIR1_EL1
  isb();
}

void handle_fiq() noexcept {
  const auto intid = static_cast<u32>(GUEST_READ(S3_0_C12_C8_0));  // ICC_IAR0_EL1
  dsb();
  if (intid == gic::kSpurious) return;
  this_cpu().fiqs = this_cpu().fiqs + 1;
  count(intid);
  GUEST_WRITE(S3_0_C12_C8_1, intid);  // ICC_EOIR0_EL1
  isb();
}

[[noreturn]] void give_up(u64 vector, const Frame& frame) noexcept {
  print("\nFAIL exception: cpu ", this_cpu().index, " vector ", vector, " ESR ", Hex{frame.esr}, " ELR ",
        Hex{frame.elr}, " FAR ", Hex{frame.far}, " SPSR ", Hex{frame.spsr}, " x30 ", Hex{frame.x[30]}, '\n');
  psci::system_off();
}

}  // namespace

void set_interrupt_hook(InterruptHook hook) noexcept {
  g_hook = hook;
  dsb();
}

void forget_interrupts() noexcept {
  PerCpu& self = this_cpu();
  for (auto& taken : self.taken) taken = 0;
  self.ordered = 0;
  self.fiqs = 0;
}

extern "C" void guest_exception(u64 vector, Frame* frame) noexcept {
  PerCpu& self = this_cpu();
  if (vector == kIrq) {
    handle_irq();
  } else if (vector == kFiq) {
    handle_fiq();
  } else if (vector == kSync && self.expects) {
    const unsigned seen = self.caught.count + 1;
    self.caught = {.count = seen, .esr = frame->esr, .elr = frame->elr, .far = frame->far, .spsr = frame->spsr};
    if ((frame->esr >> 26 & 0x3E) == kSoftwareStep) {
      frame->spsr |= kDebugMask;  // it has made its step, and goes on without being stepped
    } else {
      frame->elr = self.resume == Resume::link ? frame->x[30] : frame->elr + 4;
    }
  } else {
    give_up(vector, *frame);
  }
}

}  // namespace guest
