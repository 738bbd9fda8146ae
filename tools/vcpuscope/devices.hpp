// SPDX-License-Identifier: Apache-2.0
// Names for intermediate physical addresses: the devices of the guest's machine (vm/guest_layout.hpp).
#pragma once

#include <cstdint>
#include <string>

namespace arm_vcpu::scope {

// "PL011.DR", "GICD.ISENABLER1", "GICR[2].ICFGR1", "flash0+0x1000", "RAM+0x80000"; empty where the machine has nothing.
[[nodiscard]] std::string device_register(std::uint64_t ipa);

// "PL011", "GICD", "GICR[2]", "flash0", "RAM"; empty where the machine has nothing.
[[nodiscard]] std::string device_of(std::uint64_t ipa);

// "virtual timer", "UART", "SGI 3"; empty for an INTID that the machine does not use.
[[nodiscard]] std::string interrupt_name(std::uint64_t intid);

}  // namespace arm_vcpu::scope
