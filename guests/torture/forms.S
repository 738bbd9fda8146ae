// SPDX-License-Identifier: Apache-2.0
// One instruction of every form that reaches memory: address in x1, data in x2, x3 and v0 to v3, offset in x5, status
// and comparison in x4 and x6 to x9. They are copied, never run here.
    .arch   armv8.5-a+memtag+sve

    .section .rodata.forms, "a"
    .balign 8
    .global torture_forms
torture_forms:
    .irp    op, ldrb, ldrh, ldr, ldrsb, ldrsh, strb, strh, str, ldurb, ldurh, ldur, sturb, sturh, stur
    \op     w2, [x1]
    .endr
    .irp    op, ldtrb, ldtrh, ldtr, sttrb, sttrh, sttr, ldarb, ldarh, ldar, stlrb, stlrh, stlr, ldlarb, stllr
    \op     w2, [x1]
    .endr
    .irp    op, ldr, ldrsb, ldrsh, ldrsw, str, ldur, stur, ldtr, sttr, ldar, stlr, ldlar, ldapr
    \op     x2, [x1]
    .endr
    .irp    op, ldrb, ldrh, ldr, ldrsb, ldrsh, strb, strh, str
    \op     w2, [x1], #4
    \op     w2, [x1, #-4]!
    \op     w2, [x1, x5]
    \op     w2, [x1, w5, sxtw]
    .endr
    .irp    op, ldr, str, ldrsw
    \op     x2, [x1], #8
    \op     x2, [x1, #-8]!
    .endr
    .irp    op, ldp, stp, ldnp, stnp
    \op     w2, w3, [x1]
    \op     x2, x3, [x1]
    \op     q0, q1, [x1]
    \op     d0, d1, [x1]
    .endr
    .irp    op, ldp, stp
    \op     x2, x3, [x1], #16
    \op     w2, w3, [x1, #-8]!
    \op     s0, s1, [x1], #8
    .endr
    ldpsw   x2, x3, [x1]
    .irp    op, ldr, str
    \op     b0, [x1]
    \op     h0, [x1]
    \op     s0, [x1]
    \op     d0, [x1]
    \op     q0, [x1]
    \op     q0, [x1], #16
    .endr
    .irp    op, ld1, st1
    \op     {v0.b}[3], [x1]
    \op     {v0.s}[1], [x1], #4
    \op     {v0.16b}, [x1]
    \op     {v0.2d, v1.2d, v2.2d, v3.2d}, [x1]
    .endr
    ld1r    {v0.4s}, [x1]
    ld2     {v0.4s, v1.4s}, [x1]
    st2     {v0.4s, v1.4s}, [x1]
    ld3     {v0.8h, v1.8h, v2.8h}, [x1]
    st4     {v0.8b, v1.8b, v2.8b, v3.8b}, [x1]
    .irp    op, ldxrb, ldxrh, ldxr, ldaxrb, ldaxr
    \op     w2, [x1]
    .endr
    .irp    op, stxrb, stxrh, stxr, stlxr
    \op     w4, w2, [x1]
    .endr
    ldxr    x2, [x1]
    stxr    w4, x2, [x1]
    ldxp    x2, x3, [x1]
    stxp    w4, x2, x3, [x1]
    .irp    op, ldadd, ldclr, ldeor, ldset, ldsmax, ldumin, swp, cas, casal, ldaddal
    \op     w2, w3, [x1]
    \op     x2, x3, [x1]
    .endr
    ldaddb  w2, w3, [x1]
    swph    w2, w3, [x1]
    casb    w2, w3, [x1]
    stadd   w2, [x1]
    casp    x6, x7, x8, x9, [x1]
    caspal  w6, w7, w8, w9, [x1]
    prfm    pldl1keep, [x1]
    prfm    pstl3strm, [x1]
    prfum   pldl1keep, [x1]
    dc      zva, x1
    dc      civac, x1
    dc      ivac, x1
    dc      cvau, x1
    dc      cvap, x1
    ic      ivau, x1
    at      s1e1r, x1
    at      s1e0w, x1
    ldr     xzr, [x1]
    str     wzr, [x1]
    ldr     w2, [sp]
    str     x2, [sp, #8]
    stp     x2, x3, [sp, #-16]!
    ldg     x2, [x1]
    stg     x1, [x1]
    stzg    x1, [x1]
    ldraa   x2, [x1]
    ldapur  w2, [x1, #3]
    stlur   w2, [x1, #3]
    ld1b    {z0.b}, p0/z, [x1]
    st1d    {z0.d}, p0, [x1]
    br      x1
    .global torture_forms_end
torture_forms_end:
