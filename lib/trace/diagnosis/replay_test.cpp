// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/trace/diagnosis_replay.hpp"

#include "test_state.hpp"

namespace arm_vcpu::diag {
namespace {

using trace::Kind;
using trace::Outcome;

class Replay : public TestState, public ReplaySink {
 protected:
  void found(const Diagnosis& diagnosis, const CapturedState& seen) noexcept override {
    told.push_back(diagnosis.code());
    texts.push_back(text(diagnosis, seen));
  }
  void recorded(Code code, const trace::Record&) noexcept override { earlier.push_back(code); }

  void run() {
    told.clear();
    trace::VmInfo vm{};
    std::memcpy(vm.name.data(), "linux", 5);
    vm.vcpus = 1;
    vm.ram_ipa = kRam;
    vm.ram_pa = 0x1'0000'0000;
    vm.ram_bytes = kRamBytes;
    vm.entry = kEntry;
    replay(records, {.counter_hz = kHz, .vms = {&vm, 1}, .devices = devices, .reset_unclean = unclean, .boot_count = 2},
           *this);
  }
  void abort(std::uint64_t pc, std::uint64_t ipa, Outcome outcome) {
    trace::Record one =
        record(Kind::exit_sync, pc, esr_of(Ec::data_abort_lower, abort_iss(Fsc::translation_l3)), outcome);
    one.far = ipa;
    one.hpfar = ipa >> 12 << 4;
    push(one);
  }

  std::vector<Code> told;
  std::vector<Code> earlier;
  std::vector<std::string> texts;
  bool unclean{};
};

TEST_F(Replay, AHealthyTraceIsSilent) {
  for (unsigned i = 0; i < 50'000; ++i) {
    switch (i % 7) {
      case 0: abort(kEntry, kUart + 0x18, Outcome::returned); break;
      case 1: push(record(Kind::exit_sync, kEntry, esr_of(Ec::wfx), Outcome::returned)); break;
      case 2: push(record(Kind::vcpu_parked)); break;
      case 3: push(record(Kind::vcpu_woken)); break;
      case 4: push(record(Kind::exit_irq)); break;
      case 5: push(record(Kind::irq_injected)); break;
      default: {
        trace::Record call = record(Kind::psci_call, kEntry, esr_of(Ec::hvc64));
        call.data = std::uint64_t{0xFFFF'FFFF} << 32 | 0x8600'FF01;
        push(call);
      }
    }
  }
  run();
  EXPECT_THAT(told, IsEmpty()) << texts[0];
}

TEST_F(Replay, EachFailureIsToldOnce) {
  for (int i = 0; i < 20; ++i) {
    abort(kEntry + 0x1000, 0x900'2000, Outcome::injected);
    abort(kEntry + 0x2000, kUart + 0xFFE, Outcome::injected);
    abort(kEntry, kUart, Outcome::returned);
  }
  run();
  EXPECT_THAT(told, ElementsAre(Code::mmio_failure, Code::mmio_failure));
  EXPECT_THAT(texts[0], HasSubstr("vm0 (linux) vcpu0"));
  EXPECT_THAT(texts[0], HasSubstr("past its last byte"));
  EXPECT_THAT(texts[1], HasSubstr("passes the device's end"));
}

TEST_F(Replay, LoopsAreToldOnceToo) {
  for (int i = 0; i < 5000; ++i) abort(kEntry + 0x1000, 0xA00'0000, Outcome::injected);
  run();
  EXPECT_THAT(told, ElementsAre(Code::mmio_failure, Code::exception_loop));
}

TEST_F(Replay, UndefinedRegisterWithItsValue) {
  trace::Record one =
      record(Kind::exit_sync, kEntry + 0x1000, esr_of(Ec::sysreg, sysreg::PMCR_EL0.iss() | 7U << 5), Outcome::injected);
  one.data = 0x1234;
  push(one);
  run();
  EXPECT_THAT(told, ElementsAre(Code::sysreg_unhandled));
  EXPECT_THAT(texts[0], HasSubstr("value 0x1234"));
}

TEST_F(Replay, CallsAndSerrorsAndWhatEl2Said) {
  trace::Record call = record(Kind::psci_call, kEntry, esr_of(Ec::hvc64));
  call.data = std::uint64_t{0xFFFF'FFFE} << 32 | 0xC400'0003;
  call.far = 7;
  push(call);
  push(record(Kind::exit_serror, kEntry, esr_of(Ec::serror)));
  trace::Record said = record(Kind::diagnosis);
  said.data = 3;
  push(said);
  run();
  EXPECT_THAT(told, ElementsAre(Code::cpu_on_failed, Code::serror));
  EXPECT_THAT(earlier, ElementsAre(Code::mmio_failure));
}

TEST_F(Replay, AResetWithoutAnOrder) {
  push(record(Kind::smc_forwarded));
  unclean = true;
  run();
  EXPECT_THAT(told, ElementsAre(Code::firmware_reset));
}

TEST_F(Replay, NoRecordsNoFindings) {
  run();
  EXPECT_THAT(told, IsEmpty());
}

}  // namespace
}  // namespace arm_vcpu::diag
