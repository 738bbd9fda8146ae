// SPDX-License-Identifier: Apache-2.0
// A vCPU's performance monitors while they are not on a CPU. [armarm] "The Performance Monitors Extension"
#pragma once

#include <array>
#include <cstdint>

#include "arm_vcpu/arch/bits.hpp"
#include "arm_vcpu/arch/sysreg_id.hpp"

namespace arm_vcpu {

// PMCR_EL0, Performance Monitors Control Register
struct Pmcr : bits::Image<Pmcr> {
  using E = Flag<0>;
  using P = Flag<1>;  // writing 1 resets the event counters; reads as 0
  using C = Flag<2>;  // the same for the cycle counter
  using D = Flag<3>;
  using X = Flag<4>;
  using DP = Flag<5>;
  using LC = Flag<6>;
  using LP = Flag<7>;
  using N = Field<15, 11, std::uint8_t>;
};

struct PmuState {
  static constexpr unsigned kMaxCounters = 31;
  static constexpr std::uint64_t kCycleCounter = std::uint64_t{1} << 31;  // its bit in pmcnten, pminten, pmovs

  std::uint64_t pmcr{};
  std::uint64_t pmcnten{};
  std::uint64_t pminten{};
  std::uint64_t pmovs{};
  std::uint64_t pmselr{};
  std::uint64_t pmuserenr{};
  std::uint64_t pmccntr{};
  std::uint64_t pmccfiltr{};
  std::array<std::uint64_t, kMaxCounters> pmevcntr{};
  std::array<std::uint64_t, kMaxCounters> pmevtyper{};

  // Something counts, or an overflow interrupt is asserted: the state must be on the CPU while the vCPU runs.
  [[nodiscard]] constexpr bool in_use() const noexcept {
    return Pmcr::from(pmcr).get<Pmcr::E>() && (pmcnten | (pmovs & pminten)) != 0;
  }
};

// The counters 0 to n - 1 and the cycle counter, as bits of pmcnten.
[[nodiscard]] constexpr std::uint64_t pmu_counter_mask(unsigned n) noexcept {
  return PmuState::kCycleCounter | ((std::uint64_t{1} << n) - 1);
}

// Whether MDCR_EL2.TPM or TPMCR traps it.
[[nodiscard]] constexpr bool is_pmu_register(SysRegId id) noexcept {
  if (id.op0() != 3) {
    return false;
  }
  if (id.op1() == 0) {
    return id.crn() == 9 && id.crm() == 14;
  }
  return id.op1() == 3 && ((id.crn() == 9 && id.crm() >= 12 && id.crm() <= 14) || (id.crn() == 14 && id.crm() >= 8));
}

}  // namespace arm_vcpu
