// SPDX-License-Identifier: Apache-2.0
// Vectors of guests that do not recover: each slot of stuck_vectors spins, each slot of faulting_vectors faults again,
// each slot of returning_vectors goes back to the instruction that it was taken for.
    .text
    .balign 0x800
    .global stuck_vectors
stuck_vectors:
    .rept 16
    .balign 0x80
    b       .
    .endr
    .balign 0x80

    .balign 0x800
    .global faulting_vectors
faulting_vectors:
    .rept 16
    .balign 0x80
    mov     x0, #0x70000000         // in no translation table of the guest
    str     x0, [x0]
    b       .
    .endr
    .balign 0x80

    .balign 0x800
    .global returning_vectors
returning_vectors:
    .rept 16
    .balign 0x80
    eret
    .endr
    .balign 0x80

// As a kernel's handler that gives up: interrupts masked, asleep.
    .balign 0x800
    .global sleeping_vectors
sleeping_vectors:
    .rept 16
    .balign 0x80
    wfi
    b       . - 4
    .endr
    .balign 0x80

// Replaces the instruction by a NOP, and spins.
    .balign 0x800
    .global rewriting_vectors
rewriting_vectors:
    .rept 16
    .balign 0x80
    mrs     x10, elr_el1
    mov     w9, #0x201F
    movk    w9, #0xD503, lsl #16
    str     w9, [x10]
    b       .
    .endr
    .balign 0x80
