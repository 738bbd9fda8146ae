// SPDX-License-Identifier: Apache-2.0
// Failures on demand, for testing the diagnosis: what no guest can cause, because the hypervisor itself would have to
// be broken or set up wrongly. A bundle asks for one by /hypervisor `simulate`; without that nothing here runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "arm_vcpu/vm/bundle.hpp"

namespace arm_vcpu::hv {

struct VcpuSlot;

namespace simulate {

enum class Failure : std::uint8_t {
#define HV_SIMULATED_FAILURE(name, text) name,
#include "simulate.def"
#undef HV_SIMULATED_FAILURE
};

// Does not return for a name that there is not.
void choose(std::string_view name) noexcept;
[[nodiscard]] bool is_chosen(Failure failure) noexcept;

// The VM as it is built: asks for what this CPU does not have.
void spoil(BundleVm& vm) noexcept;

// A vCPU of VM 0 is bound to this CPU and about to enter its guest for the first time. Most failures do not return.
void vcpu_starts(VcpuSlot& slot) noexcept;

}  // namespace simulate
}  // namespace arm_vcpu::hv
