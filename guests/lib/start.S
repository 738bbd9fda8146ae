// SPDX-License-Identifier: Apache-2.0
// From the boot loader, or PSCI CPU_ON, to C++ with the MMU and the caches on.
#include "guest/offsets.h"

#define MAIR 0x04FF                 // 0: normal, write-back; 1: Device-nGnRE
#define NORMAL_BLOCK 0x701          // AF, inner shareable, attribute 0
#define DEVICE_BLOCK ((3 << 53) | 0x405)  // AF, attribute 1, never executed
#define TABLE 3
#define TCR 0x803519                // T0SZ 25 (39 bits), write-back inner shareable walks, EPD1, 4 KiB
#define TCR_IPS_SHIFT 32
#define SCTLR_MMU_ON 0x30D01805     // RES1 bits, I, C, M
#define EL1_IN_CURRENTEL (1 << 2)

.macro ADDRESS reg, symbol
    adrp    \reg, \symbol
    add     \reg, \reg, :lo12:\symbol
.endm

// `operation` on all data-cache lines of the image. Clobbers x1-x4.
.macro IMAGE_CACHE operation
    ADDRESS x1, guest_image_start
    ADDRESS x2, guest_image_end
    mrs     x3, ctr_el0
    ubfx    x3, x3, #16, #4         // DminLine
    mov     x4, #4
    lsl     x3, x4, x3
.Lline\@:
    dc      \operation, x1
    add     x1, x1, x3
    cmp     x1, x2
    b.lo    .Lline\@
    dsb     sy
.endm

// [linux] "Booting AArch64 Linux", "Call the kernel image"
    .section .head.text, "ax"
    .global guest_image_start
guest_image_start:
    b       primary                 // code0
    .long   0                       // code1
    .quad   0x80000                 // text_offset
    .quad   guest_image_end - guest_image_start
    .quad   0x2                     // flags: little-endian, 4 KiB pages
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0

// In: x0 = device tree. MMU off.
primary:
    msr     daifset, #15
    mov     x19, x0
    mrs     x1, CurrentEL
    cmp     x1, #EL1_IN_CURRENTEL
    b.ne    park
    ldr     x1, =guest_image_start
    ADDRESS x2, guest_image_start
    cmp     x1, x2
    b.ne    park                    // linked for another address
    // What is written with the caches off must neither be hidden nor overwritten by what they hold.
    IMAGE_CACHE civac
    ADDRESS x1, guest_bss_start
    ADDRESS x2, guest_bss_end
1:  cmp     x1, x2
    b.hs    2f
    stp     xzr, xzr, [x1], #16
    b       1b
2:  IMAGE_CACHE ivac
    bl      mmu_on
    ADDRESS x1, guest_stacks
    add     sp, x1, #GUEST_STACK_BYTES
    ADDRESS x1, guest_cpus
    msr     tpidr_el1, x1
    ADDRESS x1, guest_vectors
    msr     vbar_el1, x1
    isb
    mov     x29, xzr
    mov     x0, x19
    bl      guest_start             // does not return
park:
    wfi
    b       park

// PSCI CPU_ON enters here. In: x0 = PerCpu. MMU off.
    .global guest_secondary
    .type   guest_secondary, %function
guest_secondary:
    mrs     x20, daif
    mrs     x21, sctlr_el1
    mrs     x22, CurrentEL
    mov     x19, x0
    msr     daifset, #15
    bl      mmu_on
    ldr     x1, [x19, #GUEST_CPU_STACK_TOP]
    mov     sp, x1
    stp     x20, x21, [x19, #GUEST_CPU_RESET_STATE]
    str     x22, [x19, #GUEST_CPU_RESET_STATE + 16]
    msr     tpidr_el1, x19
    ADDRESS x1, guest_vectors
    msr     vbar_el1, x1
    isb
    mov     x29, xzr
    mov     x0, x19
    bl      guest_secondary_start   // does not return
    b       park
    .size   guest_secondary, . - guest_secondary

// Clobbers x1-x3.
    .type   mmu_on, %function
mmu_on:
    ldr     x1, =MAIR
    msr     mair_el1, x1
    ldr     x1, =TCR
    mrs     x2, id_aa64mmfr0_el1
    and     x2, x2, #0xF            // PARange
    mov     x3, #5                  // 48 bits; 52 need another descriptor format
    cmp     x2, x3
    csel    x2, x2, x3, lo
    orr     x1, x1, x2, lsl #TCR_IPS_SHIFT
    msr     tcr_el1, x1
    ADDRESS x1, level_1
    msr     ttbr0_el1, x1
    isb
    tlbi    vmalle1
    ic      iallu
    dsb     nsh
    isb
    ldr     x1, =SCTLR_MMU_ON
    msr     sctlr_el1, x1
    isb
    ret
    .size   mmu_on, . - mmu_on
    .ltorg

// The identity map: devices below 1 GiB, 64 MiB of RAM, and of what is nowhere a block of code (guest::kCodeHole) and
// one of data (guest::kHighHole).
    .section .data.tables, "aw"
    .balign 4096
level_1:
    .quad   DEVICE_BLOCK
    .quad   guest_level_2 + TABLE
    .fill   62, 8, 0
    .quad   (64 << 30) | DEVICE_BLOCK
    .fill   512 - 65, 8, 0
    .global guest_level_2
guest_level_2:
    .set    block, 0x40000000
    .rept   32
    .quad   block | NORMAL_BLOCK
    .set    block, block + 0x200000
    .endr
    .fill   511 - 32, 8, 0
    .quad   0x7FE00000 | NORMAL_BLOCK
