// SPDX-License-Identifier: Apache-2.0
// An SMC to the firmware with all registers of the convention. [smccc] "SMC64/HVC64": x0 to x17 hold arguments and
// results, all else is kept by the callee.
    .section .text.arm_vcpu_smc, "ax"

// void arm_vcpu_smc(std::uint64_t* x0): x0[0] to x0[17] are X0 to X17, before and after.
    .global arm_vcpu_smc
    .hidden arm_vcpu_smc
    .type   arm_vcpu_smc, %function
arm_vcpu_smc:
    bti     c
    str     x19, [sp, #-16]!
    mov     x19, x0
    ldp     x16, x17, [x19, #8 * 16]
    ldp     x14, x15, [x19, #8 * 14]
    ldp     x12, x13, [x19, #8 * 12]
    ldp     x10, x11, [x19, #8 * 10]
    ldp     x8, x9, [x19, #8 * 8]
    ldp     x6, x7, [x19, #8 * 6]
    ldp     x4, x5, [x19, #8 * 4]
    ldp     x2, x3, [x19, #8 * 2]
    ldp     x0, x1, [x19]
    smc     #0
    stp     x0, x1, [x19]
    stp     x2, x3, [x19, #8 * 2]
    stp     x4, x5, [x19, #8 * 4]
    stp     x6, x7, [x19, #8 * 6]
    stp     x8, x9, [x19, #8 * 8]
    stp     x10, x11, [x19, #8 * 10]
    stp     x12, x13, [x19, #8 * 12]
    stp     x14, x15, [x19, #8 * 14]
    stp     x16, x17, [x19, #8 * 16]
    ldr     x19, [sp], #16
    ret
    .size   arm_vcpu_smc, . - arm_vcpu_smc
