// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/psci.hpp"

#include "arm_vcpu/arch/registers.hpp"

namespace arm_vcpu {
namespace {

// MIGRATE_INFO_TYPE: there is no Trusted OS, or it does not need to move.
constexpr std::int64_t kNoMigration = 2;

// power_state of CPU_SUSPEND in the original format, which is what the 0 in PSCI_FEATURES(CPU_SUSPEND) promises.
// [psci] "CPU_SUSPEND", power_state
struct SuspendState : bits::Image<SuspendState> {
  using Reserved_31_26 = Field<31, 26>;
  using PowerLevel = Field<25, 24>;
  using Reserved_23_17 = Field<23, 17>;
  using StateType = Flag<16>;  // 1: power-down
  using StateID = Field<15, 0>;
};

// reset_type of SYSTEM_RESET2. [psci] "SYSTEM_RESET2"
constexpr std::uint32_t kSystemWarmReset = 0;

PsciOutcome answer(std::int64_t x0) noexcept {
  return {.mine = true, .x0 = x0};
}
PsciOutcome answer(PsciStatus status) noexcept {
  return answer(static_cast<std::int64_t>(status));
}
PsciOutcome no_return(AxVCpuExitReason exit) noexcept {
  return {.mine = true, .exit = exit};
}

PsciOutcome cpu_on(std::uint64_t target, std::uint64_t entry, std::uint64_t context_id, PowerDomain* domain) noexcept {
  const AxVCpuExitReason up = AxVCpuExitReason::CpuUp{.target_cpu = target, .entry_point = entry, .arg = context_id};
  if ((target & ~kPsciAffinityMask) != 0) return answer(PsciStatus::INVALID_PARAMETERS);
  if (domain == nullptr) {
    return bits::aligned(entry, 4) ? no_return(up) : answer(PsciStatus::INVALID_ADDRESS);
  }
  const PsciStatus status = domain->cpu_on(target, entry, context_id);
  PsciOutcome outcome = answer(status);
  if (status == PsciStatus::SUCCESS) outcome.exit = up;
  return outcome;
}

PsciOutcome cpu_suspend(SuspendState state, std::uint64_t entry, const PowerDomain* domain) noexcept {
  if (state.get<SuspendState::Reserved_31_26>() != 0 || state.get<SuspendState::Reserved_23_17>() != 0) {
    return answer(PsciStatus::INVALID_PARAMETERS);
  }
  // A standby state has no entry point; that of a power-down state is checked although standby does not come to use it.
  if (state.get<SuspendState::StateType>() &&
      (domain != nullptr ? !domain->is_executable(entry) : !bits::aligned(entry, 4))) {
    return answer(PsciStatus::INVALID_ADDRESS);
  }
  PsciOutcome outcome = answer(PsciStatus::SUCCESS);
  outcome.exit = AxVCpuExitReason::Halt{};
  return outcome;
}

PsciOutcome affinity_info(std::uint64_t target, std::uint32_t level, const PowerDomain* domain) noexcept {
  if (domain == nullptr) return answer(PsciStatus::NOT_SUPPORTED);
  const std::optional<AffinityState> state = domain->affinity_info(target, level);
  return state ? answer(static_cast<std::int64_t>(*state)) : answer(PsciStatus::INVALID_PARAMETERS);
}

bool is_implemented(FunctionId id, const PowerDomain* domain) noexcept {
  if (!is_psci_function(id, kPsciMajor, kPsciMinor)) return false;
  switch (PsciFunction{id.get<FunctionId::Number>()}) {
    case PsciFunction::PSCI_VERSION:
    case PsciFunction::CPU_SUSPEND:
    case PsciFunction::CPU_OFF:
    case PsciFunction::CPU_ON:
    case PsciFunction::MIGRATE_INFO_TYPE:
    case PsciFunction::SYSTEM_OFF:
    case PsciFunction::SYSTEM_RESET:
    case PsciFunction::PSCI_FEATURES:
    case PsciFunction::SYSTEM_RESET2: return true;
    case PsciFunction::AFFINITY_INFO: return domain != nullptr;
    default: return false;
  }
}

// 0 stands for "implemented, and no optional flag": CPU_SUSPEND has the original power_state format and is
// platform-coordinated.
PsciOutcome psci_features(FunctionId id, const PowerDomain* domain) noexcept {
  const bool known = id == smccc::SMCCC_VERSION || is_implemented(id, domain);
  return answer(known ? PsciStatus::SUCCESS : PsciStatus::NOT_SUPPORTED);
}

PsciOutcome handle_psci(FunctionId id, const PsciCall& call, PowerDomain* domain) noexcept {
  if (!is_implemented(id, domain)) return answer(PsciStatus::NOT_SUPPORTED);
  const std::uint64_t width = id.get<FunctionId::SMC64>() ? ~std::uint64_t{0} : 0xFFFF'FFFF;
  const std::uint64_t a1 = call.x1 & width;
  const std::uint64_t a2 = call.x2 & width;
  const std::uint64_t a3 = call.x3 & width;
  // Parameters that are 32 bits in both conventions.
  const auto w1 = static_cast<std::uint32_t>(call.x1);
  const auto w2 = static_cast<std::uint32_t>(call.x2);

  switch (PsciFunction{id.get<FunctionId::Number>()}) {
    case PsciFunction::PSCI_VERSION: return answer(kPsciVersion);
    case PsciFunction::CPU_SUSPEND: return cpu_suspend(SuspendState::from(w1), a2, domain);
    case PsciFunction::CPU_OFF: return no_return(AxVCpuExitReason::CpuDown{});
    case PsciFunction::CPU_ON: return cpu_on(a1, a2, a3, domain);
    case PsciFunction::AFFINITY_INFO: return affinity_info(a1, w2, domain);
    case PsciFunction::MIGRATE_INFO_TYPE: return answer(kNoMigration);
    case PsciFunction::SYSTEM_OFF: return no_return(AxVCpuExitReason::SystemDown{});
    case PsciFunction::SYSTEM_RESET: return no_return(AxVCpuExitReason::SystemReset{});
    case PsciFunction::PSCI_FEATURES: return psci_features(FunctionId::from(w1).without_sve_hint(), domain);
    case PsciFunction::SYSTEM_RESET2:
      // Vendor-specific types have bit 31 set; this platform defines none.
      return w1 == kSystemWarmReset ? no_return(AxVCpuExitReason::SystemReset{})
                                    : answer(PsciStatus::INVALID_PARAMETERS);
    default: return answer(PsciStatus::NOT_SUPPORTED);
  }
}

// The configured state of a workaround function; not_supported for any other ID.
Workaround workaround(FunctionId id, const ArchWorkarounds& config) noexcept {
  if (id == smccc::SMCCC_ARCH_WORKAROUND_1) return config.workaround_1;
  if (id == smccc::SMCCC_ARCH_WORKAROUND_2) return config.workaround_2;
  if (id == smccc::SMCCC_ARCH_WORKAROUND_3) return config.workaround_3;
  return Workaround::not_supported;
}

PsciOutcome handle_arch_call(FunctionId id, const PsciCall& call, const PsciConfig& config) noexcept {
  if (id == smccc::SMCCC_VERSION) return answer(kSmcccVersion);
  if (id == smccc::SMCCC_ARCH_FEATURES) {
    const FunctionId asked = FunctionId::from_x0(call.x1).without_sve_hint();
    if (asked == smccc::SMCCC_VERSION || asked == smccc::SMCCC_ARCH_FEATURES ||
        (config.stolen_time && asked == smccc::PV_TIME_FEATURES)) {
      return answer(PsciStatus::SUCCESS);
    }
    return answer(static_cast<std::int64_t>(workaround(asked, config.workarounds)));
  }
  const Workaround known = workaround(id, config.workarounds);
  if (known == Workaround::not_supported) return answer(PsciStatus::NOT_SUPPORTED);
  PsciOutcome outcome = answer(PsciStatus::SUCCESS);
  outcome.forward = known == Workaround::required;
  return outcome;
}

Workaround as_the_firmware_says(std::int32_t answer) noexcept {
  return answer < 0 ? Workaround::not_supported : answer == 0 ? Workaround::required : Workaround::not_needed;
}

}  // namespace

ArchWorkarounds workarounds_of(std::uint64_t id_aa64pfr0_el1, std::uint64_t id_aa64pfr1_el1,
                               const FirmwareWorkarounds& firmware) noexcept {
  // CSV2 1: branch prediction in one context does not steer another. 3: nor does branch history.
  // [armarm] "ID_AA64PFR0_EL1, AArch64 Processor Feature Register 0", CSV2
  const unsigned csv2 = IdAa64Pfr0::from(id_aa64pfr0_el1).get<IdAa64Pfr0::CSV2>();
  const bool ssbs = IdAa64Pfr1::from(id_aa64pfr1_el1).get<IdAa64Pfr1::SSBS>() != 0;
  ArchWorkarounds told{.workaround_1 = as_the_firmware_says(firmware.workaround_1),
                       .workaround_2 = as_the_firmware_says(firmware.workaround_2),
                       .workaround_3 = as_the_firmware_says(firmware.workaround_3)};
  if (csv2 >= 1) told.workaround_1 = Workaround::not_needed;
  if (csv2 >= 3) told.workaround_3 = Workaround::not_needed;
  if (ssbs) {
    told.workaround_2 = Workaround::not_supported;
  } else if (told.workaround_2 == Workaround::required) {
    told.workaround_2 = Workaround::not_needed;
  }
  return told;
}

PsciOutcome handle_call(const PsciCall& call, PowerDomain* domain, const PsciConfig& config) noexcept {
  const FunctionId id = FunctionId::from_x0(call.x0).without_sve_hint();
  if (is_arch_call(id)) return handle_arch_call(id, call, config);
  if (is_psci_call(id)) return handle_psci(id, call, domain);
  return {};
}

}  // namespace arm_vcpu
