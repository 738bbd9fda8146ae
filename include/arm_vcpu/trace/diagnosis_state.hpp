// SPDX-License-Identifier: Apache-2.0
// What a diagnosis looks at: values and views, filled in by the hypervisor at the failure, or by a tool from a dump.
// Everything is optional. A rule that lacks what it needs says nothing.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <variant>

#include "arm_vcpu/arch/gic.hpp"
#include "arm_vcpu/capabilities.hpp"
#include "arm_vcpu/exit_reason.hpp"
#include "arm_vcpu/guest_system_registers.hpp"
#include "arm_vcpu/psci.hpp"
#include "arm_vcpu/result.hpp"
#include "arm_vcpu/trace/record.hpp"
#include "arm_vcpu/trap_frame.hpp"
#include "arm_vcpu/vm/image.hpp"
#include "arm_vcpu/vm/mmio_bus.hpp"
#include "arm_vcpu/vm/stage2_walk.hpp"

namespace arm_vcpu::diag {

// --- views ----------------------------------------------------------------------------------------------------------

// The guest's memory. At EL2 it reads the live tables; in a tool, a dump. Must not fault, whatever it is asked.
class MemoryView {
 public:
  // The software walk of stage 2. Empty: the tables are not at hand.
  [[nodiscard]] virtual std::optional<stage2::Walk> translate(std::uint64_t ipa) const noexcept = 0;
  // `bytes` is 1 to 8, little-endian, zero-extended. Empty: not mapped, not RAM, or not in the dump.
  [[nodiscard]] virtual std::optional<std::uint64_t> read(std::uint64_t ipa, unsigned bytes) const noexcept = 0;

 protected:
  ~MemoryView() = default;
};

struct Range {
  std::string_view name{};
  std::uint64_t base{};
  std::uint64_t bytes{};

  [[nodiscard]] constexpr bool contains(std::uint64_t address) const noexcept { return address - base < bytes; }
  [[nodiscard]] constexpr std::uint64_t last() const noexcept { return bytes == 0 ? base : base + (bytes - 1); }
};

// A range of guest memory and what is behind it.
struct RamRange {
  std::string_view name{};
  std::uint64_t ipa{};
  std::uint64_t pa{};
  std::uint64_t bytes{};
  bool writable = true;

  [[nodiscard]] constexpr bool contains(std::uint64_t address) const noexcept { return address - ipa < bytes; }
};

struct DeviceRange {
  std::string_view name{};  // of the device-tree node: "pl011@9000000"
  std::uint64_t base{};     // IPA
  std::uint64_t bytes{};
  AccessWidths widths{kAllWidths};
  bool passthrough{};  // mapped at stage 2: accesses are expected not to exit

  [[nodiscard]] constexpr bool contains(std::uint64_t address) const noexcept { return address - base < bytes; }
};

enum class Conduit : std::uint8_t { unknown, hvc, smc };

// What the guest's device tree says. read_device_tree_facts() fills it from a blob.
struct DeviceTreeFacts {
  bool valid{};      // magic, version and structure are right
  int status{};      // libfdt's, when not
  Conduit method{};  // of /psci
  std::array<Range, 4> memory{};
  std::size_t memory_count{};
  std::array<std::uint64_t, 64> cpu_reg{};  // of the cpu nodes, affinity as MPIDR_EL1 has it
  std::size_t cpu_count{};
  std::uint64_t initrd_start{};
  std::uint64_t initrd_end{};
};

// What the VM was given.
struct VmConfiguration {
  std::span<const RamRange> ram{};
  std::span<const DeviceRange> devices{};
  std::span<const Range> loaded{};      // IPA: "kernel", "initrd", "device tree"
  std::span<const Range> hypervisor{};  // PA: image, stacks, tables, the bundle
  std::uint64_t entry{};
  std::uint64_t dtb{};  // IPA; 0: none
  const DeviceTreeFacts* device_tree{};
  const ImageHeader* image_header{};        // null: a bare binary, or firmware
  std::span<const std::uint64_t> mpidrs{};  // affinity of each vCPU
  unsigned ipa_bits{};                      // 0: not known
  bool passthrough_interrupt{};
  bool passthrough_timer{};
  std::optional<std::uint64_t> cntvoff_el2{};  // what every vCPU of the VM was set up with
};

// --- the vCPU -------------------------------------------------------------------------------------------------------

struct RunState {
  bool bound{};
  bool parked{};  // in WFI or WFE
  bool off{};
  std::optional<std::uint64_t> since{};  // ticks: when it was parked, or entered the guest last
};

// A PPI as the physical GIC has it, on the CPU that the vCPU is loaded on.
struct PhysicalInterrupt {
  bool enabled{};
  bool pending{};
  bool active{};

  // It waits to be acknowledged: another interrupt was first, or the CPU masks it for the moment.
  [[nodiscard]] constexpr bool is_on_its_way() const noexcept { return enabled && pending && !active; }
};

struct TimerSnapshot {
  std::uint64_t cntv_ctl_el0{};
  std::uint64_t cntv_cval_el0{};
  std::uint64_t cntvoff_el2{};
  std::uint64_t now{};      // CNTPCT_EL0
  std::uint32_t intid{27};  // the virtual timer's, in the guest
  std::optional<PhysicalInterrupt> physical{};
};

// One interrupt of the vGIC, as VgicIrq has it.
struct InterruptView {
  std::uint32_t intid{};
  bool enabled{};
  bool pending{};
  bool active{};
  bool in_lr{};
  bool queued{};  // in a vCPU's list of what waits for a list register
  bool routed{};  // its group is enabled in the distributor, and its target is a vCPU of the VM
};

struct InterruptSnapshot {
  std::span<const gic::IchLr> lr{};
  gic::IchHcr hcr{};
  gic::IchMisr misr{};
  gic::IchVmcr vmcr{};
  std::span<const InterruptView> irqs{};  // those not idle; may be empty
  std::uint32_t maintenance_intid{25};    // physical
};

// What a scheduler on top of the library knows.
struct SchedulerSnapshot {
  unsigned waiting_vcpus{};  // for this CPU
  std::uint64_t slice_ticks{};
  std::uint64_t running_ticks{};  // that the current vCPU has kept them waiting
  std::uint64_t cnthp_ctl_el2{};
  std::uint64_t armed_late_ticks{};  // CNTHP_CVAL_EL2 lies this far behind the end of the slice
};

struct CapturedState {
  std::string_view vm_name{};
  unsigned vm{};
  unsigned vcpu{};
  std::uint64_t counter_hz{};               // 0: ticks are printed as such
  const ExitFrame* exit{};                  // latched at the last exit; its PC is the faulting instruction's
  const GuestSystemRegisters* registers{};  // refreshed: refresh_system_registers()
  bool registers_are_sampled{};             // only ESR, FAR, ELR and VBAR of EL1 are known, from a sample
  const Capabilities* capabilities{};
  const Requirements* requirements{};
  const VmConfiguration* configuration{};
  const MemoryView* memory{};
  std::optional<RunState> run{};
  std::optional<TimerSnapshot> timer{};
  std::optional<InterruptSnapshot> interrupts{};
  std::optional<SchedulerSnapshot> scheduler{};
  // Records of this vCPU's physical CPU, oldest first. Those of other VMs and vCPUs in between are skipped.
  std::span<const trace::Record> records{};
  // The first 16 bytes at the entry point, read through the hypervisor's cacheable mapping and through an uncached one.
  struct EntryBytes {
    std::array<std::uint8_t, 16> cached{};
    std::array<std::uint8_t, 16> uncached{};
  };
  std::optional<EntryBytes> entry_bytes{};
};

// --- what made us look ----------------------------------------------------------------------------------------------

namespace trigger {

// A regular look at a vCPU that nobody complained of. Finds only what is certain to be wrong; never AV9999.
struct HealthCheck {};
// Somebody asks why the guest does not go on. Finds everything, and AV9999 when that is nothing.
struct Inspection {};
struct StartUpError {
  Error error{};
};
// The device bus did not complete an access.
struct MmioFailure {
  std::uint64_t ipa{};
  AccessWidth width{};
  bool is_write{};
  std::uint64_t data{};
  MmioOutcome outcome{};
};
struct StageTwoFault {
  AxVCpuExitReason::NestedPageFault fault{};
};
struct FailedEntry {
  AxVCpuExitReason::FailEntry failure{};
};
// The guest was given an undefined instruction exception; the exit frame says for what.
struct UndefinedInjected {};
struct Call {
  std::array<std::uint64_t, 4> x{};  // x0 to x3 as the guest passed them
  Conduit conduit{};
  std::uint16_t immediate{};
  std::optional<std::int64_t> answer{};  // empty: none was given
  bool forwarded{};
};
// A read that complete_mmio_read() has answered.
struct CompletedRead {
  const TrapFrame* before{};
  const TrapFrame* after{};
  AxVCpuExitReason::MmioRead read{};
  std::uint64_t value{};
};
// The hypervisor took an exception itself.
struct HypervisorCrash {
  Esr esr{};
  std::uint64_t far{};
  std::uint64_t elr{};
  std::uint64_t spsr{};
  std::uint64_t sp{};
  std::uint64_t frame_pointer{};  // x29
  bool on_sp_el0{};               // one of the first four vectors
  std::uint64_t stack_base{};     // lowest usable byte
  std::uint64_t stack_top{};
  std::uint64_t guard_bytes{0x1000};           // below stack_base
  std::span<const std::uint64_t> backtrace{};  // return addresses, innermost first
  std::optional<std::uint32_t> instruction{};  // at ELR, when it can be read
  std::optional<std::uint64_t> cptr_el2{};
};
struct StuckLock {
  std::string_view name{};
  unsigned owner_cpu{};
  unsigned this_cpu{};
  std::uint64_t acquired_at{};  // return address of who holds it
  std::uint64_t wanted_at{};    // return address of who wants it
};
// The trace area survived a reset that nobody ordered: boot_count above 0, clean_shutdown 0.
struct UncleanReset {
  std::uint64_t boot_count{};
};

}  // namespace trigger

using Trigger =
    std::variant<trigger::HealthCheck, trigger::Inspection, trigger::StartUpError, trigger::MmioFailure,
                 trigger::StageTwoFault, trigger::FailedEntry, trigger::UndefinedInjected, trigger::Call,
                 trigger::CompletedRead, trigger::HypervisorCrash, trigger::StuckLock, trigger::UncleanReset>;

}  // namespace arm_vcpu::diag
