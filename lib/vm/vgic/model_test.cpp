// SPDX-License-Identifier: Apache-2.0
// Random guests and devices against a reference that has no list registers: what each acknowledge returns must be what
// the architecture says, at every step, for any number of list registers.
#include <random>
#include <string>

#include "vm/vgic/test_machine.hpp"

namespace arm_vcpu::test {
namespace {

using gic::IchVmcr;

constexpr unsigned kCpus = 3;
constexpr unsigned kIntids = 56;  // SGIs, PPIs and 24 SPIs

struct RefIrq {
  bool enabled{}, group1{}, edge{}, latch{}, line{}, active{};
  unsigned senders{};  // of a GICv2's SGI: `latch` is that there is one
  unsigned priority{};
  unsigned target{};  // kCpus: nobody
  [[nodiscard]] bool pending() const { return latch || (!edge && line); }
};

class ModelRun {
 public:
  ModelRun(unsigned version, unsigned seed, unsigned list_registers, bool split_end)
      : random_{seed},
        is_v2_{version == 2},
        split_{split_end},
        m_{{.version = version, .cpus = kCpus, .list_registers = list_registers, .spis = 32}} {
    for (unsigned intid = 32; is_v2_ && intid < kIntids; ++intid) m_.set_targets(intid, 1);
    for (unsigned cpu = 0; cpu < kCpus; ++cpu) {
      m_.at(cpu).vmcr = m_.at(cpu).vmcr.with<IchVmcr::VEOIM>(split_);
      for (unsigned intid = 0; intid < kIntids; ++intid) {
        if (cpu != 0 && intid >= 32) continue;
        RefIrq& r = ref(cpu, intid);
        r.target = intid < 32 ? cpu : 0;
        r.edge = intid < 16 || chance(2);
        r.enabled = has_senders(intid);  // always
        if (intid >= 16) m_.set_edge(cpu, intid, r.edge);
        set_group(cpu, intid, !chance(4));
        set_priority(cpu, intid);
        if (!chance(5)) enable(cpu, intid, true);
      }
    }
  }

  void step() {
    const unsigned cpu = pick(kCpus);
    const unsigned intid = pick(kIntids);
    RefIrq& r = ref(cpu, intid);
    switch (pick(24)) {
      case 0:
      case 1:
      case 2: raise(cpu, intid); break;
      case 3:
        if (intid >= 16) lower(cpu, intid);
        break;
      case 4: enable(cpu, intid, !r.enabled); break;
      case 5: set_priority(cpu, intid); break;
      case 6: clear_pending(cpu, intid); break;
      case 7:
        m_.inject(cpu, intid);
        note_pending(r, intid, 1);
        break;
      case 8:
        if (intid >= 32) reroute(intid);
        break;
      case 9: m_.open(cpu, static_cast<std::uint8_t>(chance(3) ? pick(32) * 8 : 0xF8)); break;
      case 10: toggle_cpu_group(cpu); break;
      case 11: toggle_distributor(); break;
      case 12: sgi(cpu); break;
      case 13:
        if (!r.active) set_group(cpu, intid, chance(2));
        break;
      case 14: rebind(cpu); break;
      case 15: check_wake(cpu); break;
      case 16: check_registers(cpu, intid); break;
      case 17:
        if (split_) override_active(cpu, intid);
        break;
      case 18:
      case 19:
      case 20: finish(cpu); break;
      default: acknowledge(cpu); break;
    }
  }

  // Lets the guest take all there is; then nothing may be left that should have come.
  void drain() {
    m_.write32(0, kGicd + gic::GICD_CTLR, 3);
    distributor_ = 3;
    for (unsigned intid = 16; intid < kIntids; ++intid) {
      for (unsigned cpu = 0; cpu < (intid < 32 ? kCpus : 1); ++cpu) lower(cpu, intid);
    }
    for (unsigned cpu = 0; cpu < kCpus; ++cpu) {
      m_.open(cpu);
      m_.settle();
      for (int round = 0; round < 1000 && (!running_[cpu].empty() || acknowledge(cpu)); ++round) finish(cpu);
      if (split_) deactivate_all();
      while (acknowledge(cpu)) {
        finish(cpu);
        if (split_) deactivate_all();
      }
      EXPECT_TRUE(candidates(cpu).empty());
    }
  }

 private:
  bool chance(unsigned one_in) { return pick(one_in) == 0; }
  unsigned pick(unsigned below) { return static_cast<unsigned>(random_() % below); }
  RefIrq& ref(unsigned cpu, unsigned intid) { return intid < 32 ? private_[cpu][intid] : shared_[intid - 32]; }
  bool has_senders(unsigned intid) const { return is_v2_ && intid < 16; }
  void note_pending(RefIrq& r, unsigned intid, unsigned senders) {
    r.latch = true;
    if (has_senders(intid)) r.senders |= senders;
  }
  void clear_pending(unsigned cpu, unsigned intid) {
    RefIrq& r = ref(cpu, intid);
    m_.set_bit(cpu, gic::GIC_ICPENDR, intid);  // of a GICv2's SGI nothing happens
    if (!has_senders(intid)) {
      r.latch = false;
      return;
    }
    const unsigned senders = pick(8);
    const bool set = chance(3);
    m_.write(cpu, kGicd + (set ? gic::GICD_SPENDSGIR : gic::GICD_CPENDSGIR) + intid, AccessWidth::byte, senders);
    r.senders = set ? r.senders | senders : r.senders & ~senders;
    r.latch = r.senders != 0;
  }
  void reroute(unsigned intid) {
    RefIrq& r = ref(0, intid);
    r.target = pick(kCpus + 1);
    if (!is_v2_) return m_.set_route(intid, r.target == kCpus ? 0x77 : r.target);
    // The lowest of several is the one that gets it; those that are not there do not count.
    const unsigned above = r.target == kCpus ? 0 : pick(8) << r.target & 7;
    m_.set_targets(intid, static_cast<std::uint8_t>(0xF8 | above | (1U << r.target & 7)));
  }

  void enable(unsigned cpu, unsigned intid, bool on) {
    m_.set_bit(cpu, on ? gic::GIC_ISENABLER : gic::GIC_ICENABLER, intid);
    ref(cpu, intid).enabled = on || has_senders(intid);
  }
  void set_group(unsigned cpu, unsigned intid, bool group1) {
    m_.set_group(cpu, intid, group1);
    ref(cpu, intid).group1 = group1;
  }
  void set_priority(unsigned cpu, unsigned intid) {
    ref(cpu, intid).priority = pick(8) * 32;
    m_.set_priority(cpu, intid, static_cast<std::uint8_t>(ref(cpu, intid).priority));
  }
  void raise(unsigned cpu, unsigned intid) {
    RefIrq& r = ref(cpu, intid);
    if (intid < 16 || (r.edge && chance(2))) {
      intid < 16 ? m_.inject(cpu, intid) : m_.pulse(cpu, intid);
      note_pending(r, intid, 1);
      return;
    }
    if (r.edge && !r.line) r.latch = true;
    r.line = true;
    intid < 32 ? m_.ppi(cpu, intid, true) : m_.spi(intid, true);
  }
  void lower(unsigned cpu, unsigned intid) {
    ref(cpu, intid).line = false;
    intid < 32 ? m_.ppi(cpu, intid, false) : m_.spi(intid, false);
  }
  void toggle_cpu_group(unsigned cpu) {
    auto& vmcr = m_.at(cpu).vmcr;
    vmcr = chance(2) ? vmcr.with<IchVmcr::VENG0>(!vmcr.get<IchVmcr::VENG0>())
                     : vmcr.with<IchVmcr::VENG1>(!vmcr.get<IchVmcr::VENG1>());
    m_.settle();
  }
  void toggle_distributor() {
    distributor_ = chance(3) ? pick(4) : 3;
    m_.write32(0, kGicd + gic::GICD_CTLR, distributor_);
  }
  void sgi(unsigned sender) {
    if (is_v2_) return sgir(sender);
    AxVCpuExitReason::SendIPI ipi{.target_cpu_aux = pick(8), .send_to_all = chance(3), .group1 = chance(2)};
    ipi.vector = static_cast<std::uint8_t>(pick(16));
    m_.sgi(sender, ipi);
    for (unsigned cpu = 0; cpu < kCpus; ++cpu) {
      const bool targeted = ipi.send_to_all ? cpu != sender : (ipi.target_cpu_aux >> cpu & 1) != 0;
      RefIrq& r = ref(cpu, ipi.vector);
      if (targeted && (ipi.group1 || !r.group1)) r.latch = true;
    }
  }
  void sgir(unsigned sender) {
    const auto filter = static_cast<gic::SgiTargets>(pick(4));
    const unsigned list = pick(16);
    const unsigned intid = pick(16);
    m_.sgir(sender, filter, static_cast<std::uint8_t>(list), intid);
    const unsigned targets[] = {list, ~(1U << sender), 1U << sender, 0};
    for (unsigned cpu = 0; cpu < kCpus; ++cpu) {
      if ((targets[static_cast<unsigned>(filter)] >> cpu & 1) != 0) note_pending(ref(cpu, intid), intid, 1U << sender);
    }
  }
  void rebind(unsigned cpu) {
    if (chance(2)) {
      VgicCpuMask kick = 0;
      const bool quiet = m_.vgic.save_quiet(m_.vgic.state(cpu), m_.at(cpu), kick);
      m_.kick(kick & ~(VgicCpuMask{1} << cpu));
      if (quiet) {
        EXPECT_TRUE(candidates(cpu).empty());
        EXPECT_FALSE(m_.vgic.has_deliverable(cpu));
        if (m_.vgic.resume(m_.vgic.state(cpu), m_.at(cpu), 0) == 0) m_.kick(m_.vgic.flush(cpu, m_.at(cpu)));
      }
      m_.settle();
      return;
    }
    m_.kick(m_.vgic.save(cpu, m_.at(cpu)) & ~(VgicCpuMask{1} << cpu));
    m_.vgic.load(cpu, m_.at(cpu));
    m_.settle();
  }
  void override_active(unsigned cpu, unsigned intid) {
    const bool active = chance(2);
    m_.set_bit(cpu, active ? gic::GIC_ISACTIVER : gic::GIC_ICACTIVER, intid);
    ref(cpu, intid).active = active;
  }

  // The interrupts that this vCPU's CPU interface would signal now; only the most urgent ones.
  std::vector<unsigned> candidates(unsigned cpu) {
    std::vector<unsigned> best;
    unsigned best_priority = 0x100;
    const auto vmcr = m_.at(cpu).vmcr;
    for (unsigned intid = 0; intid < kIntids; ++intid) {
      const RefIrq& r = ref(cpu, intid);
      if (!r.pending() || r.active || !r.enabled || r.target != cpu) continue;
      if (!(distributor_ >> r.group1 & 1)) continue;
      if (!(r.group1 ? vmcr.get<IchVmcr::VENG1>() : vmcr.get<IchVmcr::VENG0>())) continue;
      if (r.priority > best_priority) continue;
      if (r.priority < best_priority) best.clear();
      best_priority = r.priority;
      best.push_back(intid);
    }
    if (best_priority >= vmcr.get<IchVmcr::VPMR>() || best_priority >= m_.at(cpu).running_priority()) return {};
    return best;
  }

  bool acknowledge(unsigned cpu) {
    const std::vector<unsigned> expected = candidates(cpu);
    const unsigned intid = m_.acknowledge(cpu);
    if (expected.empty()) {
      EXPECT_EQ(intid, gic::kSpurious);
      return false;
    }
    EXPECT_NE(std::find(expected.begin(), expected.end(), intid), expected.end())
        << "vCPU " << cpu << " took " << intid << ", due was " << expected.front();
    if (intid == gic::kSpurious) return false;
    RefIrq& r = ref(cpu, intid);
    r.active = true;
    r.latch = false;
    if (has_senders(intid)) {
      EXPECT_NE(r.senders >> m_.at(cpu).sender & 1, 0U) << "SGI " << intid << " of vCPU " << m_.at(cpu).sender;
      r.senders &= ~(1U << m_.at(cpu).sender);
      r.latch = r.senders != 0;
    }
    running_[cpu].push_back(intid);
    return true;
  }

  void finish(unsigned cpu) {
    if (split_ && chance(2)) deactivate_one(cpu);
    if (running_[cpu].empty()) return;
    const unsigned intid = running_[cpu].back();
    running_[cpu].pop_back();
    m_.end(cpu, intid);
    if (!split_) ref(cpu, intid).active = false;
  }

  // With EOImode 1, any active interrupt, an SPI by any vCPU. Ones that still run are left alone, as guests do.
  void deactivate_one(unsigned cpu) {
    const unsigned intid = pick(kIntids);
    for (const auto& stack : running_) {
      if (std::find(stack.begin(), stack.end(), intid) != stack.end()) return;
    }
    m_.deactivate(cpu, intid);
    ref(cpu, intid).active = false;
  }
  void deactivate_all() {
    for (unsigned cpu = 0; cpu < kCpus; ++cpu) {
      for (unsigned intid = 0; intid < kIntids; ++intid) {
        if (!ref(cpu, intid).active) continue;
        m_.deactivate(cpu, intid);
        ref(cpu, intid).active = false;
      }
    }
  }

  void check_wake(unsigned cpu) {
    m_.kick(m_.vgic.park(cpu, m_.at(cpu)) & ~(VgicCpuMask{1} << cpu));
    EXPECT_EQ(m_.vgic.has_deliverable(cpu), !candidates(cpu).empty());
    m_.settle();
  }
  void check_registers(unsigned cpu, unsigned intid) {
    const RefIrq& r = ref(cpu, intid);
    const unsigned reader = intid < 32 ? cpu : pick(kCpus);
    EXPECT_EQ(m_.bit(reader, gic::GIC_ISPENDR, intid), r.pending()) << intid;
    EXPECT_EQ(m_.bit(reader, gic::GIC_ICACTIVER, intid), r.active) << intid;
    EXPECT_EQ(m_.bit(reader, gic::GIC_ISENABLER, intid), r.enabled) << intid;
    if (!has_senders(intid)) return;
    EXPECT_EQ(m_.read(cpu, kGicd + gic::GICD_CPENDSGIR + intid, AccessWidth::byte), r.senders) << intid;
    EXPECT_EQ(m_.read(cpu, kGicd + gic::GICD_SPENDSGIR + intid, AccessWidth::byte), r.senders) << intid;
  }

  std::mt19937 random_;
  bool is_v2_;
  bool split_;
  unsigned distributor_{3};
  RefIrq private_[kCpus][32]{};
  RefIrq shared_[kIntids - 32]{};
  std::vector<unsigned> running_[kCpus];
  Machine m_;
};

class VgicModel : public testing::TestWithParam<std::tuple<unsigned, unsigned, bool>> {};

TEST_P(VgicModel, AgreesWithTheArchitecture) {
  const auto [version, list_registers, split_end] = GetParam();
  for (unsigned seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    ModelRun run{version, seed, list_registers, split_end};
    for (int step = 0; step < 1500; ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      run.step();
      if (testing::Test::HasFailure()) return;
    }
    run.drain();
    if (testing::Test::HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, VgicModel,
                         testing::Combine(testing::Values(3, 2), testing::Values(1, 2, 4, 16), testing::Bool()));

// Kicks that arrive late: no edge is lost, and none is delivered that was not raised.
TEST(VgicModel, LateKicksLoseNothing) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random{seed};
    Machine m{{.cpus = 2, .spis = 32}};
    constexpr unsigned kFirst = 32;
    constexpr unsigned kCount = 12;
    for (unsigned n = 0; n < kCount; ++n) m.prepare(0, kFirst + n, true, static_cast<std::uint8_t>(n * 16));
    int raised[kCount]{};
    int taken[kCount]{};
    bool owed[kCount]{};  // raised since it was last taken
    const auto take = [&](unsigned cpu) {
      const unsigned intid = m.at(cpu).acknowledge();
      if (intid == gic::kSpurious) return false;
      ++taken[intid - kFirst];
      owed[intid - kFirst] = false;
      m.at(cpu).end(intid);
      return true;
    };
    for (int step = 0; step < 3000; ++step) {
      const unsigned n = static_cast<unsigned>(random() % kCount);
      const unsigned cpu = static_cast<unsigned>(random() % 2);
      switch (random() % 5) {
        case 0:
          ASSERT_TRUE(m.vgic.pulse(0, kFirst + n).has_value());
          ++raised[n];
          owed[n] = true;
          break;
        case 1:
          static_cast<void>(
              m.vgic.mmio_write(cpu, kGicd + gic::GICD_IROUTER + 8 * (kFirst + n), AccessWidth::doubleword, cpu));
          break;
        case 2:
          static_cast<void>(m.vgic.mmio_write(cpu, kGicd + (random() % 2 ? gic::GIC_ISENABLER : gic::GIC_ICENABLER) + 4,
                                              AccessWidth::word, 1U << n));
          break;
        case 3: static_cast<void>(m.vgic.flush(cpu, m.at(cpu))); break;
        default: take(cpu); break;
      }
    }
    m.write32(0, kGicd + gic::GIC_ISENABLER + 4, ~0U);
    for (bool more = true; more;) {
      m.settle();
      more = take(0);
      m.settle();
      more |= take(1);
    }
    for (unsigned n = 0; n < kCount; ++n) {
      EXPECT_FALSE(owed[n]) << "lost " << kFirst + n;
      EXPECT_LE(taken[n], raised[n]);
      EXPECT_GT(taken[n], 0);
    }
  }
}

// A physical level behind a linked interrupt. The physical one is deactivated once per acknowledge, by whichever side
// ends it, and the guest sees the level again for as long as it lasts.
TEST(VgicModel, LinkedInterruptsAreNeverStuckPhysically) {
  constexpr unsigned kTimer = 27;
  constexpr std::uint16_t kPhysical = 30;
  for (unsigned seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random{seed};
    Machine m{{.cpus = 1, .list_registers = 1 + seed % 3, .spis = 32}};
    ASSERT_TRUE(m.vgic.link_physical(0, kTimer, kPhysical).has_value());
    m.prepare(0, kTimer, false, 0x80);
    for (unsigned intid = 32; intid < 36; ++intid) m.prepare(0, intid, true, static_cast<std::uint8_t>(intid * 8));
    bool line = false;
    bool physical_active = false;
    std::size_t seen = 0;
    std::vector<unsigned> running;
    // The physical GIC: what was deactivated may fire again.
    const auto physical = [&] {
      for (int round = 0; round < 4; ++round) {
        for (; seen < m.at(0).physically_deactivated.size(); ++seen) {
          ASSERT_TRUE(physical_active) << "deactivated twice";
          physical_active = false;
        }
        if (!line || physical_active) return;
        physical_active = true;
        m.ppi(0, kTimer, true);
      }
    };
    const auto finish = [&] {
      m.end(0, running.back());
      running.pop_back();
    };
    for (int step = 0; step < 2000; ++step) {
      switch (random() % 9) {
        case 0:
          line = random() % 2 != 0;
          if (!line && physical_active && random() % 2 != 0) m.ppi(0, kTimer, false);  // the timer code noticed
          break;
        case 1: m.set_bit(0, random() % 3 != 0 ? gic::GIC_ISENABLER : gic::GIC_ICENABLER, kTimer); break;
        case 2: m.set_bit(0, gic::GIC_ISPENDR, kTimer); break;
        case 3: m.set_bit(0, gic::GIC_ICPENDR, kTimer); break;
        case 4: m.pulse(0, 32 + static_cast<unsigned>(random() % 4)); break;
        case 5:
          m.kick(m.vgic.save(0, m.at(0)) & ~VgicCpuMask{1});
          m.vgic.load(0, m.at(0));
          m.settle();
          break;
        case 6:
          if (!running.empty()) finish();
          break;
        default:
          if (const unsigned intid = m.acknowledge(0); intid != gic::kSpurious) running.push_back(intid);
          break;
      }
      physical();
      if (HasFatalFailure()) return;
    }
    m.set_bit(0, gic::GIC_ISENABLER, kTimer);
    line = true;
    physical();
    while (!running.empty()) finish();
    physical();
    const auto take_all = [&] {
      int timers = 0;
      while (timers < 3) {
        const unsigned intid = m.acknowledge(0);
        if (intid == gic::kSpurious) break;
        timers += intid == kTimer;
        m.end(0, intid);
        physical();
      }
      return timers;
    };
    EXPECT_EQ(take_all(), 3) << "the level lasts";
    line = false;
    take_all();
    EXPECT_FALSE(physical_active);
  }
}

}  // namespace
}  // namespace arm_vcpu::test
