// SPDX-License-Identifier: Apache-2.0
// The first instructions of a CPU: they write down every register before anything uses one, then fill all of them and
// turn the CPU off. MMU off.
#include "features/fresh_layout.h"

    .arch   armv8.2-a+sve
    .text

.macro ALL_32 operation
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    \operation \n
    .endr
.endm
.macro STORE_V n
    str     q\n, [x1, #16 * \n]
.endm
.macro STORE_Z n
    str     z\n, [x1, #\n, mul vl]
.endm
.macro FILL_V n
    movi    v\n\().16b, #0xA5
.endm
.macro FILL_Z n
    mov     z\n\().d, #-86
.endm

// x0, the context of CPU_ON, is where they go.
    .global fresh_entry
fresh_entry:
    stp     x1, x2, [x0, #8 * 1]
    stp     x3, x4, [x0, #8 * 3]
    stp     x5, x6, [x0, #8 * 5]
    stp     x7, x8, [x0, #8 * 7]
    stp     x9, x10, [x0, #8 * 9]
    stp     x11, x12, [x0, #8 * 11]
    stp     x13, x14, [x0, #8 * 13]
    stp     x15, x16, [x0, #8 * 15]
    stp     x17, x18, [x0, #8 * 17]
    stp     x19, x20, [x0, #8 * 19]
    stp     x21, x22, [x0, #8 * 21]
    stp     x23, x24, [x0, #8 * 23]
    stp     x25, x26, [x0, #8 * 25]
    stp     x27, x28, [x0, #8 * 27]
    stp     x29, x30, [x0, #8 * 29]
    mov     x1, sp
    mrs     x2, daif
    stp     x1, x2, [x0, #8 * 31]
    mrs     x1, SPSel
    mrs     x2, CurrentEL
    stp     x1, x2, [x0, #8 * 33]
    mrs     x1, nzcv
    str     x1, [x0, #8 * 35]
    add     x3, x0, #FRESH_SYSREGS
#define FRESH(name, value, other) mrs x1, name; str x1, [x3], #8;
#include "features/fresh_registers.def"
#undef FRESH
    mov     x1, #(3 << 20 | 3 << 16)
    msr     cpacr_el1, x1
    isb
    mrs     x1, fpsr
    mrs     x2, fpcr
    str     x1, [x0, #FRESH_FP_STATUS]
    str     x2, [x0, #FRESH_FP_STATUS + 8]
    add     x1, x0, #FRESH_VECTORS
    mrs     x4, id_aa64pfr0_el1
    ubfx    x4, x4, #32, #4
    cbz     x4, .Lno_sve
    mrs     x5, S3_0_C1_C2_0        // ZCR_EL1
    str     x5, [x0, #FRESH_ZCR]
    mov     x5, #15
    msr     S3_0_C1_C2_0, x5
    isb
    ALL_32  STORE_Z
    addvl   x2, x1, #16
    addvl   x2, x2, #16
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    str     p\n, [x2, #\n, mul vl]
    .endr
    rdffr   p0.b
    str     p0, [x2, #16, mul vl]
    ALL_32  FILL_Z
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    ptrue   p\n\().b
    .endr
    setffr
    b       .Lfill
.Lno_sve:
    ALL_32  STORE_V
    ALL_32  FILL_V
.Lfill:
    mov     x1, #0x9F
    msr     fpsr, x1
    mov     x1, #0x3000000
    msr     fpcr, x1
    dsb     sy
#define FRESH(name, value, other) ldr x1, =other; msr name, x1;
#include "features/fresh_registers.def"
#undef FRESH
    isb
    ldr     x0, =0x84000002         // CPU_OFF
    .irp    n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
    ldr     x\n, =0xBADC0DE000000000 + \n
    .endr
    mov     sp, x30
    hvc     #0
    b       .
    .ltorg
