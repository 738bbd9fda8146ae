// SPDX-License-Identifier: Apache-2.0
// The machine's interrupt controller, a GICv3 or a GICv2 as the device tree says. EOImode is 1 (priority drop and
// deactivation apart), so that a guest's list register can deactivate what the hypervisor acknowledged. Each function
// is the driver's of that name: gic_driver.hpp says what it does.
#pragma once

#include "gic_driver.hpp"

namespace arm_vcpu::hv::gic {

inline constexpr std::uint32_t kSpurious = 1023;

[[nodiscard]] constexpr std::uint32_t intid_of(Acknowledged acknowledged) noexcept {
  return acknowledged < 8192 ? acknowledged & 0x3FF : acknowledged;
}

namespace detail {
extern Driver* g_driver;
}

// Chooses the driver.
[[nodiscard]] Result<> init_distributor(const GicInfo& info) noexcept;

[[nodiscard]] inline Result<> init_this_cpu() noexcept {
  return detail::g_driver->init_this_cpu();
}
inline void enable_private(std::uint32_t intid) noexcept {
  detail::g_driver->enable_private(intid);
}
inline void disable_private(std::uint32_t intid) noexcept {
  detail::g_driver->disable_private(intid);
}
inline void activate_private(std::uint32_t intid) noexcept {
  detail::g_driver->activate_private(intid);
}
inline void wait_while_pending(std::uint32_t intid) noexcept {
  detail::g_driver->wait_while_pending(intid);
}
[[nodiscard]] inline diag::PhysicalInterrupt private_state(std::uint32_t intid) noexcept {
  return detail::g_driver->private_state(intid);
}
inline void route_spi(Interrupt interrupt) noexcept {
  detail::g_driver->route_spi(interrupt);
}
inline void disable_spi(std::uint32_t intid) noexcept {
  detail::g_driver->disable_spi(intid);
}
[[nodiscard]] inline Acknowledged acknowledge() noexcept {
  return detail::g_driver->acknowledge();
}
inline void priority_drop(Acknowledged acknowledged) noexcept {
  detail::g_driver->priority_drop(acknowledged);
}
inline void deactivate(Acknowledged acknowledged) noexcept {
  detail::g_driver->deactivate(acknowledged);
}
[[nodiscard]] inline std::uint64_t sgi_request(const PerCpu& cpu, std::uint32_t sgi) noexcept {
  return detail::g_driver->sgi_request(cpu, sgi);
}
inline void send_sgi(const PerCpu& cpu, std::uint32_t sgi) noexcept {
  detail::g_driver->send_sgi(cpu, sgi);
}
[[nodiscard]] inline unsigned list_registers() noexcept {
  return detail::g_driver->list_registers();
}
[[nodiscard]] inline unsigned spi_count() noexcept {
  return detail::g_driver->spi_count();
}

}  // namespace arm_vcpu::hv::gic
