// SPDX-License-Identifier: Apache-2.0
// Offsets in VCpuContext for the world switch; world_switch.cpp checks them against the C++ type.
#pragma once

#define VCPU_CTX_X0 0
#define VCPU_CTX_SP_EL0 248
#define VCPU_CTX_ELR 256
#define VCPU_CTX_ESR 272
#define VCPU_CTX_HPFAR 288
#define VCPU_CTX_KIND 296
#define VCPU_CTX_HOST_SP 304
#define VCPU_CTX_SWAP_IA_KEY 312
#define VCPU_CTX_GUEST_IA_KEY 320
#define VCPU_CTX_HOST_IA_KEY 336

#define VCPU_ANSWER_NONE 2           // VectorAnswer; `done` is 0
#define VCPU_ANSWER_OTHERWISE_BIT 0  // done_all_gprs, waits
#define VCPU_ANSWER_WAITS_BIT 2

#define VCPU_TRAP_SYNC 0
#define VCPU_TRAP_IRQ 1
#define VCPU_TRAP_FIQ 2
#define VCPU_TRAP_SERROR 3
