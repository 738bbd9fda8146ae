// SPDX-License-Identifier: Apache-2.0
// One CPU: its system registers, barriers, exceptions, and what the runtime keeps for it.
#pragma once

#include <atomic>
#include <cstddef>

#include "guest/machine.hpp"
#include "guest/offsets.h"

// `name` as the assembler knows it, or S<op0>_<op1>_C<n>_C<m>_<op2>.
#define GUEST_READ(name)                                            \
  ([]() noexcept {                                                  \
    ::guest::u64 guest_read;                                        \
    asm volatile("mrs %0, " #name : "=r"(guest_read) : : "memory"); \
    return guest_read;                                              \
  }())
#define GUEST_WRITE(name, value) \
  asm volatile("msr " #name ", %x0" : : "rZ"(static_cast<::guest::u64>(value)) : "memory")

namespace guest {

inline void isb() noexcept {
  asm volatile("isb" : : : "memory");
}
inline void dsb() noexcept {
  asm volatile("dsb sy" : : : "memory");
}
inline void wfi() noexcept {
  asm volatile("dsb sy\n\twfi" : : : "memory");
}
inline void mask_interrupts() noexcept {
  asm volatile("msr daifset, #3" : : : "memory");
}
inline void unmask_interrupts() noexcept {
  asm volatile("msr daifclr, #3" : : : "memory");
}

inline constexpr unsigned kIntids = 320;
inline constexpr unsigned kLoggedInterrupts = 64;

// The registers at an exception, as vectors.S saves them.
struct alignas(16) Frame {
  u64 x[31];
  u64 elr;
  u64 spsr;
  u64 esr;
  u64 far;
};
static_assert(sizeof(Frame) == GUEST_FRAME_BYTES && offsetof(Frame, elr) == 31 * 8 && offsetof(Frame, esr) == 33 * 8);

// Exceptions that a test expects. `count` is 0 when none came; the syndrome is that of the last.
struct Caught {
  unsigned count{};
  u64 esr{};
  u64 elr{};
  u64 far{};
  u64 spsr{};

  [[nodiscard]] unsigned ec() const noexcept { return static_cast<unsigned>(esr >> 26 & 0x3F); }
  [[nodiscard]] unsigned fsc() const noexcept { return static_cast<unsigned>(esr & 0x3F); }
  [[nodiscard]] bool is_write() const noexcept { return (esr >> 6 & 1) != 0; }
};

// Where a caught exception goes on: behind the instruction, or where x30 points (the instruction was never fetched).
enum class Resume : unsigned char { next, link };

struct PerCpu {
  u64 stack_top;
  u64 reset_state[3];  // DAIF, SCTLR_EL1, CurrentEL at the entry of a secondary CPU
  unsigned index;
  void (*task)(u64 argument);
  u64 argument;

  volatile bool expects;
  volatile Resume resume;
  Caught caught;

  volatile u32 taken[kIntids];
  volatile u32 order[kLoggedInterrupts];  // INTIDs in the order they were taken
  volatile u32 ordered;
  volatile u32 fiqs;
};
static_assert(offsetof(PerCpu, stack_top) == GUEST_CPU_STACK_TOP &&
              offsetof(PerCpu, reset_state) == GUEST_CPU_RESET_STATE);

inline PerCpu& this_cpu() noexcept {
  return *reinterpret_cast<PerCpu*>(GUEST_READ(tpidr_el1));
}
[[nodiscard]] PerCpu& cpu(unsigned index) noexcept;

// A single step's goes on where it is, with PSTATE.D set. Runs `body`; the synchronous exceptions it takes are recorded
// and not reported.
template <class Body>
Caught catching(Body body, Resume resume = Resume::next) noexcept {
  PerCpu& self = this_cpu();
  self.caught = {};
  self.resume = resume;
  self.expects = true;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  body();
  std::atomic_signal_fence(std::memory_order_seq_cst);
  self.expects = false;
  return self.caught;
}

// Called between acknowledge and end of interrupt, with interrupts masked. Null: nothing but the counts.
using InterruptHook = void (*)(u32 intid);
void set_interrupt_hook(InterruptHook hook) noexcept;

// What this CPU has taken so far, back to zero.
void forget_interrupts() noexcept;

// Maps the 2 MiB around `address`, which is between 1 and 2 GiB, to the memory around `physical`; start.S maps the
// first 64 MiB.
void map_ram(u64 address, u64 physical) noexcept;
inline void map_ram(u64 address) noexcept {
  map_ram(address, address);
}

// Memory-mapped registers, by instructions that carry a full syndrome.
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
inline void write8(u64 address, u32 value) noexcept {
  asm volatile("strb %w0, [%1]" : : "rZ"(value), "r"(address) : "memory");
}
inline void write32(u64 address, u32 value) noexcept {
  asm volatile("str %w0, [%1]" : : "rZ"(value), "r"(address) : "memory");
}
inline void write64(u64 address, u64 value) noexcept {
  asm volatile("str %x0, [%1]" : : "rZ"(value), "r"(address) : "memory");
}

}  // namespace guest
