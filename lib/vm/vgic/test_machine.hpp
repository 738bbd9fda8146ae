// SPDX-License-Identifier: Apache-2.0
// A virtual GIC with a modelled CPU interface per vCPU, and the loop a hypervisor runs around them.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <vector>

#include "arm_vcpu/vm/vgic_cpu_interface.hpp"
#include "vm/vgic/fake_cpu_interface.hpp"

namespace arm_vcpu::test {

inline constexpr std::uint64_t kGicd = 0x0800'0000;
inline constexpr std::uint64_t kGicr = 0x080A'0000;
inline constexpr std::uint64_t kGicc = 0x0801'0000;  // of a GICv2

constexpr std::uint64_t rd_base(unsigned cpu) {
  return kGicr + cpu * gic::kRedistributorBytes;
}
constexpr std::uint64_t sgi_base(unsigned cpu) {
  return rd_base(cpu) + gic::kFrameBytes;
}

struct MachineOptions {
  unsigned version{3};
  unsigned cpus{1};
  unsigned list_registers{4};
  unsigned spis{256};
  unsigned priority_bits{5};
  bool honours_sleep{};
  bool enabled{true};  // both groups on, in the Distributor and in every CPU interface, nothing masked
  std::vector<std::uint64_t> affinities{};
};

class Machine {
 public:
  using Options = MachineOptions;

  explicit Machine(const Options& options = {})
      : is_v2_{options.version == 2},
        vtr_{gic::IchVtr{}
                 .with<gic::IchVtr::ListRegs>(options.list_registers - 1)
                 .with<gic::IchVtr::PRIbits>(options.priority_bits - 1)
                 .with<gic::IchVtr::PREbits>(options.priority_bits - 1)
                 .with<gic::IchVtr::TDS>(!is_v2_)},
        cpus_(options.cpus),
        spis_(options.spis),
        interfaces_(options.cpus, FakeCpuInterface{vtr_, is_v2_}),
        vgic{make(options)} {
    for (unsigned cpu = 0; cpu < options.cpus; ++cpu) vgic.load(cpu, at(cpu));
    if (options.enabled) {
      write32(0, kGicd + gic::GICD_CTLR, 3);
      for (unsigned cpu = 0; cpu < options.cpus; ++cpu) open(cpu);
    }
    settle();
  }

  FakeCpuInterface& at(unsigned cpu) { return interfaces_.at(cpu); }

  void open(unsigned cpu, std::uint8_t priority_mask = 0xF8) {
    at(cpu).vmcr =
        at(cpu).vmcr.with<gic::IchVmcr::VENG0>(true).with<gic::IchVmcr::VENG1>(true).with<gic::IchVmcr::VPMR>(
            priority_mask);
    settle();
  }

  // A guest's access on `cpu`, with all that follows.
  std::uint64_t read(unsigned cpu, std::uint64_t ipa, AccessWidth width) {
    kick(vgic.sync(cpu, at(cpu)));
    const VgicRead first = vgic.mmio_read(cpu, ipa, width);
    kick(first.stale);
    const VgicRead exact = vgic.mmio_read(cpu, ipa, width);
    settle();
    return exact.value;
  }
  void write(unsigned cpu, std::uint64_t ipa, AccessWidth width, std::uint64_t data) {
    kick(vgic.sync(cpu, at(cpu)));
    kick(vgic.mmio_write(cpu, ipa, width, data));
    settle();
  }
  std::uint32_t read32(unsigned cpu, std::uint64_t ipa) {
    return static_cast<std::uint32_t>(read(cpu, ipa, AccessWidth::word));
  }
  void write32(unsigned cpu, std::uint64_t ipa, std::uint64_t data) { write(cpu, ipa, AccessWidth::word, data); }

  // One interrupt of the register file `kind`: the bit of `intid`, in the frame that has it.
  std::uint64_t frame(unsigned cpu, unsigned intid) const {
    return intid < gic::kPrivateCount && !is_v2_ ? sgi_base(cpu) : kGicd;
  }
  bool bit(unsigned cpu, std::uint32_t kind, unsigned intid) {
    return (read32(cpu, frame(cpu, intid) + kind + intid / 32 * 4) >> intid % 32 & 1) != 0;
  }
  void set_bit(unsigned cpu, std::uint32_t kind, unsigned intid) {
    write32(cpu, frame(cpu, intid) + kind + intid / 32 * 4, 1U << intid % 32);
  }
  void set_group(unsigned cpu, unsigned intid, bool group1) {
    const std::uint64_t ipa = frame(cpu, intid) + gic::GIC_IGROUPR + intid / 32 * 4;
    const std::uint32_t mask = 1U << intid % 32;
    const std::uint32_t old = read32(cpu, ipa);
    write32(cpu, ipa, group1 ? old | mask : old & ~mask);
  }
  void set_priority(unsigned cpu, unsigned intid, std::uint8_t priority) {
    write(cpu, frame(cpu, intid) + gic::GIC_IPRIORITYR + intid, AccessWidth::byte, priority);
  }
  void set_edge(unsigned cpu, unsigned intid, bool edge) {
    const std::uint64_t ipa = frame(cpu, intid) + gic::GIC_ICFGR + intid / 16 * 4;
    const std::uint32_t mask = 2U << intid % 16 * 2;
    const std::uint32_t old = read32(cpu, ipa);
    write32(cpu, ipa, edge ? old | mask : old & ~mask);
  }
  void set_route(unsigned intid, std::uint64_t irouter) {
    write(0, kGicd + gic::GICD_IROUTER + 8 * intid, AccessWidth::doubleword, irouter);
  }
  void set_targets(unsigned intid, std::uint8_t targets) {  // GICv2
    write(0, kGicd + gic::GIC_ITARGETSR + intid, AccessWidth::byte, targets);
  }
  // Group 1, enabled, routed to vCPU 0 as after reset.
  void prepare(unsigned cpu, unsigned intid, bool edge, std::uint8_t priority = 0x80) {
    set_group(cpu, intid, true);
    set_priority(cpu, intid, priority);
    if (intid >= gic::kSgiCount) set_edge(cpu, intid, edge);
    set_bit(cpu, gic::GIC_ISENABLER, intid);
  }

  // What happens outside the guest; ends with every kicked vCPU flushed.
  void spi(unsigned intid, bool level) { deliver(vgic.set_spi_level(intid, level)); }
  void ppi(unsigned cpu, unsigned intid, bool level) { deliver(vgic.set_ppi_level(cpu, intid, level)); }
  void pulse(unsigned cpu, unsigned intid) { deliver(vgic.pulse(cpu, intid)); }
  void inject(unsigned cpu, unsigned intid) { deliver(vgic.inject(cpu, intid)); }
  void sgi(unsigned sender, const AxVCpuExitReason::SendIPI& ipi) {
    kick(vgic.send_sgi(sender, ipi));
    settle();
  }

  void sgir(unsigned sender, gic::SgiTargets filter, std::uint8_t list, unsigned intid) {
    write32(sender, kGicd + gic::GICD_SGIR,
            gic::GicdSgir{}
                .with<gic::GicdSgir::TargetListFilter>(filter)
                .with<gic::GicdSgir::CPUTargetList>(list)
                .with<gic::GicdSgir::SGIINTID>(static_cast<std::uint8_t>(intid))
                .raw);
  }

  unsigned acknowledge(unsigned cpu) {
    const unsigned intid = at(cpu).acknowledge();
    settle();
    return intid;
  }
  void end(unsigned cpu, unsigned intid) {
    at(cpu).end(intid);
    settle();
  }
  void deactivate(unsigned cpu, unsigned intid) {
    if (is_v2_) return write32(cpu, kGicc + gic::GICC_DIR, intid);
    if (at(cpu).deactivate_or_trap(intid)) kick(vgic.deactivate(cpu, at(cpu), intid));
    settle();
  }

  void kick(VgicCpuMask mask) {
    while (mask != 0) {
      const auto cpu = static_cast<unsigned>(__builtin_ctzll(mask));
      mask &= mask - 1;
      mask |= vgic.flush(cpu, at(cpu)) & ~(VgicCpuMask{1} << cpu);
    }
  }
  // Runs every vCPU that must not enter the guest yet. A condition that does not cease is an interrupt storm.
  void settle() {
    for (int round = 0; round < 8; ++round) {
      VgicCpuMask mask = 0;
      for (unsigned cpu = 0; cpu < vgic.cpu_count(); ++cpu) {
        if (vgic.needs_flush(cpu) || at(cpu).maintenance()) mask |= VgicCpuMask{1} << cpu;
      }
      if (mask == 0) return;
      kick(mask);
    }
    ADD_FAILURE() << "maintenance interrupt storm";
  }

 private:
  void deliver(const Result<VgicCpuMask>& mask) {
    ASSERT_TRUE(mask.has_value());
    kick(*mask);
    settle();
  }

  Vgic make(const Options& options) {
    for (unsigned cpu = 0; cpu < options.cpus; ++cpu) {
      affinities_.push_back(options.affinities.empty() ? cpu : options.affinities.at(cpu));
    }
    const VgicConfig config{.version = options.version,
                            .gicd_base = kGicd,
                            .gicr_base = kGicr,
                            .gicc_base = kGicc,
                            .affinities = affinities_,
                            .vtr = vtr_,
                            .honours_sleep = options.honours_sleep};
    return *Vgic::create(config, cpus_, spis_);
  }

  bool is_v2_;
  gic::IchVtr vtr_;
  std::vector<VgicCpu> cpus_;
  std::vector<VgicIrq> spis_;
  std::vector<std::uint64_t> affinities_;
  std::deque<FakeCpuInterface> interfaces_;

 public:
  Vgic vgic;
};

}  // namespace arm_vcpu::test
