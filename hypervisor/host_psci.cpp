// SPDX-License-Identifier: Apache-2.0
#include "host_psci.hpp"

#include "mmu.hpp"

namespace arm_vcpu::hv::host_psci {
namespace {

constinit PsciConduit g_conduit = PsciConduit::none;

enum class Function : std::uint32_t {
  SYSTEM_OFF = 0x8400'0008,
  SYSTEM_RESET = 0x8400'0009,
  CPU_ON64 = 0xC400'0003,
};
constexpr std::int32_t kNotSupported = -1;

// [smccc] "SMC64/HVC64": x0-x3 hold arguments and results, x4-x17 may be lost (SMCCC 1.0), the rest is kept.
std::int64_t call(Function function, std::uint64_t a1 = 0, std::uint64_t a2 = 0, std::uint64_t a3 = 0) noexcept {
  register std::uint64_t x0 __asm__("x0") = static_cast<std::uint32_t>(function);
  register std::uint64_t x1 __asm__("x1") = a1;
  register std::uint64_t x2 __asm__("x2") = a2;
  register std::uint64_t x3 __asm__("x3") = a3;
#define HV_SMCCC(instruction)                                                                                    \
  __asm__ volatile(instruction " #0"                                                                             \
                   : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)                                                      \
                   :                                                                                             \
                   : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", \
                     "memory", "cc")
  switch (g_conduit) {
    case PsciConduit::smc: HV_SMCCC("smc"); break;
    case PsciConduit::hvc: HV_SMCCC("hvc"); break;
    case PsciConduit::none: return kNotSupported;
  }
#undef HV_SMCCC
  return static_cast<std::int64_t>(x0);
}

}  // namespace

void init(PsciConduit conduit) noexcept {
  g_conduit = conduit;
}

bool available() noexcept {
  return g_conduit != PsciConduit::none;
}

std::int32_t cpu_on(std::uint64_t mpidr, std::uint64_t entry, std::uint64_t context) noexcept {
  return static_cast<std::int32_t>(call(Function::CPU_ON64, mpidr, entry, context));
}

std::int32_t smc(std::uint32_t function, std::uint32_t argument) noexcept {
  if (g_conduit != PsciConduit::smc) return kNotSupported;
  return static_cast<std::int32_t>(call(Function{function}, argument));
}

void system_off() noexcept {
  (void)call(Function::SYSTEM_OFF);
  hv_park();
}

void system_reset() noexcept {
  (void)call(Function::SYSTEM_RESET);
  hv_park();
}

}  // namespace arm_vcpu::hv::host_psci
