// SPDX-License-Identifier: Apache-2.0
// Instructions of FEAT_MTE2 that no compiler makes here, and vectors that tell PSTATE.TCO.
    .arch   armv8.5-a+memtag
    .text

// void mte_zero_granule(u64 address): data and tag.
    .global mte_zero_granule
mte_zero_granule:
    stzg    x0, [x0]
    ret

// void mte_store_pair(u64 address, u64 first, u64 second): data, and the address's tag.
    .global mte_store_pair
mte_store_pair:
    stgp    x1, x2, [x0]
    ret

// void mte_store_many(u64 address, u64 tags); u64 mte_load_many(u64 address): of GMID_EL1.BS's block.
    .global mte_store_many
mte_store_many:
    stgm    x1, [x0]
    ret
    .global mte_load_many
mte_load_many:
    ldgm    x0, [x0]
    ret

// u64 mte_random_tag(u64 address): by GCR_EL1 and RGSR_EL1.
    .global mte_random_tag
mte_random_tag:
    irg     x0, x0
    ret

// void mte_set_block(u64 address), mte_zero_block(u64 address): of DCZID_EL0.BS's block.
    .global mte_set_block
mte_set_block:
    dc      gva, x0
    ret
    .global mte_zero_block
mte_zero_block:
    dc      gzva, x0
    ret

// void mte_maintain(u64 address): every operation by address for tags.
    .global mte_maintain
mte_maintain:
    dc      cgvac, x0
    dc      cgdvac, x0
    dc      cgvap, x0
    dc      cgdvap, x0
    dc      cigvac, x0
    dc      cigdvac, x0
    dc      igvac, x0
    dc      igdvac, x0
    dsb     sy
    ret

// u64 mte_tco_after_svc(), mte_tco_after_undefined(): PSTATE.TCO in the handler of an exception that the CPU takes, and of
// one that the hypervisor makes; taken with TCO 0. Clobber x1, x2.
.macro TCO_AFTER instruction, step
    mrs     x2, vbar_el1
    adr     x1, tco_vectors
    msr     vbar_el1, x1
    isb
    mov     x1, #\step
    msr     tco, #0
    \instruction
    msr     vbar_el1, x2
    isb
    ret
.endm
    .global mte_tco_after_svc
mte_tco_after_svc:
    TCO_AFTER "svc #0", 0
    .global mte_tco_after_undefined
mte_tco_after_undefined:
    TCO_AFTER "mrs x0, S3_0_C1_C2_1", 4     // TRFCR_EL1, which is hidden

    .balign 0x800
tco_vectors:
    .balign 0x200
    .space  0x200                           // 0x200: from EL1 with SP_EL1
    .org    tco_vectors + 0x200
    mrs     x0, elr_el1
    add     x0, x0, x1
    msr     elr_el1, x0
    mrs     x0, tco
    eret
    .org    tco_vectors + 0x800
