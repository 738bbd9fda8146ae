// SPDX-License-Identifier: Apache-2.0
// Loads from a device by a signed pointer: LDRAA and LDRAB, which carry no syndrome.
#include "features.hpp"
#include "guest/check.hpp"
#include "guest/cpu.hpp"

namespace features {
namespace {

using namespace guest;

constexpr u64 kEnDA = u64{1} << 27;
constexpr u64 kTbi0 = u64{1} << 37;
constexpr u64 kTyper = kGicr + 8;  // GICR_TYPER, 64 bits

void set_data_keys(u64 key) noexcept {
  GUEST_WRITE(S3_0_C2_C2_0, key);   // APDAKeyLo_EL1
  GUEST_WRITE(S3_0_C2_C2_1, ~key);  // APDAKeyHi_EL1
  isb();
}

u64 sign(u64 pointer) noexcept {
  asm volatile(".arch_extension pauth\n\tpacdza %0" : "+r"(pointer));
  return pointer;
}

struct Loaded {
  unsigned exceptions;
  u64 value, base;
};

Loaded load(u64 pointer) noexcept {
  Loaded result{.exceptions = 0, .value = 0, .base = pointer};
  const Caught caught = catching([&] {
    asm volatile(".arch_extension pauth\n\tldraa %0, [%1]" : "+r"(result.value) : "r"(pointer));
  });
  result.exceptions = caught.count;
  return result;
}

Loaded load_with_write_back(u64 pointer) noexcept {
  Loaded result{.exceptions = 0, .value = 0, .base = pointer};
  const Caught caught = catching([&] {
    asm volatile(".arch_extension pauth\n\tldraa %0, [%1, #8]!" : "+&r"(result.value), "+&r"(result.base));
  });
  result.exceptions = caught.count;
  return result;
}

void test_in(const char* what) noexcept {
  const u64 expected = read64(kTyper);
  const u64 pointer = sign(kTyper);
  check_true(what, pointer != kTyper);
  const Loaded plain = load(pointer);
  check("pauth.load.exceptions", plain.exceptions, 0);
  check("pauth.load.value", plain.value, expected);
  const Loaded moved = load_with_write_back(sign(kTyper - 8));
  check("pauth.write_back.exceptions", moved.exceptions, 0);
  check("pauth.write_back.value", moved.value, expected);
  check("pauth.write_back.base", moved.base, kTyper);
}

}  // namespace

void test_pauth() noexcept {
  if ((GUEST_READ(id_aa64isar1_el1) & 0xFF0) == 0) return;
  const u64 sctlr = GUEST_READ(sctlr_el1);
  const u64 tcr = GUEST_READ(tcr_el1);
  set_data_keys(0x1234'5678'9ABC'DEF0);
  GUEST_WRITE(sctlr_el1, sctlr | kEnDA);
  isb();
  test_in("pauth.signed");
  GUEST_WRITE(tcr_el1, tcr | kTbi0);
  isb();
  asm volatile("tlbi vmalle1\n\tdsb nsh\n\tisb" : : : "memory");
  test_in("pauth.signed_below_the_top_byte");
  const Loaded tagged = load_with_write_back(sign(u64{0x5A} << 56 | (kTyper - 8)));
  check("pauth.tagged.exceptions", tagged.exceptions, 0);
  check("pauth.tagged.base", tagged.base, u64{0x5A} << 56 | kTyper);
  const Loaded forged = load(sign(kTyper) ^ u64{1} << 50);
  check("pauth.forged.is_refused", forged.exceptions, 1);
  GUEST_WRITE(tcr_el1, tcr);
  GUEST_WRITE(sctlr_el1, sctlr);
  isb();
  asm volatile("tlbi vmalle1\n\tdsb nsh\n\tisb" : : : "memory");
}

}  // namespace features
