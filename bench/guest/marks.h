// SPDX-License-Identifier: Apache-2.0
// Marks that the plugin sees and nobody else: HINT with an operand that no architecture gives a meaning. Shared by the
// guest (C++ and assembly) and the plugin.
#pragma once

#define BENCH_MARK_START 0x60  // the guest's first instruction
#define BENCH_MARK_ROW 0x61    // the next row of rows.def begins
#define BENCH_MARK_BEGIN 0x62
#define BENCH_MARK_END 0x63
#define BENCH_MARK_DONE 0x64

// A row that cannot run here, and why.
#define BENCH_SKIP_ONE_CPU 0x70    // needs a second vCPU
#define BENCH_SKIP_EXCEPTION 0x71  // the guest got an exception for it
#define BENCH_SKIP_NO_ANSWER 0x72  // what should have come did not come
