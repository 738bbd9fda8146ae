// SPDX-License-Identifier: Apache-2.0
// What assembly knows of accesses::Case and accesses::Run; checked in accesses.hpp.
#pragma once

#define ACCESS_ALIGNED 1  // is tried at aligned addresses only
#define ACCESS_SP 2       // its base is SP
#define ACCESS_LITERAL 4  // its address is fixed
#define ACCESS_BLOCK 8    // DC ZVA

#define ACCESS_LITERAL_BYTES 0x1800  // from the code to the middle of the first page of the window

#define RUN_SP (31 * 8)
#define RUN_PC (32 * 8)
#define RUN_ESR (RUN_PC + 2 * 8)
#define RUN_OUT_SP (RUN_ESR + 4 * 8)
#define RUN_HOST (RUN_OUT_SP + 2 * 8)
#define RUN_V (RUN_HOST + 4 * 8)
