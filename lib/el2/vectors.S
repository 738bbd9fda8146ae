// SPDX-License-Identifier: Apache-2.0
// The world switch: EL2 vectors, guest exit, guest entry.
//
// While the guest runs, SP_EL2 is the address of its VCpuContext, so that an exit stores the first register without a
// free one. The host's stack pointer is in the context. FP/SIMD registers are never touched here.
#include "arm_vcpu/el2/panic_asm.h"
#include "context_asm.h"

#define APIAKEYLO_EL1 S3_0_C2_C1_0
#define APIAKEYHI_EL1 S3_0_C2_C1_1

// x0 to x30 of the guest into its context.
.macro VCPU_SAVE_GPRS
    stp     x0, x1, [sp, #VCPU_CTX_X0 + 8 * 0]
    stp     x2, x3, [sp, #VCPU_CTX_X0 + 8 * 2]
    stp     x4, x5, [sp, #VCPU_CTX_X0 + 8 * 4]
    stp     x6, x7, [sp, #VCPU_CTX_X0 + 8 * 6]
    stp     x8, x9, [sp, #VCPU_CTX_X0 + 8 * 8]
    stp     x10, x11, [sp, #VCPU_CTX_X0 + 8 * 10]
    stp     x12, x13, [sp, #VCPU_CTX_X0 + 8 * 12]
    stp     x14, x15, [sp, #VCPU_CTX_X0 + 8 * 14]
    stp     x16, x17, [sp, #VCPU_CTX_X0 + 8 * 16]
    stp     x18, x19, [sp, #VCPU_CTX_X0 + 8 * 18]
    stp     x20, x21, [sp, #VCPU_CTX_X0 + 8 * 20]
    stp     x22, x23, [sp, #VCPU_CTX_X0 + 8 * 22]
    stp     x24, x25, [sp, #VCPU_CTX_X0 + 8 * 24]
    stp     x26, x27, [sp, #VCPU_CTX_X0 + 8 * 26]
    stp     x28, x29, [sp, #VCPU_CTX_X0 + 8 * 28]
    str     x30, [sp, #VCPU_CTX_X0 + 8 * 30]
    ldr     x16, [sp, #VCPU_CTX_HOST_SP]
    mov     x19, sp                         // survives the calls
    mov     sp, x16
.endm

// The other way. In: SP = VCpuContext. X20 to X29 are what a function keeps, or are loaded in between.
.macro VCPU_LOAD_X2_TO_X19
    ldp     x2, x3, [sp, #VCPU_CTX_X0 + 8 * 2]
    ldp     x4, x5, [sp, #VCPU_CTX_X0 + 8 * 4]
    ldp     x6, x7, [sp, #VCPU_CTX_X0 + 8 * 6]
    ldp     x8, x9, [sp, #VCPU_CTX_X0 + 8 * 8]
    ldp     x10, x11, [sp, #VCPU_CTX_X0 + 8 * 10]
    ldp     x12, x13, [sp, #VCPU_CTX_X0 + 8 * 12]
    ldp     x14, x15, [sp, #VCPU_CTX_X0 + 8 * 14]
    ldp     x16, x17, [sp, #VCPU_CTX_X0 + 8 * 16]
    ldp     x18, x19, [sp, #VCPU_CTX_X0 + 8 * 18]
.endm
.macro VCPU_RETURN_TO_GUEST
    ldr     x30, [sp, #VCPU_CTX_X0 + 8 * 30]
    ldp     x0, x1, [sp, #VCPU_CTX_X0]
    eret
    dsb     nsh                             // no speculation past ERET
    isb
.endm

// An exception taken from the guest. In: SP_EL2 = VCpuContext. At most 32 instructions. With `answer`, that function is
// asked first: vmexit_answer_irq(context), or vmexit_answer_sync(-, context, ESR_EL2).
.macro VCPU_GUEST_EXIT_SLOT kind, target, answer
    .balign 0x80
.Lslot_\@:
    VCPU_SAVE_GPRS
    .ifnb   \answer
    .if     \kind == VCPU_TRAP_SYNC
    mov     x1, x19
    mrs     x2, esr_el2
    .else
    mov     x0, x19
    .endif
    bl      \answer                         // w0: VectorAnswer
    cbz     w0, .Lresume_answered
    .else
    mov     w0, #VCPU_ANSWER_NONE
    .endif
    mov     x20, #\kind
    b       \target
    .org    .Lslot_\@ + 0x80                // backwards, which is an error, if the slot overflows
.endm

// AArch32 EL1 cannot be entered (HCR_EL2.RW is 1), but AArch32 EL0 can: its exits use the last four slots. Nobody asks for
// an answer for an instruction of its: it may be two bytes long, in an IT block, or see its data big-endian.
.macro VCPU_GUEST_EXIT_ALIAS table, offset
    .balign 0x80
    b       \table + \offset
.endm

.macro VCPU_VECTORS table, answer_sync, answer_irq
    .balign 0x800
    .global \table
    .hidden \table
    .type   \table, %object
\table:
    VCPU_EL2_PANIC_SLOT 0
    VCPU_EL2_PANIC_SLOT 1
    VCPU_EL2_PANIC_SLOT 2
    VCPU_EL2_PANIC_SLOT 3
    VCPU_EL2_PANIC_SLOT 4
    VCPU_EL2_PANIC_SLOT 5
    VCPU_EL2_PANIC_SLOT 6
    VCPU_EL2_PANIC_SLOT 7
    VCPU_GUEST_EXIT_SLOT VCPU_TRAP_SYNC, .Lexit_with_syndrome, \answer_sync
    VCPU_GUEST_EXIT_SLOT VCPU_TRAP_IRQ, .Lexit_interrupt, \answer_irq
    VCPU_GUEST_EXIT_SLOT VCPU_TRAP_FIQ, .Lexit_interrupt
    VCPU_GUEST_EXIT_SLOT VCPU_TRAP_SERROR, .Lexit_with_syndrome
    VCPU_GUEST_EXIT_SLOT VCPU_TRAP_SYNC, .Lexit_with_syndrome
    VCPU_GUEST_EXIT_ALIAS \table, 0x480
    VCPU_GUEST_EXIT_ALIAS \table, 0x500
    VCPU_GUEST_EXIT_ALIAS \table, 0x580
    .balign 0x80
    .size   \table, . - \table
.endm
    .section .text.arm_vcpu_vectors, "ax"
    VCPU_VECTORS arm_vcpu_vectors, vmexit_answer_sync, vmexit_answer_irq
    VCPU_VECTORS arm_vcpu_plain_vectors

// The guest goes on after an answer: ELR_EL2, SPSR_EL2 and the registers that a function keeps are as they have to be.
    .section .text.arm_vcpu_world_switch, "ax"
    .balign 64
.Lresume_answered:                          // x19 = VCpuContext
    mov     sp, x19
    VCPU_LOAD_X2_TO_X19
    VCPU_RETURN_TO_GUEST

// In: x19 = VCpuContext with x0-x30 saved, SP = the host's stack, x20 = kind, w0 = VectorAnswer where one was asked for.
// Latches the syndrome once; nothing reads it again.
.Lexit_with_syndrome:
    mrs     x1, elr_el2
    mrs     x2, spsr_el2
    tbnz    w0, #VCPU_ANSWER_OTHERWISE_BIT, .Lanswered_otherwise
    mrs     x3, esr_el2
    mrs     x4, far_el2
    mrs     x5, hpfar_el2
    stp     x1, x2, [x19, #VCPU_CTX_ELR]
    stp     x3, x4, [x19, #VCPU_CTX_ESR]
    stp     x5, x20, [x19, #VCPU_CTX_HPFAR]
.Lexit:
    ldr     x7, [x19, #VCPU_CTX_SWAP_IA_KEY]
    mov     x0, x19
    mov     x29, sp                         // the frame record of arm_vcpu_enter_guest: backtraces reach run()
    cbnz    x7, .Ltake_host_ia_key
.Lcall_handler:
    bl      vmexit_handler                  // x0: the vCPU that goes on, or null = run() returns
    cbz     x0, .Lleave
.Lgo_on:
    mov     x19, x0
    ldr     x7, [x19, #VCPU_CTX_SWAP_IA_KEY]
    cbnz    x7, .Ltake_guest_ia_key
.Lresume:                                   // x19 = VCpuContext
    ldp     x1, x2, [x19, #VCPU_CTX_ELR]
.Lresume_with_state:                        // x1, x2 = ELR_EL2, SPSR_EL2
    mov     sp, x19
    msr     elr_el2, x1
    msr     spsr_el2, x2
    VCPU_LOAD_X2_TO_X19
    ldp     x20, x21, [sp, #VCPU_CTX_X0 + 8 * 20]
    ldp     x22, x23, [sp, #VCPU_CTX_X0 + 8 * 22]
    ldp     x24, x25, [sp, #VCPU_CTX_X0 + 8 * 24]
    ldp     x26, x27, [sp, #VCPU_CTX_X0 + 8 * 26]
    ldp     x28, x29, [sp, #VCPU_CTX_X0 + 8 * 28]
    VCPU_RETURN_TO_GUEST

.Lexit_interrupt:                           // an interrupt has no syndrome
    mrs     x1, elr_el2
    mrs     x2, spsr_el2
    stp     x1, x2, [x19, #VCPU_CTX_ELR]
    str     x20, [x19, #VCPU_CTX_KIND]
    b       .Lexit

// VectorAnswer::done_all_gprs: x19 to x28 too may be new. VectorAnswer::waits: a WFI, which has no addresses.
.Lanswered_otherwise:
    tbz     w0, #VCPU_ANSWER_WAITS_BIT, .Lresume_with_state
    mrs     x3, esr_el2
    stp     x1, x2, [x19, #VCPU_CTX_ELR]
    stp     x3, xzr, [x19, #VCPU_CTX_ESR]
    stp     xzr, x20, [x19, #VCPU_CTX_HPFAR]
    ldr     x7, [x19, #VCPU_CTX_SWAP_IA_KEY]
    mov     x0, x19
    mov     x29, sp
    cbnz    x7, .Ltake_host_ia_key_to_wait
.Lcall_wait:
    bl      vmexit_wait                     // x0: the vCPU that goes on, or null = nobody knows yet
    cbnz    x0, .Lgo_on
    mov     x0, x19
    b       .Lcall_handler

// x19 = VCpuContext. The ISB: the handler signs and checks return addresses with the host's key.
.macro VCPU_TAKE_HOST_IA_KEY
    mrs     x8, APIAKEYLO_EL1
    mrs     x9, APIAKEYHI_EL1
    stp     x8, x9, [x19, #VCPU_CTX_GUEST_IA_KEY]
    ldp     x8, x9, [x19, #VCPU_CTX_HOST_IA_KEY]
    msr     APIAKEYLO_EL1, x8
    msr     APIAKEYHI_EL1, x9
    isb
.endm
.Ltake_host_ia_key:
    VCPU_TAKE_HOST_IA_KEY
    b       .Lcall_handler
.Ltake_host_ia_key_to_wait:
    VCPU_TAKE_HOST_IA_KEY
    b       .Lcall_wait

// No ISB: the ERET synchronizes.
.Ltake_guest_ia_key:
    ldp     x8, x9, [x19, #VCPU_CTX_GUEST_IA_KEY]
    msr     APIAKEYLO_EL1, x8
    msr     APIAKEYHI_EL1, x9
    b       .Lresume

// void arm_vcpu_enter_guest(VCpuContext* x0). Returns when vmexit_handler() returns null. Clobbers what AAPCS64 lets a
// function clobber, and SP_EL0.
    .global arm_vcpu_enter_guest
    .hidden arm_vcpu_enter_guest
    .type   arm_vcpu_enter_guest, %function
arm_vcpu_enter_guest:
    paciasp
    stp     x29, x30, [sp, #-96]!
    mov     x29, sp
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    mov     x19, x0
    mov     x1, sp
    ldr     x2, [x19, #VCPU_CTX_SP_EL0]
    ldr     x7, [x19, #VCPU_CTX_SWAP_IA_KEY]
    str     x1, [x19, #VCPU_CTX_HOST_SP]
    msr     sp_el0, x2
    cbnz    x7, .Ltake_guest_ia_key
    b       .Lresume
.Lleave:
    mrs     x2, sp_el0
    str     x2, [x19, #VCPU_CTX_SP_EL0]
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     x29, x30, [sp], #96
    autiasp
    ret
    .size   arm_vcpu_enter_guest, . - arm_vcpu_enter_guest
