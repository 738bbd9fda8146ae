// SPDX-License-Identifier: Apache-2.0
// FP/SIMD registers and pointer authentication, which the compiler is told to stay away from.
#include "guest/registers.h"

    .text

// void fp_load(const FpState* x0), void fp_store(FpState* x0): V0 to V31, then FPCR and FPSR.
    .global fp_load
    .type   fp_load, %function
fp_load:
    EACH_PAIR_OF_V ldp, x0
    ldr     x1, [x0, #512]
    ldr     x2, [x0, #520]
    msr     fpcr, x1
    msr     fpsr, x2
    ret
    .size   fp_load, . - fp_load

    .global fp_store
    .type   fp_store, %function
fp_store:
    EACH_PAIR_OF_V stp, x0
    mrs     x1, fpcr
    mrs     x2, fpsr
    str     x1, [x0, #512]
    str     x2, [x0, #520]
    ret
    .size   fp_store, . - fp_store

#define SCTLR_EnIA (1 << 31)

// void pauth_across_exits(uint64_t x0 pointer, uint64_t x1 modifier, uint64_t x2 address, PauthOutcome* x3): signs the
// pointer with key IA, does exits (a load from the device register at `address`, an ID register, ACTLR, WFI if an
// interrupt is pending), signs it again, authenticates the first. Nothing is called between, so that no return address
// of the compiler's is signed with one state of SCTLR_EL1 and authenticated with the other.
    .global pauth_across_exits
    .type   pauth_across_exits, %function
pauth_across_exits:
    mrs     x4, sctlr_el1
    orr     x5, x4, #SCTLR_EnIA
    msr     sctlr_el1, x5
    isb
    mov     x17, x0
    mov     x16, x1
    hint    #8                          // PACIA1716
    mov     x6, x17
    ldr     wzr, [x2]
    mrs     xzr, id_aa64pfr0_el1
    mrs     xzr, actlr_el1
    wfi
    mov     x17, x0
    hint    #8
    mov     x7, x17
    mov     x17, x6
    hint    #12                         // AUTIA1716
    mov     x8, x17
    msr     sctlr_el1, x4
    isb
    stp     x6, x7, [x3]
    str     x8, [x3, #16]
    ret
    .size   pauth_across_exits, . - pauth_across_exits
