// SPDX-License-Identifier: Apache-2.0
// SVE registers to and from SveState. With fpsimd.S the only code at EL2 that touches them. But for
// arm_vcpu_sve_lengths() CPTR_EL2.TZ and TFP must be 0, and ZCR_EL2 as the owner of the registers has it.
    .arch_extension sve

#define CPTR_TZ (1 << 8)
#define CPTR_TFP (1 << 10)
#define ZCR_LEN_MAX 15

.macro SVE_EACH_Z op
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    \op     z\n, [x0, #\n, mul vl]
    .endr
.endm
.macro SVE_EACH_P op
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    \op     p\n, [x2, #\n, mul vl]
    .endr
.endm
// Z0 to Z31 fill 32 vector lengths; behind them are P0 to P15, each an eighth of one, and FFR.
.macro SVE_PREDICATES_INTO_X2
    addvl   x2, x0, #31
    addvl   x2, x2, #1
.endm

    .section .text.arm_vcpu_sve, "ax"

// void arm_vcpu_save_sve(std::byte* registers x0, std::uint64_t* fpsr_fpcr x1). Clobbers x2-x4, and P0.
    .global arm_vcpu_save_sve
    .hidden arm_vcpu_save_sve
    .type   arm_vcpu_save_sve, %function
arm_vcpu_save_sve:
    bti     c
    SVE_EACH_Z str
    SVE_PREDICATES_INTO_X2
    SVE_EACH_P str
    rdffr   p0.b
    str     p0, [x2, #16, mul vl]
    mrs     x3, fpsr
    mrs     x4, fpcr
    stp     x3, x4, [x1]
    ret
    .size   arm_vcpu_save_sve, . - arm_vcpu_save_sve

// void arm_vcpu_load_sve(const std::byte* registers x0, const std::uint64_t* fpsr_fpcr x1). Clobbers x2-x4.
    .global arm_vcpu_load_sve
    .hidden arm_vcpu_load_sve
    .type   arm_vcpu_load_sve, %function
arm_vcpu_load_sve:
    bti     c
    SVE_EACH_Z ldr
    SVE_PREDICATES_INTO_X2
    ldr     p0, [x2, #16, mul vl]
    wrffr   p0.b
    SVE_EACH_P ldr
    ldp     x3, x4, [x1]
    msr     fpsr, x3
    msr     fpcr, x4
    ret
    .size   arm_vcpu_load_sve, . - arm_vcpu_load_sve

// std::uint64_t arm_vcpu_sve_lengths(): bit n is 1 when vectors of 128 * (n + 1) bits can be had. Asks for each length
// and looks at what comes, from the longest down: ZCR_EL2.LEN gives the longest that is not above it.
// What vectors hold is lost. Clobbers x1-x6. [armarm] "ZCR_EL2, SVE Control Register (EL2)"
    .global arm_vcpu_sve_lengths
    .hidden arm_vcpu_sve_lengths
    .type   arm_vcpu_sve_lengths, %function
arm_vcpu_sve_lengths:
    bti     c
    mrs     x1, cptr_el2
    mov     x2, #(CPTR_TZ | CPTR_TFP)
    bic     x2, x1, x2
    msr     cptr_el2, x2
    isb
    mrs     x3, zcr_el2
    mov     x0, #0
    mov     x4, #ZCR_LEN_MAX
    mov     x6, #1
.Lnext_length:
    msr     zcr_el2, x4
    isb
    rdvl    x5, #1                          // bytes
    lsr     x5, x5, #4
    sub     x5, x5, #1                      // as LEN
    lsl     x4, x6, x5
    orr     x0, x0, x4
    subs    x4, x5, #1
    b.pl    .Lnext_length
    msr     zcr_el2, x3
    msr     cptr_el2, x1
    isb
    ret
    .size   arm_vcpu_sve_lengths, . - arm_vcpu_sve_lengths
