// SPDX-License-Identifier: Apache-2.0
// A GICv3 or v4: all interrupts in Group 1, CPU interfaces by system registers. [gicv3] "Arm GIC Architecture
// Specification"
#include "arm_vcpu/arch/bits.hpp"
#include "arm_vcpu/el2/sysreg.hpp"
#include "gic.hpp"
#include "lock.hpp"
#include "mmio.hpp"

namespace arm_vcpu::hv::gic {
namespace {

// Distributor, [gicv3] "The GIC Distributor register map".
constexpr std::uint64_t kGICD_CTLR = 0x0000;
constexpr std::uint64_t kGICD_TYPER = 0x0004;
constexpr std::uint64_t kGICD_IROUTER = 0x6000;
constexpr std::uint64_t kPIDR2 = 0xFFE8;
// These are at the same offset in the redistributor's SGI frame, for INTIDs 0 to 31.
constexpr std::uint64_t kIGROUPR = 0x0080;
constexpr std::uint64_t kISENABLER = 0x0100;
constexpr std::uint64_t kICENABLER = 0x0180;
constexpr std::uint64_t kISPENDR = 0x0200;
constexpr std::uint64_t kICPENDR = 0x0280;
constexpr std::uint64_t kISACTIVER = 0x0300;
constexpr std::uint64_t kICACTIVER = 0x0380;
constexpr std::uint64_t kIPRIORITYR = 0x0400;
constexpr std::uint64_t kICFGR = 0x0C00;
// Redistributor.
constexpr std::uint64_t kGICR_CTLR = 0x0000;
constexpr std::uint64_t kGICR_TYPER = 0x0008;
constexpr std::uint64_t kGICR_WAKER = 0x0014;
constexpr std::uint64_t kSgiFrame = 0x1'0000;

// As seen from Non-secure state; where there is one Security state only, EnableGrp1A is the one Group 1 enable.
struct GicdCtlr : bits::Image<GicdCtlr> {
  using EnableGrp1A = Flag<1>;
  using ARE_NS = Flag<4>;
  using RWP = Flag<31>;
};
struct GicdTyper : bits::Image<GicdTyper> {
  using ITLinesNumber = Field<4, 0, unsigned>;
};
struct GicrTyper : bits::Image<GicrTyper> {
  using VLPIS = Flag<1>;
  using Last = Flag<4>;
  using AffinityValue = Field<63, 32, std::uint32_t>;
};
struct GicrWaker : bits::Image<GicrWaker> {
  using ProcessorSleep = Flag<1>;
  using ChildrenAsleep = Flag<2>;
};
struct GicrCtlr : bits::Image<GicrCtlr> {
  using RWP = Flag<3>;
};
struct IccSreEl2 : bits::Image<IccSreEl2> {
  using SRE = Flag<0>;
  using DFB = Flag<1>;
  using DIB = Flag<2>;
  using Enable = Flag<3>;  // EL1 may use its ICC_SRE_EL1
};
struct IccCtlrEl1 : bits::Image<IccCtlrEl1> {
  using CBPR = Flag<0>;
  using EOImode = Flag<1>;
};
struct IccSgi1r : bits::Image<IccSgi1r> {
  using TargetList = Field<15, 0, std::uint16_t>;
  using Aff1 = Field<23, 16, std::uint8_t>;
  using INTID = Field<27, 24, std::uint8_t>;
  using Aff2 = Field<39, 32, std::uint8_t>;
  using RS = Field<47, 44, std::uint8_t>;
  using Aff3 = Field<55, 48, std::uint8_t>;
};

constexpr std::uint32_t kFirstSpi = 32;
constexpr std::uint32_t kPriorities = 0xA0A0'A0A0;  // of four interrupts; lower than none and higher than idle
constexpr std::uint64_t kPriorityMask = 0xF0;       // lets all but the lowest priority pass

constinit GicInfo g_info{};
constinit std::uint32_t g_intid_limit = 0;
constinit SpinLock g_lock{"GIC distributor"};  // read-modify-write registers of the distributor

std::uint64_t distributor() noexcept {
  return g_info.distributor.base;
}

void wait_for_distributor() noexcept {
  while (GicdCtlr::from(mmio::read32(distributor() + kGICD_CTLR)).get<GicdCtlr::RWP>()) {
  }
}
void wait_for_redistributor(std::uint64_t base) noexcept {
  while (GicrCtlr::from(mmio::read32(base + kGICR_CTLR)).get<GicrCtlr::RWP>()) {
  }
}

// Frame 0 of the redistributor of an affinity, or 0. Frames follow each other up to the one with Last; each is two
// 64 KiB pages, four with virtual LPIs (GICv4).
std::uint64_t find_redistributor(std::uint64_t mpidr) noexcept {
  const auto wanted = static_cast<std::uint32_t>((mpidr & 0xFF'FFFF) | (mpidr >> 32 & 0xFF) << 24);
  for (std::size_t region = 0; region < g_info.redistributor_count; ++region) {
    const Range range = g_info.redistributors[region];
    for (std::uint64_t base = range.base; base + 2 * kSgiFrame <= range.end();) {
      const auto typer = GicrTyper::from(mmio::read64(base + kGICR_TYPER));
      if (typer.get<GicrTyper::AffinityValue>() == wanted) return base;
      if (typer.get<GicrTyper::Last>()) break;
      base += g_info.redistributor_stride != 0 ? g_info.redistributor_stride
              : typer.get<GicrTyper::VLPIS>()  ? 4 * kSgiFrame
                                               : 2 * kSgiFrame;
    }
  }
  return 0;
}

// All of the 32 interrupts at `frame` + 4 * word: Group 1, off, neither pending nor active, one priority.
void reset_interrupts(std::uint64_t frame, std::uint32_t word) noexcept {
  mmio::write32(frame + kICENABLER + 4 * word, ~0U);
  mmio::write32(frame + kICPENDR + 4 * word, ~0U);
  mmio::write32(frame + kICACTIVER + 4 * word, ~0U);
  mmio::write32(frame + kIGROUPR + 4 * word, ~0U);
  for (std::uint32_t i = 0; i < 8; ++i) mmio::write32(frame + kIPRIORITYR + 32 * word + 4 * i, kPriorities);
}

class V3 final : public Driver {
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

Result<> V3::init_distributor(const GicInfo& info) noexcept {
  g_info = info;
  const std::uint32_t version = mmio::read32(distributor() + kPIDR2) >> 4 & 0xF;
  if (version != 3 && version != 4) return fail(Errc::no_gic_system_registers, 3, version);
  mmio::write32(distributor() + kGICD_CTLR, 0);
  wait_for_distributor();
  const unsigned words = GicdTyper::from(mmio::read32(distributor() + kGICD_TYPER)).get<GicdTyper::ITLinesNumber>() + 1;
  g_intid_limit = 32 * words < 1020 ? 32 * words : 1020;
  for (std::uint32_t word = 1; word < words; ++word) reset_interrupts(distributor(), word);
  wait_for_distributor();
  // Affinity routing first: group enables may not change with it. [gicv3] "GICD_CTLR, Distributor Control Register"
  const GicdCtlr routed = GicdCtlr{}.with<GicdCtlr::ARE_NS>(true);
  mmio::write32(distributor() + kGICD_CTLR, static_cast<std::uint32_t>(routed.raw));
  wait_for_distributor();
  mmio::write32(distributor() + kGICD_CTLR, static_cast<std::uint32_t>(routed.with<GicdCtlr::EnableGrp1A>(true).raw));
  wait_for_distributor();
  return {};
}

Result<> V3::init_this_cpu() noexcept {
  const auto sre = IccSreEl2{}
                       .with<IccSreEl2::SRE>(true)
                       .with<IccSreEl2::DFB>(true)
                       .with<IccSreEl2::DIB>(true)
                       .with<IccSreEl2::Enable>(true);
  if ((VCPU_READ_SYSREG(id_aa64pfr0_el1) >> 24 & 0xF) == 0) return fail(Errc::no_gic_system_registers, 3, 0);
  VCPU_WRITE_SYSREG(icc_sre_el2, sre.raw);
  el2::isb();
  if (!IccSreEl2::from(VCPU_READ_SYSREG(icc_sre_el2)).get<IccSreEl2::SRE>()) {
    return fail(Errc::no_gic_system_registers, 3, 2);
  }

  PerCpu& cpu = this_cpu();
  const std::uint64_t base = find_redistributor(cpu.mpidr);
  if (base == 0) return fail(Errc::no_redistributor, cpu.mpidr);
  cpu.redistributor = base;
  const auto waker = GicrWaker::from(mmio::read32(base + kGICR_WAKER)).with<GicrWaker::ProcessorSleep>(false);
  mmio::write32(base + kGICR_WAKER, static_cast<std::uint32_t>(waker.raw));
  while (GicrWaker::from(mmio::read32(base + kGICR_WAKER)).get<GicrWaker::ChildrenAsleep>()) {
  }
  reset_interrupts(base + kSgiFrame, 0);
  wait_for_redistributor(base);

  VCPU_WRITE_SYSREG(icc_pmr_el1, kPriorityMask);
  VCPU_WRITE_SYSREG(icc_bpr1_el1, 0);
  const auto control = IccCtlrEl1::from(VCPU_READ_SYSREG(icc_ctlr_el1));
  VCPU_WRITE_SYSREG(icc_ctlr_el1, control.with<IccCtlrEl1::CBPR>(false).with<IccCtlrEl1::EOImode>(true).raw);
  VCPU_WRITE_SYSREG(icc_igrpen1_el1, 1);
  el2::isb();
  return {};
}

void V3::enable_private(std::uint32_t intid) noexcept {
  mmio::write32(this_cpu().redistributor + kSgiFrame + kISENABLER, 1U << (intid & 31));
}

void V3::disable_private(std::uint32_t intid) noexcept {
  mmio::write32(this_cpu().redistributor + kSgiFrame + kICENABLER, 1U << (intid & 31));
  wait_for_redistributor(this_cpu().redistributor);
}

void V3::activate_private(std::uint32_t intid) noexcept {
  const std::uint64_t active = this_cpu().redistributor + kSgiFrame + kISACTIVER;
  mmio::write32(active, 1U << (intid & 31));
  // The write is posted; a read of the same register is answered behind it.
  (void)mmio::read32(active);
}

void V3::wait_while_pending(std::uint32_t intid) noexcept {
  while ((mmio::read32(this_cpu().redistributor + kSgiFrame + kISPENDR) >> (intid & 31) & 1) != 0) {
  }
}

diag::PhysicalInterrupt V3::private_state(std::uint32_t intid) noexcept {
  const auto has = [intid](std::uint64_t file) noexcept {
    return (mmio::read32(this_cpu().redistributor + kSgiFrame + file) >> (intid & 31) & 1) != 0;
  };
  return {.enabled = has(kISENABLER), .pending = has(kISPENDR), .active = has(kISACTIVER)};
}

void V3::route_spi(Interrupt interrupt) noexcept {
  const std::uint32_t intid = interrupt.intid;
  if (intid < kFirstSpi || intid >= g_intid_limit) return;
  const LockGuard guard{g_lock};
  mmio::write32(distributor() + kICENABLER + 4 * (intid / 32), 1U << intid % 32);
  wait_for_distributor();
  const std::uint64_t trigger = distributor() + kICFGR + 4 * (intid / 16);
  const std::uint32_t edge = 2U << 2 * (intid % 16);
  mmio::write32(trigger, interrupt.edge ? mmio::read32(trigger) | edge : mmio::read32(trigger) & ~edge);
  mmio::write64(distributor() + kGICD_IROUTER + 8 * std::uint64_t{intid}, this_cpu().mpidr);
  mmio::write32(distributor() + kISENABLER + 4 * (intid / 32), 1U << intid % 32);
}

void V3::disable_spi(std::uint32_t intid) noexcept {
  if (intid < kFirstSpi || intid >= g_intid_limit) return;
  mmio::write32(distributor() + kICENABLER + 4 * (intid / 32), 1U << intid % 32);
  wait_for_distributor();
}

Acknowledged V3::acknowledge() noexcept {
  const auto intid = static_cast<std::uint32_t>(VCPU_READ_SYSREG(icc_iar1_el1) & 0xFF'FFFF);
  // The device's registers are read after the acknowledge, not before.
  el2::dsb_sy();
  return intid >= 1020 && intid <= 1023 ? kSpurious : intid;
}

void V3::priority_drop(Acknowledged acknowledged) noexcept {
  VCPU_WRITE_SYSREG(icc_eoir1_el1, acknowledged);
  el2::isb();
}

void V3::deactivate(Acknowledged acknowledged) noexcept {
  VCPU_WRITE_SYSREG(icc_dir_el1, acknowledged);
  el2::isb();
}

std::uint64_t V3::sgi_request(const PerCpu& cpu, std::uint32_t sgi) noexcept {
  const std::uint64_t mpidr = cpu.mpidr;
  const auto aff0 = static_cast<unsigned>(mpidr & 0xFF);
  return IccSgi1r{}
      .with<IccSgi1r::TargetList>(static_cast<std::uint16_t>(1U << aff0 % 16))
      .with<IccSgi1r::RS>(static_cast<std::uint8_t>(aff0 / 16))
      .with<IccSgi1r::Aff1>(static_cast<std::uint8_t>(mpidr >> 8))
      .with<IccSgi1r::Aff2>(static_cast<std::uint8_t>(mpidr >> 16))
      .with<IccSgi1r::Aff3>(static_cast<std::uint8_t>(mpidr >> 32))
      .with<IccSgi1r::INTID>(static_cast<std::uint8_t>(sgi))
      .raw;
}

void V3::send_sgi(const PerCpu& cpu, std::uint32_t sgi) noexcept {
  el2::dsb_ishst();
  VCPU_WRITE_SYSREG(icc_sgi1r_el1, sgi_request(cpu, sgi));
  el2::isb();
}

unsigned V3::list_registers() noexcept {
  return static_cast<unsigned>(VCPU_READ_SYSREG(ich_vtr_el2) & 0x1F) + 1;
}

unsigned V3::spi_count() noexcept {
  return g_intid_limit > kFirstSpi ? g_intid_limit - kFirstSpi : 0;
}

constinit V3 g_v3{};

}  // namespace

Driver& v3() noexcept {
  return g_v3;
}

}  // namespace arm_vcpu::hv::gic
