// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/el2/panic_asm.h"

// From a VCPU_EL2_PANIC_SLOT. In: x0 = kind, VMPIDR_EL2 = x0 of the interrupted code, TPIDR_EL2 = El2PanicArea.
// Saves the interrupted state there, takes the emergency stack, calls arm_vcpu_el2_panic(area). Loses VPIDR_EL2.
    .section .text.arm_vcpu_el2_panic_entry, "ax"
    .global arm_vcpu_el2_panic_entry
    .hidden arm_vcpu_el2_panic_entry
    .type arm_vcpu_el2_panic_entry, %function
arm_vcpu_el2_panic_entry:
    msr     vpidr_el2, x1
    mrs     x1, tpidr_el2
    cbz     x1, .Lnowhere
    str     x0, [x1, #VCPU_PANIC_KIND]
    mrs     x0, vmpidr_el2
    str     x0, [x1, #VCPU_PANIC_X0]
    mrs     x0, vpidr_el2
    str     x0, [x1, #VCPU_PANIC_X0 + 8]
    stp     x2, x3, [x1, #VCPU_PANIC_X0 + 8 * 2]
    stp     x4, x5, [x1, #VCPU_PANIC_X0 + 8 * 4]
    stp     x6, x7, [x1, #VCPU_PANIC_X0 + 8 * 6]
    stp     x8, x9, [x1, #VCPU_PANIC_X0 + 8 * 8]
    stp     x10, x11, [x1, #VCPU_PANIC_X0 + 8 * 10]
    stp     x12, x13, [x1, #VCPU_PANIC_X0 + 8 * 12]
    stp     x14, x15, [x1, #VCPU_PANIC_X0 + 8 * 14]
    stp     x16, x17, [x1, #VCPU_PANIC_X0 + 8 * 16]
    stp     x18, x19, [x1, #VCPU_PANIC_X0 + 8 * 18]
    stp     x20, x21, [x1, #VCPU_PANIC_X0 + 8 * 20]
    stp     x22, x23, [x1, #VCPU_PANIC_X0 + 8 * 22]
    stp     x24, x25, [x1, #VCPU_PANIC_X0 + 8 * 24]
    stp     x26, x27, [x1, #VCPU_PANIC_X0 + 8 * 26]
    stp     x28, x29, [x1, #VCPU_PANIC_X0 + 8 * 28]
    str     x30, [x1, #VCPU_PANIC_X0 + 8 * 30]
    mov     x0, sp
    str     x0, [x1, #VCPU_PANIC_SP]
    mrs     x2, elr_el2
    mrs     x3, spsr_el2
    stp     x2, x3, [x1, #VCPU_PANIC_ELR]
    mrs     x2, esr_el2
    mrs     x3, far_el2
    stp     x2, x3, [x1, #VCPU_PANIC_ESR]
    ldr     x2, [x1, #VCPU_PANIC_STACK_TOP]
    mov     sp, x2
    mov     x0, x1
    mov     x29, xzr
    bl      arm_vcpu_el2_panic
.Lnowhere:
    wfe
    b       .Lnowhere
    .size arm_vcpu_el2_panic_entry, . - arm_vcpu_el2_panic_entry
