// SPDX-License-Identifier: Apache-2.0
#include "devices.hpp"

#include <fmt/core.h>

#include <span>
#include <string_view>

#include "arm_vcpu/arch/gic_v2.hpp"
#include "arm_vcpu/vm/guest_layout.hpp"
#include "arm_vcpu/vm/pl011_registers.hpp"

namespace arm_vcpu::scope {
namespace {

// `count` registers of `bytes` each from `offset` on: NAME, or NAME<n> when there are several.
struct RegisterBank {
  std::uint64_t offset;
  std::string_view name;
  unsigned count = 1;
  unsigned bytes = 4;
};

// [pl011] "Programmer's Model"
constexpr RegisterBank kPl011[] = {
#define VCPU_PL011(name) {static_cast<std::uint64_t>(pl011::Reg::name), #name}
    VCPU_PL011(DR),         VCPU_PL011(RSR_ECR),   VCPU_PL011(FR),  VCPU_PL011(ILPR),  VCPU_PL011(IBRD),
    VCPU_PL011(FBRD),       VCPU_PL011(LCR_H),     VCPU_PL011(CR),  VCPU_PL011(IFLS),  VCPU_PL011(IMSC),
    VCPU_PL011(RIS),        VCPU_PL011(MIS),       VCPU_PL011(ICR), VCPU_PL011(DMACR),
#undef VCPU_PL011
    {0xFE0, "PeriphID", 4}, {0xFF0, "PCellID", 4},
};

// [gicv3] "The GIC Distributor register map"
constexpr RegisterBank kGicdBanks[] = {
    {gic::GICD_CTLR, "CTLR"},
    {gic::GICD_TYPER, "TYPER"},
    {gic::GICD_IIDR, "IIDR"},
    {gic::GICD_TYPER2, "TYPER2"},
    {gic::GICD_STATUSR, "STATUSR"},
    {0x0040, "SETSPI_NSR"},
    {0x0048, "CLRSPI_NSR"},
    {0x0050, "SETSPI_SR"},
    {0x0058, "CLRSPI_SR"},
    {gic::GIC_IGROUPR, "IGROUPR", 32},
    {gic::GIC_ISENABLER, "ISENABLER", 32},
    {gic::GIC_ICENABLER, "ICENABLER", 32},
    {gic::GIC_ISPENDR, "ISPENDR", 32},
    {gic::GIC_ICPENDR, "ICPENDR", 32},
    {gic::GIC_ISACTIVER, "ISACTIVER", 32},
    {gic::GIC_ICACTIVER, "ICACTIVER", 32},
    {gic::GIC_IPRIORITYR, "IPRIORITYR", 255},
    {gic::GIC_ITARGETSR, "ITARGETSR", 255},
    {gic::GIC_ICFGR, "ICFGR", 64},
    {gic::GIC_IGRPMODR, "IGRPMODR", 32},
    {gic::GIC_NSACR, "NSACR", 64},
    {0x0F00, "SGIR"},
    {0x0F10, "CPENDSGIR", 4},
    {0x0F20, "SPENDSGIR", 4},
    {gic::GICV2_PIDR4, "PIDR4-7", 4},  // of a GICv2, here and in the two that follow
    {0x0FE0, "PIDR", 4},
    {0x0FF0, "CIDR", 4},
    {gic::GICD_IROUTER, "IROUTER", 1020, 8},
    {gic::GIC_PIDR4, "PIDR4-7", 4},
    {0xFFE0, "PIDR", 4},
    {0xFFF0, "CIDR", 4},
};

// [gicv2] "CPU interface register map": only DIR is emulated.
constexpr RegisterBank kGiccBanks[] = {
    {gic::GICC_CTLR, "CTLR"}, {gic::GICC_PMR, "PMR"},   {gic::GICC_BPR, "BPR"},
    {gic::GICC_IAR, "IAR"},   {gic::GICC_EOIR, "EOIR"}, {gic::GICC_DIR, "DIR"},
};

// [gicv3] "The GIC Redistributor register map", RD_base and SGI_base
constexpr RegisterBank kRdBase[] = {
    {gic::GICR_CTLR, "CTLR"},
    {gic::GICR_IIDR, "IIDR"},
    {gic::GICR_TYPER, "TYPER", 1, 8},
    {gic::GICR_STATUSR, "STATUSR"},
    {gic::GICR_WAKER, "WAKER"},
    {0x0040, "SETLPIR", 1, 8},
    {0x0048, "CLRLPIR", 1, 8},
    {gic::GICR_PROPBASER, "PROPBASER", 1, 8},
    {gic::GICR_PENDBASER, "PENDBASER", 1, 8},
    {0x00A0, "INVLPIR", 1, 8},
    {0x00B0, "INVALLR", 1, 8},
    {0x00C0, "SYNCR"},
    {gic::GIC_PIDR4, "PIDR4-7", 4},
    {0xFFE0, "PIDR", 4},
    {0xFFF0, "CIDR", 4},
};
constexpr RegisterBank kSgiBase[] = {
    {gic::GIC_IGROUPR, "IGROUPR0"},     {gic::GIC_ISENABLER, "ISENABLER0"},
    {gic::GIC_ICENABLER, "ICENABLER0"}, {gic::GIC_ISPENDR, "ISPENDR0"},
    {gic::GIC_ICPENDR, "ICPENDR0"},     {gic::GIC_ISACTIVER, "ISACTIVER0"},
    {gic::GIC_ICACTIVER, "ICACTIVER0"}, {gic::GIC_IPRIORITYR, "IPRIORITYR", 8},
    {gic::GIC_ICFGR, "ICFGR", 2},       {gic::GIC_IGRPMODR, "IGRPMODR0"},
    {gic::GIC_NSACR, "NSACR"},
};

std::string name_in(std::span<const RegisterBank> banks, std::uint64_t offset) {
  for (const RegisterBank& bank : banks) {
    if (offset < bank.offset || offset >= bank.offset + std::uint64_t{bank.count} * bank.bytes) continue;
    const std::uint64_t n = (offset - bank.offset) / bank.bytes;
    const std::uint64_t byte = (offset - bank.offset) % bank.bytes;
    std::string name = bank.count == 1 ? std::string{bank.name} : fmt::format("{}{}", bank.name, n);
    if (byte != 0) name += fmt::format("+{}", byte);
    return name;
  }
  return fmt::format("{:#x}", offset);
}

constexpr bool in(IpaRange range, std::uint64_t ipa) {
  return ipa - range.base < range.bytes;
}

}  // namespace

std::string device_of(std::uint64_t ipa) {
  using namespace guest_machine;
  if (in(kUart, ipa)) return "PL011";
  if (in(kGicd, ipa)) return "GICD";
  if (in(kGicc, ipa)) return "GICC";
  if (in(kGicr, ipa)) return fmt::format("GICR[{}]", (ipa - kGicr.base) / gic::kRedistributorBytes);
  if (in(kFlash, ipa)) return "flash0";
  if (in(kFlash1, ipa)) return "flash1";
  if (ipa >= kRamBase) return "RAM";
  return {};
}

std::string device_register(std::uint64_t ipa) {
  using namespace guest_machine;
  const std::string device = device_of(ipa);
  if (in(kUart, ipa)) return fmt::format("{}.{}", device, name_in(kPl011, ipa - kUart.base));
  if (in(kGicd, ipa)) return fmt::format("{}.{}", device, name_in(kGicdBanks, ipa - kGicd.base));
  if (in(kGicc, ipa)) return fmt::format("{}.{}", device, name_in(kGiccBanks, ipa - kGicc.base));
  if (in(kGicr, ipa)) {
    const std::uint64_t offset = (ipa - kGicr.base) % gic::kRedistributorBytes;
    const bool sgi_base = offset >= gic::kFrameBytes;
    return fmt::format("{}.{}", device,
                       sgi_base ? name_in(kSgiBase, offset - gic::kFrameBytes) : name_in(kRdBase, offset));
  }
  if (in(kFlash, ipa)) return fmt::format("{}+{:#x}", device, ipa - kFlash.base);
  if (in(kFlash1, ipa)) return fmt::format("{}+{:#x}", device, ipa - kFlash1.base);
  if (ipa >= kRamBase) return fmt::format("{}+{:#x}", device, ipa - kRamBase);
  return {};
}

std::string interrupt_name(std::uint64_t intid) {
  using namespace guest_machine;
  if (intid < gic::kSgiCount) return fmt::format("SGI {}", intid);
  if (intid == kVirtualTimerIntid) return "virtual timer";
  if (intid == kPhysicalTimerIntid) return "physical timer";
  if (intid == 16 + kHypervisorTimerPpi) return "hypervisor timer";
  if (intid == 25) return "GIC maintenance";  // [bsa] "PPI assignments"
  if (intid == kUartIntid) return "UART";
  if (intid >= 1020 && intid < 1024) return "spurious";
  // A GICv2's SGI with its sender. [gicv2] "GICC_IAR, Interrupt Acknowledge Register"
  if (intid >= 1024 && intid < gic::kFirstLpi && intid % 1024 < gic::kSgiCount) {
    return fmt::format("SGI {} of CPU {}", intid % 1024, intid / 1024);
  }
  return {};
}

}  // namespace arm_vcpu::scope
