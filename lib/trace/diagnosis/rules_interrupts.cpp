// SPDX-License-Identifier: Apache-2.0
// Timers, list registers, scheduling: what goes wrong without an exception.
#include <algorithm>

#include "arm_vcpu/vm/timer.hpp"
#include "rules.hpp"

namespace arm_vcpu::diag {
namespace {

using trace::Kind;
using trace::Record;

constexpr std::uint64_t kVirtualTimerIntid = 27;

// A tenth of a second: no wake-up and no delivery takes that long, on any host.
bool is_long(std::uint64_t ticks, std::uint64_t counter_hz) noexcept {
  return counter_hz != 0 && ticks >= counter_hz / 10;
}

void add_timer(Report& report, const TimerSnapshot& timer) noexcept {
  const auto ctl = vm::TimerCtl::from(timer.cntv_ctl_el0);
  report.value("CNTV_CTL_EL0", timer.cntv_ctl_el0, Evidence::Form::hex, "ENABLE {}, IMASK {}, ISTATUS {}",
               ctl.get<vm::TimerCtl::ENABLE>() ? 1 : 0, ctl.get<vm::TimerCtl::IMASK>() ? 1 : 0,
               ctl.get<vm::TimerCtl::ISTATUS>() ? 1 : 0);
  report.value("CNTV_CVAL_EL0", timer.cntv_cval_el0);
  report.value("CNTVCT_EL0", timer.now - timer.cntvoff_el2, Evidence::Form::hex, "CNTPCT_EL0 {:x} - CNTVOFF_EL2 {:x}",
               timer.now, timer.cntvoff_el2);
}

// Why the physical interrupt of an expired timer has not come.
void add_physical(Report& report, const TimerSnapshot& timer) noexcept {
  if (!timer.physical) return;
  const PhysicalInterrupt& physical = *timer.physical;
  report.note("physical PPI", "at the GIC: {}, {}, {}", physical.enabled ? "enabled" : "disabled",
              physical.pending ? "pending" : "not pending", physical.active ? "active" : "not active");
}

const InterruptView* irq_of(const CapturedState& state, std::uint32_t intid) noexcept {
  if (!state.interrupts) return nullptr;
  for (const InterruptView& irq : state.interrupts->irqs) {
    if (irq.intid == intid) return &irq;
  }
  return nullptr;
}

bool in_list_register(const CapturedState& state, std::uint32_t intid) noexcept {
  return std::ranges::any_of(state.interrupts->lr, [intid](gic::IchLr lr) {
    return lr.get<gic::IchLr::State>() != gic::LrState::invalid && lr.get<gic::IchLr::vINTID>() == intid;
  });
}

void add_list_registers(Report& report, const InterruptSnapshot& interrupts) noexcept {
  constexpr std::string_view kStates[] = {"invalid", "pending", "active", "pending and active"};
  unsigned shown = 0;
  for (std::size_t n = 0; n < interrupts.lr.size(); ++n) {
    const gic::IchLr lr = interrupts.lr[n];
    if (lr.empty() || ++shown > 6) continue;
    report.value("list register", lr.raw, Evidence::Form::hex, "ICH_LR{}_EL2: INTID {} {}{}", n,
                 lr.get<gic::IchLr::vINTID>(), kStates[static_cast<unsigned>(lr.get<gic::IchLr::State>()) & 3],
                 lr.get<gic::IchLr::HW>() ? ", HW" : "");
  }
}

// --- AV0022, AV0023: the virtual timer ------------------------------------------------------------------------------

void check_timer(const CapturedState& state, DiagnosisList& out) noexcept {
  if (!state.timer) return;
  const TimerSnapshot& timer = *state.timer;
  if (state.configuration != nullptr && state.configuration->cntvoff_el2 &&
      *state.configuration->cntvoff_el2 != timer.cntvoff_el2) {
    Report report{state, Code::timer_ticks, Confidence::certain};
    report.what("{}: CNTVOFF_EL2 is {:x}, the VM was set up with {:x}", Who{state}.view(), timer.cntvoff_el2,
                *state.configuration->cntvoff_el2);
    add_timer(report, timer);
    report.cause("CNTVOFF_EL2 was not written on this CPU: its reset value is UNKNOWN");
    report.advice("write CNTVOFF_EL2 at every bind of a vCPU");
    report.done(out);
    return;
  }
  const std::uint64_t now = timer.now - timer.cntvoff_el2;
  if (!vm::vtimer_expired(timer.cntv_ctl_el0, timer.cntv_cval_el0, now)) return;
  const std::uint64_t late = now - timer.cntv_cval_el0;
  if (!state.run || !is_long(late, state.counter_hz)) return;
  // A host that stood still makes several interrupts late at once, and one of the others was taken first.
  if (timer.physical && timer.physical->is_on_its_way()) return;
  const Duration time{late, state.counter_hz};

  if (state.run->parked && !state.run->off) {
    // A guest that has the interrupt disabled, or masked by priority, sleeps on by its own wish: WFI wakes all the same
    // when the hypervisor looks. So a vCPU counts that nobody has looked at since, or whose interrupt is nowhere:
    // masked or not, it would be pending.
    const bool slept_through = !state.run->since || *state.run->since - timer.cntvoff_el2 <= timer.cntv_cval_el0;
    const InterruptView* irq = irq_of(state, timer.intid);
    const bool is_nowhere = irq != nullptr && state.interrupts && !irq->pending && !irq->in_lr && !irq->queued &&
                            !in_list_register(state, timer.intid);
    if ((!slept_through && !is_nowhere) || (irq != nullptr && (!irq->enabled || irq->active))) return;
    Report report{state, Code::timer_sleeps, Confidence::certain};
    report.what("{}: waits in WFI, and its virtual timer expired {} ago", Who{state}.view(), time.view());
    add_timer(report, timer);
    if (irq != nullptr) {
      report.note("timer interrupt", "INTID {}, enabled, {}", timer.intid, irq->pending ? "pending" : "not pending");
    }
    add_physical(report, timer);
    if (state.exit != nullptr) report.code_at("goes on at", state.exit->frame.elr);
    if (!slept_through && (!timer.physical || timer.physical->active)) {
      report.cause(
          "the physical timer interrupt was taken before the WFI and is still active on the physical GIC: it cannot "
          "come again");
    }
    report.rejects(Code::timer_ticks, "the vCPU is parked: it could not take the interrupt if it had it");
    report.done(out);
    return;
  }
  if (state.run->parked || state.run->off || !state.interrupts) return;
  const InterruptView* irq = irq_of(state, timer.intid);
  const bool held = in_list_register(state, timer.intid) || (irq != nullptr && (irq->pending || irq->active));
  // Not listed is idle: then nobody knows whether the guest has enabled it.
  if (held || irq == nullptr || !irq->enabled) return;
  // A host that stood still makes all timers late at once: the guest must have run, and exited, since the expiry.
  unsigned exits = 0;
  for (const Record& record : state.records) {
    exits += is_ours(state, record) && trace::is_exit(record.kind) &&
             record.time - timer.cntvoff_el2 > timer.cntv_cval_el0 && record.time <= timer.now;
  }
  if (!state.records.empty() && exits < 3) return;
  Report report{state, Code::timer_ticks, Confidence::certain};
  report.what("{}: runs without ticks: its virtual timer expired {} ago and no interrupt is pending", Who{state}.view(),
              time.view());
  add_timer(report, timer);
  report.note("timer interrupt", "INTID {}, enabled, neither pending nor active, in no list register", timer.intid);
  add_physical(report, timer);
  add_list_registers(report, *state.interrupts);
  report.cause(
      "the physical timer interrupt is not injected, or is still active on the physical GIC and cannot come again");
  report.rejects(Code::interrupt_lost, "the distributor never had it");
  report.done(out);
}

// --- AV0023, AV0024: storms, from the records
// -------------------------------------------------------------------------

struct Storm {
  std::uint64_t intid{};
  std::uint64_t pc{};
  std::uint64_t count{};
  std::uint64_t first{}, last{};
};

constexpr std::uint64_t kStorm = 512;

// The exits that end the records: one interrupt, again and again, and the guest never executes an instruction.
Storm trailing_storm(const CapturedState& state) noexcept {
  Storm storm{};
  for (std::size_t i = state.records.size(); i-- > 0;) {
    const Record& record = state.records[i];
    if (!is_ours(state, record)) continue;
    // What the hypervisor notes between the exits. A sample is no sign of life: it repeats the PC.
    if (record.kind == Kind::irq_injected || record.kind == Kind::irq_delivered || record.kind == Kind::diagnosis ||
        record.kind == Kind::guest_sample) {
      continue;
    }
    if (record.kind != Kind::exit_irq && record.kind != Kind::exit_fiq) break;
    if (storm.count == 0) {
      storm = {.intid = record.data, .pc = record.pc, .last = record.time};
    } else if (record.data != storm.intid || record.pc != storm.pc) {
      break;
    }
    ++storm.count;
    storm.first = record.time;
  }
  return storm;
}

void check_storms(const CapturedState& state, DiagnosisList& out) noexcept {
  const Storm storm = trailing_storm(state);
  // Interrupts that come often, to a loop of one instruction, keep the PC too: but not thousands a millisecond.
  if (storm.count < kStorm) return;
  const bool dense = state.counter_hz != 0 && (storm.last - storm.first) / storm.count < state.counter_hz / 20'000;
  if (!dense) return;
  const bool maintenance = state.interrupts && storm.intid == state.interrupts->maintenance_intid;
  const std::uint32_t timer = state.timer ? state.timer->intid : kVirtualTimerIntid;
  if (!maintenance && storm.intid != timer) return;
  Report report{state, maintenance ? Code::maintenance_storm : Code::timer_ticks, Confidence::certain};
  report.pc(storm.pc);
  report.what("{}: {} interrupts {} in {}, and the PC stays {:x}", Who{state}.view(), storm.count, storm.intid,
              Duration{storm.last - storm.first, state.counter_hz}.view(), storm.pc);
  report.value("PC", storm.pc, Evidence::Form::code, "the same at every exit");
  report.value("INTID", storm.intid, Evidence::Form::decimal, "{}", maintenance ? "maintenance" : "virtual timer");
  if (state.interrupts) {
    report.value("ICH_HCR_EL2", state.interrupts->hcr.raw);
    report.value("ICH_MISR_EL2", state.interrupts->misr.raw);
    add_list_registers(report, *state.interrupts);
  }
  if (state.timer) add_timer(report, *state.timer);
  if (!maintenance) {
    report.cause("the timer's line stays up, and its interrupt is deactivated before the guest has handled it");
    report.rejects(Code::exception_loop, "the guest takes no exception: it does not get to run");
  }
  report.done(out);
}

// All list registers active, and an underflow interrupt asked for: it is asserted for good.
void check_maintenance(const CapturedState& state, DiagnosisList& out) noexcept {
  if (!state.interrupts || state.interrupts->lr.empty() || !state.run || !state.run->bound || state.run->parked) return;
  const InterruptSnapshot& interrupts = *state.interrupts;
  for (const gic::IchLr lr : interrupts.lr) {
    if (lr.get<gic::IchLr::State>() != gic::LrState::active) return;
  }
  const bool livelock = interrupts.hcr.get<gic::IchHcr::En>() && interrupts.hcr.get<gic::IchHcr::NPIE>() &&
                        interrupts.misr.get<gic::IchMisr::NP>();
  if (!livelock) return;
  Report report{state, Code::maintenance_storm, Confidence::likely};
  report.what("{}: all {} list registers are active and the no-pending interrupt is enabled: it stays asserted",
              Who{state}.view(), interrupts.lr.size());
  report.value("ICH_HCR_EL2", interrupts.hcr.raw);
  report.value("ICH_MISR_EL2", interrupts.misr.raw);
  add_list_registers(report, interrupts);
  report.done(out);
}

// --- AV0025 ---------------------------------------------------------------------------------------------------------

void check_lost(const CapturedState& state, DiagnosisList& out) noexcept {
  if (!state.interrupts) return;
  const InterruptSnapshot& interrupts = *state.interrupts;
  for (const InterruptView& irq : interrupts.irqs) {
    if (irq.in_lr || irq.queued || (!irq.active && !(irq.pending && irq.enabled && irq.routed))) continue;
    // Parked or off, the list registers are folded: then the queue alone counts, and it was looked at above.
    if (in_list_register(state, irq.intid)) continue;
    Report report{state, Code::interrupt_lost, Confidence::certain};
    report.what("{}: interrupt {} is {} in the distributor, in no list register and in no queue", Who{state}.view(),
                irq.intid,
                irq.active && irq.pending ? "pending and active"
                : irq.active              ? "active"
                                          : "pending");
    report.note("interrupt", "INTID {}: enabled {}, pending {}, active {}", irq.intid, irq.enabled, irq.pending,
                irq.active);
    add_list_registers(report, interrupts);
    report.value("ICH_VMCR_EL2", interrupts.vmcr.raw, Evidence::Form::hex, "VPMR {:x}, VENG1 {}",
                 interrupts.vmcr.get<gic::IchVmcr::VPMR>(), interrupts.vmcr.get<gic::IchVmcr::VENG1>() ? 1 : 0);
    if (irq.active) report.cause("it became active, and lost its list register before its deactivation");
    report.rejects(Code::interrupts_contradict, "the interrupt did arrive");
    report.done(out);
    return;
  }
  for (std::size_t a = 0; a < interrupts.lr.size(); ++a) {
    for (std::size_t b = a + 1; b < interrupts.lr.size(); ++b) {
      const gic::IchLr first = interrupts.lr[a], second = interrupts.lr[b];
      if (first.get<gic::IchLr::State>() == gic::LrState::invalid ||
          second.get<gic::IchLr::State>() == gic::LrState::invalid ||
          first.get<gic::IchLr::vINTID>() != second.get<gic::IchLr::vINTID>()) {
        continue;
      }
      Report report{state, Code::interrupt_lost, Confidence::certain};
      report.what("{}: interrupt {} is in two list registers ({} and {}), which is UNPREDICTABLE", Who{state}.view(),
                  first.get<gic::IchLr::vINTID>(), a, b);
      add_list_registers(report, interrupts);
      report.cause("it was injected anew while a list register still held it");
      report.advice("set the pending state of the list register that holds it");
      report.done(out);
      return;
    }
  }
}

// --- AV0029, AV0033 -------------------------------------------------------------------------------------------------

void check_starvation(const CapturedState& state, DiagnosisList& out) noexcept {
  if (!state.scheduler || state.scheduler->waiting_vcpus == 0) return;
  const SchedulerSnapshot& scheduler = *state.scheduler;
  if (scheduler.slice_ticks == 0 || scheduler.running_ticks / 2 < scheduler.slice_ticks) return;
  const bool has_hcr = state.registers != nullptr && !state.registers_are_sampled;
  const Hcr hcr = has_hcr ? Hcr::from(state.registers->hcr_el2) : Hcr{};
  const bool armed = vm::timer_line({vm::TimerCtl::from(scheduler.cnthp_ctl_el2 & 3), 0}, 1);
  Report report{state, Code::starvation, Confidence::certain};
  report.what("{}: keeps its CPU for {}, a slice is {}, and {} vCPU{} for this CPU", Who{state}.view(),
              Duration{scheduler.running_ticks, state.counter_hz}.view(),
              Duration{scheduler.slice_ticks, state.counter_hz}.view(), scheduler.waiting_vcpus,
              scheduler.waiting_vcpus == 1 ? " waits" : "s wait");
  if (has_hcr) {
    report.value("HCR_EL2", hcr.raw, Evidence::Form::hex, "IMO {}, FMO {}", hcr.get<Hcr::IMO>() ? 1 : 0,
                 hcr.get<Hcr::FMO>() ? 1 : 0);
  }
  report.value("CNTHP_CTL_EL2", scheduler.cnthp_ctl_el2, Evidence::Form::hex, "{}", armed ? "armed" : "off or masked");
  if (has_hcr && !hcr.get<Hcr::IMO>()) {
    report.cause("HCR_EL2.IMO is 0: physical interrupts go to the guest, none ends its slice");
  } else if (!armed) {
    report.cause("the EL2 timer is not armed, so nothing ends the slice");
  } else if (scheduler.armed_late_ticks != 0) {
    report.note("armed for", "{} behind the end of the slice",
                Duration{scheduler.armed_late_ticks, state.counter_hz}.view());
    report.cause("the EL2 timer is armed for something that comes later: nothing ends the slice");
  }
  report.done(out);
}

void check_routing(const CapturedState& state, DiagnosisList& out) noexcept {
  if (state.configuration == nullptr || state.registers == nullptr || state.registers_are_sampled) return;
  const Hcr hcr = Hcr::from(state.registers->hcr_el2);
  // Before setup() nothing is programmed.
  if (hcr.raw == 0) return;
  const bool wanted = !state.configuration->passthrough_interrupt;
  const bool irq = hcr.get<Hcr::IMO>(), fiq = hcr.get<Hcr::FMO>();
  if (irq == wanted && fiq == wanted) return;
  Report report{state, Code::interrupts_contradict, Confidence::certain};
  report.what("{}: {}, but HCR_EL2 has IMO {} and FMO {}", Who{state}.view(),
              wanted ? "interrupts are virtual" : "interrupts are passed through", irq ? 1 : 0, fiq ? 1 : 0);
  report.value("HCR_EL2", hcr.raw);
  report.note("configuration", "passthrough_interrupt {}, passthrough_timer {}",
              state.configuration->passthrough_interrupt, state.configuration->passthrough_timer);
  if (state.interrupts)
    report.value("ICH_HCR_EL2", state.interrupts->hcr.raw, Evidence::Form::hex, "En {}",
                 state.interrupts->hcr.get<gic::IchHcr::En>() ? 1 : 0);
  report.cause(wanted
                   ? "with IMO or FMO 0 the guest's GIC registers are the physical ones, and list registers are ignored"
                   : "with IMO or FMO 1 physical interrupts go to EL2, and the guest acknowledges virtual ones");
  report.done(out);
}

}  // namespace

void check_interrupts(const CapturedState& state, DiagnosisList& out) noexcept {
  check_routing(state, out);
  check_timer(state, out);
  if (!state.records.empty()) check_storms(state, out);
  check_maintenance(state, out);
  check_lost(state, out);
  check_starvation(state, out);
}

}  // namespace arm_vcpu::diag
