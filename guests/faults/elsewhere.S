// SPDX-License-Identifier: Apache-2.0
// Loaded at RAM + 0x80000, linked to 0x80080000: the first absolute address leads out of memory.
    .text
    .global start
start:
    ldr     x0, =message
    ldrb    w1, [x0]
1:  wfi
    b       1b
    .ltorg
message:
    .asciz  "never read"
