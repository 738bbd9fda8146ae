// SPDX-License-Identifier: Apache-2.0
// A GICv2 without Security Extensions, and the parts of this guest. Interrupts stay masked in PSTATE: what is signalled
// is read from ISR_EL1, and taken by a read of GICC_IAR. [gicv2]
#pragma once

#include "guest/cpu.hpp"
#include "guest/timer.hpp"

namespace gicv2 {

using namespace guest;

inline constexpr u64 kGicc = 0x0801'0000;

inline constexpr u64 kCtlr = kGicd + 0x000;
inline constexpr u64 kTyper = kGicd + 0x004;
inline constexpr u64 kIgroupr = kGicd + 0x080;
inline constexpr u64 kIsenabler = kGicd + 0x100;
inline constexpr u64 kIcenabler = kGicd + 0x180;
inline constexpr u64 kIspendr = kGicd + 0x200;
inline constexpr u64 kIcpendr = kGicd + 0x280;
inline constexpr u64 kIsactiver = kGicd + 0x300;
inline constexpr u64 kIcactiver = kGicd + 0x380;
inline constexpr u64 kIpriorityr = kGicd + 0x400;
inline constexpr u64 kItargetsr = kGicd + 0x800;
inline constexpr u64 kIcfgr = kGicd + 0xC00;
inline constexpr u64 kSgir = kGicd + 0xF00;
inline constexpr u64 kCpendsgir = kGicd + 0xF10;
inline constexpr u64 kSpendsgir = kGicd + 0xF20;

inline constexpr u64 kCpuCtlr = kGicc + 0x00;
inline constexpr u64 kPmr = kGicc + 0x04;
inline constexpr u64 kBpr = kGicc + 0x08;
inline constexpr u64 kIar = kGicc + 0x0C;
inline constexpr u64 kEoir = kGicc + 0x10;
inline constexpr u64 kRpr = kGicc + 0x14;
inline constexpr u64 kHppir = kGicc + 0x18;
inline constexpr u64 kDir = kGicc + 0x1000;

inline constexpr u32 kEnableGrp0 = 1U << 0;
inline constexpr u32 kEnableGrp1 = 1U << 1;
inline constexpr u32 kAckCtl = 1U << 2;
inline constexpr u32 kFiqEn = 1U << 3;
inline constexpr u32 kEoiMode = 1U << 9;
inline constexpr u32 kSpurious = 1023;
inline constexpr u32 kDefaultPriority = 0xA0;

inline u32 read8(u64 address) noexcept {
  u32 value;
  asm volatile("ldrb %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
  return value;
}
inline u32 read16(u64 address) noexcept {
  u32 value;
  asm volatile("ldrh %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
  return value;
}
inline void write16(u64 address, u32 value) noexcept {
  asm volatile("strh %w0, [%1]" : : "rZ"(value), "r"(address) : "memory");
}
inline bool bit(u64 bank, u32 intid) noexcept {
  return (read32(bank + intid / 32 * 4) >> intid % 32 & 1) != 0;
}
inline void set_bit(u64 bank, u32 intid) noexcept {
  write32(bank + intid / 32 * 4, 1U << intid % 32);
}

// Taken: acknowledged, and not ended. kSpurious if nothing is signalled within `ms`.
u32 take(u64 ms = 2) noexcept;
inline void end(u32 iar) noexcept {
  write32(kEoir, iar);
}
// All there is, ended at once.
void drain() noexcept;
[[nodiscard]] inline bool signals_irq() noexcept {
  return (GUEST_READ(isr_el1) >> 7 & 1) != 0;
}
[[nodiscard]] inline bool signals_fiq() noexcept {
  return (GUEST_READ(isr_el1) >> 6 & 1) != 0;
}

// All SPIs off and idle, in Group 0.
void init_distributor() noexcept;
// Every CPU: its SGIs and PPIs idle, the CPU interface open for Group 0.
void init_cpu() noexcept;

// The other CPU does one thing after the other: `what` runs there, and has run when this returns true.
[[nodiscard]] bool start_helper() noexcept;
[[nodiscard]] bool on_helper(void (*what)()) noexcept;
void give_helper(void (*what)()) noexcept;  // and does not wait
[[nodiscard]] bool helper_is_done() noexcept;
[[nodiscard]] bool stop_helper() noexcept;

void test_registers(unsigned cpus) noexcept;
void test_sgis(unsigned cpus) noexcept;
void test_spis(unsigned cpus) noexcept;
void test_timer() noexcept;
void test_abuse(unsigned cpus) noexcept;

}  // namespace gicv2
