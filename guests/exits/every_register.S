// SPDX-License-Identifier: Apache-2.0
// Exits with each general-purpose register as the operand, and with all of them live.
#include "guest/registers.h"

    .text

.macro EACH_REGISTER do
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    \do     \n
    .endr
    .irp    n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
    \do     \n
    .endr
.endm

.macro LOAD_ENTRY n
    .quad   load_into_x\n
.endm
.macro STORE_ENTRY n
    .quad   store_from_x\n
.endm

// uint64_t load_into_x<n>(uint64_t address): ldr w<n>, [address]. void store_from_x<n>(address, value): str w<n>.
.macro LOAD_INTO n
load_into_x\n:
    str     x\n, [sp, #-16]!
    ldr     w\n, [x0]
    .if     \n                      // x0 is the result, the others are restored: x30 is the return address
    mov     x0, x\n
    ldr     x\n, [sp]
    .endif
    add     sp, sp, #16
    ret
store_from_x\n:
    str     x\n, [sp, #-16]!
    .if     \n
    mov     x\n, x1
    str     w\n, [x0]
    .else
    mov     x9, x0
    mov     x0, x1
    str     w0, [x9]
    .endif
    ldr     x\n, [sp], #16
    ret
.endm

    EACH_REGISTER LOAD_INTO

// void across_<kind>(uint64_t x0 address, uint64_t* x1 out): loads x0-x29 with known values, does one exit, and stores
// x0-x29, NZCV and x30, 32 words. x0 is the address, x30 is 0x0101010101010101,
// and x<n> is n times that.
.macro ACROSS kind, instruction:vararg
    .global across_\kind
    .type   across_\kind, %function
across_\kind:
    PUSH_KEPT_X 112
    str     x1, [sp, #96]
    mov     x30, #0xA0000000        // N and C
    msr     nzcv, x30
    mov     x30, #0x0101010101010101
    mov     x1, x30
    .irp    n, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29
    mov     x\n, #\n
    mul     x\n, x\n, x30
    .endr
    \instruction
    str     x30, [sp, #104]
    ldr     x30, [sp, #96]
    stp     x0, x1, [x30]
    EACH_PAIR_OF_X_FROM_2 stp, x30
    mrs     x0, nzcv
    ldr     x1, [sp, #104]
    stp     x0, x1, [x30, #240]
    POP_KEPT_X 112
    ret
    .size   across_\kind, . - across_\kind
.endm

    ACROSS  load, ldr wzr, [x0]
    ACROSS  store, str w0, [x0]
    ACROSS  wfi, wfi
    ACROSS  sysreg, mrs xzr, actlr_el1
    ACROSS  id_register, mrs xzr, id_aa64pfr0_el1
    ACROSS  sgi, msr S3_0_C12_C11_5, xzr
    ACROSS  hvc, hvc #1

    .section .rodata.every_register, "a"
    .balign 8
    .global load_into
load_into:
    EACH_REGISTER LOAD_ENTRY
    .global store_from
store_from:
    EACH_REGISTER STORE_ENTRY
