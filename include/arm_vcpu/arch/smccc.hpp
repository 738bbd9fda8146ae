// SPDX-License-Identifier: Apache-2.0
// Function IDs of the SMC Calling Convention, and those of PSCI. [smccc] "SMC Calling Convention", DEN 0028;
// [psci] "Arm Power State Coordination Interface", DEN 0022.
#pragma once

#include <cstdint>
#include <string_view>

#include "arm_vcpu/arch/bits.hpp"

namespace arm_vcpu {

// Who defines what a function ID means. [smccc] "SMC and HVC immediate value; Function Identifiers, owning entities"
enum class CallOwner : std::uint8_t {
  arm_architecture = 0,
  cpu_service = 1,
  sip_service = 2,
  oem_service = 3,
  standard_secure_service = 4,  // PSCI, SDEI, TRNG, FF-A
  standard_hypervisor_service = 5,
  vendor_hypervisor_service = 6,
  // 48-49: trusted applications; 50-63: trusted OS
};

// The 32 bits in W0 that select a function.
struct FunctionId : bits::Image<FunctionId> {
  using Fast = Flag<31>;   // 0: yielding call
  using SMC64 = Flag<30>;  // 1: arguments and results are 64 bits
  using Owner = Field<29, 24, CallOwner>;
  using MBZ = Field<23, 16, std::uint8_t>;  // of fast calls; from SMCCC 1.3 on bit 16 is the hint below
  using Number = Field<15, 0, std::uint16_t>;

  // The convention passes the ID in W0, so the upper half of X0 means nothing.
  [[nodiscard]] static constexpr FunctionId from_x0(std::uint64_t x0) noexcept { return from(x0 & 0xFFFF'FFFF); }

  // The same function without the caller's hint that it has no live SVE state, which selects nothing. [smccc] "SVE hint
  // bit"
  [[nodiscard]] constexpr FunctionId without_sve_hint() const noexcept {
    constexpr std::uint64_t kSveHint = 1U << 16;
    // What has other bits there is no fast call of the convention.
    return get<Fast>() && (get<MBZ>() & ~1U) == 0 ? from(raw & ~kSveHint) : *this;
  }
};

// Number of a PSCI function.
enum class PsciFunction : std::uint16_t {
#define VCPU_PSCI(name, number, smc32, smc64, major, minor, arguments) name = number,
#include "arm_vcpu/arch/psci.def"
#undef VCPU_PSCI
};

// [psci] "Return codes"
enum class PsciStatus : std::int32_t {
  SUCCESS = 0,
  NOT_SUPPORTED = -1,
  INVALID_PARAMETERS = -2,
  DENIED = -3,
  ALREADY_ON = -4,
  ON_PENDING = -5,
  INTERNAL_FAILURE = -6,
  NOT_PRESENT = -7,
  DISABLED = -8,
  INVALID_ADDRESS = -9,
};

// What AFFINITY_INFO answers when it does not fail.
enum class AffinityState : std::uint8_t { ON = 0, OFF = 1, ON_PENDING = 2 };

// major in bits 31:16, minor in bits 15:0: of PSCI_VERSION and SMCCC_VERSION alike.
[[nodiscard]] constexpr std::uint32_t interface_version(unsigned major, unsigned minor) noexcept {
  return static_cast<std::uint32_t>(major << 16 | minor);
}

[[nodiscard]] constexpr FunctionId psci_id(PsciFunction function, bool smc64 = false) noexcept {
  return FunctionId{}
      .with<FunctionId::Fast>(true)
      .with<FunctionId::SMC64>(smc64)
      .with<FunctionId::Owner>(CallOwner::standard_secure_service)
      .with<FunctionId::Number>(static_cast<std::uint16_t>(function));
}

// Arm Architecture Calls. [smccc] "Arm Architecture Calls"
namespace smccc {
inline constexpr FunctionId SMCCC_VERSION = FunctionId::from(0x8000'0000);
inline constexpr FunctionId SMCCC_ARCH_FEATURES = FunctionId::from(0x8000'0001);
inline constexpr FunctionId SMCCC_ARCH_SOC_ID = FunctionId::from(0x8000'0002);
inline constexpr FunctionId SMCCC_ARCH_FEATURE_AVAILABILITY = FunctionId::from(0x8000'0003);
inline constexpr FunctionId SMCCC_ARCH_WORKAROUND_4 = FunctionId::from(0x8000'0004);
inline constexpr FunctionId SMCCC_ARCH_CLEAN_INV_MEMREGION = FunctionId::from(0xC000'0005);
inline constexpr FunctionId SMCCC_ARCH_CLEAN_INV_MEMREGION_ATTRIBUTES = FunctionId::from(0xC000'0006);
inline constexpr FunctionId SMCCC_ARCH_WORKAROUND_3 = FunctionId::from(0x8000'3FFF);
inline constexpr FunctionId SMCCC_ARCH_WORKAROUND_2 = FunctionId::from(0x8000'7FFF);
inline constexpr FunctionId SMCCC_ARCH_WORKAROUND_1 = FunctionId::from(0x8000'8000);

// True random numbers. [trng] "Arm True Random Number Generator Firmware Interface", DEN 0098
inline constexpr FunctionId TRNG_VERSION = FunctionId::from(0x8400'0050);
inline constexpr FunctionId TRNG_FEATURES = FunctionId::from(0x8400'0051);
inline constexpr FunctionId TRNG_GET_UUID = FunctionId::from(0x8400'0052);
inline constexpr FunctionId TRNG_RND32 = FunctionId::from(0x8400'0053);
inline constexpr FunctionId TRNG_RND64 = FunctionId::from(0xC400'0053);

// [pvtime] "Paravirtualized Time for Arm-based Systems", DEN 0057
inline constexpr FunctionId PV_TIME_FEATURES = FunctionId::from(0xC500'0020);
inline constexpr FunctionId PV_TIME_ST = FunctionId::from(0xC500'0021);

// General service queries of the vendor hypervisor service. [smccc] "General service queries"
inline constexpr FunctionId VENDOR_HYP_UID = FunctionId::from(0x8600'FF01);
inline constexpr FunctionId VENDOR_HYP_REVISION = FunctionId::from(0x8600'FF03);
}  // namespace smccc

// A fast call of the Arm Architecture owner, whether or not a function has that number.
[[nodiscard]] constexpr bool is_arch_call(FunctionId id) noexcept {
  return id.get<FunctionId::Fast>() && id.get<FunctionId::Owner>() == CallOwner::arm_architecture;
}

// In 0x84000000-0x8400001F or 0xC4000000-0xC400001F, whether or not a function has that number. [psci] "Function IDs"
[[nodiscard]] constexpr bool is_psci_call(FunctionId id) noexcept {
  return (id.raw & ~(FunctionId::SMC64::kMask | 0x1F)) == psci_id(PsciFunction{}).raw;
}

// PSCI defines this function in this calling convention, in a version up to major.minor.
[[nodiscard]] constexpr bool is_psci_function(FunctionId id, unsigned major, unsigned minor) noexcept {
  if (!is_psci_call(id)) return false;
  const bool is64 = id.get<FunctionId::SMC64>();
  switch (PsciFunction{id.get<FunctionId::Number>()}) {
#define VCPU_PSCI(name, number, smc32, smc64, since_major, since_minor, arguments) \
  case PsciFunction::name:                                                         \
    return (is64 ? (smc64) : (smc32)) && interface_version(since_major, since_minor) <= interface_version(major, minor);
#include "arm_vcpu/arch/psci.def"
#undef VCPU_PSCI
  }
  return false;
}

// "CPU_ON", "SMCCC_VERSION"; empty for an ID that no table of this library names.
[[nodiscard]] std::string_view name_of(FunctionId id) noexcept;
[[nodiscard]] std::string_view name_of(PsciStatus status) noexcept;
[[nodiscard]] std::string_view name_of(CallOwner owner) noexcept;

}  // namespace arm_vcpu
