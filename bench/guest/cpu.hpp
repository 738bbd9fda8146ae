// SPDX-License-Identifier: Apache-2.0
// One CPU, its interrupt controller, PSCI, and what start.S defines.
#pragma once

#include "machine.hpp"
#include "marks.h"

#define BENCH_TEXT_(x) #x
#define BENCH_TEXT(x) BENCH_TEXT_(x)
#define BENCH_HINT(mark) asm volatile("hint #" BENCH_TEXT(mark) : : : "memory")
// One instruction between two marks.
#define BENCH_MARKED(instruction) \
  "hint #" BENCH_TEXT(BENCH_MARK_BEGIN) "\n\t" instruction "\n\thint #" BENCH_TEXT(BENCH_MARK_END)
// `name` as the assembler knows it, or S<op0>_<op1>_C<n>_C<m>_<op2>.
#define BENCH_READ(name)                                            \
  ([]() noexcept {                                                  \
    ::bench::u64 bench_read;                                        \
    asm volatile("mrs %0, " #name : "=r"(bench_read) : : "memory"); \
    return bench_read;                                              \
  }())
#define BENCH_WRITE(name, value) \
  asm volatile("msr " #name ", %x0" : : "rZ"(static_cast<::bench::u64>(value)) : "memory")

namespace bench {

// TPIDR_EL1 points to it. start.S knows the offsets and the size.
struct alignas(64) Cpu {
  u32 interrupt;   // INTID + 1 of the last interrupt; code that waits sets it to zero
  u32 exceptions;  // synchronous ones
};
static_assert(sizeof(Cpu) == 64);

inline Cpu& this_cpu() noexcept {
  return *reinterpret_cast<Cpu*>(BENCH_READ(tpidr_el1));
}

inline void isb() noexcept {
  asm volatile("isb" : : : "memory");
}
inline void mask_interrupts() noexcept {
  asm volatile("msr daifset, #2" : : : "memory");
}
inline void unmask_interrupts() noexcept {
  asm volatile("msr daifclr, #2" : : : "memory");
}
inline void enable_fp() noexcept {
  BENCH_WRITE(cpacr_el1, u64{3} << 20);
  isb();
}
inline void set_vectors(const unsigned char* vectors) noexcept {
  BENCH_WRITE(vbar_el1, reinterpret_cast<u64>(vectors));
  isb();
}

inline u32 read32(u64 address) noexcept {
  u32 value;
  asm volatile("ldr %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
  return value;
}
inline u64 read64(u64 address) noexcept {
  u64 value;
  asm volatile("ldr %0, [%1]" : "=r"(value) : "r"(address) : "memory");
  return value;
}
inline void write32(u64 address, u32 value) noexcept {
  asm volatile("str %w0, [%1]" : : "rZ"(value), "r"(address) : "memory");
}

inline constexpr u32 kVirtualTimer = 27;  // [bsa] "PPI assignments", and what every hypervisor offers

// GICv3, affinity routing on, all interrupts of Group 1. [gicv3]
void gic_init_distributor(const Machine& machine) noexcept;
void gic_init_cpu(const Machine& machine) noexcept;  // each CPU; SGIs are enabled
void gic_enable(u32 intid) noexcept;                 // an SGI or PPI of CPU 0

namespace psci {
inline constexpr u64 kVersion = 0x8400'0000;
inline constexpr u64 kCpuOff = 0x8400'0002;
inline constexpr u64 kCpuOn = 0xC400'0003;
inline constexpr u64 kAffinityInfo = 0xC400'0004;
inline constexpr u64 kSystemOff = 0x8400'0008;
inline constexpr u64 kSmcccVersion = 0x8000'0000;
inline constexpr u64 kOff = 1;
}  // namespace psci

u64 psci_call(bool by_smc, u64 function, u64 a = 0, u64 b = 0, u64 c = 0) noexcept;

// Blocks of memory that nobody has written: link.ld knows the numbers. So far apart that each is a fault of its own,
// even where the hypervisor maps large pages on demand.
inline constexpr unsigned kUntouchedBlocks = 12;
inline constexpr u64 kBlock = 0x20'0000;
[[nodiscard]] u64 untouched_memory() noexcept;

// Hidden, so that no address of theirs is kept in the image.
#pragma GCC visibility push(hidden)
extern "C" {
extern const unsigned char bench_vectors[];
extern const unsigned char bench_vectors_acknowledged[];
extern const unsigned char bench_vectors_timer[];
void bench_secondary() noexcept;
void bench_wait(volatile u32* word) noexcept;
void bench_sgi_self(u64 sgi1r, u32* word) noexcept;
void bench_timer(u64 compare, u32* word) noexcept;
void bench_wfi_timer(u64 compare) noexcept;
void bench_sgi_other(u64 sgi1r, volatile u32* word) noexcept;
u64 bench_cpu_on(u64 mpidr, u64 entry, u64 argument, volatile u32* word) noexcept;
void bench_give_way(u64 sgi1r) noexcept;
void bench_give_way_fp(u64 sgi1r) noexcept;
void bench_give_way_with_fp(u64 sgi1r) noexcept;
}
#pragma GCC visibility pop

}  // namespace bench
