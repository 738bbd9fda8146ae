// SPDX-License-Identifier: Apache-2.0
    .arch   armv8-a+sve
    .text

// u64 sve_vector_bytes()
    .global sve_vector_bytes
sve_vector_bytes:
    rdvl    x0, #1
    ret

// void sve_load(const void* x0): Z0-Z31, then P0-P15 and FFR, as their own instructions lay them out. Clobbers x1.
    .global sve_load
sve_load:
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    ldr     z\n, [x0, #\n, mul vl]
    .endr
    addvl   x1, x0, #16
    addvl   x1, x1, #16
    ldr     p0, [x1, #16, mul vl]
    wrffr   p0.b
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    ldr     p\n, [x1, #\n, mul vl]
    .endr
    ret

// void sve_store(void* x0). Clobbers x1, P0.
    .global sve_store
sve_store:
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    str     z\n, [x0, #\n, mul vl]
    .endr
    addvl   x1, x0, #16
    addvl   x1, x1, #16
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    str     p\n, [x1, #\n, mul vl]
    .endr
    rdffr   p0.b
    str     p0, [x1, #16, mul vl]
    ret
