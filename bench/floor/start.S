// SPDX-License-Identifier: Apache-2.0
// The floor's entry and its two vectors: the guest's registers, ELR and SPSR saved, a C++ function, all of it restored.
#include "guest/registers.h"

#define STACK_BYTES 0x1000

    .section .head.text, "ax"
    .global floor_image_start
floor_image_start:
    b       floor_start             // code0
    .long   0                       // code1
    .quad   0                       // text_offset
    .quad   floor_image_end - floor_image_start
    .quad   0xA                     // flags: little-endian, 4 KiB pages, anywhere
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0

// In: x0 = device tree. EL2, MMU off. `.bss` is what QEMU's memory is: zero.
    .type   floor_start, %function
floor_start:
    msr     daifset, #15
    adrp    x1, floor_stack
    add     x1, x1, :lo12:floor_stack
    add     sp, x1, #STACK_BYTES
    adrp    x1, floor_vectors
    add     x1, x1, :lo12:floor_vectors
    msr     vbar_el2, x1
    mov     x29, xzr
    mov     x19, x0
    bl      floor_init              // returns the guest's entry
    msr     elr_el2, x0
    mov     x1, #0x3C5              // EL1h, DAIF masked
    msr     spsr_el2, x1
    mov     x0, x19
    mov     x1, xzr
    mov     x2, xzr
    mov     x3, xzr
    eret
    .size   floor_start, . - floor_start

.macro EXIT handler
    .balign 0x80
    sub     sp, sp, #272
    stp     x0, x1, [sp]
    EACH_PAIR_OF_X_FROM_2 stp, sp
    mrs     x1, elr_el2
    mrs     x2, spsr_el2
    stp     x30, x1, [sp, #240]
    str     x2, [sp, #256]
    mov     x0, sp
    bl      \handler
    b       restore
.endm

    .section .text.vectors, "ax"
    .balign 0x800
floor_vectors:
    .rept 8
    .balign 0x80
    b       .
    .endr
    EXIT    floor_synchronous
    EXIT    floor_interrupt
    .rept 6
    .balign 0x80
    b       .
    .endr
    .balign 0x80
restore:
    ldp     x30, x1, [sp, #240]
    ldr     x2, [sp, #256]
    msr     elr_el2, x1
    msr     spsr_el2, x2
    EACH_PAIR_OF_X_FROM_2 ldp, sp
    ldp     x0, x1, [sp]
    add     sp, sp, #272
    eret
    dsb     nsh                     // no speculation past ERET
    isb

    .section .bss.stack, "aw", %nobits
    .balign 16
floor_stack:
    .skip   STACK_BYTES
