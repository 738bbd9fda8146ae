// SPDX-License-Identifier: Apache-2.0
// Where nothing is mapped, and accesses whose syndrome does not describe them.
#include "exits.hpp"
#include "guest/check.hpp"
#include "guest/cpu.hpp"
#include "guest/gic.hpp"

namespace exits {
namespace {

using namespace guest;

constexpr unsigned kEcInstructionAbort = 0x21;
constexpr unsigned kEcDataAbort = 0x25;
constexpr unsigned kExternalAbort = 0x10;
constexpr unsigned kTranslationLevel2 = 0x06;
constexpr u64 kPriorities = kGicd + gic::kIpriorityr + 208;  // of eight SPIs without a device
constexpr u64 kOld = 0x1234'5678'9ABC'DEF0;

struct Attempt {
  Caught caught;
  u64 pc;     // of the instruction
  u64 value;  // of the destination
  u64 base;   // of the address register
};

#define ATTEMPT(instruction, at)                                                                                   \
  ([](u64 address) noexcept {                                                                                      \
    Attempt a{.caught = {}, .pc = 0, .value = kOld, .base = address};                                              \
    a.caught = catching([&] {                                                                                      \
      asm volatile("adr %0, 1f\n1: " instruction : "=&r"(a.pc), "+&r"(a.value), "+&r"(a.base) : : "x9", "memory"); \
    });                                                                                                            \
    return a;                                                                                                      \
  }(at))

bool is_external_abort(const Attempt& a, u64 address, bool write) noexcept {
  return a.caught.count == 1 && a.caught.ec() == kEcDataAbort && a.caught.fsc() == kExternalAbort &&
         a.caught.far == address && a.caught.elr == a.pc && a.caught.is_write() == write && a.value == kOld &&
         a.base == address;
}

void test_data() noexcept {
  const Attempt read = ATTEMPT("ldr %w1, [%2]", kHole);
  check("hole.read.count", read.caught.count, 1);
  check("hole.read.ec", read.caught.ec(), kEcDataAbort);
  check("hole.read.dfsc", read.caught.fsc(), kExternalAbort);
  check("hole.read.il", read.caught.esr >> 25 & 1, 1);
  check("hole.read.wnr", read.caught.is_write(), 0);
  check("hole.read.far", read.caught.far, kHole);
  check("hole.read.elr", read.caught.elr, read.pc);
  check("hole.read.spsr_mode", read.caught.spsr & 0x3DF, GUEST_READ(daif) | 5);
  check("hole.read.destination", read.value, kOld);
  check_true("hole.read.byte", is_external_abort(ATTEMPT("ldrb %w1, [%2]", kHole + 1), kHole + 1, false));
  check_true("hole.read.halfword", is_external_abort(ATTEMPT("ldrsh %w1, [%2]", kHole + 2), kHole + 2, false));
  check_true("hole.read.doubleword", is_external_abort(ATTEMPT("ldr %1, [%2]", kHole + 8), kHole + 8, false));
  check_true("hole.write.byte", is_external_abort(ATTEMPT("strb %w1, [%2]", kHole + 3), kHole + 3, true));
  check_true("hole.write.word", is_external_abort(ATTEMPT("str %w1, [%2]", kHole + 4), kHole + 4, true));
  check_true("hole.write.doubleword", is_external_abort(ATTEMPT("str %1, [%2]", kHole), kHole, true));
  check_true("hole.read.post_index", is_external_abort(ATTEMPT("ldr %w1, [%2], #8", kHole), kHole, false));
  check_true("hole.write.post_index", is_external_abort(ATTEMPT("str %w1, [%2], #8", kHole), kHole, true));
  check_true("hole.read.pair", is_external_abort(ATTEMPT("ldp %1, x9, [%2]", kHole), kHole, false));

  // 64 GiB: beyond the guest's intermediate physical addresses, or a hole in them.
  const u64 pa_bits_code = GUEST_READ(id_aa64mmfr0_el1) & 0xF;
  const Attempt high = ATTEMPT("ldr %w1, [%2]", kHighHole);
  check("hole.high.count", high.caught.count, 1);
  check("hole.high.ec", high.caught.ec(), kEcDataAbort);
  check("hole.high.far", high.caught.far, kHighHole);
  if (pa_bits_code >= 2) {  // 40 bits
    check("hole.high.dfsc", high.caught.fsc(), kExternalAbort);
  } else {
    check_between("hole.high.dfsc", high.caught.fsc(), 0, 3);  // address size fault of the guest's stage 1
  }

  const Attempt own = ATTEMPT("ldr %w1, [%2]", kUnmapped);
  check("stage1.fault_dfsc", own.caught.fsc(), kTranslationLevel2);
  check("stage1.fault_far", own.caught.far, kUnmapped);
  check("stage1.fault_elr", own.caught.elr, own.pc);
}

u64 jump(u64 address) noexcept {
  u64 returned = 0;
  asm volatile("blr %1\n\tmov %0, #1" : "=r"(returned) : "r"(address) : "x30", "memory");
  return returned;
}

void test_fetch() noexcept {
  u64 returned = 0;
  const Caught fetch = catching([&] { returned = jump(kCodeHole + 0x40); }, Resume::link);
  check("hole.fetch.count", fetch.count, 1);
  check("hole.fetch.ec", fetch.ec(), kEcInstructionAbort);
  check("hole.fetch.ifsc", fetch.fsc(), kExternalAbort);
  check("hole.fetch.far", fetch.far, kCodeHole + 0x40);
  check("hole.fetch.elr", fetch.elr, kCodeHole + 0x40);
  check("hole.fetch.goes_on", returned, 1);
  const Caught device = catching([] { (void)jump(kUart); }, Resume::link);
  check("stage1.no_execute_ec", device.ec(), kEcInstructionAbort);
  check_between("stage1.no_execute_ifsc", device.fsc(), 0x0D, 0x0F);
}

// An access without a valid syndrome is done in full. guests/accesses tries all of them.
template <class Delivered>
void check_delivered(const char* name, const Attempt& a, Delivered delivered) noexcept {
  check_true(name, a.caught.count == 0 && delivered(a));
}

void test_undescribed_loads() noexcept {
  write32(kPriorities, 0x4030'2010);
  write32(kPriorities + 4, 0x8070'6050);
  const auto loaded = [](const Attempt& a) { return a.value == 0x4030'2010 && a.base == kPriorities + 4; };
  check_delivered("device.ldr_post_index", ATTEMPT("ldr %w1, [%2], #4", kPriorities), loaded);
  check_delivered("device.ldr_pre_index", ATTEMPT("ldr %w1, [%2, #0]!", kPriorities),
                  [](const Attempt& a) { return a.value == 0x4030'2010 && a.base == kPriorities; });
  check_delivered("device.ldp", ATTEMPT("ldp %w1, w9, [%2]", kPriorities),
                  [](const Attempt& a) { return a.value == 0x4030'2010; });
}

void test_undescribed_store() noexcept {
  write32(kPriorities, 0);
  const Attempt store = ATTEMPT("str %w1, [%2], #4", kPriorities);
  const u32 stored = read32(kPriorities);
  const u32 implemented = static_cast<u32>(kOld) & 0xF8F8'F8F8;  // at least five bits of a priority are there
  check_delivered("device.str_post_index", store,
                  [=](const Attempt& a) { return a.base == kPriorities + 4 && (stored & 0xF8F8'F8F8) == implemented; });
  write32(kPriorities, 0);
  write32(kPriorities + 4, 0);
}

// A table where no memory is: the walk fails at that table's level.
void test_walk() noexcept {
  constexpr u64 kTable = 3;
  constexpr unsigned kOnWalkLevel2 = 0x16;
  constexpr u64 kEntry = 17;  // of the level-1 table: 17 GiB
  auto* const level_1 = reinterpret_cast<volatile u64*>(GUEST_READ(ttbr0_el1) & ~u64{0xFFF});
  level_1[kEntry] = 0x7000'0000 | kTable;
  dsb();
  isb();
  const Attempt walk = ATTEMPT("ldr %w1, [%2]", kEntry << 30);
  level_1[kEntry] = 0;
  asm volatile("dsb ishst\n\ttlbi vmalle1is\n\tdsb ish\n\tisb" : : : "memory");
  check("hole.walk.count", walk.caught.count, 1);
  check("hole.walk.ec", walk.caught.ec(), kEcDataAbort);
  check("hole.walk.dfsc", walk.caught.fsc(), kOnWalkLevel2);
  check("hole.walk.far", walk.caught.far, kEntry << 30);
  check("hole.walk.elr", walk.caught.elr, walk.pc);
}

void test_maintenance() noexcept {
  const Caught caught = catching([] {
    asm volatile("dc civac, %0\n\tdc cvac, %0\n\tdc civac, %1\n\tdsb sy" : : "r"(kHole), "r"(kGicd) : "memory");
  });
  check("hole.cache_maintenance", caught.count, 0);
}

}  // namespace

void test_holes(const Machine&) noexcept {
  test_data();
  test_fetch();
  test_undescribed_loads();
  test_undescribed_store();
  test_walk();
  test_maintenance();
}

}  // namespace exits
