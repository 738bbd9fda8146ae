// SPDX-License-Identifier: Apache-2.0
// The whole library, but for what only EL2 can include (arm_vcpu/el2/).
#pragma once

#include "arm_vcpu/capabilities.hpp"
#include "arm_vcpu/decode.hpp"
#include "arm_vcpu/exit_reason.hpp"
#include "arm_vcpu/guest_system_registers.hpp"
#include "arm_vcpu/per_cpu.hpp"
#include "arm_vcpu/psci.hpp"
#include "arm_vcpu/result.hpp"
#include "arm_vcpu/stolen_time.hpp"
#include "arm_vcpu/text.hpp"
#include "arm_vcpu/trap_frame.hpp"
#include "arm_vcpu/vcpu.hpp"
