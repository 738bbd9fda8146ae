// SPDX-License-Identifier: Apache-2.0
// hypervisor_main(): from the bundle to running VMs, and what is said when the last one has ended.
#include <array>
#include <atomic>
#include <optional>
#include <utility>

#include "arm_vcpu/el2/gic_hw.hpp"
#include "arm_vcpu/el2/gic_v2.hpp"
#include "arm_vcpu/vm/bundle.hpp"
#include "arm_vcpu/vm/vgic_cpu_interface.hpp"
#include "check.hpp"
#include "console.hpp"
#include "cpu_loop.hpp"
#include "firmware.hpp"
#include "gic.hpp"
#include "late.hpp"
#include "layout.hpp"
#include "memory.hpp"
#include "physical_cpus.hpp"
#include "platform.hpp"
#include "simulate.hpp"
#include "smp.hpp"
#include "trace_area.hpp"
#include "verdict.hpp"
#include "vm.hpp"

namespace arm_vcpu::hv {
namespace {

constinit LateArray<Aarch64PerCpu, kMaxCpus> g_cpus;

constinit std::array<std::optional<Vm>, kMaxVms> g_vms{};
constinit std::size_t g_vm_count = 0;
constinit std::atomic<std::size_t> g_running{0};
constinit Platform* g_platform = nullptr;
constinit bool g_recorder_on = true;
constinit Vectors g_vectors = Vectors::answering;

// Which physical CPU runs each vCPU of `vm`.
std::array<unsigned, kMaxVcpus> place(const BundleVm& vm, Placement& placement) noexcept {
  std::array<unsigned, kMaxVcpus> cpus{};
  for (unsigned i = 0; i < vm.cpus; ++i) {
    cpus[i] = vm.has_affinity ? vm.affinity[i] : placement.take_any();
    if (cpus[i] >= smp::count() || !smp::cpu(cpus[i]).online.load()) {
      finish_failed("{}: vCPU {} is to run on CPU {}, which is not there", vm.name, i, cpus[i]);
    }
  }
  return cpus;
}

void report_exits() noexcept {
  log(Level::info, "exits       reason                 count   share");
  for (std::size_t v = 0; v < g_vm_count; ++v) {
    const Vm& vm = *g_vms[v];
    for (unsigned i = 0; i < vm.vcpu_count(); ++i) {
      const VcpuSlot& slot = vm.slot(i);
      auto exits = slot.exits;
      exits[static_cast<unsigned>(ExitKind::MmioRead)] += slot.answered_reads;
      exits[static_cast<unsigned>(ExitKind::MmioWrite)] += slot.answered_writes;
      exits[static_cast<unsigned>(ExitKind::Halt)] += slot.answered_waits;
      exits[static_cast<unsigned>(ExitKind::Nothing)] =
          slot.vcpu->handled_exits() - slot.answered_reads - slot.answered_writes - slot.answered_waits;
      std::uint64_t total = 0;
      for (const std::uint64_t count : exits) total += count;
      if (total == 0) continue;
      for (unsigned kind = 0; kind < kExitKindCount; ++kind) {
        const std::uint64_t count = exits[kind];
        if (count == 0) continue;
        constexpr std::string_view kPad = "                                ";
        const std::string_view name = name_of(static_cast<ExitKind>(kind));
        const std::uint64_t tenths = count * 1000 / total;
        char digits[24];
        TextBuffer number{digits};
        number.put_unsigned(count, 10, 1);
        log(Level::info, "vm{} vcpu{}   {}{}{}{}   {}{}.{} %", v, i, name, kPad.substr(0, 18 - name.size()),
            kPad.substr(0, 10 - (number.view().size() < 10 ? number.view().size() : 10)), number.view(),
            tenths < 1000 ? tenths < 100 ? "  " : " " : "", tenths / 10, tenths % 10);
      }
      const std::uint64_t ms = vm.slot(i).ran / (el2::counter_hz() / 1000);
      log(Level::info, "vm{} vcpu{}   CPU time {} ms", v, i, ms);
    }
  }
}

void finish() noexcept {
  report_exits();
  for (std::size_t v = 0; v < g_vm_count; ++v) {
    const Vm& vm = *g_vms[v];
    if (!vm.failure().empty()) finish_failed("vm{} ({}): {}", v, vm.name(), vm.failure());
  }
  finish_ok();
}

[[noreturn]] void run_loop(void*) noexcept {
  const unsigned cpu = this_cpu().index;
  value_or_finish(g_cpus[cpu].hardware_enable(g_vectors), "enabling virtualization");
  if (!el2::gic_v2().is_present()) {  // the driver of a GICv2 has done so
    el2::GicHw gic;
    Vgic::clear_list_registers(gic::list_registers(), gic);
  }
  if (g_recorder_on) g_cpus[cpu].set_trace(trace_area::ring(cpu));
  for (const std::uint32_t intid :
       {kKickSgi, kDoorbellSgi, g_platform->board.timer.virtual_intid, g_platform->board.timer.physical_intid,
        g_platform->board.timer.hypervisor_intid, g_platform->board.gic.maintenance_intid}) {
    gic::enable_private(intid);
  }
  if (g_platform->board.pmu_intid != 0) gic::enable_private(g_platform->board.pmu_intid);
  this_cpu_loop().run();
}

void describe_for_trace(const Vm& vm, unsigned id) noexcept {
  trace::Header& header = *trace_area::header();
  header.vm_count = id + 1;
  vm.describe(header.vms[id]);
}

Bundle parse_bundle(const Board& board) noexcept {
  if (board.bundle.empty()) {
    finish_failed(
        "no bundle of guests; pass one as the initrd (QEMU: -initrd bundle.dtb), made as docs/bundle.md says");
  }
  const auto bundle =
      Bundle::parse({pointer_to<const std::byte>(board.bundle.base), static_cast<std::size_t>(board.bundle.bytes)},
                    {.vcpus_per_vm = kMaxVcpus,
                     .physical_cpus = smp::count(),
                     .mte = probe().mte(),
                     .gic_version = board.gic.version});
  if (!bundle) {
    if (bundle.error().reason == BundleReason::bad_kernel) {
      explain_start_up_error(bundle.error().node.view(), {.code = static_cast<Errc>(bundle.error().value)},
                             Requirements{}.ipa_bits);
    }
    char storage[200];
    TextBuffer text{storage};
    append(text, bundle.error());
    finish_failed("the bundle is refused: {}", text.view());
  }
  return *bundle;
}

}  // namespace

Aarch64PerCpu& physical_cpu() noexcept {
  return g_cpus[this_cpu().index];
}

void handle_console_input() noexcept {
  const std::uint32_t fed = console::receive();
  for (std::size_t v = 0; v < g_vm_count; ++v) {
    if ((fed >> v & 1) != 0) g_vms[v]->pump_input();
  }
}

void vm_ended(Vm& vm) noexcept {
  if (vm.failure().empty()) {
    log(Level::info, "vm{} ({}): powered off", vm.id(), vm.name());
  } else {
    log(Level::error, "vm{} ({}): {}", vm.id(), vm.name(), vm.failure());
  }
  if (g_running.fetch_sub(1, std::memory_order_acq_rel) == 1) finish();
}

void hypervisor_main(Platform& platform) noexcept {
  g_platform = &platform;
  for (std::size_t cpu = 0; cpu < g_cpus.size(); ++cpu) g_cpus.construct(cpu, static_cast<unsigned>(cpu));
  construct_cpu_loops();
  const Bundle bundle = parse_bundle(platform.board);
  if (bundle.log_level()) set_log_level(static_cast<Level>(*bundle.log_level()));
  console::set_vm_count(static_cast<unsigned>(bundle.vms().size()));

  value_or_finish(trace_area::start(smp::count()), "the exit recorder");
  explain_former_run();
  simulate::choose(bundle.simulate());
  g_recorder_on = bundle.recorder();
  // Whoever wants every record of the exits wants the loop, which streams and prints them, to see each.
  const bool watched = !bundle.trace_file().empty() || log_level() >= Level::trace;
  g_vectors = bundle.answers_at_vector() && !watched ? Vectors::answering : Vectors::plain;
  if (!bundle.trace_file().empty()) trace_area::stream_to(bundle.trace_file());
  static const Capabilities capabilities = probe();
  value_or_finish(check_hardware_support(capabilities, {}), "this CPU");
  static el2::TlbOps tlb = el2::TlbOps::of_this_cpu();
  const Range table_memory =
      value_or_finish(memory::allocate(kStage2Tables * stage2::kPageBytes, 16 * stage2::kPageBytes), "stage-2 tables");
  static Stage2Tables tables{table_memory.base, table_memory.bytes};
  const FirmwareServices firmware = ask_firmware();
  static VmEnvironment environment{
      .tables = tables,
      .tlb = tlb,
      .capabilities = capabilities,
      .virtual_timer_intid = platform.board.timer.virtual_intid,
      .physical_timer_intid = platform.board.timer.physical_intid,
      .pmu_intid = platform.board.pmu_intid,
      .gic_version = platform.board.gic.version,
      .gicv = platform.board.gic.virtual_cpu_interface.base,
      .psci = {.workarounds = workarounds_of(capabilities.id.id_aa64pfr0_el1, capabilities.id.id_aa64pfr1_el1,
                                             firmware.workarounds)},
      .entropy = entropy_source(firmware)};
  set_loop_interrupts({.virtual_timer = platform.board.timer.virtual_intid,
                       .physical_timer = platform.board.timer.physical_intid,
                       .pmu = platform.board.pmu_intid,
                       .hypervisor_timer = platform.board.timer.hypervisor_intid,
                       .maintenance = platform.board.gic.maintenance_intid,
                       .uart = console::interrupt() ? console::interrupt()->intid : 0});

  Placement placement{smp::count()};
  for (const BundleVm& config : bundle.vms()) {
    for (unsigned i = 0; config.has_affinity && i < config.cpus; ++i) placement.take(config.affinity[i]);
  }
  for (BundleVm config : bundle.vms()) {
    simulate::spoil(config);
    const auto id = static_cast<unsigned>(g_vm_count);
    Vm& vm = g_vms[g_vm_count++].emplace();
    const std::array<unsigned, kMaxVcpus> cpus = place(config, placement);
    if (const Result<> built = vm.build(id, config, std::span{cpus}.first(config.cpus), environment); !built) {
      explain_start_up_error(config.name, built.error(), ipa_bits_of(config));
      finish_failed(config.name, built.error());
    }
    for (unsigned i = 0; i < config.cpus; ++i) CHECK(cpu_loop(cpus[i]).add(vm.slot(i)));
    describe_for_trace(vm, id);
    trace_area::record_vm_event(id, trace::VmEvent::created);
    log(Level::info, "vm{} ({}): {} vCPUs, {} MiB, entry {:x}", id, config.name, config.cpus, config.memory_bytes >> 20,
        vm.entry());
  }
  g_running.store(g_vm_count, std::memory_order_release);
  for (unsigned cpu = 1; cpu < smp::count(); ++cpu) {
    if (cpu_loop(cpu).is_used()) CHECK(smp::run_on(cpu, run_loop, nullptr));
  }
  run_loop(nullptr);  // CPU 0 serves the terminal, with or without a vCPU
}

}  // namespace arm_vcpu::hv
