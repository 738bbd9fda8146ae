// SPDX-License-Identifier: Apache-2.0
// What a version of the interrupt controller has to bring: gic_v2.cpp, gic_v3.cpp. Everybody else uses gic.hpp.
#pragma once

#include <cstdint>

#include "arm_vcpu/result.hpp"
#include "arm_vcpu/trace/diagnosis_state.hpp"
#include "board.hpp"
#include "per_cpu.hpp"

namespace arm_vcpu::hv::gic {

// What an acknowledge register said: the INTID; for an SGI of a GICv2 also who sent it, in bits 12 to 10. INTIDs from
// 1024 to 8191 are reserved. [gicv3] "INTIDs"; [gicv2] "GICC_IAR, Interrupt Acknowledge Register"
using Acknowledged = std::uint32_t;

class Driver {
 public:
  // Once, on the first CPU, before init_this_cpu(). The ranges must be mapped. All SPIs are off afterwards.
  // Errors: no_gic_system_registers (PIDR2 of the distributor is not that of this version).
  [[nodiscard]] virtual Result<> init_distributor(const GicInfo& info) noexcept = 0;
  // On every CPU: turns all its SGIs and PPIs off, sets up the CPU interface; of a GICv3, finds and wakes its
  // redistributor. Errors: no_gic_system_registers; no_redistributor; no_list_registers (a GICv2's).
  [[nodiscard]] virtual Result<> init_this_cpu() noexcept = 0;

  // INTIDs 0 to 31, on the calling CPU.
  virtual void enable_private(std::uint32_t intid) noexcept = 0;
  virtual void disable_private(std::uint32_t intid) noexcept = 0;
  // Makes a PPI of the calling CPU active without an acknowledge, as it was when the vCPU whose interrupt it is left a
  // CPU. Complete on return: it is not signalled until it is deactivated.
  virtual void activate_private(std::uint32_t intid) noexcept = 0;
  // Until a PPI of the calling CPU whose source has gone is not signalled any more.
  virtual void wait_while_pending(std::uint32_t intid) noexcept = 0;

  // What the GIC has of a PPI of the calling CPU.
  [[nodiscard]] virtual diag::PhysicalInterrupt private_state(std::uint32_t intid) noexcept = 0;

  // SPIs. route_spi() sends it to the calling CPU, sets the trigger and turns it on.
  virtual void route_spi(Interrupt interrupt) noexcept = 0;
  virtual void disable_spi(std::uint32_t intid) noexcept = 0;

  // One acknowledge() is followed by one priority_drop() and one deactivate() of the same; the latter may be left to a
  // list register with HW=1. kSpurious needs neither.
  [[nodiscard]] virtual Acknowledged acknowledge() noexcept = 0;
  virtual void priority_drop(Acknowledged acknowledged) noexcept = 0;
  virtual void deactivate(Acknowledged acknowledged) noexcept = 0;

  // ICC_SGI1R_EL1 for an SGI to one CPU; 0 of a GICv2, which has no such register.
  [[nodiscard]] virtual std::uint64_t sgi_request(const PerCpu& cpu, std::uint32_t sgi) noexcept = 0;
  // SGI 0 to 15 to a CPU that init_this_cpu() has run on. What was written before is visible to it.
  virtual void send_sgi(const PerCpu& cpu, std::uint32_t sgi) noexcept = 0;

  // Of the CPU interface.
  [[nodiscard]] virtual unsigned list_registers() noexcept = 0;
  // SPIs the distributor implements: INTIDs 32 to 31 + this.
  [[nodiscard]] virtual unsigned spi_count() noexcept = 0;

 protected:
  ~Driver() = default;
};

[[nodiscard]] Driver& v2() noexcept;
[[nodiscard]] Driver& v3() noexcept;

}  // namespace arm_vcpu::hv::gic
