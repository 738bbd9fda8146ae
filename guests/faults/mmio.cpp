// SPDX-License-Identifier: Apache-2.0
// Accesses that no device completes. The guest catches the abort and goes on.
#include "faults.hpp"

namespace faults {
namespace {

using namespace guest;

constexpr u64 kBehindUart = kUart + 0x1000;
constexpr u64 kSmallest = 16;

void read_hole() noexcept {
  (void)catching([] { (void)read32(kBehindUart); });
}
void write_hole() noexcept {
  (void)catching([] { write32(kHole, 0x1234'5678); });
}
void wrong_width() noexcept {
  (void)catching([] { (void)read64(kUart + 0x18); });
}
void misaligned() noexcept {
  // Device memory: the CPU faults it at stage 1 where it checks that, and the bus refuses it where it does not.
  (void)catching([] { (void)read32(kUart + 0x1A); });
}
void past_end() noexcept {
  (void)catching([] { asm volatile("stp wzr, wzr, [%0]" : : "r"(kUart + 0xFFC) : "memory"); });
}
// The tables promise 48 bits, whatever ID_AA64MMFR0_EL1.PARange says.
void beyond_ipa_size() noexcept {
  GUEST_WRITE(tcr_el1, (GUEST_READ(tcr_el1) & ~(u64{7} << 32)) | u64{5} << 32);
  isb();
  asm volatile("tlbi vmalle1\n\tdsb nsh\n\tisb" : : : "memory");
  (void)catching([] { (void)read32(kHighHole); });
}
void pair() noexcept {
  (void)catching([] { asm volatile("ldp w1, w2, [%0]" : : "r"(kBehindUart - 4) : "x1", "x2", "memory"); });
}
void write_back() noexcept {
  u64 at = kHole;
  (void)catching([&] { asm volatile("ldr w1, [%0], #4" : "+r"(at) : : "x1", "memory"); });
}
// No syndrome, and as many accesses as the vector is long.
void sve_load() noexcept {
  GUEST_WRITE(cpacr_el1, GUEST_READ(cpacr_el1) | u64{3} << 20 | u64{3} << 16);  // FPEN, ZEN
  isb();
  (void)catching([] {
    register u64 x0 asm("x0") = kUart;
    asm volatile(".inst 0x85804000" : : "r"(x0) : "memory");  // LDR Z0, [X0]
  });
}
// Behind the RAM that the device tree lists, inside what a bigger machine would have.
void behind_ram() noexcept {
  map_ram(0x6000'0000);
  (void)catching([] { (void)read64(0x6000'0000); });
}

// A table entry that leads outside RAM: the walk faults, not the access.
void table_in_hole() noexcept {
  alignas(4096) static u64 level_1[512];
  const u64 old = GUEST_READ(ttbr0_el1);
  for (unsigned i = 0; i < 512; ++i) level_1[i] = reinterpret_cast<const volatile u64*>(old)[i];
  level_1[kSmallest] = 0x7000'0000 | 3;
  dsb();
  GUEST_WRITE(ttbr0_el1, reinterpret_cast<u64>(level_1));
  isb();
  (void)catching([] { (void)read64(kSmallest << 30); });
}

// The base register itself: not even the handler can be fetched.
void base_in_hole() noexcept {
  GUEST_WRITE(ttbr0_el1, 0x7000'0000);
  isb();
  asm volatile("tlbi vmalle1\n\tdsb nsh\n\tisb" : : : "memory");
}

constexpr Fault kFaults[] = {
    {"mmio-hole-read", read_hole},
    {"mmio-hole-write", write_hole},
    {"mmio-width", wrong_width},
    {"mmio-misaligned", misaligned},
    {"mmio-past-end", past_end},
    {"mmio-beyond-ipa", beyond_ipa_size},
    {"mmio-pair", pair},
    {"mmio-write-back", write_back},
    {"mmio-sve", sve_load},
    {"mmio-behind-ram", behind_ram},
    {"table-entry-in-hole", table_in_hole},
    {"table-base-in-hole", base_in_hole},
};

}  // namespace

std::span<const Fault> mmio_faults() noexcept {
  return kFaults;
}

}  // namespace faults
