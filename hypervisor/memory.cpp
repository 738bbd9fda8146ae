// SPDX-License-Identifier: Apache-2.0
#include "memory.hpp"

#include "arm_vcpu/el2/sysreg.hpp"
#include "check.hpp"
#include "layout.hpp"
#include "lock.hpp"
#include "mmu.hpp"
#include "page_allocator.hpp"
#include "stage1.hpp"

namespace arm_vcpu::hv::memory {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kGiB = 1 << 30;

constinit SpinLock g_lock{"memory"};
constinit PageAllocator<128> g_pages;

// What DC ZVA and DC GZVA clear; 0: they must not be used. [armarm] "DCZID_EL0, Data Cache Zero ID register": DZP 4, BS
// 3:0, words of 4 bytes as a power of two.
std::uint64_t zero_block_bytes() noexcept {
  const std::uint64_t id = VCPU_READ_SYSREG(dczid_el0);
  return (id & 0x10) != 0 ? 0 : std::uint64_t{4} << (id & 0xF);
}

}  // namespace

Result<> init(const Board& board) noexcept {
  const LockGuard guard{g_lock};
  const auto full = [] { return fail(Errc::out_of_slots, g_pages.view().size() + 1, g_pages.view().size()); };

  // The bundle is only read: a stray write to a guest's kernel faults. Map it before the rest of memory.
  if (!board.bundle.empty()) {
    if (Result<> mapped = mmu::map_read_only(board.bundle); !mapped) return mapped;
  }
  RangeSet<64> mappable = board.ram;
  for (const Range& range : board.never_map.view()) {
    if (!mappable.remove(range)) return full();
  }
  for (const Range& bank : mappable.view()) {
    if (Result<> mapped = mmu::map_ram(bank); !mapped) return mapped;
    if (!g_pages.add(bank)) return full();
  }
  const auto keep_out = [](Range range) noexcept { return g_pages.keep_out(range); };
  for (const Range& range : board.reserved.view()) {
    if (!keep_out(range)) return full();
  }
  // Page 0 is never mapped: a null pointer faults.
  if (!keep_out(image_range()) || !keep_out(board.tree) || !keep_out(board.bundle) || !keep_out({0, kPageBytes})) {
    return full();
  }
  return {};
}

Result<Range> allocate(std::uint64_t bytes, std::uint64_t alignment) noexcept {
  CHECK(alignment >= kPageBytes && (alignment & (alignment - 1)) == 0);
  const LockGuard guard{g_lock};
  return g_pages.allocate(bytes, alignment);
}

Result<Range> allocate_guest_ram(std::uint64_t bytes) noexcept {
  const LockGuard guard{g_lock};
  if (bytes >= kGiB) {
    if (Result<Range> range = g_pages.allocate(bytes, kGiB)) return range;
  }
  return g_pages.allocate(bytes, 2 * kMiB);
}

void zero(Range range) noexcept {
  const std::uint64_t block = zero_block_bytes();
  if (block == 0) {
    __builtin_memset(pointer_to<void>(range.base), 0, range.bytes);
    return;
  }
  el2::for_each_line(range.base, range.bytes, block, [](std::uintptr_t at) {
    __asm__ volatile("dc zva, %0" ::"r"(at) : "memory");
  });
}

// Most CPUs zero as much at once as a cache line holds: both in one go, eight lines at a time, so that no line is
// waited for. Of a guest's RAM there are a million. [armarm] "Ordering and completion of data and instruction cache
// instructions": maintenance by address comes behind the stores to its own line.
void zero_past_caches(Range range) noexcept {
  const std::uint64_t line = el2::dcache_line_bytes();
  if (zero_block_bytes() != line || 8 * line > kPageBytes) {
    zero(range);
    return el2::dc_civac_range(range.base, range.bytes);
  }
  std::uint64_t a, b, c, d, e, f, g;
  for (std::uint64_t at = range.base; at != range.end(); at += 8 * line) {
    __asm__ volatile(
        "add %[a], %[at], %[line]\n\t"
        "add %[b], %[a], %[line]\n\t"
        "add %[c], %[b], %[line]\n\t"
        "add %[d], %[c], %[line]\n\t"
        "add %[e], %[d], %[line]\n\t"
        "add %[f], %[e], %[line]\n\t"
        "add %[g], %[f], %[line]\n\t"
        "dc zva, %[at]\n\tdc zva, %[a]\n\tdc zva, %[b]\n\tdc zva, %[c]\n\t"
        "dc zva, %[d]\n\tdc zva, %[e]\n\tdc zva, %[f]\n\tdc zva, %[g]\n\t"
        "dc civac, %[at]\n\tdc civac, %[a]\n\tdc civac, %[b]\n\tdc civac, %[c]\n\t"
        "dc civac, %[d]\n\tdc civac, %[e]\n\tdc civac, %[f]\n\tdc civac, %[g]"
        : [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d), [e] "=&r"(e), [f] "=&r"(f), [g] "=&r"(g)
        : [at] "r"(at), [line] "r"(line)
        : "memory");
  }
  el2::dsb_sy();
}

// The tag that is stored is the one in the address, which is 0 in an identity map. Elsewhere SCTLR_EL2.ATA is 0: no
// access of EL2 touches a tag, and with TCF 0 none is checked. [armarm] "SCTLR_EL2, System Control Register (EL2)";
// "DC GZVA, Data Cache set Allocation Tags and Zero by VA"; "STZ2G"
void zero_with_tags(Range range) noexcept {
  constexpr std::uint64_t kATA = std::uint64_t{1} << 43;
  const std::uint64_t sctlr = VCPU_READ_SYSREG(sctlr_el2);
  VCPU_WRITE_SYSREG(sctlr_el2, sctlr | kATA);
  el2::isb();
  if (const std::uint64_t block = zero_block_bytes(); block != 0) {
    el2::for_each_line(range.base, range.bytes, block, [](std::uintptr_t at) {
      __asm__ volatile("sys #3, c7, c4, #4, %0" ::"r"(at) : "memory");
    });
  } else {
    constexpr std::uint64_t kTwoGranules = 32;
    for (std::uint64_t at = range.base; at < range.end(); at += kTwoGranules) {
      register std::uint64_t x0 __asm__("x0") = at;
      __asm__ volatile(".inst 0xD9E00800" ::"r"(x0) : "memory");  // STZ2G X0, [X0]
    }
  }
  VCPU_WRITE_SYSREG(sctlr_el2, sctlr);
  el2::isb();
}

void free(Range range) noexcept {
  const LockGuard guard{g_lock};
  CHECK(g_pages.free(range));
}

std::uint64_t bytes_left() noexcept {
  const LockGuard guard{g_lock};
  return g_pages.bytes_free();
}

}  // namespace arm_vcpu::hv::memory
