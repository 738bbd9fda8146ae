// SPDX-License-Identifier: Apache-2.0
#include "test_state.hpp"

namespace arm_vcpu::diag {
namespace {

using trace::Kind;

class Interrupts : public TestState {
 protected:
  Interrupts() {
    state.timer = TimerSnapshot{.cntv_ctl_el0 = 1, .cntv_cval_el0 = 10 * kHz, .cntvoff_el2 = 0x1000, .now = 11 * kHz};
    state.run = RunState{.bound = true};
    lr.resize(4);
    state.interrupts = InterruptSnapshot{.lr = lr, .hcr = gic::IchHcr::from(1), .irqs = irqs};
  }
  std::vector<Code> health() {
    state.interrupts->lr = lr;
    state.interrupts->irqs = irqs;
    look(trigger::HealthCheck{});
    return codes();
  }
  static gic::IchLr lr_of(std::uint32_t intid, gic::LrState how) {
    return gic::IchLr{}.with<gic::IchLr::vINTID>(intid).with<gic::IchLr::State>(how);
  }

  std::vector<gic::IchLr> lr;
  std::vector<InterruptView> irqs{{.intid = 27, .enabled = true}};
};

TEST_F(Interrupts, AParkedVcpuSleepsThroughItsTimer) {
  state.run = RunState{.parked = true, .since = 9 * kHz};
  EXPECT_THAT(health(), ElementsAre(Code::timer_sleeps));
  EXPECT_THAT(text(), HasSubstr("expired 999"));
}

// Its physical interrupt is active for nobody: the WFI after the expiry has nothing to wake it.
TEST_F(Interrupts, AParkedVcpuWhoseTimerInterruptIsNowhere) {
  state.run = RunState{.bound = true, .parked = true, .since = 10 * kHz + kHz / 2};
  EXPECT_THAT(health(), ElementsAre(Code::timer_sleeps));
  EXPECT_THAT(text(), HasSubstr("still active on the physical GIC"));
  state.interrupts.reset();
  look(trigger::HealthCheck{});
  EXPECT_THAT(codes(), IsEmpty()) << "nobody knows where it is";
}

// A host that stood still: the timer of the samples and the guest's are late alike, and the one that looks was taken
// first.
TEST_F(Interrupts, ATimerInterruptThatIsOnItsWay) {
  for (const bool parked : {false, true}) {
    state.run = RunState{.bound = true, .parked = parked, .since = parked ? std::optional{9 * kHz} : std::nullopt};
    state.timer->physical = PhysicalInterrupt{.enabled = true, .pending = true};
    EXPECT_THAT(health(), IsEmpty());
    for (const PhysicalInterrupt stuck : {PhysicalInterrupt{.enabled = true, .pending = true, .active = true},
                                          PhysicalInterrupt{.pending = true}, PhysicalInterrupt{.enabled = true}}) {
      state.timer->physical = stuck;
      EXPECT_THAT(health(), ElementsAre(parked ? Code::timer_sleeps : Code::timer_ticks));
      EXPECT_THAT(text(), HasSubstr(stuck.enabled ? "at the GIC: enabled" : "at the GIC: disabled"));
    }
  }
}

TEST_F(Interrupts, SleepThatIsHealthy) {
  state.run = RunState{.parked = true, .since = 9 * kHz};
  state.timer->now = 10 * kHz + 0x1000 + kHz / 100;
  EXPECT_THAT(health(), IsEmpty()) << "10 ms late: it is being woken";
  state.timer->now = 11 * kHz;
  state.timer->cntv_ctl_el0 = 3;
  EXPECT_THAT(health(), IsEmpty()) << "masked";
  state.timer->cntv_ctl_el0 = 0;
  EXPECT_THAT(health(), IsEmpty()) << "disabled";
  state.timer->cntv_ctl_el0 = 1;
  irqs[0].enabled = false;
  EXPECT_THAT(health(), IsEmpty()) << "the guest does not want it";
  irqs[0].enabled = true;
  state.run->since = 10 * kHz + kHz / 2;
  irqs[0].pending = irqs[0].queued = true;
  EXPECT_THAT(health(), IsEmpty()) << "parked after the expiry, and the guest masks the interrupt";
  irqs[0].pending = irqs[0].queued = false;
  lr[1] = lr_of(27, gic::LrState::pending);
  EXPECT_THAT(health(), IsEmpty()) << "the same, in a list register";
  lr[1] = {};
  state.run->since = 9 * kHz;
  state.run->off = true;
  EXPECT_THAT(health(), IsEmpty()) << "off";
}

TEST_F(Interrupts, NoTicks) {
  EXPECT_THAT(health(), ElementsAre(Code::timer_ticks));
  EXPECT_THAT(text(), HasSubstr("runs without ticks"));
}

TEST_F(Interrupts, TicksThatAreOnTheirWay) {
  irqs[0].pending = irqs[0].queued = true;
  EXPECT_THAT(health(), IsEmpty());
  irqs[0].pending = irqs[0].queued = false;
  lr[2] = lr_of(27, gic::LrState::active);
  EXPECT_THAT(health(), IsEmpty()) << "the guest is handling it";
  lr[2] = {};
  irqs.clear();
  EXPECT_THAT(health(), IsEmpty()) << "not known whether the guest has enabled it";
}

TEST_F(Interrupts, CntvoffThatNobodyWrote) {
  state.timer->cntvoff_el2 = 0xDEAD'BEEF'0000'0000;
  EXPECT_THAT(health(), ElementsAre(Code::timer_ticks));
  EXPECT_THAT(text(), HasSubstr("reset value is UNKNOWN"));
}

TEST_F(Interrupts, TimerStorm) {
  state.timer->cntv_cval_el0 = 20 * kHz;
  for (int i = 0; i < 600; ++i) {
    trace::Record one = record(Kind::exit_irq, kEntry);
    one.data = 27;
    push(one);
    push(record(Kind::irq_injected, kEntry));
  }
  EXPECT_THAT(health(), ElementsAre(Code::timer_ticks));
  EXPECT_THAT(text(), HasSubstr("the PC stays 0x40200000"));
}

TEST_F(Interrupts, FrequentTicksAreHealthy) {
  state.timer->cntv_cval_el0 = 20 * kHz;
  for (int i = 0; i < 2000; ++i) {
    now += kHz / 1000;
    trace::Record one = record(Kind::exit_irq, kEntry);
    one.data = 27;
    push(one);
  }
  EXPECT_THAT(health(), IsEmpty()) << "1 kHz to a loop of one instruction";
  for (int i = 0; i < 600; ++i) {
    trace::Record one = record(Kind::exit_irq, kEntry + 4 * static_cast<unsigned>(i % 2));
    one.data = 27;
    push(one);
  }
  EXPECT_THAT(health(), IsEmpty()) << "the guest gets on in between";
}

TEST_F(Interrupts, MaintenanceStorm) {
  state.timer.reset();
  for (int i = 0; i < 600; ++i) {
    trace::Record one = record(Kind::exit_irq, kEntry);
    one.data = 25;
    push(one);
  }
  EXPECT_THAT(health(), ElementsAre(Code::maintenance_storm));
}

TEST_F(Interrupts, AllListRegistersActive) {
  state.timer.reset();
  irqs.clear();
  for (unsigned i = 0; i < 4; ++i) lr[i] = lr_of(40 + i, gic::LrState::active);
  EXPECT_THAT(health(), IsEmpty()) << "busy, but nothing asks for a maintenance interrupt";
  state.interrupts->hcr = gic::IchHcr::from(1).with<gic::IchHcr::NPIE>(true);
  state.interrupts->misr = gic::IchMisr{}.with<gic::IchMisr::NP>(true);
  EXPECT_THAT(health(), ElementsAre(Code::maintenance_storm));
  lr[3] = lr_of(43, gic::LrState::pending);
  EXPECT_THAT(health(), IsEmpty());
}

TEST_F(Interrupts, ActiveAndNowhere) {
  state.timer.reset();
  irqs = {{.intid = 33, .enabled = true, .active = true}};
  EXPECT_THAT(health(), ElementsAre(Code::interrupt_lost));
  EXPECT_THAT(text(), HasSubstr("interrupt 33 is active in the distributor"));
  irqs[0].queued = true;
  EXPECT_THAT(health(), IsEmpty());
  irqs[0].queued = false;
  irqs[0].in_lr = true;
  EXPECT_THAT(health(), IsEmpty());
}

TEST_F(Interrupts, PendingAndNowhere) {
  state.timer.reset();
  irqs = {{.intid = 33, .enabled = true, .pending = true, .routed = true}};
  EXPECT_THAT(health(), ElementsAre(Code::interrupt_lost));
  irqs[0].enabled = false;
  EXPECT_THAT(health(), IsEmpty()) << "disabled interrupts wait";
  irqs[0].enabled = true;
  irqs[0].routed = false;
  EXPECT_THAT(health(), IsEmpty()) << "its group is off, or it has no target";
}

TEST_F(Interrupts, OneInterruptInTwoListRegisters) {
  state.timer.reset();
  lr[0] = lr_of(33, gic::LrState::active);
  lr[3] = lr_of(33, gic::LrState::pending);
  EXPECT_THAT(health(), ElementsAre(Code::interrupt_lost));
  lr[3] = lr_of(33, gic::LrState::invalid);
  EXPECT_THAT(health(), IsEmpty());
}

TEST_F(Interrupts, Starvation) {
  state.timer.reset();
  state.scheduler =
      SchedulerSnapshot{.waiting_vcpus = 2, .slice_ticks = kHz / 100, .running_ticks = kHz, .cnthp_ctl_el2 = 1};
  EXPECT_THAT(health(), ElementsAre(Code::starvation));
  state.scheduler->cnthp_ctl_el2 = 0;
  EXPECT_THAT(health(), ElementsAre(Code::starvation));
  EXPECT_THAT(text(), HasSubstr("the EL2 timer is not armed"));
  state.scheduler->cnthp_ctl_el2 = 1;
  state.scheduler->armed_late_ticks = kHz / 1000;
  EXPECT_THAT(health(), ElementsAre(Code::starvation));
  EXPECT_THAT(text(), HasSubstr("the EL2 timer is armed for something that comes later"));
  state.scheduler->running_ticks = kHz / 100;
  EXPECT_THAT(health(), IsEmpty()) << "its slice has just ended";
  state.scheduler->running_ticks = kHz;
  state.scheduler->waiting_vcpus = 0;
  EXPECT_THAT(health(), IsEmpty()) << "nobody waits";
}

TEST_F(Interrupts, ContradictoryPassthrough) {
  state.timer.reset();
  configuration.passthrough_interrupt = true;
  EXPECT_THAT(health(), ElementsAre(Code::interrupts_contradict));
  registers.hcr_el2 &= ~(Hcr::IMO::kMask | Hcr::FMO::kMask);
  EXPECT_THAT(health(), IsEmpty());
  configuration.passthrough_interrupt = false;
  EXPECT_THAT(health(), ElementsAre(Code::interrupts_contradict));
}

}  // namespace
}  // namespace arm_vcpu::diag
