// SPDX-License-Identifier: Apache-2.0
// The floor: the least that an exit can cost when its handler is C++. It runs the benchmark guest at EL1, answers each
// exit with a constant or with one list register, and does nothing that a hypervisor is for: no state of a vCPU or VM,
// no model of a device, no lock, no check. One CPU, caches off.
#include <cstdint>

namespace {

using u64 = std::uint64_t;
using u32 = std::uint32_t;

#define FLOOR_READ(name)                                   \
  ([]() noexcept {                                         \
    u64 floor_read;                                        \
    asm volatile("mrs %0, " #name : "=r"(floor_read) : :); \
    return floor_read;                                     \
  }())
#define FLOOR_WRITE(name, value) asm volatile("msr " #name ", %x0" : : "rZ"(static_cast<u64>(value)) : "memory")

constexpr u64 kGuest = 0x5000'0000;  // where ./x bench has QEMU put the guest's Image
constexpr u64 kGicd = 0x0800'0000;   // QEMU's virt
constexpr u64 kGicr = 0x080A'0000;
constexpr u32 kVirtualTimer = 27;

constexpr u64 kStage2Block = 0x7FD;  // AF, inner shareable, read and write, write-back, block
alignas(4096) constinit u64 g_stage2[512]{};

// ESR_EL2.EC. [armarm] "ESR_EL2, Exception Syndrome Register (EL2)"
constexpr u64 kEcWfx = 0x01;
constexpr u64 kEcHvc = 0x16;
constexpr u64 kEcSmc = 0x17;
constexpr u64 kEcSysreg = 0x18;
constexpr u64 kEcDataAbort = 0x24;
constexpr u64 kSgi1rIss = 0x3A'3016;    // ICC_SGI1R_EL1: op0 3, op1 0, CRn 12, CRm 11, op2 5
constexpr u64 kSysregMask = 0x3F'FC1E;  // without Rt and the direction

constexpr u64 kPending = u64{1} << 62;  // ICH_LR<n>_EL2 [gicv3]
constexpr u64 kHardware = u64{1} << 61;
constexpr u64 kGroup1 = u64{1} << 60;
constexpr u64 kPriority = u64{0xA0} << 48;

void write32(u64 address, u32 value) noexcept {
  asm volatile("str %w0, [%1]" : : "r"(value), "r"(address) : "memory");
}

struct Frame {
  u64 x[31];
  u64 elr;
  u64 spsr;
};

// One function for each class, as a hypervisor has it.
[[gnu::noinline]] void handle_hvc(Frame& frame) noexcept {
  frame.x[0] = 0x1'0001;
}

[[gnu::noinline]] void handle_smc(Frame& frame) noexcept {
  frame.x[0] = 0x1'0001;
  frame.elr += 4;
}

[[gnu::noinline]] void handle_data_abort(Frame& frame, u64 esr) noexcept {
  const unsigned srt = esr >> 16 & 31;
  if ((esr >> 6 & 1) == 0 && srt != 31) frame.x[srt] = 0;
  frame.elr += 4;
}

[[gnu::noinline]] void handle_system_register(Frame& frame, u64 esr) noexcept {
  const unsigned rt = esr >> 5 & 31;
  if ((esr & 1) != 0) {
    if (rt != 31) frame.x[rt] = 0;
  } else if ((esr & kSysregMask) == kSgi1rIss) {
    FLOOR_WRITE(S3_4_C12_C12_0, kPending | kGroup1 | kPriority | (frame.x[rt] >> 24 & 15));  // ICH_LR0_EL2
  }
  frame.elr += 4;
}

[[gnu::noinline]] void handle_wait(Frame& frame) noexcept {
  asm volatile("dsb sy\n\twfi" : : : "memory");
  frame.elr += 4;
}

}  // namespace

extern "C" {

void floor_synchronous(Frame* frame) noexcept {
  const u64 esr = FLOOR_READ(esr_el2);
  switch (esr >> 26) {
    case kEcHvc: return handle_hvc(*frame);
    case kEcSmc: return handle_smc(*frame);
    case kEcDataAbort: return handle_data_abort(*frame, esr);
    case kEcSysreg: return handle_system_register(*frame, esr);
    case kEcWfx: return handle_wait(*frame);
    default: return;
  }
}

// The virtual timer: the guest's end of interrupt deactivates it.
void floor_interrupt(Frame*) noexcept {
  const u64 intid = FLOOR_READ(S3_0_C12_C12_0);  // ICC_IAR1_EL1
  FLOOR_WRITE(S3_4_C12_C12_0, kPending | kHardware | kGroup1 | kPriority | intid << 32 | intid);
  FLOOR_WRITE(S3_0_C12_C12_1, intid);  // ICC_EOIR1_EL1: drops the priority
}

u64 floor_init() noexcept {
  for (u64 gib = 1; gib < 4; ++gib) g_stage2[gib] = gib << 30 | kStage2Block;
  FLOOR_WRITE(vttbr_el2, reinterpret_cast<u64>(g_stage2) | u64{1} << 48);
  FLOOR_WRITE(vtcr_el2, 0x8002'0000U | 1 << 6 | 25);  // 39 bits, level 1, 40 bits of PA, uncached walks
  FLOOR_WRITE(cnthctl_el2, 1);                        // CNTPCT is free, CNTP traps
  FLOOR_WRITE(cntvoff_el2, 0);
  FLOOR_WRITE(cptr_el2, 0x33FF);
  FLOOR_WRITE(sctlr_el1, 0x30D0'0800);
  write32(kGicd, 0x12);                            // Group 1, affinity routing
  write32(kGicr + 0x14, 0);                        // GICR_WAKER
  write32(kGicr + 0x1'0080, ~0U);                  // GICR_IGROUPR0
  write32(kGicr + 0x1'0100, 1U << kVirtualTimer);  // GICR_ISENABLER0
  FLOOR_WRITE(S3_4_C12_C9_5, 0xF);                 // ICC_SRE_EL2
  asm volatile("isb");
  FLOOR_WRITE(S3_0_C4_C6_0, 0xFF);  // ICC_PMR_EL1
  FLOOR_WRITE(S3_0_C12_C12_4, 2);   // ICC_CTLR_EL1.EOImode: EOIR drops the priority only
  FLOOR_WRITE(S3_0_C12_C12_7, 1);   // ICC_IGRPEN1_EL1
  FLOOR_WRITE(S3_4_C12_C11_0, 1);   // ICH_HCR_EL2.En
  // RW; TSC, TID3, TWI trap; physical interrupts come to EL2, virtual ones to EL1; stage 2
  FLOOR_WRITE(hcr_el2, u64{1} << 31 | 1U << 19 | 1U << 18 | 1U << 13 | 1U << 5 | 1U << 4 | 1U << 3 | 1U);
  asm volatile("tlbi vmalls12e1\n\tdsb sy\n\tisb" : : : "memory");
  return kGuest;
}

}  // extern "C"
