// SPDX-License-Identifier: Apache-2.0
// The instructions, as the assembler encodes them: accesses::Case in accesses.hpp.
//
// x1 and SP are the base, so that the access is `displacement` bytes from it; x2 is 0x18, w3 is -0x10 with a garbage
// upper half, x6 to x9 what memory holds at the address, all other registers are data.
#include "offsets.h"

    .arch armv8.6-a
    .section .rodata.cases, "a"
    .balign 8
    .global access_cases
access_cases:

.macro CASE displacement, flags, instruction:vararg
    .pushsection .rodata.names, "aS"
.Lname\@:
    .asciz "\instruction"
    .popsection
    .word   \flags, \displacement
    \instruction
    .word   0
    .quad   .Lname\@
.endm

// A load or store of one register by every addressing mode. `scale` is the base-2 logarithm of its bytes.
.macro ONE name, register, scale
    CASE 0, 0, \name \register, [x1]
    CASE (3 << \scale), 0, \name \register, [x1, #(3 << \scale)]
    CASE (2 << \scale), ACCESS_SP, \name \register, [sp, #(2 << \scale)]
    CASE 0, 0, \name \register, [x1], #-5
    CASE 7, 0, \name \register, [x1, #7]!
    CASE 0, ACCESS_SP, \name \register, [sp], #32
    CASE -16, ACCESS_SP, \name \register, [sp, #-16]!
    CASE 0x18, 0, \name \register, [x1, x2]
    CASE (0x18 << \scale), 0, \name \register, [x1, x2, lsl #\scale]
    CASE 0x18, 0, \name \register, [x1, w2, uxtw]
    CASE -0x10, 0, \name \register, [x1, w3, sxtw]
    CASE (-0x10 << \scale), 0, \name \register, [x1, w3, sxtw #\scale]
    CASE 0x18, 0, \name \register, [x1, x2, sxtx]
.endm
    ONE strb, w4, 0
    ONE strh, w4, 1
    ONE str, w4, 2
    ONE str, x4, 3
    ONE str, xzr, 3
    ONE str, b4, 0
    ONE str, h4, 1
    ONE str, s4, 2
    ONE str, d4, 3
    ONE str, q31, 4
    ONE ldrb, w4, 0
    ONE ldrh, w4, 1
    ONE ldr, w4, 2
    ONE ldr, x30, 3
    ONE ldr, xzr, 3
    ONE ldrsb, w4, 0
    ONE ldrsb, x4, 0
    ONE ldrsh, w4, 1
    ONE ldrsh, x4, 1
    ONE ldrsw, x4, 2
    ONE ldr, b4, 0
    ONE ldr, h4, 1
    ONE ldr, s4, 2
    ONE ldr, d4, 3
    ONE ldr, q31, 4

    .irp    instruction, "sturb w4", "sturh w4", "stur w4", "stur x4", "stur b4", "stur h4", "stur s4", "stur d4", "stur q4", "ldurb w4", "ldurh w4", "ldur w4", "ldur x4", "ldursb w4", "ldursb x4", "ldursh w4", "ldursh x4", "ldursw x4", "ldur b4", "ldur h4", "ldur s4", "ldur d4", "ldur q4"
    CASE -11, 0, \instruction, [x1, #-11]
    .endr
    .irp    instruction, "sttrb w4", "sttrh w4", "sttr w4", "sttr x4", "ldtrb w4", "ldtrh w4", "ldtr w4", "ldtr x4", "ldtrsb w4", "ldtrsb x4", "ldtrsh w4", "ldtrsh x4", "ldtrsw x4"
    CASE 0, 0, \instruction, [x1]
    CASE -9, ACCESS_SP, \instruction, [sp, #-9]
    .endr
    .irp    instruction, "ldr w4", "ldr x4", "ldrsw x4", "ldr s4", "ldr d4", "ldr q4"
    CASE 0, ACCESS_LITERAL, \instruction, . + ACCESS_LITERAL_BYTES
    .endr
    CASE 0, 0, prfm pldl1keep, [x1]
    CASE 0, 0, prfum pstl2strm, [x1]

.macro PAIR name, first, second, scale
    CASE 0, 0, \name \first, \second, [x1]
    CASE (-3 << \scale), 0, \name \first, \second, [x1, #(-3 << \scale)]
    CASE 0, 0, \name \first, \second, [x1], #(2 << \scale)
    CASE (-2 << \scale), ACCESS_SP, \name \first, \second, [sp, #(-2 << \scale)]!
.endm
    .irp    name, ldp, stp
    PAIR \name, w4, w5, 2
    PAIR \name, x4, x5, 3
    PAIR \name, x4, xzr, 3
    PAIR \name, s4, s9, 2
    PAIR \name, d4, d9, 3
    PAIR \name, q4, q9, 4
    .endr
    PAIR ldpsw, x4, x5, 2
    .irp    name, ldnp, stnp
    CASE 8, 0, \name w4, w5, [x1, #8]
    CASE 8, 0, \name x4, x5, [x1, #8]
    CASE 8, 0, \name s4, s9, [x1, #8]
    CASE 8, 0, \name d4, d9, [x1, #8]
    CASE 16, ACCESS_SP, \name q4, q9, [sp, #16]
    .endr

// --- structures -----------------------------------------------------------------------------------------------------

    .irp    name, ld, st
    .irp    lanes, 8b, 16b, 4h, 8h, 2s, 4s, 1d, 2d
    CASE 0, 0, \name\()1 {v4.\lanes}, [x1]
    CASE 0, 0, \name\()1 {v4.\lanes, v5.\lanes}, [x1], x2
    CASE 0, 0, \name\()1 {v4.\lanes, v5.\lanes, v6.\lanes}, [x1]
    CASE 0, ACCESS_SP, \name\()1 {v31.\lanes, v0.\lanes, v1.\lanes, v2.\lanes}, [sp]
    .endr
    .irp    lanes, 8b, 16b, 4h, 8h, 2s, 4s, 2d
    CASE 0, 0, \name\()2 {v4.\lanes, v5.\lanes}, [x1]
    CASE 0, 0, \name\()3 {v30.\lanes, v31.\lanes, v0.\lanes}, [x1], x2
    CASE 0, 0, \name\()4 {v4.\lanes, v5.\lanes, v6.\lanes, v7.\lanes}, [x1]
    .endr
    CASE 0, 0, \name\()1 {v4.16b}, [x1], #16
    CASE 0, 0, \name\()1 {v4.4h, v5.4h, v6.4h, v7.4h}, [x1], #32
    CASE 0, 0, \name\()2 {v4.4s, v5.4s}, [x1], #32
    CASE 0, ACCESS_SP, \name\()4 {v4.2d, v5.2d, v6.2d, v7.2d}, [sp], #64
    .endr
.macro LANE name, element, index, bytes
    CASE 0, 0, \name\()1 {v4.\element}[\index], [x1]
    CASE 0, 0, \name\()2 {v31.\element, v0.\element}[\index], [x1]
    CASE 0, 0, \name\()3 {v4.\element, v5.\element, v6.\element}[\index], [x1], x2
    CASE 0, ACCESS_SP, \name\()4 {v4.\element, v5.\element, v6.\element, v7.\element}[\index], [sp], #(4 * \bytes)
.endm
    .irp    name, ld, st
    LANE \name, b, 9, 1
    LANE \name, b, 0, 1
    LANE \name, h, 5, 2
    LANE \name, s, 3, 4
    LANE \name, d, 1, 8
    .endr
    .irp    lanes, 8b, 16b, 4h, 8h, 2s, 4s, 1d, 2d
    CASE 0, 0, ld1r {v4.\lanes}, [x1]
    CASE 0, 0, ld2r {v4.\lanes, v5.\lanes}, [x1], x2
    CASE 0, 0, ld3r {v4.\lanes, v5.\lanes, v6.\lanes}, [x1]
    CASE 0, 0, ld4r {v31.\lanes, v0.\lanes, v1.\lanes, v2.\lanes}, [x1]
    .endr

// --- ordered, exclusive, atomic ---------------------------------------------------------------------------------------

    .irp    name, ldar, stlr, ldlar, stllr, ldapr, ldxr, ldaxr
    CASE 0, ACCESS_ALIGNED, \name\()b w4, [x1]
    CASE 0, ACCESS_ALIGNED, \name\()h w4, [x1]
    CASE 0, ACCESS_ALIGNED, \name w4, [x1]
    CASE 0, ACCESS_ALIGNED | ACCESS_SP, \name x4, [sp]
    .endr
    .irp    instruction, "ldapurb w4", "ldapurh w4", "ldapur w4", "ldapur x4", "ldapursb w4", "ldapursb x4", "ldapursh w4", "ldapursh x4", "ldapursw x4", "stlurb w4", "stlurh w4", "stlur w4", "stlur x4"
    CASE -16, ACCESS_ALIGNED, \instruction, [x1, #-16]
    .endr
    .irp    name, ldxp, ldaxp
    CASE 0, ACCESS_ALIGNED, \name w4, w5, [x1]
    CASE 0, ACCESS_ALIGNED, \name x4, x5, [x1]
    .endr
    .irp    name, stxr, stlxr  // without a load exclusive: they fail
    CASE 0, ACCESS_ALIGNED, \name\()b w5, w4, [x1]
    CASE 0, ACCESS_ALIGNED, \name\()h w5, w4, [x1]
    CASE 0, ACCESS_ALIGNED, \name w5, w4, [x1]
    CASE 0, ACCESS_ALIGNED, \name w5, x4, [x1]
    .endr
    .irp    name, stxp, stlxp
    CASE 0, ACCESS_ALIGNED, \name w5, w4, w10, [x1]
    CASE 0, ACCESS_ALIGNED, \name w5, x4, x10, [x1]
    .endr
    .irp    operation, add, clr, eor, set, smax, smin, umax, umin
    CASE 0, ACCESS_ALIGNED, ld\operation\()b w4, w5, [x1]
    CASE 0, ACCESS_ALIGNED, ld\operation\()ah w4, w5, [x1]
    CASE 0, ACCESS_ALIGNED, ld\operation\()al w4, w5, [x1]
    CASE 0, ACCESS_ALIGNED | ACCESS_SP, ld\operation\()l x4, x5, [sp]
    CASE 0, ACCESS_ALIGNED, st\operation x4, [x1]
    .endr
    CASE 0, ACCESS_ALIGNED, swpb w4, w5, [x1]
    CASE 0, ACCESS_ALIGNED, swpah w4, w5, [x1]
    CASE 0, ACCESS_ALIGNED, swpal w4, w5, [x1]
    CASE 0, ACCESS_ALIGNED, swpl x4, xzr, [x1]
    .irp    name, cas, casa, casl, casal
    CASE 0, ACCESS_ALIGNED, \name\()b w6, w4, [x1]  // equal
    CASE 0, ACCESS_ALIGNED, \name\()h w4, w6, [x1]  // not equal
    CASE 0, ACCESS_ALIGNED, \name w6, w4, [x1]
    CASE 0, ACCESS_ALIGNED, \name x4, x6, [x1]
    CASE 0, ACCESS_ALIGNED, \name x6, x4, [x1]
    .endr
    .irp    name, casp, caspal
    CASE 0, ACCESS_ALIGNED, \name x6, x7, x4, x5, [x1]  // equal
    CASE 0, ACCESS_ALIGNED, \name x4, x5, x6, x7, [x1]
    CASE 0, ACCESS_ALIGNED, \name w8, w9, w4, w5, [x1]  // equal
    CASE 0, ACCESS_ALIGNED, \name w4, w5, w8, w9, [x1]
    .endr
    CASE 5, ACCESS_BLOCK, dc zva, x1

    .global access_cases_end
access_cases_end:
