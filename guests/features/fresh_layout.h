// SPDX-License-Identifier: Apache-2.0
// Where fresh_state.S puts what it found, in bytes from X0 of CPU_ON.
#pragma once

#define FRESH_PSTATE (31 * 8)  // SP, DAIF, SPSel, CurrentEL, NZCV
#define FRESH_SYSREGS 512
#define FRESH_FP_STATUS 1024  // FPSR, FPCR
#define FRESH_ZCR 1040
#define FRESH_VECTORS 1088
