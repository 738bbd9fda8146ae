// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/arch/smccc.hpp"

namespace arm_vcpu {
namespace {

std::string_view name_of_psci(PsciFunction function) noexcept {
  switch (function) {
#define VCPU_PSCI(name, number, smc32, smc64, major, minor, arguments) \
  case PsciFunction::name: return #name;
#include "arm_vcpu/arch/psci.def"
#undef VCPU_PSCI
  }
  return {};
}

std::string_view name_of_arch_call(FunctionId id) noexcept {
  switch (id.raw) {
    case smccc::SMCCC_VERSION.raw: return "SMCCC_VERSION";
    case smccc::SMCCC_ARCH_FEATURES.raw: return "SMCCC_ARCH_FEATURES";
    case smccc::SMCCC_ARCH_SOC_ID.raw:
    case smccc::SMCCC_ARCH_SOC_ID.with<FunctionId::SMC64>(true).raw: return "SMCCC_ARCH_SOC_ID";
    case smccc::SMCCC_ARCH_FEATURE_AVAILABILITY.raw:
    case smccc::SMCCC_ARCH_FEATURE_AVAILABILITY.with<FunctionId::SMC64>(true).raw:
      return "SMCCC_ARCH_FEATURE_AVAILABILITY";
    case smccc::SMCCC_ARCH_WORKAROUND_1.raw: return "SMCCC_ARCH_WORKAROUND_1";
    case smccc::SMCCC_ARCH_WORKAROUND_2.raw: return "SMCCC_ARCH_WORKAROUND_2";
    case smccc::SMCCC_ARCH_WORKAROUND_3.raw: return "SMCCC_ARCH_WORKAROUND_3";
    case smccc::SMCCC_ARCH_WORKAROUND_4.raw: return "SMCCC_ARCH_WORKAROUND_4";
    case smccc::SMCCC_ARCH_CLEAN_INV_MEMREGION.raw: return "SMCCC_ARCH_CLEAN_INV_MEMREGION";
    case smccc::SMCCC_ARCH_CLEAN_INV_MEMREGION_ATTRIBUTES.raw: return "SMCCC_ARCH_CLEAN_INV_MEMREGION_ATTRIBUTES";
    default: return {};
  }
}

}  // namespace

std::string_view name_of(FunctionId id) noexcept {
  id = id.without_sve_hint();
  if (is_arch_call(id)) return name_of_arch_call(id);
  constexpr unsigned kEveryVersion = 0xFFFF;
  if (is_psci_function(id, kEveryVersion, 0)) return name_of_psci(PsciFunction{id.get<FunctionId::Number>()});
  switch (id.raw) {
    case smccc::TRNG_VERSION.raw: return "TRNG_VERSION";
    case smccc::TRNG_FEATURES.raw: return "TRNG_FEATURES";
    case smccc::TRNG_GET_UUID.raw: return "TRNG_GET_UUID";
    case smccc::TRNG_RND32.raw:
    case smccc::TRNG_RND64.raw: return "TRNG_RND";
    case smccc::PV_TIME_FEATURES.raw: return "PV_TIME_FEATURES";
    case smccc::PV_TIME_ST.raw: return "PV_TIME_ST";
    case smccc::VENDOR_HYP_UID.raw: return "VENDOR_HYP_UID";
    case smccc::VENDOR_HYP_REVISION.raw: return "VENDOR_HYP_REVISION";
    default: return {};
  }
}

std::string_view name_of(PsciStatus status) noexcept {
  switch (status) {
    case PsciStatus::SUCCESS: return "SUCCESS";
    case PsciStatus::NOT_SUPPORTED: return "NOT_SUPPORTED";
    case PsciStatus::INVALID_PARAMETERS: return "INVALID_PARAMETERS";
    case PsciStatus::DENIED: return "DENIED";
    case PsciStatus::ALREADY_ON: return "ALREADY_ON";
    case PsciStatus::ON_PENDING: return "ON_PENDING";
    case PsciStatus::INTERNAL_FAILURE: return "INTERNAL_FAILURE";
    case PsciStatus::NOT_PRESENT: return "NOT_PRESENT";
    case PsciStatus::DISABLED: return "DISABLED";
    case PsciStatus::INVALID_ADDRESS: return "INVALID_ADDRESS";
  }
  return {};
}

std::string_view name_of(CallOwner owner) noexcept {
  const auto number = static_cast<unsigned>(owner);
  switch (owner) {
    case CallOwner::arm_architecture: return "Arm Architecture";
    case CallOwner::cpu_service: return "CPU service";
    case CallOwner::sip_service: return "silicon provider service";
    case CallOwner::oem_service: return "OEM service";
    case CallOwner::standard_secure_service: return "standard secure service";
    case CallOwner::standard_hypervisor_service: return "standard hypervisor service";
    case CallOwner::vendor_hypervisor_service: return "vendor hypervisor service";
  }
  if (number >= 50 && number <= 63) return "trusted OS";
  return number >= 48 && number <= 49 ? "trusted application" : std::string_view{};
}

}  // namespace arm_vcpu
