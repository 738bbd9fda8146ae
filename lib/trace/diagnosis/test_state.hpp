// SPDX-License-Identifier: Apache-2.0
// A healthy VM, captured: what a test breaks one thing of.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "arm_vcpu/arch/sysreg_id.hpp"
#include "arm_vcpu/trace/diagnosis.hpp"

namespace arm_vcpu::diag {

// The memory of a VM: mappings by page, and a few words of content.
class FakeMemory final : public MemoryView {
 public:
  struct Mapping {
    std::uint64_t ipa{}, pa{}, bytes{};
    stage2::Attributes attributes{};
  };
  std::vector<Mapping> mappings;
  std::map<std::uint64_t, std::uint8_t> bytes;
  std::uint8_t hole_level = 2;

  void poke(std::uint64_t ipa, std::uint64_t value, unsigned count = 8) {
    for (unsigned i = 0; i < count; ++i) bytes[ipa + i] = static_cast<std::uint8_t>(value >> 8 * i);
  }

  std::optional<stage2::Walk> translate(std::uint64_t ipa) const noexcept override {
    stage2::Walk walk{.outcome = stage2::WalkOutcome::translation_fault, .level = hole_level};
    for (const Mapping& mapping : mappings) {
      if (ipa - mapping.ipa >= mapping.bytes) continue;
      walk.outcome = stage2::WalkOutcome::translated;
      walk.level = 2;
      walk.output_address = mapping.pa + (ipa - mapping.ipa);
      walk.attributes = mapping.attributes;
    }
    return walk;
  }
  // Memory that was never written reads as zero; what is not mapped cannot be read.
  std::optional<std::uint64_t> read(std::uint64_t ipa, unsigned count) const noexcept override {
    if (!translate(ipa)->translated() || !translate(ipa + count - 1)->translated()) return std::nullopt;
    std::uint64_t value = 0;
    for (unsigned i = 0; i < count; ++i) {
      const auto byte = bytes.find(ipa + i);
      if (byte != bytes.end()) value |= std::uint64_t{byte->second} << 8 * i;
    }
    return value;
  }
};

inline constexpr std::uint64_t kRam = 0x4000'0000;
inline constexpr std::uint64_t kRamBytes = 0x2000'0000;
inline constexpr std::uint64_t kEntry = 0x4020'0000;
inline constexpr std::uint64_t kDtb = 0x4800'0000;
inline constexpr std::uint64_t kUart = 0x900'0000;
inline constexpr std::uint64_t kHz = 62'500'000;
inline constexpr std::uint64_t kVbar = 0x4021'0000;

inline std::uint64_t esr_of(Ec ec, std::uint32_t iss = 0) {
  return Esr{}.with<Esr::EC>(ec).with<Esr::IL>(true).with<Esr::ISS>(iss).raw;
}
inline std::uint32_t abort_iss(Fsc fsc, bool isv = true, bool write = false) {
  return static_cast<std::uint32_t>(DataAbortIss{}
                                        .with<DataAbortIss::DFSC>(fsc)
                                        .with<DataAbortIss::ISV>(isv)
                                        .with<DataAbortIss::SAS>(isv ? 2 : 0)
                                        .with<DataAbortIss::WnR>(write)
                                        .raw);
}

// 4 vCPUs, 512 MiB, UART and GIC, a kernel with header, initrd and device tree; running, nothing wrong.
struct TestState : ::testing::Test {
  TestState() {
    memory.mappings = {{kRam, 0x1'0000'0000, kRamBytes, stage2::kGuestRam}};
    memory.poke(kEntry, 0x1400'0000'FA40'5A4D);  // what an arm64 Image with an EFI stub begins with
    memory.poke(kEntry + 8, 0);
    memory.poke(kDtb, 0xEDFE'0DD0, 4);
    cpu.id.current_el = 2;
    cpu.id.cntfrq_el0 = kHz;
    cpu.id.id_aa64pfr0_el1 = 0x0000'0000'0100'1111;   // AArch64 only, FP, GIC system registers
    cpu.id.id_aa64mmfr0_el1 = 0x0000'0000'0000'0004;  // 44 bits, 4 KiB and 64 KiB
    cpu.id.icc_sre_el2 = 0xF;
    cpu.id.ich_vtr_el2 = 3;
    wanted.ipa_bits = 32;

    tree.valid = true;
    tree.method = Conduit::hvc;
    tree.memory[0] = {"memory", kRam, kRamBytes};
    tree.memory_count = 1;
    for (unsigned i = 0; i < 4; ++i) tree.cpu_reg[i] = i;
    tree.cpu_count = 4;

    configuration.ram = ram;
    configuration.devices = devices;
    configuration.loaded = loaded;
    configuration.hypervisor = hypervisor;
    configuration.entry = kEntry;
    configuration.dtb = kDtb;
    configuration.device_tree = &tree;
    configuration.image_header = &header;
    configuration.mpidrs = mpidrs;
    configuration.ipa_bits = 32;
    configuration.cntvoff_el2 = 0x1000;

    registers.hcr_el2 = Hcr{}
                            .with<Hcr::VM>(true)
                            .with<Hcr::IMO>(true)
                            .with<Hcr::FMO>(true)
                            .with<Hcr::AMO>(true)
                            .with<Hcr::TSC>(true)
                            .with<Hcr::RW>(true)
                            .raw;
    registers.vtcr_el2 = stage2::make_layout({.ipa_bits = 32, .pa_bits = 44})->vtcr().raw;
    registers.vttbr_el2 = 0x1'0002'0000'0000;
    registers.sctlr_el1 = SctlrEl1::kReset;
    registers.vbar_el1 = kVbar;

    exit.frame.elr = kEntry;
    exit.frame.spsr = Spsr::from(0x3C5);
    exit.frame.gpr[0] = kDtb;

    state.vm_name = "linux";
    state.counter_hz = kHz;
    state.exit = &exit;
    state.registers = &registers;
    state.capabilities = &cpu;
    state.requirements = &wanted;
    state.configuration = &configuration;
    state.memory = &memory;
  }

  void set_exit(std::uint64_t esr, std::uint64_t pc, std::uint64_t far = 0, std::uint64_t ipa = 0) {
    exit.esr = Esr::from(esr);
    exit.frame.elr = pc;
    exit.far = far;
    exit.hpfar = Hpfar::from(ipa >> 12 << 4);
  }

  trace::Record record(trace::Kind kind, std::uint64_t pc = kEntry, std::uint64_t esr = 0,
                       trace::Outcome outcome = trace::Outcome::handled) {
    trace::Record result{};
    result.time = now += 1000;
    result.pc = pc;
    result.esr = esr;
    result.spsr = 0x3C5;
    result.sequence = static_cast<std::uint32_t>(records.size());
    result.kind = kind;
    result.outcome = outcome;
    return result;
  }
  void push(const trace::Record& one) {
    records.push_back(one);
    state.records = records;
  }

  const DiagnosisList& look(const Trigger& why) {
    diagnose(state, why, list);
    return list;
  }
  const DiagnosisList& before_entry() {
    preflight(state, list);
    return list;
  }
  std::vector<Code> codes() const {
    std::vector<Code> result;
    for (const Diagnosis& diagnosis : list) result.push_back(diagnosis.code());
    return result;
  }
  static std::string text(const Diagnosis& diagnosis, const CapturedState& state, const Symbolizer* symbols = nullptr) {
    struct Sink final : LineSink {
      std::string all;
      void line(std::string_view line) noexcept override {
        all += line;
        all += '\n';
      }
    } sink;
    render(diagnosis, state, sink, symbols);
    return sink.all;
  }
  std::string text() const { return list.empty() ? std::string{"(nothing)"} : text(list[0], state); }

  FakeMemory memory;
  Capabilities cpu;
  Requirements wanted;
  DeviceTreeFacts tree;
  ImageHeader header{.text_offset = 0, .image_size = 0x200'0000, .flags = {}};
  std::vector<RamRange> ram{{"RAM", kRam, 0x1'0000'0000, kRamBytes, true}};
  std::vector<DeviceRange> devices{{"gic@8000000", 0x800'0000, 0x1'0000, kWidthsUpToWord},
                                   {"pl011@9000000", kUart, 0x1000, kWidthsUpToWord}};
  std::vector<Range> loaded{
      {"kernel", kEntry, 0x200'0000}, {"device tree", kDtb, 0x1'0000}, {"initrd", 0x4900'0000, 0x10'0000}};
  std::vector<Range> hypervisor{{"hypervisor image", 0x4008'0000, 0x8'0000}};
  std::vector<std::uint64_t> mpidrs{0, 1, 2, 3};
  VmConfiguration configuration;
  GuestSystemRegisters registers;
  ExitFrame exit;
  std::vector<trace::Record> records;
  std::uint64_t now{1000};
  CapturedState state;
  DiagnosisList list;
};

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

}  // namespace arm_vcpu::diag
