// SPDX-License-Identifier: Apache-2.0
// One guest: its memory, its devices, its vCPUs. Composition of the library's parts.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string_view>

#include "arm_vcpu/arm_vcpu.hpp"
#include "arm_vcpu/el2/stage2_hw.hpp"
#include "arm_vcpu/el2/sysreg.hpp"
#include "arm_vcpu/stolen_time.hpp"
#include "arm_vcpu/vm/bundle.hpp"
#include "arm_vcpu/vm/erased_flash.hpp"
#include "arm_vcpu/vm/guest_layout.hpp"
#include "arm_vcpu/vm/mmio_bus.hpp"
#include "arm_vcpu/vm/pl011.hpp"
#include "arm_vcpu/vm/scratch.hpp"
#include "arm_vcpu/vm/stage2.hpp"
#include "arm_vcpu/vm/vgic.hpp"
#include "lock.hpp"
#include "per_cpu.hpp"
#include "ranges.hpp"
#include "vm_doctor.hpp"

namespace arm_vcpu::hv {

class Vm;
class VcpuLoop;

inline constexpr unsigned kMaxVms = 8;
inline constexpr unsigned kMaxVcpus = 8;
inline constexpr unsigned kSpis = 256;  // as many as QEMU's `virt` has

// Tables for the stage 2 of all VMs: RAM is mapped by blocks, so a VM needs a handful.
inline constexpr std::size_t kStage2Tables = 512;
using Stage2Tables = el2::TablePool<kStage2Tables>;
using GuestMemory = Stage2<Stage2Tables, el2::TlbOps>;

// One vCPU and what the hypervisor keeps for it.
struct VcpuSlot {
  Vm* vm{};
  unsigned index{};
  unsigned cpu{};    // the physical CPU that runs it
  unsigned place{};  // among the vCPUs of that CPU
  VgicCpu* interrupts{};
  // On that CPU: 1 + the vCPU of this VM that ran there last; 0: none. One for all vCPUs of the VM there.
  std::uint8_t* last_here{};

  // What every switch asks; CpuLoop's.
  bool waits{};                 // in WFI
  bool looks{};                 // given the CPU in its wait, to be looked at
  std::uint64_t waits_since{};  // ticks
  std::uint64_t look_at{};      // ticks
  // Ticks: until then it may go on behind its WFI, if there is an interrupt for it, and nothing else has to be done. 0:
  // it does not wait, or is to be looked at, or a timer of its has expired or ends its WFIT.
  std::uint64_t resumes_until{};
  std::uint64_t ran{};             // ticks that it had a CPU
  std::uint64_t answered_waits{};  // as answered_reads and answered_writes

  // It is asleep from now on, however it came to be.
  void note_asleep(std::uint64_t now) noexcept {
    waits_since = now;
    look_at = now + el2::counter_hz();
  }

  std::optional<Aarch64VCpu> vcpu;
  StolenTime stolen_time;
  VcpuWatch watch;
  std::array<std::uint64_t, kExitKindCount> exits{};
  // Accesses to devices and waits that were answered without the loop: Aarch64VCpu::handled_exits() has them, `exits`
  // has not.
  std::uint64_t answered_reads{};
  std::uint64_t answered_writes{};

  // The rest is CpuLoop's.
  VcpuLoop* loop{};        // what its exits mean
  bool is_on{};            // started, and not turned off
  bool is_new{};           // and has not run yet
  unsigned arrived_in{};   // the VM's life that it was the last part of
  bool sleeps_in_guest{};  // its WFI does not trap: it has the CPU to itself
  bool was_asleep{};       // and was found asleep by the last sample; then since waits_since
  unsigned samples{};
  std::uint64_t sample_in{};                       // ticks of its own time until the next one
  std::uint64_t sample_period{};                   // ticks; longer while it sleeps
  std::uint64_t exits_by_then{};                   // that it had made at the last sample
  std::uint64_t wait_deadline{~std::uint64_t{0}};  // ticks: when its WFIT ends anyway; all ones: never
};

// What every VM shares of the machine.
struct VmEnvironment {
  Stage2Tables& tables;
  el2::TlbOps& tlb;
  const Capabilities& capabilities;    // of every CPU that runs a vCPU
  std::uint32_t virtual_timer_intid;   // physical PPI of the virtual timer
  std::uint32_t physical_timer_intid;  // and of the EL1 physical timer
  std::uint32_t pmu_intid;             // of the performance monitors; 0: guests have none
  unsigned gic_version;                // guests get what the machine has
  std::uint64_t gicv;                  // of a GICv2: physical address of the virtual CPU interface
  PsciConfig psci;
  EntropySource entropy;
};

// The UART's other side: the terminal and the interrupt controller.
class VmUartHost final : public Pl011Host {
 public:
  explicit VmUartHost(Vm& vm) noexcept : vm_{vm} {}
  void transmit(std::uint8_t character) noexcept override;
  void set_irq(bool level) noexcept override;
  [[nodiscard]] bool irq_enabled() const noexcept override;

 private:
  Vm& vm_;
};

class Vm final : public VirtualInterrupts {
 public:
  Vm() noexcept : uart_host_{*this}, uart_{uart_host_}, doctor_{*this} {}

  // Allocates and maps memory, wires the devices, creates the vCPUs; `cpus[n]` is the physical CPU of vCPU n. Once.
  [[nodiscard]] Result<> build(unsigned id, const BundleVm& config, std::span<const unsigned> cpus,
                               VmEnvironment& environment) noexcept;

  // For whoever reads a trace.
  void describe(trace::VmInfo& info) const noexcept;

  // Moves waiting input from the terminal into the UART as far as the guest takes it.
  void pump_input() noexcept;

  enum class State : std::uint32_t { running, stopping, ended };
  [[nodiscard]] State state() const noexcept { return state_.load(std::memory_order_acquire); }
  // Counts from 1; a reset begins the next one. Does not change while the VM runs.
  [[nodiscard]] unsigned life() const noexcept { return life_; }
  [[nodiscard]] unsigned id() const noexcept { return id_; }
  [[nodiscard]] std::uint64_t entry() const noexcept { return layout_.entry; }
  [[nodiscard]] std::string_view name() const noexcept { return config_.name; }
  [[nodiscard]] unsigned vcpu_count() const noexcept { return vcpu_count_; }
  [[nodiscard]] VcpuSlot& slot(unsigned index) noexcept { return slots_[index]; }
  [[nodiscard]] const VcpuSlot& slot(unsigned index) const noexcept { return slots_[index]; }
  // Empty: ended by SYSTEM_OFF.
  [[nodiscard]] std::string_view failure() const noexcept { return failure_.view(); }

  // VirtualInterrupts
  [[nodiscard]] Result<> inject(unsigned vcpu_index, std::uint32_t intid) noexcept override;

 private:
  friend class VmUartHost;
  friend class CpuLoop;
  friend class VcpuLoop;
  friend class VmDoctor;

  // A range of the guest's memory, and where it really is.
  struct Backing {
    std::uint64_t ipa{}, pa{}, bytes{};
    [[nodiscard]] std::byte* at(std::uint64_t address) const noexcept {
      return reinterpret_cast<std::byte*>(pa + (address - ipa));
    }
  };

  enum class Ending : std::uint8_t { power_off, reset, failure };

  [[nodiscard]] Result<> map(const Backing& range, const stage2::Attributes& attributes) noexcept;
  [[nodiscard]] Result<> map_memory() noexcept;
  void release_memory() noexcept;
  [[nodiscard]] Result<> rebuild() noexcept;
  [[nodiscard]] bool begin_next_life() noexcept;
  [[nodiscard]] Result<> map_flash() noexcept;
  [[nodiscard]] Result<> add_scratch_device() noexcept;
  [[nodiscard]] Result<> map_stolen_time() noexcept;
  [[nodiscard]] Result<> allocate_sve(const Capabilities& caps) noexcept;
  [[nodiscard]] Result<> create_interrupt_controller(const Capabilities& caps) noexcept;
  [[nodiscard]] Result<> load() noexcept;
  void flush_caches() noexcept;  // the guest's RAM to the point of coherency
  // Memory that the guest gets: zeros that no cache holds, and tags of zero if it sees tags.
  void clear(const Range& range) const noexcept;
  // To the point of coherency, what else is in caches dropped.
  void clean(const Range& range) const noexcept;
  void stop(Ending ending) noexcept;
  void fail(std::string_view pattern, std::uint64_t a = 0, std::uint64_t b = 0) noexcept;
  void arrive() noexcept;
  void kick(VgicCpuMask vcpus, unsigned self) noexcept;

  unsigned id_{};
  unsigned vcpu_count_{};
  BundleVm config_{};
  VmEnvironment* environment_{};
  std::uint64_t cntvoff_{};

  Backing ram_{};
  Backing flash_{};
  Backing erased_{};  // what the rest of the flash banks shows
  Backing stolen_time_{};
  Backing gicv_{};   // the CPU interface of a GICv2's guest; empty: it has system registers
  SveState* sve_{};  // one for each vCPU; null: the VM has no SVE
  GuestLayout layout_{};
  std::optional<GuestMemory> memory_;
  std::array<EntryRange, 2> executable_{};

  // Guards everything below that more than one CPU touches: vGIC, bus, UART.
  SpinLock lock_{"VM"};
  std::array<VgicCpu, kMaxVcpus> vgic_cpus_{};
  std::array<VgicIrq, kSpis> vgic_spis_{};
  std::optional<Vgic> vgic_;
  PublishedRegisters published_;
  DirectPeers peers_;
  PublishedRegisters::Cell uart_flags_;
  bool has_uart_flags_{};
  MmioBus bus_;
  VmUartHost uart_host_;
  Pl011 uart_;
  ErasedFlash erased_flash_;
  ScratchDevice scratch_;
  VgicCpuMask raised_{};  // vCPUs to kick once the lock is free

  std::array<PowerSlot, kMaxVcpus> power_slots_{};
  std::optional<PowerDomain> power_;
  std::array<VcpuSlot, kMaxVcpus> slots_{};

  std::atomic<State> state_{State::running};
  Ending ending_{};
  std::atomic<unsigned> arrived_{};
  std::array<char, 160> failure_storage_{};
  TextBuffer failure_{failure_storage_};
  unsigned life_{1};
  unsigned restarts_{};
  std::array<std::uint8_t, kMaxCpus> last_here_{};  // VcpuSlot::last_here, by CPU
  VmDoctor doctor_;
};

// Bits of intermediate physical address that a VM's memory map needs.
[[nodiscard]] unsigned ipa_bits_of(const BundleVm& config) noexcept;

// Called by a VM's last CPU when it has ended; hypervisor/main ends the machine after the last VM.
void vm_ended(Vm& vm) noexcept;

}  // namespace arm_vcpu::hv
