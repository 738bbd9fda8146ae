// SPDX-License-Identifier: Apache-2.0
// Offsets of El2PanicArea, checked by panic.hpp, and the vector slot that fills one. For assembly and C++.
#pragma once

#define VCPU_PANIC_X0 0
#define VCPU_PANIC_SP 248
#define VCPU_PANIC_ELR 256
#define VCPU_PANIC_ESR 272
#define VCPU_PANIC_KIND 288
#define VCPU_PANIC_STACK_TOP 296

// BRK immediates that the panic report puts a name to.
#define VCPU_BRK_CHECK 0x5C00
#define VCPU_BRK_STACK_SMASHED 0x5C01
#define VCPU_BRK_UNREACHABLE 0x5C02

#ifdef __ASSEMBLER__
// One slot (128 bytes) for an exception taken from EL2 itself; `kind` is an El2VectorKind. There may be no usable stack
// and there is no free register: x0 waits in VMPIDR_EL2, whose value is lost. EL2 does not return from here.
// clang-format off
.macro VCPU_EL2_PANIC_SLOT kind
    .balign 0x80
    msr     vmpidr_el2, x0
    mov     x0, #\kind
    b       arm_vcpu_el2_panic_entry
.endm
// clang-format on
#endif
