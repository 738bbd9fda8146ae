// SPDX-License-Identifier: Apache-2.0
// void smc_with_everything(u64* x0): SMC #0 with X0 to X30 from x0[0] to x0[30], and back.
#include "guest/registers.h"

    .text
    .global smc_with_everything
smc_with_everything:
    PUSH_KEPT_X 112
    str     x0, [sp, #96]
    mov     x30, x0
    EACH_PAIR_OF_X_FROM_2 ldp, x30
    ldp     x0, x1, [x30]
    ldr     x30, [x30, #8 * 30]
    .inst   0xD4000003              // SMC #0
    str     x30, [sp, #104]
    ldr     x30, [sp, #96]
    EACH_PAIR_OF_X_FROM_2 stp, x30
    stp     x0, x1, [x30]
    mov     x1, x30
    ldr     x0, [sp, #104]
    str     x0, [x1, #8 * 30]
    POP_KEPT_X 112
    ret
