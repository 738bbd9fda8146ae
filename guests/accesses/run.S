// SPDX-License-Identifier: Apache-2.0
// One instruction with all registers given, until the SVC behind it or the exception that it takes.
#include "guest/registers.h"
#include "offsets.h"

    .arch armv8.2-a
    .text

// void access_run(Run* x0). FP is not trapped, interrupts are masked. Clobbers what a function may, and V registers.
    .global access_run
    .type   access_run, %function
access_run:
    PUSH_KEPT_X 96
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
    POP_KEPT_X 96
    ret
