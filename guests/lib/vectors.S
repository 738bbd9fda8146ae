// SPDX-License-Identifier: Apache-2.0
// Every exception: the registers into a guest::Frame on the stack, then guest_exception(vector, frame).
#include "guest/offsets.h"
#include "guest/registers.h"

#define FRAME_ELR (31 * 8)
#define FRAME_ESR (33 * 8)

.macro SLOT number
    .balign 0x80
    sub     sp, sp, #GUEST_FRAME_BYTES
    stp     x0, x1, [sp]
    mov     x0, #\number
    b       enter
.endm

    .text
    .balign 0x800
    .global guest_vectors
guest_vectors:
    .irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    SLOT \number
    .endr
    .balign 0x80

enter:
    EACH_PAIR_OF_X_FROM_2 stp, sp
    str     x30, [sp, #30 * 8]
    mrs     x2, elr_el1
    mrs     x3, spsr_el1
    stp     x2, x3, [sp, #FRAME_ELR]
    mrs     x2, esr_el1
    mrs     x3, far_el1
    stp     x2, x3, [sp, #FRAME_ESR]
    mov     x1, sp
    bl      guest_exception
    ldp     x2, x3, [sp, #FRAME_ELR]
    msr     elr_el1, x2
    msr     spsr_el1, x3
    ldp     x0, x1, [sp]
    EACH_PAIR_OF_X_FROM_2 ldp, sp
    ldr     x30, [sp, #30 * 8]
    add     sp, sp, #GUEST_FRAME_BYTES
    eret
