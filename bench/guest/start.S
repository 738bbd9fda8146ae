// SPDX-License-Identifier: Apache-2.0
// The benchmark guest from its first instruction to C++: an arm64 Image that runs at any address, with an identity map of 1 GiB
// blocks: normal memory where the image is, Device elsewhere. Then its vectors, and the operations that must be in assembly:
// all that wait, because the instructions of a wait do not count.
#include "marks.h"

#define ICC_SGI1R_EL1 S3_0_C12_C11_5
#define ICC_IAR1_EL1 S3_0_C12_C12_0
#define ICC_EOIR1_EL1 S3_0_C12_C12_1

#define MAIR 0x04FF                       // 0: normal, write-back; 1: Device-nGnRE
#define NORMAL_BLOCK 0x701                // AF, inner shareable, attribute 0
#define DEVICE_BLOCK ((3 << 53) | 0x405)  // AF, attribute 1, never executed
#define TCR 0x803519                      // T0SZ 25 (39 bits), write-back inner shareable walks, EPD1, 4 KiB
#define TCR_IPS_SHIFT 32
#define SCTLR_MMU_ON 0x30D01805           // RES1 bits, I, C, M
#define EL1_IN_CURRENTEL (1 << 2)
#define STACK_BYTES 0x2000

.macro ADDRESS reg, symbol
    adrp    \reg, \symbol
    add     \reg, \reg, :lo12:\symbol
.endm

// `operation` on all data-cache lines of the image. Clobbers x1-x4.
.macro IMAGE_CACHE operation
    ADDRESS x1, bench_image_start
    ADDRESS x2, bench_image_end
    mrs     x3, ctr_el0
    ubfx    x3, x3, #16, #4               // DminLine
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
    .global bench_image_start
bench_image_start:
    hint    #BENCH_MARK_START             // code0
    b       primary                       // code1
    .quad   0x80000                       // text_offset
    .quad   bench_memory_end - bench_image_start
    .quad   0xA                           // flags: little-endian, 4 KiB pages, anywhere in memory
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
    // What is written with the caches off must neither be hidden nor overwritten by what they hold.
    IMAGE_CACHE civac
    ADDRESS x1, bench_bss_start
    ADDRESS x2, bench_bss_end
1:  cmp     x1, x2
    b.hs    2f
    stp     xzr, xzr, [x1], #16
    b       1b
2:  ADDRESS x5, bench_level_1
    ADDRESS x6, bench_image_start
    lsr     x6, x6, #30
    mov     x7, #0
3:  lsl     x8, x7, #30
    cmp     x7, x6
    b.eq    4f
    ldr     x9, =DEVICE_BLOCK
    b       5f
4:  mov     x9, #NORMAL_BLOCK
5:  orr     x8, x8, x9
    str     x8, [x5, x7, lsl #3]
    add     x7, x7, #1
    cmp     x7, #512
    b.lo    3b
    IMAGE_CACHE ivac
    bl      mmu_on
    ADDRESS x1, bench_stacks
    add     sp, x1, #STACK_BYTES
    ADDRESS x1, bench_cpus
    msr     tpidr_el1, x1
    ADDRESS x1, bench_vectors
    msr     vbar_el1, x1
    isb
    mov     x29, xzr
    mov     x0, x19
    bl      bench_main
park:
    wfi
    b       park

// PSCI CPU_ON enters here. In: x0 = address of what it calls. MMU off. Uses the second stack and the second bench::Cpu.
    .global bench_secondary
    .hidden bench_secondary
    .type   bench_secondary, %function
bench_secondary:
    hint    #BENCH_MARK_END
    msr     daifset, #15
    mov     x19, x0
    bl      mmu_on
    ADDRESS x1, bench_stacks
    add     sp, x1, #(2 * STACK_BYTES)
    ADDRESS x1, bench_cpus
    add     x1, x1, #64
    msr     tpidr_el1, x1
    ADDRESS x1, bench_vectors
    msr     vbar_el1, x1
    isb
    mov     x29, xzr
    blr     x19
    b       park
    .size   bench_secondary, . - bench_secondary

// Clobbers x1-x3.
    .type   mmu_on, %function
mmu_on:
    ldr     x1, =MAIR
    msr     mair_el1, x1
    ldr     x1, =TCR
    mrs     x2, id_aa64mmfr0_el1
    and     x2, x2, #0xF                  // PARange
    mov     x3, #5                        // 48 bits; 52 need another descriptor format
    cmp     x2, x3
    csel    x2, x2, x3, lo
    orr     x1, x1, x2, lsl #TCR_IPS_SHIFT
    msr     tcr_el1, x1
    ADDRESS x1, bench_level_1
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

// Interrupts: acknowledge, end, tell this CPU's bench::Cpu::interrupt (its first word). What else happens to the timer or
// between the two is the variant. A synchronous exception is noted in bench::Cpu::exceptions and its instruction left out.
.macro VECTORS name
    .section .text.\name, "ax"
    .balign 0x800
    .global \name
    .hidden \name
\name:
    .rept 4
    .balign 0x80
    b       .
    .endr
    .balign 0x80
    stp     x0, x1, [sp, #-16]!
    mrs     x0, elr_el1
    add     x0, x0, #4
    msr     elr_el1, x0
    mrs     x1, tpidr_el1
    ldr     w0, [x1, #4]
    add     w0, w0, #1
    str     w0, [x1, #4]
    ldp     x0, x1, [sp], #16
    eret
    .balign 0x80
    stp     x0, x1, [sp, #-16]!
    mrs     x0, ICC_IAR1_EL1
    .ifc \name, bench_vectors_acknowledged
    hint    #BENCH_MARK_END
    .endif
    .ifc \name, bench_vectors_timer
    mov     x1, #2                        // IMASK: the level falls before the interrupt ends
    msr     cntv_ctl_el0, x1
    isb
    .endif
    msr     ICC_EOIR1_EL1, x0
    mrs     x1, tpidr_el1
    add     w0, w0, #1
    str     w0, [x1]
    ldp     x0, x1, [sp], #16
    eret
    .rept 10
    .balign 0x80
    b       .
    .endr
    .balign 0x80
.endm
    VECTORS bench_vectors
    VECTORS bench_vectors_acknowledged
    VECTORS bench_vectors_timer

// What is between bench_wait_<n> and bench_wait_<n>_end does not count.
.macro WAIT_FOR_WORD number, address      // until the word is not zero; clobbers w9
bench_wait_\number:
    yield                                 // an emulator with one thread for all CPUs runs another one now
    ldr     w9, [\address]
    cbz     w9, bench_wait_\number
bench_wait_\number\()_end:
.endm
.macro FUNCTION name
    .global \name
    .hidden \name
    .type   \name, %function
\name:
.endm

    .text
// void bench_wait(const u32* x0): until the word is not zero, outside of measurements.
FUNCTION bench_wait
    WAIT_FOR_WORD 0, x0
    ret

// void bench_sgi_self(u64 x0 = ICC_SGI1R_EL1, u32* x1 = this CPU's `interrupt`). Interrupts enabled.
FUNCTION bench_sgi_self
    str     wzr, [x1]
    dsb     sy
    hint    #BENCH_MARK_BEGIN
    msr     ICC_SGI1R_EL1, x0
    isb
    WAIT_FOR_WORD 1, x1
    hint    #BENCH_MARK_END
    ret

// void bench_timer(u64 x0 = CNTV_CVAL_EL0, u32* x1 = `interrupt`). The compare value is in the future.
FUNCTION bench_timer
    str     wzr, [x1]
    msr     cntv_cval_el0, x0
    mov     x2, #1
    msr     cntv_ctl_el0, x2
    isb
    hint    #BENCH_MARK_BEGIN
    WAIT_FOR_WORD 2, x1
    hint    #BENCH_MARK_END
    ret

// void bench_wfi_timer(u64 x0 = CNTV_CVAL_EL0): interrupts masked in PSTATE, so that WFI ends and nothing is taken.
FUNCTION bench_wfi_timer
    msr     cntv_cval_el0, x0
    mov     x2, #1
    msr     cntv_ctl_el0, x2
    isb
    hint    #BENCH_MARK_BEGIN
    wfi
    hint    #BENCH_MARK_END
    ret

// void bench_sgi_other(u64 x0 = ICC_SGI1R_EL1, const u32* x1): sends, and waits for the word. The other CPU marks the end.
FUNCTION bench_sgi_other
    dsb     sy
    hint    #BENCH_MARK_BEGIN
    msr     ICC_SGI1R_EL1, x0
    isb
    WAIT_FOR_WORD 3, x1
    ret

// u64 bench_cpu_on(u64 mpidr, u64 entry, u64 argument, const u32* x3): waits for the word if CPU_ON succeeded. Its answer.
// The other CPU marks the end.
FUNCTION bench_cpu_on
    stp     x29, x30, [sp, #-32]!
    mov     x29, sp
    str     x19, [sp, #16]
    mov     x19, x3
    mov     x3, x2
    mov     x2, x1
    mov     x1, x0
    ldr     x0, =0xC4000003
    hint    #BENCH_MARK_BEGIN
    hvc     #0
    cbnz    x0, 1f
    WAIT_FOR_WORD 4, x19
1:  ldr     x19, [sp, #16]
    ldp     x29, x30, [sp], #32
    ret

// Makes the other vCPU runnable and waits for its SGI; what is measured ends behind `first_instruction`.
.macro GIVE_WAY name, first_instruction
FUNCTION \name
    dsb     sy
    msr     ICC_SGI1R_EL1, x0
    isb
1:  hint    #BENCH_MARK_BEGIN
    wfi
    \first_instruction
    hint    #BENCH_MARK_END
    mrs     x2, ICC_IAR1_EL1
    cmp     w2, #1023
    b.eq    1b
    msr     ICC_EOIR1_EL1, x2
    isb
    ret
.endm

// void NAME(u64 x0 = ICC_SGI1R_EL1). Interrupts masked.
GIVE_WAY bench_give_way

// The same, and the first FP instruction after it is what is measured.
FUNCTION bench_give_way_fp
    dsb     sy
    msr     ICC_SGI1R_EL1, x0
    isb
1:  wfi
    mrs     x2, ICC_IAR1_EL1
    cmp     w2, #1023
    b.eq    1b
    msr     ICC_EOIR1_EL1, x2
    isb
    hint    #BENCH_MARK_BEGIN
    fmov    d0, xzr
    hint    #BENCH_MARK_END
    ret

// The same, and both are.
GIVE_WAY bench_give_way_with_fp, "fmov d0, xzr"
    .ltorg

    .section .bss.stacks, "aw", %nobits
    .balign 16
bench_stacks:
    .skip   2 * STACK_BYTES
    .section .bss.level_1, "aw", %nobits
    .balign 4096
bench_level_1:
    .skip   4096
