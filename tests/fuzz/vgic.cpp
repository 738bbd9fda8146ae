// SPDX-License-Identifier: Apache-2.0
// A guest that writes anything to the GIC and uses its CPU interfaces in any order. What must hold is less than what
// the model test of the vGIC checks, and holds for guests that follow no rule at all.
#include <set>

#include "fuzz.hpp"
#include "vm/vgic/test_machine.hpp"

namespace arm_vcpu::test {
namespace {

std::uint64_t any_register(fuzz::Input& input, unsigned cpus) {
  // The whole of the frames, or where the registers are.
  const unsigned frame = input.below(1 + 2 * cpus);
  const std::uint64_t base = frame == 0 ? kGicd : kGicr + (frame - 1) * std::uint64_t{gic::kFrameBytes};
  if (input.below(4) == 0) return base + input.take<std::uint16_t>();
  constexpr std::uint32_t kFiles[] = {0x000,
                                      gic::GIC_IGROUPR,
                                      gic::GIC_ISENABLER,
                                      gic::GIC_ICENABLER,
                                      gic::GIC_ISPENDR,
                                      gic::GIC_ICPENDR,
                                      gic::GIC_ISACTIVER,
                                      gic::GIC_ICACTIVER,
                                      gic::GIC_IPRIORITYR,
                                      gic::GIC_ICFGR,
                                      gic::GICD_IROUTER,
                                      0xFFE0};
  return base + kFiles[input.below(12)] + input.below(frame == 0 ? 0x120 : 0x30);
}

// Of a GICv2.
std::uint64_t any_register_v2(fuzz::Input& input) {
  if (input.below(8) == 0) return kGicc + gic::GICC_DIR + input.below(8);
  if (input.below(4) == 0) return kGicd + input.below(0x1000);
  constexpr std::uint32_t kFiles[] = {gic::GICD_CTLR,      gic::GIC_IGROUPR,    gic::GIC_ISENABLER, gic::GIC_ICENABLER,
                                      gic::GIC_ISPENDR,    gic::GIC_ICPENDR,    gic::GIC_ISACTIVER, gic::GIC_ICACTIVER,
                                      gic::GIC_IPRIORITYR, gic::GIC_ITARGETSR,  gic::GIC_ICFGR,     gic::GICD_SGIR,
                                      gic::GICD_SGIR,      gic::GICD_CPENDSGIR, gic::GICD_SPENDSGIR};
  return kGicd + kFiles[input.below(15)] + input.below(0x10);
}

// An interrupt is in one list register of one CPU at most, and a list register holds what the GIC has.
void check_list_registers(Machine& m) {
  std::set<std::pair<unsigned, unsigned>> seen;  // vCPU of a private interrupt, INTID
  for (unsigned cpu = 0; cpu < m.vgic.cpu_count(); ++cpu) {
    for (const gic::IchLr lr : m.at(cpu).lr) {
      if (lr.get<gic::IchLr::State>() == gic::LrState::invalid) continue;
      const unsigned intid = lr.get<gic::IchLr::vINTID>();
      FUZZ_CHECK(intid < m.vgic.intid_end());
      FUZZ_CHECK(seen.emplace(intid < gic::kPrivateCount ? cpu : 0, intid).second);
    }
  }
}

void run(fuzz::Input& input, unsigned version) {
  const bool is_v2 = version == 2;
  const MachineOptions options{.version = version,
                               .cpus = 1 + input.below(3),
                               .list_registers = 1 + input.below(5),
                               .spis = 32 * (1 + input.below(2)),
                               .priority_bits = is_v2 ? 5 : 5 + input.below(3),
                               .honours_sleep = input.flag(),
                               .enabled = input.flag()};
  Machine m{options};
  if (input.flag()) FUZZ_CHECK(m.vgic.link_physical(0, 27, 30).has_value());
  const unsigned ends = m.vgic.intid_end();
  for (unsigned step = 0; step < 200 && !input.empty(); ++step) {
    const unsigned cpu = input.below(options.cpus);
    const unsigned intid = input.below(ends);
    const auto width = static_cast<AccessWidth>(input.below(4));
    switch (input.below(16)) {
      case 0:
      case 1:
      case 2: {
        const std::uint64_t place = is_v2 ? any_register_v2(input) : any_register(input, options.cpus);
        m.write(cpu, place, width, input.number());
        break;
      }
      case 3: {
        const std::uint64_t place = is_v2 ? any_register_v2(input) : any_register(input, options.cpus);
        const std::uint64_t value = m.read(cpu, place, width);
        FUZZ_CHECK(value == truncate(value, width));
        break;
      }
      case 4: m.prepare(cpu, intid, input.flag(), input.byte()); break;
      case 5:
        if (intid >= 32) m.spi(intid, input.flag());
        break;
      case 6:
        if (intid >= 16 && intid < 32) m.ppi(cpu, intid, input.flag());
        break;
      case 7: m.inject(cpu, intid); break;
      case 8: {
        if (is_v2) {
          const auto filter = static_cast<gic::SgiTargets>(input.below(4));
          m.sgir(cpu, filter, input.byte(), input.below(16));
          break;
        }
        AxVCpuExitReason::SendIPI ipi{.target_cpu_aux = input.byte(), .send_to_all = input.flag()};
        ipi.group1 = input.flag();
        ipi.vector = static_cast<std::uint8_t>(input.below(16));
        ipi.range_base = static_cast<std::uint16_t>(16 * input.below(2));
        m.sgi(cpu, ipi);
        break;
      }
      case 9: m.end(cpu, intid); break;  // with no acknowledge before it, as often as not
      case 10: m.deactivate(cpu, input.below(2000)); break;
      case 11:
        m.at(cpu).vmcr = gic::IchVmcr::from(input.take<std::uint32_t>());
        m.settle();
        break;
      case 12:
        m.kick(m.vgic.save(cpu, m.at(cpu)) & ~(VgicCpuMask{1} << cpu));
        static_cast<void>(m.vgic.has_deliverable(cpu));
        if (input.flag()) m.vgic.reset_cpu(cpu);
        m.vgic.load(cpu, m.at(cpu));
        m.settle();
        break;
      case 13:
        if (input.flag()) {
          VgicCpuMask kick = 0;
          const bool quiet = m.vgic.save_quiet(m.vgic.state(cpu), m.at(cpu), kick);
          m.kick(kick & ~(VgicCpuMask{1} << cpu));
          if (quiet) {
            FUZZ_CHECK(!m.vgic.has_deliverable(cpu));
            if (m.vgic.resume(m.vgic.state(cpu), m.at(cpu), 0) == 0) m.kick(m.vgic.flush(cpu, m.at(cpu)));
          }
          m.settle();
          break;
        }
        m.kick(m.vgic.park(cpu, m.at(cpu)));
        static_cast<void>(m.vgic.has_deliverable(cpu));
        m.settle();
        break;
      default: {
        const unsigned taken = m.acknowledge(cpu);
        FUZZ_CHECK(taken < ends || taken >= gic::kSpurious - 3);
        break;
      }
    }
    check_list_registers(m);
  }
  // With the Distributor off nothing is left to take, and after a reset nothing is left at all.
  m.write32(0, kGicd + gic::GICD_CTLR, 0);
  for (unsigned cpu = 0; cpu < options.cpus; ++cpu) FUZZ_CHECK(m.acknowledge(cpu) >= gic::kSpurious - 3);
  for (unsigned cpu = 0; cpu < options.cpus; ++cpu) m.kick(m.vgic.save(cpu, m.at(cpu)) & ~(VgicCpuMask{1} << cpu));
  m.vgic.reset();
  for (unsigned cpu = 0; cpu < options.cpus; ++cpu) FUZZ_CHECK(!m.vgic.has_deliverable(cpu));
}

FUZZ_TARGET(vgic, "the vGIC's registers, interrupt inputs and CPU interfaces in any order") {
  run(input, 3);
}
FUZZ_TARGET(vgic_v2, "the same of a GICv2") {
  run(input, 2);
}

}  // namespace
}  // namespace arm_vcpu::test
