// SPDX-License-Identifier: Apache-2.0
// The classes of operations. A class is prepared once, makes its operations one by one, and is cleaned up behind.
#pragma once

#include "attempt.hpp"

namespace torture {

struct Class {
  const char* name;
  void (*prepare)(Random& random);
  void (*operate)(Random& random, u64 number);  // `number`: from 0
};

extern const Class kSysregs;      // MRS and MSR of every encoding with op0 2 and 3
extern const Class kCalls;        // HVC and SMC
extern const Class kDevices;      // accesses of every form and size to devices, holes and borders
extern const Class kInterrupts;   // the interrupt controller
extern const Class kTimers;       // both timers, waiting
extern const Class kMaintenance;  // SYS and SYSL of every encoding: caches, TLBs, address translation
extern const Class kTables;       // translation tables, TCR, MAIR, SCTLR of garbage
extern const Class kWords;        // instruction words at EL1 and EL0
extern const Class kWordsA32;     // the same in AArch32 state at EL0, where the CPU has it
extern const Class kPower;        // PSCI with another CPU that comes and goes

// How many virtual CPUs this machine has.
[[nodiscard]] unsigned cpus() noexcept;

// --- instruction words ----------------------------------------------------------------------------------------------

// MSR S<op0>_<op1>_C<n>_C<m>_<op2>, x<t>, or MRS with `read`; SYS and SYSL with op0 1.
[[nodiscard]] constexpr u32 system_word(u32 encoding, bool read, u32 rt) noexcept {
  return 0xD500'0000 | (read ? 1U << 21 : 0) | (encoding & 0xFFFF) << 5 | rt;
}
// op0:op1:CRn:CRm:op2 in 16 bits, as in the instruction.
[[nodiscard]] constexpr u32 encoding_of(u32 op0, u32 op1, u32 crn, u32 crm, u32 op2) noexcept {
  return op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2;
}
// Writes that nothing comes back from: the regime that fetches the next instruction, and the vectors. kTables writes
// the first four, with values that leave the way home open.
[[nodiscard]] constexpr bool is_way_home(u32 encoding) noexcept {
  return encoding == encoding_of(3, 0, 1, 0, 0) || encoding == encoding_of(3, 0, 2, 0, 0) ||   // SCTLR, TTBR0
         encoding == encoding_of(3, 0, 2, 0, 2) || encoding == encoding_of(3, 0, 10, 2, 0) ||  // TCR, MAIR
         encoding == encoding_of(3, 0, 12, 0, 0) ||                                            // VBAR
         encoding == encoding_of(3, 0, 1, 0, 3) || encoding == encoding_of(3, 0, 2, 0, 3);     // SCTLR2, TCR2
}
// Faults of QEMU 7.2 itself, which end it or never end: a guest of any hypervisor can do this to it.
[[nodiscard]] constexpr bool kills_qemu(u32 encoding, u64 value) noexcept {
  // CNTV_CVAL_EL0: gt_recalc_timer() adds CNTVOFF_EL2 to the compare value; when the sum wraps, the timer's deadline is
  // in the past and the timer is not: QEMU's main loop serves it for ever.
  if (encoding == encoding_of(3, 3, 14, 3, 2)) return value >> 62 != 0;
  // ICC_BPR0_EL1, ICC_BPR1_EL1: gicv3_cpuif assertion on a binary point that it has reduced to 0.
  if (encoding == encoding_of(3, 0, 12, 8, 3) || encoding == encoding_of(3, 0, 12, 12, 3)) return (value & 7) == 0;
  return false;
}

}  // namespace torture
