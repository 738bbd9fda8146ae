// SPDX-License-Identifier: Apache-2.0
#include "memory.hpp"

#include "arm_vcpu/el2/sysreg.hpp"
#include "check.hpp"
#include "layout.hpp"
#include "lock.hpp"
#include "mmu.hpp"
#include "stage1.hpp"

namespace arm_vcpu::hv::memory {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kGiB = 1 << 30;
constexpr std::uint64_t kPoolRefill = 64 * kPageBytes;

// A page that waits in the pool; the rest of it is zero.
struct FreePage {
  FreePage* next;
};

constinit SpinLock g_lock{"memory"};
constinit RangeSet<128> g_free;
constinit FreePage* g_pages = nullptr;

Result<Range> allocate_locked(std::uint64_t bytes, std::uint64_t alignment) noexcept {
  const std::uint64_t whole = bits::align_up(bytes, kPageBytes);
  const std::optional<Range> found = g_free.find(whole, alignment);
  if (whole < bytes || !found) return fail(Errc::out_of_memory, bytes, g_free.bytes());
  if (!g_free.remove(*found)) return fail(Errc::out_of_slots, g_free.view().size() + 1, g_free.view().size());
  return *found;
}

void put_page(std::uint64_t page) noexcept {
  auto* free = pointer_to<FreePage>(page);
  free->next = g_pages;
  g_pages = free;
}

}  // namespace

Result<> init(const Board& board) noexcept {
  const LockGuard guard{g_lock};
  const auto full = [] { return fail(Errc::out_of_slots, g_free.view().size() + 1, g_free.view().size()); };

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
    if (!g_free.add(bank.rounded_in(kPageBytes))) return full();
  }
  const auto keep_out = [](Range range) noexcept { return g_free.remove(range.rounded_out(kPageBytes)); };
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
  return allocate_locked(bytes, alignment);
}

Result<Range> allocate_guest_ram(std::uint64_t bytes) noexcept {
  const LockGuard guard{g_lock};
  if (bytes >= kGiB) {
    if (Result<Range> range = allocate_locked(bytes, kGiB)) return range;
  }
  return allocate_locked(bytes, 2 * kMiB);
}

void zero(Range range) noexcept {
  // [armarm] "DCZID_EL0, Data Cache Zero ID register": DZP 4, BS 3:0, words of 4 bytes as a power of two.
  const std::uint64_t id = VCPU_READ_SYSREG(dczid_el0);
  const std::uint64_t block = std::uint64_t{4} << (id & 0xF);
  if ((id & 0x10) != 0) {
    __builtin_memset(pointer_to<void>(range.base), 0, range.bytes);
    return;
  }
  for (std::uint64_t at = range.base; at < range.end(); at += block) {
    __asm__ volatile("dc zva, %0" ::"r"(at) : "memory");
  }
}

Result<std::uint64_t> allocate_page() noexcept {
  const LockGuard guard{g_lock};
  if (g_pages == nullptr) {
    const Result<Range> refill = allocate_locked(kPoolRefill, kPageBytes);
    if (!refill) return std::unexpected{refill.error()};
    zero(*refill);
    for (std::uint64_t page = refill->end(); page != refill->base;) put_page(page -= kPageBytes);
  }
  FreePage* page = g_pages;
  g_pages = page->next;
  page->next = nullptr;
  return address_of(page);
}

void free_page(std::uint64_t page) noexcept {
  zero({page, kPageBytes});
  const LockGuard guard{g_lock};
  put_page(page);
}

std::uint64_t bytes_left() noexcept {
  const LockGuard guard{g_lock};
  return g_free.bytes();
}

}  // namespace arm_vcpu::hv::memory
