// SPDX-License-Identifier: Apache-2.0
// For assembly: many registers at once, to and from memory. `op` is ldp or stp.
#pragma once

// clang-format off: assembly

// X2 to X29: X<n> is at \base + 8 * n.
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

// V0 to V31: V<n> is at \base + 16 * n.
.macro EACH_PAIR_OF_V op, base
    \op     q0, q1, [\base, #0 * 16]
    \op     q2, q3, [\base, #2 * 16]
    \op     q4, q5, [\base, #4 * 16]
    \op     q6, q7, [\base, #6 * 16]
    \op     q8, q9, [\base, #8 * 16]
    \op     q10, q11, [\base, #10 * 16]
    \op     q12, q13, [\base, #12 * 16]
    \op     q14, q15, [\base, #14 * 16]
    \op     q16, q17, [\base, #16 * 16]
    \op     q18, q19, [\base, #18 * 16]
    \op     q20, q21, [\base, #20 * 16]
    \op     q22, q23, [\base, #22 * 16]
    \op     q24, q25, [\base, #24 * 16]
    \op     q26, q27, [\base, #26 * 16]
    \op     q28, q29, [\base, #28 * 16]
    \op     q30, q31, [\base, #30 * 16]
.endm

// What AAPCS64 has a function keep, but for D8 to D15, in a stack frame of `bytes`: X19 to X30 take its first 96.
.macro PUSH_KEPT_X bytes
    stp     x29, x30, [sp, #-\bytes]!
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
.endm
.macro POP_KEPT_X bytes
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     x29, x30, [sp], #\bytes
.endm
