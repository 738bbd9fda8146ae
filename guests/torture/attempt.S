// SPDX-License-Identifier: Apache-2.0
// One attempt: into another address space with all registers as torture_state says, and back by whatever exception ends
// it. The vectors need no stack, no register and no memory but this page and torture_state, which every address space
// of an attempt maps: nothing that an attempt may do to its registers or tables keeps them from getting home.
#include "guest/registers.h"
#include "offsets.h"

    .section .text.torture_page, "ax"
    .balign 4096
    .global torture_page
torture_page:
torture_vectors:

.macro SLOT number
    .balign 0x80
    msr     tpidr_el0, x0
    msr     tpidrro_el0, x1
    mov     x0, #\number
    b       leave
.endm
    .irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    SLOT \number
    .endr
    .balign 0x80

// SCTLR_EL1 is written last on the way out and first on the way home. All regimes map this page alike.
leave:
    msr     tpidr_el1, x0           // the vector's number
    adrp    x0, torture_state
    add     x0, x0, :lo12:torture_state
    ldr     x1, [x0, #PAGE_HOME]
    msr     sctlr_el1, x1
    isb
    ldr     x1, [x0, #PAGE_HOME + 8]
    msr     tcr_el1, x1
    ldr     x1, [x0, #PAGE_HOME + 16]
    msr     mair_el1, x1
    ldr     x1, [x0, #PAGE_HOME + 24]
    msr     ttbr0_el1, x1
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    stp     x2, x3, [x0, #PAGE_OUT_X + 2 * 8]
    stp     x4, x5, [x0, #PAGE_OUT_X + 4 * 8]
    stp     x6, x7, [x0, #PAGE_OUT_X + 6 * 8]
    stp     x8, x9, [x0, #PAGE_OUT_X + 8 * 8]
    stp     x10, x11, [x0, #PAGE_OUT_X + 10 * 8]
    stp     x12, x13, [x0, #PAGE_OUT_X + 12 * 8]
    str     x14, [x0, #PAGE_OUT_X + 14 * 8]     // beyond: out of reach of a pair
    str     x15, [x0, #PAGE_OUT_X + 15 * 8]
    .irp    n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
    str     x\n, [x0, #PAGE_OUT_X + \n * 8]
    .endr
    mrs     x2, tpidr_el0
    mrs     x3, tpidrro_el0
    stp     x2, x3, [x0, #PAGE_OUT_X]
    mrs     x2, tpidr_el1
    str     x2, [x0, #PAGE_OUT_VECTOR]
    mrs     x2, esr_el1
    str     x2, [x0, #PAGE_OUT_ESR]
    mrs     x2, elr_el1
    str     x2, [x0, #PAGE_OUT_ELR]
    mrs     x2, far_el1
    str     x2, [x0, #PAGE_OUT_FAR]
    mrs     x2, spsr_el1
    str     x2, [x0, #PAGE_OUT_SPSR]
    ldr     x2, [x0, #PAGE_HOME_TPIDR]
    msr     tpidr_el1, x2
    ldr     x2, [x0, #PAGE_HOME_VBAR]
    msr     vbar_el1, x2
    ldr     x2, [x0, #PAGE_HOME_SP]
    mov     sp, x2
    msr     daifset, #15
    isb
    POP_KEPT_X 96
    ret

// void torture_enter(): returns when the attempt has ended by an exception.
    .global torture_enter
    .type   torture_enter, %function
torture_enter:
    PUSH_KEPT_X 96
    adrp    x0, torture_state
    add     x0, x0, :lo12:torture_state
    mov     x1, sp
    str     x1, [x0, #PAGE_HOME_SP]
    adrp    x1, torture_vectors
    add     x1, x1, :lo12:torture_vectors
    msr     vbar_el1, x1
    ldr     x1, [x0, #PAGE_ELR]
    msr     elr_el1, x1
    ldr     x1, [x0, #PAGE_SPSR]
    msr     spsr_el1, x1
    ldr     x1, [x0, #PAGE_SP_EL0]
    msr     sp_el0, x1
    ldr     x1, [x0, #PAGE_SP]
    mov     sp, x1
    ldr     x1, [x0, #PAGE_ABROAD + 8]
    msr     tcr_el1, x1
    ldr     x1, [x0, #PAGE_ABROAD + 16]
    msr     mair_el1, x1
    ldr     x1, [x0, #PAGE_ABROAD + 24]
    msr     ttbr0_el1, x1
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    ldr     x1, [x0, #PAGE_ABROAD]
    msr     sctlr_el1, x1
    isb
    .irp    n, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
    ldr     x\n, [x0, #PAGE_X + \n * 8]
    .endr
    ldp     x0, x1, [x0, #PAGE_X]
    eret
    .size   torture_enter, . - torture_enter
    .balign 4096
