// SPDX-License-Identifier: Apache-2.0
// One instruction with all registers given, until the SVC behind it or the exception that it takes.
#include "offsets.h"

    .arch armv8.2-a
    .text

.macro EACH_PAIR_OF_V op, base
    \op     q0, q1, [\base, #32 * 0]
    \op     q2, q3, [\base, #32 * 1]
    \op     q4, q5, [\base, #32 * 2]
    \op     q6, q7, [\base, #32 * 3]
    \op     q8, q9, [\base, #32 * 4]
    \op     q10, q11, [\base, #32 * 5]
    \op     q12, q13, [\base, #32 * 6]
    \op     q14, q15, [\base, #32 * 7]
    \op     q16, q17, [\base, #32 * 8]
    \op     q18, q19, [\base, #32 * 9]
    \op     q20, q21, [\base, #32 * 10]
    \op     q22, q23, [\base, #32 * 11]
    \op     q24, q25, [\base, #32 * 12]
    \op     q26, q27, [\base, #32 * 13]
    \op     q28, q29, [\base, #32 * 14]
    \op     q30, q31, [\base, #32 * 15]
.endm

.macro EACH_PAIR_OF_X_FROM_2 op, base
    \op     x2, x3, [\base, #2 * 8]
    \op     x4, x5, [\base, #4 * 8]
    \op     x6, x7, [\base, #6 * 8]
    \op     x8, x9, [\base, #8 * 8]
    \op     x10, x11, [\base, #10 * 8]
    \op     x12, x13, [\base, #12 * 8]
    \op     x14, x15, [\base, #14 * 8]
    \op     x16, x17, [\base, #16 * 8]
    \op     x18, x19, [\base, #18 * 8]
    \op     x20, x21, [\base, #20 * 8]
    \op     x22, x23, [\base, #22 * 8]
    \op     x24, x25, [\base, #24 * 8]
    \op     x26, x27, [\base, #26 * 8]
    \op     x28, x29, [\base, #28 * 8]
.endm

// void access_run(Run* x0). FP is not trapped, interrupts are masked. Clobbers what a function may, and V registers.
    .global access_run
    .type   access_run, %function
access_run:
    stp     x29, x30, [sp, #-96]!
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    mov     x1, sp
    mrs     x2, tpidr_el1
    mrs     x3, vbar_el1
    stp     x1, x2, [x0, #RUN_HOST]
    str     x3, [x0, #RUN_HOST + 16]
    adr     x1, vectors
    msr     vbar_el1, x1
    msr     tpidr_el1, x0
    add     x1, x0, #RUN_V
    EACH_PAIR_OF_V ldp, x1
    ldp     x1, x2, [x0, #RUN_PC]   // PC, PSTATE
    msr     elr_el1, x1
    msr     spsr_el1, x2
    ldr     x1, [x0, #RUN_SP]
    msr     sp_el0, x1
    mov     sp, x1
    isb
    EACH_PAIR_OF_X_FROM_2 ldp, x0
    ldr     x30, [x0, #30 * 8]
    ldp     x0, x1, [x0]
    eret
    .size   access_run, . - access_run

// From EL1 with either stack pointer, and from EL0: synchronous ones only. TPIDR_EL1 = Run.
    .balign 0x800
vectors:
    .rept   16
    .balign 0x80
    b       taken
    .endr
    .balign 0x80

taken:
    msr     tpidr_el0, x0
    mrs     x0, tpidr_el1
    str     x1, [x0, #8]
    EACH_PAIR_OF_X_FROM_2 stp, x0
    str     x30, [x0, #30 * 8]
    mrs     x1, tpidr_el0
    str     x1, [x0]
    mrs     x1, esr_el1
    mrs     x2, elr_el1
    mrs     x3, far_el1
    mrs     x4, spsr_el1
    stp     x1, x2, [x0, #RUN_ESR]
    stp     x3, x4, [x0, #RUN_ESR + 16]
    mrs     x1, sp_el0
    mov     x2, sp
    stp     x1, x2, [x0, #RUN_OUT_SP]
    add     x1, x0, #RUN_V
    EACH_PAIR_OF_V stp, x1
    ldp     x1, x2, [x0, #RUN_HOST]
    ldr     x3, [x0, #RUN_HOST + 16]
    mov     sp, x1
    msr     tpidr_el1, x2
    msr     vbar_el1, x3
    isb
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     x29, x30, [sp], #96
    ret
