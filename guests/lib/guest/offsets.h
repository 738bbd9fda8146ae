// SPDX-License-Identifier: Apache-2.0
// What assembly knows of C++ objects; checked in guest/cpu.hpp.
#pragma once

#define GUEST_STACK_BYTES 0x4000
#define GUEST_CPU_STACK_TOP 0
#define GUEST_CPU_RESET_STATE 8
#define GUEST_FRAME_BYTES 288
