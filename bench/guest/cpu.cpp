// SPDX-License-Identifier: Apache-2.0
#include "cpu.hpp"

extern "C" {
[[gnu::visibility("hidden")]] constinit bench::Cpu bench_cpus[2]{};
[[gnu::visibility("hidden")]] extern const unsigned char bench_untouched[];
}

namespace bench {
namespace {

constexpr u64 kGicdCtlr = 0x0;
constexpr u32 kGicdRwp = 1U << 31;
constexpr u32 kGroup1AndAre = 0x12;
constexpr u64 kGicrCtlr = 0x0;
constexpr u32 kGicrRwp = 1U << 3;
constexpr u64 kGicrTyper = 0x8;
constexpr u64 kGicrWaker = 0x14;
constexpr u32 kProcessorSleep = 1U << 1;
constexpr u32 kChildrenAsleep = 1U << 2;
constexpr u64 kGicrStride = 0x2'0000;
constexpr u64 kSgiFrame = 0x1'0000;
constexpr u64 kIgroupr = 0x080;
constexpr u64 kIsenabler = 0x100;
constexpr u64 kIcenabler = 0x180;
constexpr u64 kIpriorityr = 0x400;

constinit u64 g_redistributor_of_cpu0 = 0;

u64 redistributor(const Machine& machine) noexcept {
  const u64 mpidr = BENCH_READ(mpidr_el1);
  const u64 affinity = (mpidr >> 8 & 0xFF00'0000) | (mpidr & 0xFF'FFFF);
  u64 frame = machine.gicr;
  while (read64(frame + kGicrTyper) >> 32 != affinity) frame += kGicrStride;
  return frame;
}

}  // namespace

void gic_init_distributor(const Machine& machine) noexcept {
  write32(machine.gicd + kGicdCtlr, kGroup1AndAre);
  while ((read32(machine.gicd + kGicdCtlr) & kGicdRwp) != 0) {
  }
}

void gic_init_cpu(const Machine& machine) noexcept {
  const u64 frame = redistributor(machine);
  if (g_redistributor_of_cpu0 == 0) g_redistributor_of_cpu0 = frame;
  write32(frame + kGicrWaker, read32(frame + kGicrWaker) & ~kProcessorSleep);
  while ((read32(frame + kGicrWaker) & kChildrenAsleep) != 0) {
  }
  write32(frame + kSgiFrame + kIcenabler, 0xFFFF'0000);
  write32(frame + kSgiFrame + kIgroupr, ~0U);
  for (u64 at = kIpriorityr; at < kIpriorityr + 32; at += 4) write32(frame + kSgiFrame + at, 0xA0A0'A0A0);
  write32(frame + kSgiFrame + kIsenabler, 0xFFFF);
  while ((read32(frame + kGicrCtlr) & kGicrRwp) != 0) {
  }
  BENCH_WRITE(S3_0_C12_C12_5, BENCH_READ(S3_0_C12_C12_5) | 1);  // ICC_SRE_EL1
  isb();
  BENCH_WRITE(S3_0_C4_C6_0, 0xFF);  // ICC_PMR_EL1
  BENCH_WRITE(S3_0_C12_C12_3, 0);   // ICC_BPR1_EL1
  BENCH_WRITE(S3_0_C12_C12_4, 0);   // ICC_CTLR_EL1: EOImode 0
  BENCH_WRITE(S3_0_C12_C12_7, 1);   // ICC_IGRPEN1_EL1
  isb();
}

void gic_enable(u32 intid) noexcept {
  write32(g_redistributor_of_cpu0 + kSgiFrame + kIsenabler, 1U << intid);
}

u64 psci_call(bool by_smc, u64 function, u64 a, u64 b, u64 c) noexcept {
  register u64 x0 asm("x0") = function;
  register u64 x1 asm("x1") = a;
  register u64 x2 asm("x2") = b;
  register u64 x3 asm("x3") = c;
  if (by_smc) {
    // SMC #0. By number: assemblers have the name with EL3 only.
    asm volatile(".inst 0xD4000003" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "memory");
  } else {
    asm volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "memory");
  }
  return x0;
}

u64 untouched_memory() noexcept {
  return reinterpret_cast<u64>(bench_untouched);
}

}  // namespace bench
