// SPDX-License-Identifier: Apache-2.0
#include "guest/gic.hpp"

#include "guest/cpu.hpp"

namespace guest::gic {
namespace {

constexpr u64 kGicdCtlr = kGicd + 0x0;
constexpr u64 kGicdTyper = kGicd + 0x4;
constexpr u32 kGicdRwp = 1U << 31;
constexpr u32 kGicdGroupsAndAre = 0x13;
constexpr u64 kGicrCtlr = 0x0;
constexpr u64 kGicrTyper = 0x8;
constexpr u64 kGicrWaker = 0x14;
constexpr u64 kSgiFrame = 0x1'0000;
constexpr u32 kGicrRwp = 1U << 3;
constexpr u64 kTyperLast = 1U << 4;
constexpr u32 kProcessorSleep = 1U << 1;
constexpr u32 kChildrenAsleep = 1U << 2;

u64 redistributor() noexcept {
  const u64 mpidr = GUEST_READ(mpidr_el1);
  const u64 affinity = (mpidr >> 8 & 0xFF00'0000) | (mpidr & 0xFF'FFFF);
  u64 frame = kGicr;
  while (read64(frame + kGicrTyper) >> 32 != affinity) frame += kGicrStride;
  return frame;
}

u64 block_of(u32 intid) noexcept {
  return intid < 32 ? redistributor() + kSgiFrame : kGicd;
}

void wait_for_writes(u32 intid) noexcept {
  if (intid < 32) {
    while ((read32(redistributor() + kGicrCtlr) & kGicrRwp) != 0) {
    }
  } else {
    while ((read32(kGicdCtlr) & kGicdRwp) != 0) {
    }
  }
}

void write_bit(u32 intid, u64 bank) noexcept {
  write32(block_of(intid) + bank + intid / 32 * 4, 1U << intid % 32);
}
bool read_bit(u32 intid, u64 bank) noexcept {
  return (read32(block_of(intid) + bank + intid / 32 * 4) >> intid % 32 & 1) != 0;
}
void modify(u64 address, u32 clear, u32 set) noexcept {
  write32(address, (read32(address) & ~clear) | set);
}

}  // namespace

void init_distributor() noexcept {
  write32(kGicdCtlr, 0);
  wait_for_writes(32);
  const u32 lines = 32 * ((read32(kGicdTyper) & 0x1F) + 1);
  for (u32 first = 32; first < lines; first += 32) {
    const u64 at = kGicd + first / 32 * 4;
    write32(at + kIcenabler, ~0U);
    write32(at + kIcpendr, ~0U);
    write32(at + kIcactiver, ~0U);
    write32(at + kIgroupr, ~0U);
  }
  for (u32 intid = 32; intid < lines; intid += 4) write32(kGicd + kIpriorityr + intid, kDefaultPriority * 0x0101'0101U);
  wait_for_writes(32);
  write32(kGicdCtlr, kGicdGroupsAndAre);
  wait_for_writes(32);
  for (u32 intid = 32; intid < lines && intid < 1020; ++intid) route(intid, 0);
}

void init_cpu() noexcept {
  const u64 frame = redistributor();
  modify(frame + kGicrWaker, kProcessorSleep, 0);
  while ((read32(frame + kGicrWaker) & kChildrenAsleep) != 0) {
  }
  write32(frame + kSgiFrame + kIcenabler, ~0U);
  write32(frame + kSgiFrame + kIcpendr, ~0U);
  write32(frame + kSgiFrame + kIgroupr, ~0U);
  for (u32 intid = 0; intid < 32; intid += 4) {
    write32(frame + kSgiFrame + kIpriorityr + intid, kDefaultPriority * 0x0101'0101U);
  }
  wait_for_writes(0);
  GUEST_WRITE(S3_0_C12_C12_5, GUEST_READ(S3_0_C12_C12_5) | 1);  // ICC_SRE_EL1
  isb();
  set_priority_mask(0xFF);
  GUEST_WRITE(S3_0_C12_C12_3, 0);  // ICC_BPR1_EL1
  GUEST_WRITE(S3_0_C12_C12_4, 0);  // ICC_CTLR_EL1: EOImode 0
  GUEST_WRITE(S3_0_C12_C12_7, 1);  // ICC_IGRPEN1_EL1
  isb();
}

unsigned count_cpus() noexcept {
  unsigned count = 1;
  for (u64 frame = kGicr; (read64(frame + kGicrTyper) & kTyperLast) == 0; frame += kGicrStride) ++count;
  return count < kMaxCpus ? count : kMaxCpus;
}

void enable(u32 intid) noexcept {
  write_bit(intid, kIsenabler);
}

void disable(u32 intid) noexcept {
  write_bit(intid, kIcenabler);
  wait_for_writes(intid);
}

void set_pending(u32 intid, bool pending) noexcept {
  write_bit(intid, pending ? kIspendr : kIcpendr);
}
bool is_pending(u32 intid) noexcept {
  return read_bit(intid, kIspendr);
}
bool is_active(u32 intid) noexcept {
  return read_bit(intid, kIsactiver);
}
void set_priority(u32 intid, u32 priority) noexcept {
  write8(block_of(intid) + kIpriorityr + intid, priority);
}

void set_edge(u32 intid, bool edge) noexcept {
  const u32 bit = 2U << intid % 16 * 2;
  modify(block_of(intid) + kIcfgr + intid / 16 * 4, bit, edge ? bit : 0);
}

void set_group1(u32 intid, bool group1) noexcept {
  const u32 bit = 1U << intid % 32;
  modify(block_of(intid) + kIgroupr + intid / 32 * 4, bit, group1 ? bit : 0);
}

void route(u32 intid, u64 affinity) noexcept {
  write64(kGicd + kIrouter + 8 * u64{intid}, affinity);
}

void set_priority_mask(u32 mask) noexcept {
  GUEST_WRITE(S3_0_C4_C6_0, mask);  // ICC_PMR_EL1
  isb();
}

void send_sgi(u32 intid, u32 targets) noexcept {
  dsb();  // what the other CPU is to see is written before it is told
  GUEST_WRITE(S3_0_C12_C11_5, u64{intid} << 24 | targets);
  isb();
}

void send_sgi_to_others(u32 intid) noexcept {
  dsb();
  GUEST_WRITE(S3_0_C12_C11_5, u64{intid} << 24 | u64{1} << 40);  // IRM
  isb();
}

}  // namespace guest::gic
