// SPDX-License-Identifier: Apache-2.0
// What the pure layers cost on the machine they are built on: decoders, instruction emulator, vGIC model, recorder.
#include <benchmark/benchmark.h>

#include <array>
#include <memory>

#include "arm_vcpu/decode.hpp"
#include "arm_vcpu/emulation.hpp"
#include "arm_vcpu/trace/ring.hpp"
#include "vm/vgic/test_machine.hpp"

namespace arm_vcpu {
namespace {

// The same values in each run.
class Numbers {
 public:
  std::uint32_t operator()() noexcept {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    return static_cast<std::uint32_t>(state_ >> 32);
  }

 private:
  std::uint64_t state_{1};
};

constexpr std::size_t kInputs = 4096;

void decode_data_aborts(benchmark::State& state) {
  Numbers numbers;
  std::array<Esr, kInputs> syndromes;
  for (auto& esr : syndromes) {
    esr = Esr{}.with<Esr::EC>(Ec::data_abort_lower).with<Esr::IL>(true).with<Esr::ISS>(numbers() & 0x1FF'FFFF);
  }
  ExitFrame exit{};
  for (std::size_t i = 0; [[maybe_unused]] auto _ : state) {
    exit.esr = syndromes[i++ % kInputs];
    benchmark::DoNotOptimize(decode_data_abort(exit, 0x900'0000));
  }
}
BENCHMARK(decode_data_aborts);

void decode_system_registers(benchmark::State& state) {
  Numbers numbers;
  std::array<Esr, kInputs> syndromes;
  for (auto& esr : syndromes) {
    esr = Esr{}.with<Esr::EC>(Ec::sysreg).with<Esr::IL>(true).with<Esr::ISS>(numbers() & 0x3F'FFFF);
  }
  ExitFrame exit{};
  for (std::size_t i = 0; [[maybe_unused]] auto _ : state) {
    exit.esr = syndromes[i++ % kInputs];
    benchmark::DoNotOptimize(decode_system_register(exit));
  }
}
BENCHMARK(decode_system_registers);

// Op0 of the A64 encoding: bits 28 to 25 are x1x0 for loads and stores.
void decode_loads_and_stores(benchmark::State& state) {
  Numbers numbers;
  std::array<std::uint32_t, kInputs> opcodes;
  for (auto& opcode : opcodes) opcode = (numbers() & ~(5U << 25)) | 4U << 25;
  for (std::size_t i = 0; [[maybe_unused]] auto _ : state) {
    benchmark::DoNotOptimize(a64::decode_load_store(opcodes[i++ % kInputs]));
  }
}
BENCHMARK(decode_loads_and_stores);

// From the opcode to the registers, memory answering zeros.
void emulate(benchmark::State& state, std::uint32_t opcode) {
  GeneralRegisters gpr{};
  gpr[1] = 0x900'0000;
  std::uint64_t sp = 0x4000'0000;
  for ([[maybe_unused]] auto _ : state) {
    const auto instruction = a64::decode_load_store(opcode);
    Emulation it{*instruction, {.gpr = gpr, .sp = sp}};
    while (const auto piece = it.next()) it.complete(0);
    it.commit(gpr, sp);
    benchmark::DoNotOptimize(gpr);
  }
}
BENCHMARK_CAPTURE(emulate, ldr, 0xB940'0022U);             // ldr w2, [x1]
BENCHMARK_CAPTURE(emulate, ldp_post_index, 0xA8C1'0C22U);  // ldp x2, x3, [x1], #16
BENCHMARK_CAPTURE(emulate, swp, 0xF822'8023U);             // swp x2, x3, [x1]

void vgic_level_interrupt(benchmark::State& state) {
  test::Machine machine{{.cpus = static_cast<unsigned>(state.range(0))}};
  machine.prepare(0, 40, false);
  for ([[maybe_unused]] auto _ : state) {
    machine.spi(40, true);
    benchmark::DoNotOptimize(machine.acknowledge(0));
    machine.spi(40, false);
    machine.end(0, 40);
  }
}
BENCHMARK(vgic_level_interrupt)->Arg(1)->Arg(8);

void vgic_register_read(benchmark::State& state) {
  test::Machine machine;
  for ([[maybe_unused]] auto _ : state) benchmark::DoNotOptimize(machine.read32(0, test::kGicd + gic::GICD_TYPER));
}
BENCHMARK(vgic_register_read);

void recorder_append(benchmark::State& state) {
  constexpr std::uint64_t kCapacity = 1024;
  struct alignas(64) Memory {
    std::array<std::byte, sizeof(trace::RingHeader) + kCapacity * sizeof(trace::Record)> bytes;
  };
  const auto memory = std::make_unique<Memory>();
  trace::Ring* const ring = trace::Ring::create(memory.get(), 0, kCapacity);
  const trace::Record record{};
  for ([[maybe_unused]] auto _ : state) {
    ring->append(record);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(recorder_append);

}  // namespace
}  // namespace arm_vcpu

BENCHMARK_MAIN();
