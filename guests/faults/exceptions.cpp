// SPDX-License-Identifier: Apache-2.0
// Exceptions that the guest takes and does not survive: its vectors only spin, or sleep.
#include "faults.hpp"
#include "guest/timer.hpp"

namespace faults {
namespace {

using namespace guest;

void udf() noexcept {
  set_vectors(stuck_vectors);
  asm volatile(".inst 0" : : : "memory");  // UDF #0
}
void udf_sleeps() noexcept {
  set_vectors(sleeping_vectors);
  asm volatile(".inst 0" : : : "memory");
}
void sve() noexcept {
  GUEST_WRITE(cpacr_el1, GUEST_READ(cpacr_el1) | u64{3} << 20 | u64{3} << 16);  // FPEN, ZEN: EL1 itself traps neither
  isb();
  (void)catching([] { asm volatile(".inst 0x04A0E3E0" : : : "x0", "memory"); });  // CNTW X0
}
void el2_register() noexcept {
  set_vectors(stuck_vectors);
  (void)GUEST_READ(S3_4_C1_C1_0);  // HCR_EL2
}
void pmu_register() noexcept {
  (void)catching([] { (void)GUEST_READ(S3_3_C9_C12_0); });  // PMCR_EL0
}
void lor_register() noexcept {
  (void)catching([] { GUEST_WRITE(S3_0_C10_C4_3, 1); });  // LORC_EL1
}
// ERET to a mode that EL1 cannot return to: PSTATE.IL is set, and the next instruction is the illegal one.
[[gnu::noinline]] void return_to(u64 spsr) noexcept {
  set_vectors(stuck_vectors);
  asm volatile("msr spsr_el1, %0\n\tadr x1, 1f\n\tmsr elr_el1, x1\n\tisb\n\teret\n1:\tnop"
               :
               : "r"(spsr)
               : "x1", "memory");
}
void return_to_el2() noexcept {
  return_to(0x3C9);
}
void return_to_aarch32() noexcept {
  return_to(0x1D3);
}
// The vector replaces the instruction that was undefined: memory holds a valid one, as where an instruction cache has
// kept an old line.
void rewritten_code() noexcept {
  set_vectors(rewriting_vectors);
  alignas(64) static u32 code[2]{0x0000'0000, 0xD65F'03C0};  // UDF #0; RET
  asm volatile("dsb sy\n\tic iallu\n\tdsb nsh\n\tisb\n\tblr %0" : : "r"(&code) : "x9", "x10", "x30", "memory");
}
void null_call() noexcept {
  set_vectors(stuck_vectors);
  reinterpret_cast<void (*)()>(kUnmapped)();
}
void hole_call() noexcept {
  (void)catching([] { reinterpret_cast<void (*)()>(kCodeHole)(); }, Resume::link);
}
void stage1_fault() noexcept {
  set_vectors(sleeping_vectors);
  (void)read64(kUnmapped);
}
// Silence: no exception, no interrupt enabled, asleep.
void asleep() noexcept {
  mask_interrupts();
  for (;;) wfi();
}

constexpr Fault kFaults[] = {
    {"undefined", udf},
    {"undefined-asleep", udf_sleeps},
    {"sve", sve},
    {"el2-register", el2_register},
    {"pmu-register", pmu_register},
    {"lor-register", lor_register},
    {"eret-el2", return_to_el2},
    {"eret-aarch32", return_to_aarch32},
    {"stale-code", rewritten_code},
    {"null-call", null_call},
    {"hole-call", hole_call},
    {"guest-abort", stage1_fault},
    {"asleep", asleep},
};

}  // namespace

std::span<const Fault> exception_faults() noexcept {
  return kFaults;
}

}  // namespace faults
