// SPDX-License-Identifier: Apache-2.0
// A guest whose every exit is made up: syndromes, addresses, registers and the hypervisor's answers.
#include "arm_vcpu/text.hpp"
#include "fuzz.hpp"
#include "vcpu/fake_hw.hpp"

namespace arm_vcpu {
namespace {

using Exit = AxVCpuExitReason;

constexpr Stage2Root kRoot{.vttbr_el2 = 0x1ULL << 48 | 0x8000'2000, .vtcr_el2 = 0x8002'3558};

struct Interrupts final : VirtualInterrupts {
  Result<> inject(unsigned, std::uint32_t intid) noexcept override {
    FUZZ_CHECK(intid < 1020 || intid >= 8192);
    return {};
  }
};

Spsr any_state(fuzz::Input& input) {
  constexpr std::uint64_t kModes[] = {0b0000, 0b0100, 0b0101, 0b1'0000};  // EL0t, EL1t, EL1h, AArch32 User
  return Spsr::from((input.take<std::uint32_t>() & ~std::uint64_t{0x1F}) | kModes[input.below(4)]);
}

void make_exit(fuzz::Input& input, VCpuContext& context) {
  constexpr TrapKind kKinds[] = {TrapKind::sync, TrapKind::sync, TrapKind::sync, TrapKind::sync,
                                 TrapKind::sync, TrapKind::irq,  TrapKind::fiq,  TrapKind::serror};
  constexpr std::uint8_t kClasses[] = {0x01, 0x07, 0x16, 0x17, 0x18, 0x20, 0x24, 0x24};
  context.kind = kKinds[input.below(8)];
  const std::uint8_t ec = input.byte();
  context.esr = Esr::from(input.take<std::uint32_t>() & 0x3FF'FFFF)
                    .with<Esr::EC>(static_cast<Ec>(ec < 128 ? kClasses[ec % 8] : ec % 64));
  context.far = input.number();
  context.hpfar = Hpfar::from(input.number());
  context.frame.elr = input.number();
  context.frame.spsr = any_state(input);
  // Function identifiers and small numbers more often than not.
  for (unsigned i = 0; i < 5; ++i) context.frame.gpr.x[i] = input.number();
  if (input.flag()) context.frame.gpr.x[0] = 0x8400'0000 | (input.take<std::uint32_t>() & 0x4000'801F);
  fake::cpu().pending_interrupt = input.below(1024);
  // The instruction that exited, and what its address and its neighbour's are to the guest: the input of the emulation.
  if (input.flag()) {
    using Kind = hw::GuestPlace::Kind;
    context.frame.elr &= ~std::uint64_t{3};
    const std::uint64_t opcode_at = 0x8000'0000 | (context.frame.elr & 0xFFC);
    const auto opcode = input.take<std::uint32_t>();
    for (unsigned i = 0; i < 4; ++i) fake::cpu().bytes[opcode_at + i] = static_cast<std::uint8_t>(opcode >> 8 * i);
    constexpr Kind kPlaces[] = {Kind::unmapped, Kind::unmapped, Kind::memory, Kind::fault, Kind::walk, Kind::hidden};
    fake::cpu().pages.clear();
    const std::uint64_t page = context.far & bits::mask(55, 12);
    fake::cpu().pages[page] = {.kind = kPlaces[input.below(6)], .device = input.flag(), .address = 0x900'0000};
    fake::cpu().pages[(page + 0x1000) & bits::mask(55, 12)] = {.kind = kPlaces[input.below(6)], .address = 0xA00'0000};
    fake::cpu().pages[context.frame.elr & bits::mask(55, 12)] = {.kind = Kind::memory, .address = 0x8000'0000};
    context.frame.gpr.x[input.below(31)] = context.far;
  }
  if (input.flag()) {
    fake::cpu().stage1_result = input.number();
  } else {
    fake::cpu().stage1_result.reset();
  }
}

void answer(fuzz::Input& input, Aarch64VCpu& vcpu, const Exit& exit) {
  const std::uint64_t pc = vcpu.trap_frame().exception_pc();
  const bool is_read = exit.is<Exit::MmioRead>();
  const bool is_write = exit.is<Exit::MmioWrite>();
  const bool is_get = exit.is<Exit::SysRegRead>();
  const bool is_set = exit.is<Exit::SysRegWrite>();
  // The wrong answer is an error and does nothing.
  FUZZ_CHECK(vcpu.complete_mmio_write().has_value() == is_write);
  if (!is_read) FUZZ_CHECK(!vcpu.complete_mmio_read(1));
  if (!is_set) FUZZ_CHECK(!vcpu.complete_sysreg_write());
  if (!is_write) FUZZ_CHECK(vcpu.trap_frame().exception_pc() == pc);
  const std::uint64_t value = input.number();
  // AArch32 EL0 has instructions of two bytes: T32, with ESR_EL2.IL 0.
  constexpr std::uint64_t kT32 = 1U << 5;
  const ExitFrame& frame = vcpu.exit_frame();
  const bool is_short =
      frame.frame.spsr.get<Spsr::nRW>() && (frame.frame.spsr.raw & kT32) != 0 && !frame.esr.get<Esr::IL>();
  const std::uint64_t behind = pc + (is_short ? 2 : 4);
  switch (input.below(6)) {
    case 0: FUZZ_CHECK(vcpu.inject_undefined().has_value()); break;
    case 1:
      FUZZ_CHECK(vcpu.inject_data_abort(value, static_cast<Fsc>(input.below(64)), input.flag()).has_value());
      break;
    case 2: FUZZ_CHECK(vcpu.inject_instruction_abort(value, static_cast<Fsc>(input.below(64))).has_value()); break;
    case 3: static_cast<void>(vcpu.inject_interrupt(input.take<std::uint32_t>() % 9000)); break;
    default:
      if (is_read) {
        FUZZ_CHECK(vcpu.complete_mmio_read(value).has_value());
        // An instruction that is emulated has not been carried out before run() says so.
        const std::uint64_t next = vcpu.trap_frame().exception_pc();
        FUZZ_CHECK(next == behind || next == pc);
        FUZZ_CHECK(!vcpu.complete_mmio_read(value));
      } else if (is_get) {
        FUZZ_CHECK(vcpu.complete_sysreg_read(value).has_value());
        FUZZ_CHECK(vcpu.trap_frame().exception_pc() == behind);
      } else if (is_set) {
        FUZZ_CHECK(vcpu.complete_sysreg_write().has_value());
        FUZZ_CHECK(vcpu.trap_frame().exception_pc() == behind);
      } else if (exit.is<Exit::Hypercall>()) {
        vcpu.set_return_value(value);
      }
      break;
  }
  // Whatever was injected is taken at EL1, and no return of ours leads to EL2.
  const std::uint64_t mode = vcpu.trap_frame().spsr.raw & 0x1F;
  FUZZ_CHECK((mode & 0x10) != 0 || (mode & 0xC) <= 0x4);
}

FUZZ_TARGET(exits, "the vCPU's exit path on the fake CPU, any exits and any answers") {
  fake::reset();
  PowerSlot slots[3]{{.mpidr = 0}, {.mpidr = 1}, {.mpidr = 0x100}};
  PowerDomain power{slots, {}};
  power.reset(0);
  Interrupts interrupts;
  fake::cpu().uses_ia_key = input.flag();
  Aarch64PerCpu per_cpu{0};
  FUZZ_CHECK(per_cpu.hardware_enable().has_value());
  Aarch64VCpu vcpu = *Aarch64VCpu::create({.mpidr_el1 = 0, .dtb_addr = input.number()});
  Aarch64VCpuSetupConfig config{.passthrough_interrupt = input.flag(), .passthrough_timer = input.flag()};
  config.power = input.flag() ? &power : nullptr;
  config.interrupts = input.flag() ? &interrupts : nullptr;
  config.psci.workarounds = {static_cast<Workaround>(static_cast<int>(input.below(3)) - 1), Workaround::required,
                             Workaround::not_needed};
  FUZZ_CHECK(vcpu.setup(config).has_value());
  FUZZ_CHECK(vcpu.set_ept_root(kRoot).has_value());
  FUZZ_CHECK(vcpu.set_entry(0x4008'0000).has_value());
  FUZZ_CHECK(vcpu.bind(per_cpu).has_value());
  for (unsigned runs = 0; runs < 32 && !input.empty(); ++runs) {
    // Some exits that the vCPU may deal with itself, then one that makes run() return.
    const unsigned count = 1 + input.below(4);
    for (unsigned i = 0; i < count; ++i) {
      fake::cpu().guest.emplace_back([&input](VCpuContext& context) { make_exit(input, context); });
    }
    fake::cpu().guest.emplace_back([](VCpuContext& context) { context.kind = TrapKind::irq; });
    const Result<Exit> exit = vcpu.run();
    FUZZ_CHECK(exit.has_value() && !exit->is<Exit::Nothing>());
    fake::cpu().guest.clear();
    answer(input, vcpu, *exit);
    if (input.below(8) == 0) {
      FUZZ_CHECK(vcpu.unbind().has_value());
      FUZZ_CHECK(vcpu.bind(per_cpu).has_value());
    }
  }
  FUZZ_CHECK(vcpu.unbind().has_value());
  vcpu.release_fp(per_cpu);
  FUZZ_CHECK(per_cpu.hardware_disable().has_value());
}

}  // namespace
}  // namespace arm_vcpu
