// SPDX-License-Identifier: Apache-2.0
// Data aborts of which the syndrome says all: a load or store that it describes found no stage-2 translation. What is
// above and what is below the description of the access are compared each on its own: a mask over both would be a
// constant that takes longer to make than the comparisons.
#pragma once

#include "arm_vcpu/arch/esr.hpp"

namespace arm_vcpu {

// EC, IL and ISV, and no ISS2 above them: SAS, SSE, SRT and SF describe the access.
[[nodiscard]] constexpr bool is_described_access(Esr esr) noexcept {
  constexpr unsigned kLo = DataAbortIss::ISV::kLo;
  constexpr Esr kAccess =
      Esr{}
          .with<Esr::EC>(Ec::data_abort_lower)
          .with<Esr::IL>(true)
          .with<Esr::ISS>(static_cast<std::uint32_t>(DataAbortIss{}.with<DataAbortIss::ISV>(true).raw));
  return esr.raw >> kLo == kAccess.raw >> kLo;
}

// VNCR to DFSC without the level: what a load without a stage-2 translation has there. Of a store WnR is set besides.
struct PlainFault : bits::Image<PlainFault> {
  using Rest = Field<DataAbortIss::VNCR::kHi, 2>;
  static constexpr std::uint64_t kLoad = static_cast<std::uint64_t>(Fsc::translation_l0) >> Rest::kLo;
  static constexpr std::uint64_t kStore = kLoad | DataAbortIss::WnR::kMask >> Rest::kLo;
};

[[nodiscard]] constexpr bool is_plain_load_fault(Esr esr) noexcept {
  return PlainFault::from(esr.raw).get<PlainFault::Rest>() == PlainFault::kLoad;
}
[[nodiscard]] constexpr bool is_plain_fault(Esr esr) noexcept {
  return PlainFault::from(esr.raw & ~DataAbortIss::WnR::kMask).get<PlainFault::Rest>() == PlainFault::kLoad;
}

}  // namespace arm_vcpu
