// SPDX-License-Identifier: Apache-2.0
// What attempt.S knows of torture::Page; checked in attempt.hpp.
#pragma once

#define PAGE_X 0
#define PAGE_SP 248
#define PAGE_SP_EL0 256
#define PAGE_ELR 264
#define PAGE_SPSR 272
#define PAGE_ABROAD 280  // SCTLR, TCR, MAIR, TTBR0 of an attempt
#define PAGE_HOME 312    // the same of the program, then TPIDR_EL1, VBAR_EL1 and SP
#define PAGE_HOME_TPIDR 344
#define PAGE_HOME_VBAR 352
#define PAGE_HOME_SP 360
#define PAGE_OUT_X 368
#define PAGE_OUT_VECTOR 616
#define PAGE_OUT_ESR 624
#define PAGE_OUT_ELR 632
#define PAGE_OUT_FAR 640
#define PAGE_OUT_SPSR 648
