// SPDX-License-Identifier: Apache-2.0
#include "firmware.hpp"

#include "arm_vcpu/el2/sysreg.hpp"
#include "host_psci.hpp"

namespace arm_vcpu::hv {

// [smccc] "Discovery of SMCCC and Arm Architecture calls": PSCI_FEATURES says that there is SMCCC_VERSION.
FirmwareServices ask_firmware() noexcept {
  FirmwareServices found;
  const auto ask = [](FunctionId id, FunctionId about = {}) {
    return host_psci::smc(static_cast<std::uint32_t>(id.raw), static_cast<std::uint32_t>(about.raw));
  };
  if (ask(psci_id(PsciFunction::PSCI_FEATURES), smccc::SMCCC_VERSION) < 0 ||
      ask(smccc::SMCCC_VERSION) < static_cast<std::int32_t>(interface_version(1, 1))) {
    return found;
  }
  found.workarounds = {.workaround_1 = ask(smccc::SMCCC_ARCH_FEATURES, smccc::SMCCC_ARCH_WORKAROUND_1),
                       .workaround_2 = ask(smccc::SMCCC_ARCH_FEATURES, smccc::SMCCC_ARCH_WORKAROUND_2),
                       .workaround_3 = ask(smccc::SMCCC_ARCH_FEATURES, smccc::SMCCC_ARCH_WORKAROUND_3)};
  found.trng = ask(smccc::TRNG_VERSION) >= static_cast<std::int32_t>(interface_version(1, 0)) &&
               ask(smccc::TRNG_FEATURES, smccc::TRNG_RND64) >= 0;
  return found;
}

EntropySource entropy_source(const FirmwareServices& firmware) noexcept {
  if (bits::extract(VCPU_READ_SYSREG(id_aa64isar0_el1), 63, 60) != 0) return EntropySource::rndrrs;
  return firmware.trng ? EntropySource::firmware : EntropySource::none;
}

}  // namespace arm_vcpu::hv
