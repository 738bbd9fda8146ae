// SPDX-License-Identifier: Apache-2.0
// A process of the Linux guest that uses allocation tags: memory with PROT_MTE, a pointer whose tag does not match, and
// the signals that come of it, at once and later; and a child that has its parent's tags. One line for each, and status
// 0 when all is right. [linux] "Memory Tagging Extension (MTE) in AArch64 Linux"
#include "program.hpp"

namespace {

using namespace program;

constexpr u64 kSetTaggedAddressControl = 55;  // PR_SET_TAGGED_ADDR_CTRL
constexpr u64 kTaggedAddresses = 1;
constexpr u64 kSynchronous = 1 << 1;
constexpr u64 kAsynchronous = 1 << 2;
constexpr u64 kAllTagsButZero = u64{0xFFFE} << 3;
constexpr u64 kReadWriteTagged = 0x1 | 0x2 | 0x20;  // PROT_READ | PROT_WRITE | PROT_MTE
constexpr u64 kPrivateAnonymous = 0x02 | 0x20;
constexpr u64 kSigSegv = 11;
constexpr u64 kSigChld = 17;
constexpr u64 kWithInformation = 4;       // SA_SIGINFO
constexpr u32 kAsynchronousTagFault = 8;  // SEGV_MTEAERR
constexpr u32 kTagFault = 9;              // SEGV_MTESERR
constexpr u64 kPageBytes = 4096;

struct SigInfo {
  u32 signo, error, code, pad;
  u64 address;
};

// Of `struct sigcontext` only the PC: its offset in `struct ucontext`.
constexpr u64 kPcInContext = 176 + 8 + 31 * 8 + 8;

struct SigAction {
  u64 handler, flags, restorer, mask;
};

struct Seen {
  unsigned count;
  u32 code;
  u64 address;
};
Seen g_seen{};

// A tag check fault that is taken at once is taken before its instruction: it is left out.
void on_fault(int, const SigInfo* info, unsigned char* context) noexcept {
  g_seen = {g_seen.count + 1, info->code, info->address};
  if (info->code == kTagFault) *reinterpret_cast<u64*>(context + kPcInContext) += 4;
}

extern "C" u64 memtag_choose(u64 address, u64 excluded) noexcept;
extern "C" void memtag_set(u64 address) noexcept;
extern "C" u64 memtag_get(u64 address) noexcept;
asm(R"(
    .arch   armv8.5-a+memtag
    .text
    .global memtag_choose
memtag_choose:
    irg     x0, x0, x1
    ret
    .global memtag_set
memtag_set:
    stg     x0, [x0]
    ret
    .global memtag_get
memtag_get:
    ldg     x0, [x0]
    ret
    .arch   armv8-a
)");

u64 load(u64 address) noexcept {
  u64 value = 0;
  asm volatile("ldr %0, [%1]" : "+r"(value) : "r"(address) : "memory");
  return value;
}
void store(u64 address, u64 value) noexcept {
  asm volatile("str %0, [%1]" : : "r"(value), "r"(address) : "memory");
}

bool choose_checks(u64 mode) noexcept {
  return call(Call::prctl, kSetTaggedAddressControl, kTaggedAddresses | mode | kAllTagsButZero) == 0;
}

void report(const char* name, bool right) noexcept {
  program::report("memtag", name, right);
}

// The child has a copy of the page, with its tags.
void check_in_child(u64 right, u64 wrong) noexcept {
  const long forked = call(Call::clone, kSigChld);
  if (forked == 0) {
    g_seen = {};
    store(right, 7);
    const bool same = load(right) == 7 && memtag_get(right) == right && g_seen.count == 0;
    store(wrong, 8);
    (void)call(Call::exit_group, same && g_seen.code == kTagFault && load(right) == 7 ? 0 : 1);
  }
  u32 status = ~0U;
  const bool ended = call(Call::wait4, static_cast<u64>(forked), address_of(&status)) == forked;
  report("child", ended && status == 0);
  report("child.apart", load(right) == 2);
}

void use_tags() noexcept {
  const SigAction action{reinterpret_cast<u64>(&on_fault), kWithInformation, 0, 0};
  report("sigaction", call(Call::rt_sigaction, kSigSegv, address_of(&action), 0, sizeof action.mask) == 0);
  report("prctl", choose_checks(kSynchronous));
  const long mapped = call(Call::mmap, 0, kPageBytes, kReadWriteTagged, kPrivateAnonymous, ~u64{0}, 0);
  report("mmap", mapped > 0);
  if (mapped <= 0) return;
  const auto memory = static_cast<u64>(mapped);
  report("fresh", memtag_get(memory) == memory && load(memory) == 0);
  const u64 right = memtag_choose(memory, 0);
  const u64 wrong = memtag_choose(memory, u64{1} << (right >> 56 & 0xF));
  report("irg", right != memory && wrong != memory && right != wrong);
  memtag_set(right);
  report("stg", memtag_get(memory) == right);
  store(right, 1);
  report("match", load(right) == 1 && g_seen.count == 0);
  (void)load(wrong);
  report("mismatch.load", g_seen.count == 1 && g_seen.code == kTagFault && g_seen.address == memory);
  store(wrong, 3);
  report("mismatch.store", g_seen.count == 2 && g_seen.code == kTagFault && load(right) == 1);
  store(right, 2);
  check_in_child(right, wrong);

  g_seen = {};
  report("prctl.async", choose_checks(kAsynchronous));
  store(wrong, 4);
  (void)call(Call::sched_yield);  // the kernel looks when it is entered
  report("async", g_seen.count == 1 && g_seen.code == kAsynchronousTagFault && load(right) == 4);
}

}  // namespace

extern "C" [[noreturn, gnu::used]] void program_main() noexcept {
  use_tags();
  finish("memtag: all right\n", "memtag: failed\n");
}
