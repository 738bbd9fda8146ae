// SPDX-License-Identifier: Apache-2.0
// What only A64 instructions can say: system registers, barriers, hints, cache maintenance. EL2 build only.
#pragma once

#include <cstddef>
#include <cstdint>

#ifndef __aarch64__
#error "arm_vcpu/el2/sysreg.hpp is A64 only: include it from lib/el2 and the hypervisor"
#endif

// A register's name goes into the instruction, so it must be a token and these two must be macros. Any name the
// assembler knows will do: `hcr_el2`, or S3_4_C12_C11_0 for a register newer than the assembler.
// Reads and writes are volatile: they keep their order among themselves. A write takes effect at the next isb().
#define VCPU_READ_SYSREG(name)                                                \
  (__extension__({                                                            \
    std::uint64_t vcpu_sysreg_read;                                           \
    __asm__ volatile("mrs %0, " #name : "=r"(vcpu_sysreg_read) : : "memory"); \
    vcpu_sysreg_read;                                                         \
  }))
#define VCPU_WRITE_SYSREG(name, value) \
  __asm__ volatile("msr " #name ", %x0" : : "rZ"(static_cast<std::uint64_t>(value)) : "memory")

namespace arm_vcpu::el2 {

// Barriers. [armarm] "Memory barriers"
inline void isb() noexcept {
  __asm__ volatile("isb" ::: "memory");
}
inline void dsb_sy() noexcept {
  __asm__ volatile("dsb sy" ::: "memory");
}
inline void dsb_ish() noexcept {
  __asm__ volatile("dsb ish" ::: "memory");
}
inline void dsb_ishst() noexcept {
  __asm__ volatile("dsb ishst" ::: "memory");
}
inline void dsb_nsh() noexcept {
  __asm__ volatile("dsb nsh" ::: "memory");
}
inline void dmb_ish() noexcept {
  __asm__ volatile("dmb ish" ::: "memory");
}

// Hints.
inline void wfi() noexcept {
  __asm__ volatile("dsb sy\n\twfi" ::: "memory");
}
inline void wfe() noexcept {
  __asm__ volatile("wfe" ::: "memory");
}
inline void sev() noexcept {
  __asm__ volatile("dsb ishst\n\tsev" ::: "memory");
}
inline void yield() noexcept {
  __asm__ volatile("yield" ::: "memory");
}

// PSTATE.DAIF, as MRS shows it: D 9, A 8, I 7, F 6.
[[nodiscard]] inline std::uint64_t daif() noexcept {
  return VCPU_READ_SYSREG(daif);
}
inline void restore_daif(std::uint64_t saved) noexcept {
  VCPU_WRITE_SYSREG(daif, saved);
}
inline void mask_all() noexcept {
  __asm__ volatile("msr daifset, #15" ::: "memory");
}
// Returns the former mask, for restore_daif().
[[nodiscard]] inline std::uint64_t mask_all_save() noexcept {
  const std::uint64_t saved = daif();
  mask_all();
  return saved;
}

// [armarm] "CurrentEL, Current Exception Level"
[[nodiscard]] inline unsigned current_el() noexcept {
  return static_cast<unsigned>(VCPU_READ_SYSREG(CurrentEL) >> 2) & 3;
}
// Affinity fields of MPIDR_EL1 without U, MT and the RES1 bit: what PSCI and GICR_TYPER compare.
inline constexpr std::uint64_t kMpidrAffinityMask = 0xFF'00FF'FFFFULL;
[[nodiscard]] inline std::uint64_t mpidr_affinity() noexcept {
  return VCPU_READ_SYSREG(mpidr_el1) & kMpidrAffinityMask;
}

// Smallest line of all data caches and of all instruction caches, in bytes. [armarm] "CTR_EL0, Cache Type Register"
[[nodiscard]] inline std::size_t dcache_line_bytes() noexcept {
  return std::size_t{4} << ((VCPU_READ_SYSREG(ctr_el0) >> 16) & 0xF);
}
[[nodiscard]] inline std::size_t icache_line_bytes() noexcept {
  return std::size_t{4} << (VCPU_READ_SYSREG(ctr_el0) & 0xF);
}

// Calls `operation` for each line, or block, of a size that is a power of two. Eight at a time: of a guest's RAM there
// are a million.
template <class Operation>
inline void for_each_line(std::uintptr_t address, std::size_t bytes, std::size_t line, Operation operation) noexcept {
  if (bytes == 0) return;
  const std::uintptr_t end = address + bytes;
  std::uintptr_t at = address & ~(line - 1);
  const auto next = [&at, line, operation]() noexcept {
    operation(at);
    at += line;
  };
  while (end - at >= 8 * line) {
    next(), next(), next(), next();
    next(), next(), next(), next();
  }
  while (at < end) next();
}

// Data-cache maintenance by address over [address, address + bytes), rounded out to lines, complete on return.
// The EL2 mapping must cover the range. A size of 0 does nothing.
inline void dc_cvac_range(std::uintptr_t address, std::size_t bytes) noexcept {  // clean to the point of coherency
  for_each_line(address, bytes, dcache_line_bytes(), [](std::uintptr_t at) {
    __asm__ volatile("dc cvac, %0" ::"r"(at) : "memory");
  });
  dsb_sy();
}
inline void dc_civac_range(std::uintptr_t address, std::size_t bytes) noexcept {  // clean and invalidate, same point
  for_each_line(address, bytes, dcache_line_bytes(), [](std::uintptr_t at) {
    __asm__ volatile("dc civac, %0" ::"r"(at) : "memory");
  });
  dsb_sy();
}
inline void dc_cvau_range(std::uintptr_t address, std::size_t bytes) noexcept {  // clean to the point of unification
  for_each_line(address, bytes, dcache_line_bytes(), [](std::uintptr_t at) {
    __asm__ volatile("dc cvau, %0" ::"r"(at) : "memory");
  });
  dsb_ish();
}
// Data and allocation tags. FEAT_MTE2 only. A line of tags may be shorter than one of data; less than a granule (4
// words) is no size. [armarm] "DC CIGDVAC, Clean and Invalidate of Data and Allocation Tags by VA to PoC"; "CTR_EL0,
// Cache Type Register", TminLine
inline void dc_cigdvac_range(std::uintptr_t address, std::size_t bytes) noexcept {
  constexpr unsigned kGranuleWords = 2;
  const auto tag_line = static_cast<unsigned>(VCPU_READ_SYSREG(ctr_el0) >> 32 & 0x3F);
  const std::size_t data_line = dcache_line_bytes();
  const bool is_shorter = tag_line >= kGranuleWords && std::size_t{4} << tag_line < data_line;
  for_each_line(address, bytes, is_shorter ? std::size_t{4} << tag_line : data_line, [](std::uintptr_t at) {
    __asm__ volatile("sys #3, c7, c14, #5, %0" ::"r"(at) : "memory");
  });
  dsb_sy();
}
inline void dc_cvac_range(const void* address, std::size_t bytes) noexcept {
  dc_cvac_range(reinterpret_cast<std::uintptr_t>(address), bytes);
}
inline void dc_civac_range(const void* address, std::size_t bytes) noexcept {
  dc_civac_range(reinterpret_cast<std::uintptr_t>(address), bytes);
}

// Instruction caches: all of this CPU, or of all CPUs in the Inner Shareable domain. Complete on return.
inline void ic_iallu() noexcept {
  __asm__ volatile("ic iallu\n\tdsb nsh\n\tisb" ::: "memory");
}
inline void ic_ialluis() noexcept {
  __asm__ volatile("ic ialluis\n\tdsb ish\n\tisb" ::: "memory");
}

// The generic timer as every CPU sees it. [armarm] "CNTPCT_EL0, Counter-timer Physical Count register"
[[nodiscard]] inline std::uint64_t counter_ticks() noexcept {
  isb();  // the counter may be read early otherwise
  return VCPU_READ_SYSREG(cntpct_el0);
}
[[nodiscard]] inline std::uint64_t counter_hz() noexcept {
  return VCPU_READ_SYSREG(cntfrq_el0);
}

}  // namespace arm_vcpu::el2
