// SPDX-License-Identifier: Apache-2.0
// A GICv2 with virtualization extensions: all interrupts in the one group that this Security state has, which is Group
// 0 without Security Extensions, and Group 1 where firmware has put them there. [gicv2] "Arm GIC Architecture
// Specification"
#include "arm_vcpu/arch/gic_v2.hpp"
#include "arm_vcpu/el2/gic_v2.hpp"
#include "arm_vcpu/el2/sysreg.hpp"
#include "gic.hpp"
#include "lock.hpp"
#include "mmio.hpp"

namespace arm_vcpu::hv::gic {
namespace {

namespace regs = arm_vcpu::gic;

constexpr std::uint32_t kPriorities = 0xA0A0'A0A0;  // of four interrupts; lower than none and higher than idle
constexpr std::uint32_t kPriorityMask = 0xF0;       // lets all but the lowest priority pass
constexpr std::uint32_t kEnable = 1;                // GICD_CTLR, GICC_CTLR: the group

constinit GicInfo g_info{};
constinit std::uint32_t g_intid_limit = 0;
constinit SpinLock g_lock{"GIC distributor"};  // read-modify-write registers of the distributor

std::uint64_t gicd(std::uint32_t offset) noexcept {
  return g_info.distributor.base + offset;
}
std::uint64_t gicc(std::uint32_t offset) noexcept {
  return g_info.cpu_interface.base + offset;
}
std::uint64_t gich(std::uint32_t offset) noexcept {
  return g_info.interface_control.base + offset;
}

// A register of 32 interrupts, one bit each.
std::uint64_t bits_of(std::uint32_t bank, std::uint32_t intid) noexcept {
  return gicd(bank + 4 * (intid / 32));
}
constexpr std::uint32_t bit_of(std::uint32_t intid) noexcept {
  return 1U << intid % 32;
}

// All of the 32 interrupts of a word: off, neither pending nor active, one group, one priority. SGIs cannot be turned
// off everywhere, and their pending state is by sender.
void reset_interrupts(std::uint32_t word) noexcept {
  mmio::write32(gicd(regs::GIC_ICENABLER + 4 * word), ~0U);
  mmio::write32(gicd(regs::GIC_ICPENDR + 4 * word), ~0U);
  mmio::write32(gicd(regs::GIC_ICACTIVER + 4 * word), ~0U);
  mmio::write32(gicd(regs::GIC_IGROUPR + 4 * word), 0);  // RAZ/WI to Non-secure accesses
  for (std::uint32_t i = 0; i < 8; ++i) mmio::write32(gicd(regs::GIC_IPRIORITYR + 32 * word + 4 * i), kPriorities);
  if (word != 0) return;
  for (std::uint32_t i = 0; i < regs::kSgiCount; i += 4) mmio::write32(gicd(regs::GICD_CPENDSGIR + i), ~0U);
}

// Each CPU reads its own bit in the bytes of its SGIs and PPIs; bytes of PPIs that are not there are 0.
// [gicv2] "GICD_ITARGETSRn, Interrupt Processor Targets Registers"
std::uint8_t own_target() noexcept {
  std::uint32_t all = 0;
  for (std::uint32_t i = 0; i < regs::kPrivateCount; i += 4) all |= mmio::read32(gicd(regs::GIC_ITARGETSR + i));
  all |= all >> 16;
  all |= all >> 8;
  const auto target = static_cast<std::uint8_t>(all);
  return target != 0 ? target : std::uint8_t{1};  // RAZ where there is one CPU
}

class V2 final : public Driver {
 public:
  Result<> init_distributor(const GicInfo& info) noexcept override;
  Result<> init_this_cpu() noexcept override;
  void enable_private(std::uint32_t intid) noexcept override;
  void disable_private(std::uint32_t intid) noexcept override;
  void activate_private(std::uint32_t intid) noexcept override;
  void wait_while_pending(std::uint32_t intid) noexcept override;
  diag::PhysicalInterrupt private_state(std::uint32_t intid) noexcept override;
  void route_spi(Interrupt interrupt) noexcept override;
  void disable_spi(std::uint32_t intid) noexcept override;
  Acknowledged acknowledge() noexcept override;
  void priority_drop(Acknowledged acknowledged) noexcept override;
  void deactivate(Acknowledged acknowledged) noexcept override;
  std::uint64_t sgi_request(const PerCpu& cpu, std::uint32_t sgi) noexcept override;
  void send_sgi(const PerCpu& cpu, std::uint32_t sgi) noexcept override;
  unsigned list_registers() noexcept override;
  unsigned spi_count() noexcept override;
};

Result<> V2::init_distributor(const GicInfo& info) noexcept {
  g_info = info;
  const unsigned version = mmio::read32(gicd(regs::GICV2_PIDR2)) >> 4 & 0xF;
  if (version != 2) return fail(Errc::no_gic_system_registers, 2, version);
  el2::use_gic_v2({.cpu_interface = info.cpu_interface.base, .interface_control = info.interface_control.base});
  mmio::write32(gicd(regs::GICD_CTLR), 0);
  const unsigned words =
      regs::GicdTyperV2::from(mmio::read32(gicd(regs::GICD_TYPER))).get<regs::GicdTyperV2::ITLinesNumber>() + 1;
  g_intid_limit = 32 * words < regs::kSpiEnd ? 32 * words : regs::kSpiEnd;
  for (std::uint32_t word = 1; word < words; ++word) reset_interrupts(word);
  mmio::write32(gicd(regs::GICD_CTLR), kEnable);
  return {};
}

Result<> V2::init_this_cpu() noexcept {
  this_cpu().gic_target = own_target();
  reset_interrupts(0);
  // None of what list registers hold, nor of what is active, belongs to anybody.
  const auto vtr = regs::GichVtr::from(mmio::read32(gich(regs::GICH_VTR)));
  const unsigned count = vtr.get<regs::GichVtr::ListRegs>() + 1;
  mmio::write32(gich(regs::GICH_HCR), 0);
  for (unsigned n = 0; n < count; ++n) mmio::write32(gich(regs::GICH_LR + 4 * n), 0);
  mmio::write32(gich(regs::GICH_APR), 0);

  mmio::write32(gicc(regs::GICC_PMR), kPriorityMask);
  mmio::write32(gicc(regs::GICC_BPR), 0);
  const auto control = regs::GiccCtlr::from(kEnable).with<regs::GiccCtlr::EOImode>(true);
  mmio::write32(gicc(regs::GICC_CTLR), static_cast<std::uint32_t>(control.raw));
  el2::dsb_sy();
  return {};
}

void V2::enable_private(std::uint32_t intid) noexcept {
  mmio::write32(bits_of(regs::GIC_ISENABLER, intid), bit_of(intid));
}

void V2::disable_private(std::uint32_t intid) noexcept {
  mmio::write32(bits_of(regs::GIC_ICENABLER, intid), bit_of(intid));
  (void)mmio::read32(bits_of(regs::GIC_ICENABLER, intid));  // behind the write, which is posted
}

void V2::activate_private(std::uint32_t intid) noexcept {
  mmio::write32(bits_of(regs::GIC_ISACTIVER, intid), bit_of(intid));
  (void)mmio::read32(bits_of(regs::GIC_ISACTIVER, intid));
}

void V2::wait_while_pending(std::uint32_t intid) noexcept {
  while ((mmio::read32(bits_of(regs::GIC_ISPENDR, intid)) & bit_of(intid)) != 0) {
  }
}

diag::PhysicalInterrupt V2::private_state(std::uint32_t intid) noexcept {
  const auto has = [intid](std::uint32_t file) noexcept {
    return (mmio::read32(bits_of(file, intid)) & bit_of(intid)) != 0;
  };
  return {.enabled = has(regs::GIC_ISENABLER), .pending = has(regs::GIC_ISPENDR), .active = has(regs::GIC_ISACTIVER)};
}

void V2::route_spi(Interrupt interrupt) noexcept {
  const std::uint32_t intid = interrupt.intid;
  if (intid < regs::kPrivateCount || intid >= g_intid_limit) return;
  const LockGuard guard{g_lock};
  mmio::write32(bits_of(regs::GIC_ICENABLER, intid), bit_of(intid));
  const std::uint64_t trigger = gicd(regs::GIC_ICFGR + 4 * (intid / 16));
  const std::uint32_t edge = 2U << 2 * (intid % 16);
  mmio::write32(trigger, interrupt.edge ? mmio::read32(trigger) | edge : mmio::read32(trigger) & ~edge);
  mmio::write8(gicd(regs::GIC_ITARGETSR + intid), this_cpu().gic_target);
  mmio::write32(bits_of(regs::GIC_ISENABLER, intid), bit_of(intid));
}

void V2::disable_spi(std::uint32_t intid) noexcept {
  if (intid < regs::kPrivateCount || intid >= g_intid_limit) return;
  mmio::write32(bits_of(regs::GIC_ICENABLER, intid), bit_of(intid));
  (void)mmio::read32(bits_of(regs::GIC_ICENABLER, intid));
}

Acknowledged V2::acknowledge() noexcept {
  const auto acknowledged = mmio::read32(gicc(regs::GICC_IAR)) & 0x1FFF;
  // The device's registers are read after the acknowledge, not before.
  el2::dsb_sy();
  return intid_of(acknowledged) >= regs::kSpiEnd ? kSpurious : acknowledged;
}

// EOIR and DIR want of an SGI what IAR gave: the sender too.
void V2::priority_drop(Acknowledged acknowledged) noexcept {
  mmio::write32(gicc(regs::GICC_EOIR), acknowledged);
}

void V2::deactivate(Acknowledged acknowledged) noexcept {
  mmio::write32(gicc(regs::GICC_DIR), acknowledged);
}

std::uint64_t V2::sgi_request(const PerCpu&, std::uint32_t) noexcept {
  return 0;
}

void V2::send_sgi(const PerCpu& cpu, std::uint32_t sgi) noexcept {
  el2::dsb_ishst();
  const auto request = regs::GicdSgir{}
                           .with<regs::GicdSgir::CPUTargetList>(cpu.gic_target)
                           .with<regs::GicdSgir::SGIINTID>(static_cast<std::uint8_t>(sgi));
  mmio::write32(gicd(regs::GICD_SGIR), static_cast<std::uint32_t>(request.raw));
}

unsigned V2::list_registers() noexcept {
  return el2::GicV2Hw::read_ich_vtr().list_registers();
}

unsigned V2::spi_count() noexcept {
  return g_intid_limit > regs::kPrivateCount ? g_intid_limit - regs::kPrivateCount : 0;
}

constinit V2 g_v2{};

}  // namespace

Driver& v2() noexcept {
  return g_v2;
}

}  // namespace arm_vcpu::hv::gic
