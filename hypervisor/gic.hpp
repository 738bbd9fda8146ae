// SPDX-License-Identifier: Apache-2.0
// The machine's GICv3: all interrupts in Group 1, EOImode 1 (priority drop and deactivation apart), so that a
// guest's list register can deactivate what the hypervisor acknowledged. [gicv3] "Arm GIC Architecture Specification"
#pragma once

#include <cstdint>

#include "arm_vcpu/result.hpp"
#include "board.hpp"

namespace arm_vcpu::hv::gic {

inline constexpr std::uint32_t kSpurious = 1023;

// Once, on the first CPU, before init_this_cpu(). The ranges must be mapped. All SPIs are off afterwards.
// Errors: no_gic_system_registers (PIDR2 of the distributor is not that of a GICv3 or v4).
[[nodiscard]] Result<> init_distributor(const GicInfo& info) noexcept;

// On every CPU: finds and wakes its redistributor, turns all its SGIs and PPIs off, sets up the CPU interface.
// Errors: no_gic_system_registers; no_redistributor.
[[nodiscard]] Result<> init_this_cpu() noexcept;

// INTIDs 0 to 31, on the calling CPU.
void enable_private(std::uint32_t intid) noexcept;
void disable_private(std::uint32_t intid) noexcept;
// Makes a PPI of the calling CPU active without an acknowledge, as it was when the vCPU whose interrupt it is left a CPU.
// Complete on return: it is not signalled until it is deactivated.
void activate_private(std::uint32_t intid) noexcept;
// Until a PPI of the calling CPU whose source has gone is not signalled any more.
void wait_while_pending(std::uint32_t intid) noexcept;

// SPIs. route_spi() sends it to the calling CPU, sets the trigger and turns it on.
void route_spi(Interrupt interrupt) noexcept;
void disable_spi(std::uint32_t intid) noexcept;

// One acknowledge() is followed by one priority_drop() and one deactivate() of the same INTID; the latter may be left
// to a list register with HW=1. kSpurious needs neither.
[[nodiscard]] std::uint32_t acknowledge() noexcept;
void priority_drop(std::uint32_t intid) noexcept;
void deactivate(std::uint32_t intid) noexcept;

// ICC_SGI1R_EL1 for an SGI to one CPU.
[[nodiscard]] std::uint64_t sgi_request(std::uint64_t mpidr, std::uint32_t sgi) noexcept;
// SGI 0 to 15 to the CPU with this affinity. What was written before is visible to it.
void send_sgi(std::uint64_t mpidr, std::uint32_t sgi) noexcept;

// Of the CPU interface (ICH_VTR_EL2.ListRegs).
[[nodiscard]] unsigned list_registers() noexcept;
// SPIs the distributor implements: INTIDs 32 to 31 + this.
[[nodiscard]] unsigned spi_count() noexcept;

}  // namespace arm_vcpu::hv::gic
