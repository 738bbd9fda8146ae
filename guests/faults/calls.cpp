// SPDX-License-Identifier: Apache-2.0
// PSCI and SMCCC calls that get a negative answer.
#include "faults.hpp"
#include "guest/psci.hpp"
#include "guest/smp.hpp"
#include "guest/timer.hpp"

namespace faults {
namespace {

using namespace guest;

void unknown_function() noexcept {
  (void)call(Conduit::hvc, 0x8400'001F);
}
void wrong_convention() noexcept {
  (void)call(Conduit::hvc, 0xC400'0002);  // CPU_OFF exists as SMC32 only
}
void vendor_hvc() noexcept {
  (void)call(Conduit::hvc, 0x4242);
}
void vendor_smc() noexcept {
  (void)call(Conduit::smc, 0x0000'4242);
}
void immediate() noexcept {
  register u64 x0 asm("x0") = psci::kVersion;
  asm volatile("hvc #1" : "+r"(x0) : : "x1", "x2", "x3", "memory");
}
void smc_immediate() noexcept {
  register u64 x0 asm("x0") = psci::kVersion;
  asm volatile(".inst 0xD4000023" : "+r"(x0) : : "x1", "x2", "x3", "memory");  // SMC #1
}
// Secure services are found by asking; this guest does not take no for an answer.
void secure_service() noexcept {
  for (unsigned i = 0; i < 200; ++i) (void)call(Conduit::smc, 0xB200'0001);
  spin_ms(60);
}

void bad_target() noexcept {
  (void)call(Conduit::hvc, psci::kCpuOn, 0x100, secondary_entry());
}
void res1_bit() noexcept {
  (void)call(Conduit::hvc, psci::kCpuOn, GUEST_READ(mpidr_el1) & 0x80FF'FFFF, secondary_entry());
}
void bad_entry() noexcept {
  (void)call(Conduit::hvc, psci::kCpuOn, affinity_of(1), 0xFFFF'8000'4008'0000);
}
void twice() noexcept {
  (void)start_cpu(1, [](u64) {
    for (;;) wfi();
  });
  spin_ms(20);
  (void)call(Conduit::hvc, psci::kCpuOn, affinity_of(1), secondary_entry());
}

constexpr Fault kFaults[] = {
    {"psci-unknown", unknown_function}, {"psci-smc64", wrong_convention}, {"hvc-vendor", vendor_hvc},
    {"smc-vendor", vendor_smc},         {"psci-immediate", immediate},    {"smc-immediate", smc_immediate},
    {"smc-secure", secure_service},     {"cpu-on-target", bad_target},    {"cpu-on-res1", res1_bit},
    {"cpu-on-entry", bad_entry},        {"cpu-on-twice", twice},
};

}  // namespace

std::span<const Fault> call_faults() noexcept {
  return kFaults;
}

}  // namespace faults
