// SPDX-License-Identifier: Apache-2.0
// FP/SIMD registers to and from FpSimdState. The only code at EL2 that touches them; CPTR_EL2.TFP must be 0.
    .arch_extension fp
    .arch_extension simd

.macro FP_EACH_PAIR op
    \op     q0, q1, [x0, #32 * 0]
    \op     q2, q3, [x0, #32 * 1]
    \op     q4, q5, [x0, #32 * 2]
    \op     q6, q7, [x0, #32 * 3]
    \op     q8, q9, [x0, #32 * 4]
    \op     q10, q11, [x0, #32 * 5]
    \op     q12, q13, [x0, #32 * 6]
    \op     q14, q15, [x0, #32 * 7]
    \op     q16, q17, [x0, #32 * 8]
    \op     q18, q19, [x0, #32 * 9]
    \op     q20, q21, [x0, #32 * 10]
    \op     q22, q23, [x0, #32 * 11]
    \op     q24, q25, [x0, #32 * 12]
    \op     q26, q27, [x0, #32 * 13]
    \op     q28, q29, [x0, #32 * 14]
    \op     q30, q31, [x0, #32 * 15]
.endm

    .section .text.arm_vcpu_fp, "ax"

// void arm_vcpu_save_fp(FpSimdState* x0). Clobbers x1, x2.
    .global arm_vcpu_save_fp
    .hidden arm_vcpu_save_fp
    .type   arm_vcpu_save_fp, %function
arm_vcpu_save_fp:
    bti     c
    FP_EACH_PAIR stp
    mrs     x1, fpsr
    mrs     x2, fpcr
    str     x1, [x0, #32 * 16]
    str     x2, [x0, #32 * 16 + 8]
    ret
    .size   arm_vcpu_save_fp, . - arm_vcpu_save_fp

// One register: the load or store of Qn is entry n of a table whose entries are 16 bytes long.
.macro FP_ONE_REGISTER name, op
    .global \name
    .hidden \name
    .type   \name, %function
    .balign 16
\name:
    bti     c
    adr     x2, .Ltable_\name
    add     x2, x2, x0, lsl #4
    br      x2
    .balign 16
.Ltable_\name:
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    bti     j
    \op     q\n, [x1]
    ret
    nop
    .endr
    .size   \name, . - \name
.endm

// void NAME(std::uint64_t x0 /* 0 to 31 */, std::uint64_t* x1 /* two of them */). Clobbers x2.
    FP_ONE_REGISTER arm_vcpu_read_vector, str
    FP_ONE_REGISTER arm_vcpu_write_vector, ldr

// void arm_vcpu_load_fp(const FpSimdState* x0). Clobbers x1, x2.
    .global arm_vcpu_load_fp
    .hidden arm_vcpu_load_fp
    .type   arm_vcpu_load_fp, %function
arm_vcpu_load_fp:
    bti     c
    FP_EACH_PAIR ldp
    ldr     x1, [x0, #32 * 16]
    ldr     x2, [x0, #32 * 16 + 8]
    msr     fpsr, x1
    msr     fpcr, x2
    ret
    .size   arm_vcpu_load_fp, . - arm_vcpu_load_fp
