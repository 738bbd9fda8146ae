// SPDX-License-Identifier: Apache-2.0
// memcpy, memmove, memset, memcmp. Every access is aligned to its size: the code also runs with the MMU off, where all
// data is Device memory and an unaligned access faults. No FP/SIMD register: those belong to the guest.

.macro FUNCTION name
    .section .text.\name, "ax"
    .balign 16
    .global \name
    .hidden \name
    .type   \name, %function
\name:
    bti     c
.endm
.macro END name
    .size   \name, . - \name
.endm

// void* memcpy(void* x0 to, const void* x1 from, size_t x2 bytes). Clobbers x1-x12. Pointers that agree
// modulo 8: 64 bytes a turn; modulo 4 (properties of a device tree are 4-aligned): 16 bytes a turn; else byte by byte.
FUNCTION memcpy
    mov     x3, x0
.Lcopy_forward:
    eor     x4, x3, x1
    tst     x4, #3
    b.ne    .Lforward_bytes
.Lforward_head:
    tst     x3, #7
    b.eq    1f
    cbz     x2, .Lforward_done
    ldrb    w5, [x1], #1
    strb    w5, [x3], #1
    sub     x2, x2, #1
    b       .Lforward_head
1:  tst     x4, #7
    b.ne    .Lforward_words
2:  subs    x2, x2, #64
    b.lo    3f
    ldp     x5, x6, [x1]
    ldp     x7, x8, [x1, #16]
    ldp     x9, x10, [x1, #32]
    ldp     x11, x12, [x1, #48]
    add     x1, x1, #64
    stp     x5, x6, [x3]
    stp     x7, x8, [x3, #16]
    stp     x9, x10, [x3, #32]
    stp     x11, x12, [x3, #48]
    add     x3, x3, #64
    b       2b
3:  tbz     x2, #5, 4f                  // less than 64 are left: bit n of x2 is bit n of that
    ldp     x5, x6, [x1]
    ldp     x7, x8, [x1, #16]
    add     x1, x1, #32
    stp     x5, x6, [x3]
    stp     x7, x8, [x3, #16]
    add     x3, x3, #32
4:  tbz     x2, #4, 5f
    ldp     x5, x6, [x1], #16
    stp     x5, x6, [x3], #16
5:  tbz     x2, #3, 7f
    ldr     x5, [x1], #8
    str     x5, [x3], #8
7:  tbz     x2, #2, 8f
    ldr     w5, [x1], #4
    str     w5, [x3], #4
8:  tbz     x2, #1, 9f
    ldrh    w5, [x1], #2
    strh    w5, [x3], #2
9:  tbz     x2, #0, .Lforward_done
    ldrb    w5, [x1]
    strb    w5, [x3]
    ret
.Lforward_words:                        // x1 is 4 mod 8: 32-bit loads, 64-bit stores
    subs    x2, x2, #16
    b.lo    6f
    ldp     w5, w6, [x1]
    ldp     w7, w8, [x1, #8]
    add     x1, x1, #16
    orr     x5, x5, x6, lsl #32
    orr     x7, x7, x8, lsl #32
    stp     x5, x7, [x3], #16
    b       .Lforward_words
6:  add     x2, x2, #16
.Lforward_bytes:
    cbz     x2, .Lforward_done
    ldrb    w5, [x1], #1
    strb    w5, [x3], #1
    sub     x2, x2, #1
    b       .Lforward_bytes
.Lforward_done:
    ret
END memcpy

// void* memmove(void* x0 to, const void* x1 from, size_t x2 bytes). Clobbers x3-x12. Forward unless `to` lies in the
// source; backward copies 8 bytes a turn where the pointers allow.
FUNCTION memmove
    mov     x3, x0
    sub     x4, x0, x1
    cmp     x4, x2
    b.hs    .Lcopy_forward
    add     x3, x0, x2
    add     x1, x1, x2
    eor     x4, x3, x1
    tst     x4, #7
    b.ne    .Lbackward_bytes
.Lbackward_head:
    tst     x3, #7
    b.eq    1f
    cbz     x2, .Lbackward_done
    ldrb    w5, [x1, #-1]!
    strb    w5, [x3, #-1]!
    sub     x2, x2, #1
    b       .Lbackward_head
1:  subs    x2, x2, #8
    b.lo    2f
    ldr     x5, [x1, #-8]!
    str     x5, [x3, #-8]!
    b       1b
2:  add     x2, x2, #8
.Lbackward_bytes:
    cbz     x2, .Lbackward_done
    ldrb    w5, [x1, #-1]!
    strb    w5, [x3, #-1]!
    sub     x2, x2, #1
    b       .Lbackward_bytes
.Lbackward_done:
    ret
END memmove

// void* memset(void* x0 to, int w1 value, size_t x2 bytes). Clobbers x1-x4.
FUNCTION memset
    mov     x3, x0
    and     x1, x1, #0xFF
    mov     x4, #0x0101010101010101
    mul     x1, x1, x4
.Lset_head:
    tst     x3, #7
    b.eq    1f
    cbz     x2, .Lset_done
    strb    w1, [x3], #1
    sub     x2, x2, #1
    b       .Lset_head
1:  subs    x2, x2, #64
    b.lo    2f
    stp     x1, x1, [x3]
    stp     x1, x1, [x3, #16]
    stp     x1, x1, [x3, #32]
    stp     x1, x1, [x3, #48]
    add     x3, x3, #64
    b       1b
2:  tbz     x2, #5, 3f                  // as in memcpy
    stp     x1, x1, [x3]
    stp     x1, x1, [x3, #16]
    add     x3, x3, #32
3:  tbz     x2, #4, 4f
    stp     x1, x1, [x3], #16
4:  tbz     x2, #3, 5f
    str     x1, [x3], #8
5:  tbz     x2, #2, 6f
    str     w1, [x3], #4
6:  tbz     x2, #1, 7f
    strh    w1, [x3], #2
7:  tbz     x2, #0, .Lset_done
    strb    w1, [x3]
.Lset_done:
    ret
END memset

// int memcmp(const void* x0, const void* x1, size_t x2 bytes). Clobbers x1-x4.
FUNCTION memcmp
    cbz     x2, 2f
1:  ldrb    w3, [x0], #1
    ldrb    w4, [x1], #1
    subs    w3, w3, w4
    b.ne    3f
    sub     x2, x2, #1
    cbnz    x2, 1b
2:  mov     w0, wzr
    ret
3:  mov     w0, w3
    ret
END memcmp

// GNU property: this object has landing pads (BTI) and takes part in return-address signing.
    .section .note.gnu.property, "a"
    .balign 8
    .long   4, 0x10, 5
    .asciz  "GNU"
    .long   0xC0000000, 4, 3, 0
