// SPDX-License-Identifier: Apache-2.0
// void witness_hold(const Registers* x0 in, Registers* x1 out): all registers as `in` says, WFI, and all of them to
// `out`. Registers: x0 to x30, SP_EL0, FPCR, FPSR (34 words), then v0 to v31.
#include "guest/registers.h"

#define FP_OFFSET (34 * 8)

    .arch_extension fp
    .arch_extension simd
    .text
    .global witness_hold
    .type   witness_hold, %function
witness_hold:
    PUSH_KEPT_X 112
    str     x1, [sp, #96]
    ldr     x2, [x0, #31 * 8]
    msr     sp_el0, x2
    ldp     x2, x3, [x0, #32 * 8]
    msr     fpcr, x2
    msr     fpsr, x3
    add     x2, x0, #FP_OFFSET
    EACH_PAIR_OF_V ldp, x2
    .irp    n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
    ldr     x\n, [x0, #\n * 8]
    .endr
    ldr     x0, [x0]
    wfi
    str     x0, [sp, #104]
    ldr     x0, [sp, #96]
    .irp    n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
    str     x\n, [x0, #\n * 8]
    .endr
    ldr     x1, [sp, #104]
    str     x1, [x0]
    mrs     x1, sp_el0
    str     x1, [x0, #31 * 8]
    mrs     x1, fpcr
    mrs     x2, fpsr
    stp     x1, x2, [x0, #32 * 8]
    add     x2, x0, #FP_OFFSET
    EACH_PAIR_OF_V stp, x2
    POP_KEPT_X 112
    ret
    .size   witness_hold, . - witness_hold
