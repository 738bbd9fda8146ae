// SPDX-License-Identifier: Apache-2.0
// void smc_with_everything(u64* x0): SMC #0 with X0 to X30 from x0[0] to x0[30], and back.
    .text
    .global smc_with_everything
smc_with_everything:
    stp     x29, x30, [sp, #-112]!
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    str     x0, [sp, #96]
    mov     x30, x0
    ldp     x28, x29, [x30, #8 * 28]
    ldp     x26, x27, [x30, #8 * 26]
    ldp     x24, x25, [x30, #8 * 24]
    ldp     x22, x23, [x30, #8 * 22]
    ldp     x20, x21, [x30, #8 * 20]
    ldp     x18, x19, [x30, #8 * 18]
    ldp     x16, x17, [x30, #8 * 16]
    ldp     x14, x15, [x30, #8 * 14]
    ldp     x12, x13, [x30, #8 * 12]
    ldp     x10, x11, [x30, #8 * 10]
    ldp     x8, x9, [x30, #8 * 8]
    ldp     x6, x7, [x30, #8 * 6]
    ldp     x4, x5, [x30, #8 * 4]
    ldp     x2, x3, [x30, #8 * 2]
    ldp     x0, x1, [x30]
    ldr     x30, [x30, #8 * 30]
    .inst   0xD4000003              // SMC #0
    str     x30, [sp, #104]
    ldr     x30, [sp, #96]
    stp     x28, x29, [x30, #8 * 28]
    stp     x26, x27, [x30, #8 * 26]
    stp     x24, x25, [x30, #8 * 24]
    stp     x22, x23, [x30, #8 * 22]
    stp     x20, x21, [x30, #8 * 20]
    stp     x18, x19, [x30, #8 * 18]
    stp     x16, x17, [x30, #8 * 16]
    stp     x14, x15, [x30, #8 * 14]
    stp     x12, x13, [x30, #8 * 12]
    stp     x10, x11, [x30, #8 * 10]
    stp     x8, x9, [x30, #8 * 8]
    stp     x6, x7, [x30, #8 * 6]
    stp     x4, x5, [x30, #8 * 4]
    stp     x2, x3, [x30, #8 * 2]
    stp     x0, x1, [x30]
    mov     x1, x30
    ldr     x0, [sp, #104]
    str     x0, [x1, #8 * 30]
    ldp     x27, x28, [sp, #80]
    ldp     x25, x26, [sp, #64]
    ldp     x23, x24, [sp, #48]
    ldp     x21, x22, [sp, #32]
    ldp     x19, x20, [sp, #16]
    ldp     x29, x30, [sp], #112
    ret
