// SPDX-License-Identifier: Apache-2.0
// From the boot loader's jump to C++ with the MMU on, for the first CPU and for the others.
#include "arm_vcpu/el2/panic_asm.h"
#include "platform_asm.h"

#define EL1_IN_CURRENTEL (1 << 2)
#define EL2_IN_CURRENTEL (2 << 2)
#define R_AARCH64_RELATIVE 1027
#define HCR_RW (1 << 31)                // HCR_EL2: EL1 is AArch64; E2H, TGE and all traps off
#define CPTR_NO_FP_TRAP 0x33FF          // CPTR_EL2, E2H=0: RES1 bits; SVE and SME trap, FP does not
#define SCTLR_EL2_RES1 0x30C50830
#define SCTLR_EL1_RES1 0x30D00800
#define SCTLR_EnIA (1 << 31)

// x\reg = run-time address of symbol.
.macro ADDRESS reg, symbol
    adrp    \reg, \symbol
    add     \reg, \reg, :lo12:\symbol
.endm

// `operation` on all data-cache lines of [x0, x1). Clobbers x0, x2, x3. No stack.
.macro CACHE_RANGE operation
    mrs     x2, ctr_el0
    ubfx    x2, x2, #16, #4             // DminLine
    mov     x3, #4
    lsl     x2, x3, x2
    sub     x3, x2, #1
    bic     x0, x0, x3
.Lline\@:
    dc      \operation, x0
    add     x0, x0, x2
    cmp     x0, x1
    b.lo    .Lline\@
    dsb     sy
.endm

// The header of an arm64 Image. [linux] "Call the kernel image"
    .section .head.text, "ax"
    .global hv_image_start
    .hidden hv_image_start
hv_image_start:
    b       primary_start               // code0
    .long   0                           // code1
    .quad   0                           // text_offset: any 2 MiB boundary
    .quad   hv_image_end - hv_image_start  // image_size: with bss and stacks
    .quad   0xA                         // flags: little-endian, 4 KiB pages, anywhere in memory
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0

// In: x0 = device tree. MMU off, caches may hold lines of anything but the loaded file.
// x19 = device tree, x20 = image base until C++.
primary_start:
    msr     daifset, #15
    mrs     x1, CurrentEL
    cmp     x1, #EL2_IN_CURRENTEL
    b.hi    park                        // EL3: no firmware below us to print or power off with
    mov     x19, x0
    ADDRESS x20, hv_image_start

    // All that is written until the MMU is on bypasses the caches. A dirty line left over here would later overwrite
    // it, a clean one would hide it: write back and drop all lines now, drop what came since before the MMU goes on.
    mov     x0, x20
    ADDRESS x1, hv_boot_writes_end
    CACHE_RANGE civac

    // The image is linked to address 0.
    ADDRESS x1, hv_rela_start
    ADDRESS x2, hv_rela_end
1:  cmp     x1, x2
    b.hs    2f
    ldp     x3, x4, [x1], #16           // r_offset, r_info
    ldr     x5, [x1], #8                // r_addend
    cmp     w4, #R_AARCH64_RELATIVE
    b.ne    park
    add     x5, x5, x20
    str     x5, [x20, x3]
    b       1b

2:  ADDRESS x1, hv_bss_start
    ADDRESS x2, hv_bss_end              // both 16-byte aligned
3:  cmp     x1, x2
    b.hs    4f
    stp     xzr, xzr, [x1], #16
    b       3b

4:  ADDRESS x21, hv_per_cpu             // of CPU 0
    ADDRESS x1, hv_stacks
    add     x2, x1, #HV_EMERGENCY_STACK_TOP
    str     x2, [x21, #HV_PERCPU_EMERGENCY_TOP]
    add     x1, x1, #HV_STACK_SLOT_BYTES
    str     x1, [x21, #HV_PERCPU_STACK_TOP]
    mov     sp, x1
    mov     x29, xzr
    mov     x30, xzr

    mrs     x1, CurrentEL
    cmp     x1, #EL2_IN_CURRENTEL
    b.eq    5f
    ldr     w1, =SCTLR_EL1_RES1         // EL1: only to say so on the console
    msr     sctlr_el1, x1
    isb
    b       6f
5:  bl      reset_el2
    msr     tpidr_el2, x21
6:  mov     x0, x19
    bl      hv_build_boot_map

    mov     x0, x20
    ADDRESS x1, hv_boot_writes_end
    CACHE_RANGE ivac
    bl      enable_stage1
    mov     x0, x19
    bl      hv_main                     // does not return

// A CPU that nothing can be done with.
    .global hv_park
    .hidden hv_park
    .type   hv_park, %function
hv_park:
    bti     c
park:
    wfe
    b       park
    .size   hv_park, . - hv_park

// PSCI CPU_ON enters here, with the MMU off. In: x0 = PerCpu*, whose stack_top is in memory (not in a cache), as is
// hv_regime.
    .global hv_secondary_start
    .hidden hv_secondary_start
    .type   hv_secondary_start, %function
hv_secondary_start:
    msr     daifset, #15
    mov     x21, x0
    mrs     x1, CurrentEL
    cmp     x1, #EL2_IN_CURRENTEL
    b.ne    park                        // the first CPU reports that this one never came
    bl      reset_el2
    msr     tpidr_el2, x21
    ldr     x22, [x21, #HV_PERCPU_STACK_TOP]
    bl      enable_stage1
    mov     sp, x22
    mov     x29, xzr
    mov     x0, x21
    bl      hv_secondary_main           // does not return
    b       park
    .size   hv_secondary_start, . - hv_secondary_start

// void hv_pauth_enable(uint64_t x0 key_low, uint64_t x1 key_high): see mmu.hpp. Clobbers x2. Key registers and fields by
// encoding: the assembler knows their names only where the architecture level says so.
    .global hv_pauth_enable
    .hidden hv_pauth_enable
    .type   hv_pauth_enable, %function
hv_pauth_enable:
    bti     c
    mrs     x2, id_aa64isar1_el1
    tst     x2, #0xFF0                  // APA, API: address authentication
    b.ne    1f
    mrs     x2, S3_0_C0_C6_2            // ID_AA64ISAR2_EL1
    tst     x2, #0xF000                 // APA3
    b.eq    2f
1:  msr     S3_0_C2_C1_0, x0            // APIAKeyLo_EL1
    msr     S3_0_C2_C1_1, x1            // APIAKeyHi_EL1
    mrs     x2, sctlr_el2
    orr     x2, x2, #SCTLR_EnIA
    msr     sctlr_el2, x2
    isb
2:  ret
    .size   hv_pauth_enable, . - hv_pauth_enable

// EL2's own registers to known values, vectors for our own faults. Clobbers x1. No stack.
    .type   reset_el2, %function
reset_el2:
    mov     x1, #HCR_RW
    msr     hcr_el2, x1
    isb                                 // E2H decides what the next registers mean
    ldr     w1, =SCTLR_EL2_RES1
    msr     sctlr_el2, x1
    mov     x1, #CPTR_NO_FP_TRAP
    msr     cptr_el2, x1
    msr     vttbr_el2, xzr
    ADDRESS x1, hv_early_vectors
    msr     vbar_el2, x1
    isb
    ret
    .size   reset_el2, . - reset_el2

.macro ENABLE_STAGE1 el, tlbi
    ldp     x1, x2, [x0, #HV_REGIME_MAIR]
    ldp     x3, x4, [x0, #HV_REGIME_TTBR0]
    msr     mair_\el, x1
    msr     tcr_\el, x2
    msr     ttbr0_\el, x3
    isb
    tlbi    \tlbi
    ic      iallu
    dsb     nsh
    isb
    msr     sctlr_\el, x4
    isb
    ret
.endm

// MMU and caches on for the current Exception level, from hv_regime. The code is identity mapped. Clobbers x0-x5.
    .type   enable_stage1, %function
enable_stage1:
    ADDRESS x0, hv_regime
    mrs     x5, CurrentEL
    cmp     x5, #EL1_IN_CURRENTEL
    b.eq    1f
    ENABLE_STAGE1 el2, alle2
1:  ENABLE_STAGE1 el1, vmalle1
    .size   enable_stage1, . - enable_stage1

    .ltorg

// For the time before a vCPU library takes VBAR_EL2 over: our own faults only; there is no guest yet.
    .section .text.hv_early_vectors, "ax"
    .balign 0x800
    .type   hv_early_vectors, %object
hv_early_vectors:
    .irp kind, 0, 1, 2, 3, 4, 5, 6, 7
    VCPU_EL2_PANIC_SLOT \kind
    .endr
    .rept 8
    .balign 0x80
    b       park
    .endr
    .size   hv_early_vectors, . - hv_early_vectors

    .section .note.gnu.property, "a"
    .balign 8
    .long   4, 0x10, 5
    .asciz  "GNU"
    .long   0xC0000000, 4, 3, 0
