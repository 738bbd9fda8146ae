// SPDX-License-Identifier: Apache-2.0
// Captured states as no machine makes them. `Source` is a function object that returns 64 random bits.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "arm_vcpu/trace/diagnosis_replay.hpp"
#include "test_state.hpp"

namespace arm_vcpu::diag {

class RandomState : public TestState {
 public:
  explicit RandomState(std::function<std::uint64_t()> source) : random{std::move(source)} {}

  std::function<std::uint64_t()> random;

  std::uint64_t any() {
    switch (random() % 4) {
      case 0: return random();
      case 1: return random() % 64;
      case 2: return ~std::uint64_t{0} - random() % 16;
      default: return kRam + random() % kRamBytes;
    }
  }
  std::uint64_t any_esr() {
    constexpr unsigned kClasses[] = {0, 0x01, 0x07, 0x0E, 0x16, 0x17, 0x18, 0x19, 0x20, 0x24, 0x25, 0x2F, 0x3C};
    const std::uint64_t ec = random() % 8 == 0 ? random() % 64 : kClasses[random() % std::size(kClasses)];
    return ec << 26 | (random() & 0x3FF'FFFF);
  }
  trace::Record any_record() {
    trace::Record one{};
    one.time = any();
    one.pc = any();
    one.esr = any_esr();
    one.far = any();
    one.hpfar = any();
    one.data = any();
    one.spsr = static_cast<std::uint32_t>(random() % 2 ? 0x3C5 : random());
    one.vm = static_cast<std::uint8_t>(random() % 3 ? 0 : random());
    one.vcpu = static_cast<std::uint8_t>(random() % 3 ? 0 : random());
    one.kind = static_cast<trace::Kind>(random() % 32);
    one.outcome = static_cast<trace::Outcome>(random() % 6);
    return one;
  }
  Trigger any_trigger() {
    const Esr esr = Esr::from(any_esr());
    switch (random() % 12) {
      case 0: return trigger::HealthCheck{};
      case 1: return trigger::StartUpError{{static_cast<Errc>(random()), any(), any()}};
      case 2:
        return trigger::MmioFailure{any(), static_cast<AccessWidth>(random() % 4), random() % 2 == 0, any(),
                                    static_cast<MmioOutcome>(random() % 5)};
      case 3:
        return trigger::StageTwoFault{{any(), any(), random() % 2 == 0, random() % 2 == 0, random() % 2 == 0, false,
                                       static_cast<std::uint8_t>(random() % 64)}};
      case 4: return trigger::FailedEntry{{esr, any(), random() % 4 == 0}};
      case 5: return trigger::UndefinedInjected{};
      case 6: {
        trigger::Call call{.x = {0x8400'0000 | random() % 64 | (random() & 0xC000'0000), any(), any(), any()}};
        call.conduit = static_cast<Conduit>(random() % 3);
        if (random() % 2) call.answer = static_cast<std::int64_t>(random() % 12) - 10;
        return call;
      }
      case 7: {
        trigger::HypervisorCrash crash{.esr = esr, .far = any(), .elr = any(), .sp = any(), .stack_base = any()};
        crash.stack_top = crash.stack_base + 0x8000;
        crash.on_sp_el0 = random() % 4 == 0;
        return crash;
      }
      case 8: return trigger::UncleanReset{any()};
      case 9: return trigger::StuckLock{"lock", static_cast<unsigned>(random() % 2), 0, any(), any()};
      case 10:
        return trigger::CompletedRead{&exit.frame,
                                      &exit.frame,
                                      {any(), static_cast<AccessWidth>(random() % 4),
                                       static_cast<std::uint8_t>(random() % 32), AccessWidth::word, random() % 2 == 0},
                                      any()};
      default: return trigger::Inspection{};
    }
  }
  void scramble() {
    for (auto& x : exit.frame.gpr.x) x = any();
    exit.frame.elr = any();
    exit.frame.spsr = Spsr::from(random());
    exit.esr = Esr::from(any_esr());
    exit.far = any();
    exit.hpfar = Hpfar::from(any());
    for (const GuestSysRegInfo& info : guest_sysreg_table()) registers.*info.member = any();
    cpu.id.id_aa64mmfr0_el1 = random() % 2 ? random() : cpu.id.id_aa64mmfr0_el1;
    cpu.id.id_aa64pfr0_el1 = random();
    for (RamRange& range : ram) range = {"RAM", any(), any(), any(), random() % 2 == 0};
    for (DeviceRange& device : devices) device = {"device", any(), any(), kWidthsUpToWord, random() % 2 == 0};
    for (Range& range : loaded) range = {"file", any(), any()};
    configuration.entry = any();
    configuration.dtb = any();
    tree.memory[0] = {"memory", any(), any()};
    tree.memory_count = random() % 8;  // more than there is room for, too
    tree.cpu_count = random() % 80 % 65;
    memory.mappings[0] = {any(), any(), any(), stage2::attributes_of(stage2::Descriptor::from(random()))};
    state.exit = random() % 8 ? &exit : nullptr;
    state.registers = random() % 8 ? &registers : nullptr;
    state.registers_are_sampled = random() % 4 == 0;
    state.capabilities = random() % 8 ? &cpu : nullptr;
    state.configuration = random() % 8 ? &configuration : nullptr;
    state.memory = random() % 8 ? &memory : nullptr;
    state.counter_hz = random() % 2 ? kHz : any();
    state.timer = TimerSnapshot{any(), any(), any(), any()};
    state.run = RunState{random() % 2 == 0, random() % 2 == 0, false, any()};
    lr.assign(random() % 17, gic::IchLr::from(any()));
    state.interrupts = InterruptSnapshot{.lr = lr, .hcr = gic::IchHcr::from(any()), .misr = gic::IchMisr::from(any())};
    state.scheduler = SchedulerSnapshot{static_cast<unsigned>(random()), any(), any(), any()};
    records.clear();
    const trace::Record repeated = any_record();
    for (std::uint64_t i = random() % 300; i != 0; --i) records.push_back(random() % 4 ? repeated : any_record());
    state.records = records;
  }
  std::vector<gic::IchLr> lr;
};

}  // namespace arm_vcpu::diag
