// SPDX-License-Identifier: Apache-2.0
// What a physical CPU does: runs the vCPUs that were given to it, one after the other, and sleeps when none can run.
// Composition: who runs is scheduler.hpp's affair, what a vCPU's exits mean is vcpu_loop.hpp's.
//
// All preemption comes by interrupts, the EL2 timer's or a kick's. So an exit that goes back to the same vCPU passes
// nothing of this.
#pragma once

#include <cstdint>
#include <optional>

#include "scheduler.hpp"
#include "vcpu_loop.hpp"
#include "vm.hpp"

namespace arm_vcpu::hv {

struct GuestTimer;

class CpuLoop {
 public:
  // At boot, before run(): a vCPU for this CPU. False: it has kCapacity of them.
  [[nodiscard]] bool add(VcpuSlot& slot) noexcept;
  [[nodiscard]] bool is_used() const noexcept { return count_ != 0; }

  // On its own CPU.
  [[noreturn]] void run() noexcept;

  // Any CPU but this one: the vCPU has something to look at. Interrupts this CPU when it has to be.
  void request(const VcpuSlot& slot) noexcept;

  // --- This CPU, from here on.

  // The same from this CPU.
  void note(VcpuSlot& slot) noexcept;

  // An interrupt that was acknowledged, as a gic::Acknowledged. True: the vCPU that runs has to leave the guest.
  [[nodiscard]] bool handle_interrupt(std::uint32_t acknowledged) noexcept;

  // The guest that runs here is interrupted at `at` (ticks), at the latest: something waits for its time.
  void look_by(std::uint64_t at) noexcept;

  // Precondition: there is one, as there is while a guest runs.
  [[nodiscard]] VcpuSlot& loaded() noexcept { return *loaded_; }

  // hand_over.cpp: a WFI of the vCPU that runs, inside the exit. The vCPU that goes on; null: the exit has to leave the
  // guest.
  [[nodiscard]] Aarch64VCpu* on_wait(VcpuSlot& slot) noexcept;

  // The vectors answer what they can, so that not every exit is seen by the loop.
  [[nodiscard]] bool answers() const noexcept { return answers_; }
  [[nodiscard]] bool others_wait() const noexcept { return scheduler_.others_wait(); }
  [[nodiscard]] diag::SchedulerSnapshot snapshot() const noexcept;

 private:
  void settle() noexcept;
  void settle(VcpuSlot& slot) noexcept;
  void retire(VcpuSlot& slot) noexcept;
  [[nodiscard]] bool can_run(VcpuSlot& slot) noexcept;
  [[nodiscard]] static bool has_deliverable(VcpuSlot& slot) noexcept;
  [[nodiscard]] bool start(VcpuSlot& slot) noexcept;
  void wake(VcpuSlot& slot) noexcept;

  void run_next(VcpuSlot& slot, std::uint64_t now) noexcept;
  void leave_guest(VcpuSlot& slot, VcpuLoop::Leave why) noexcept;
  [[nodiscard]] bool wakes_up(VcpuSlot& slot) noexcept;
  void preempt(VcpuSlot& slot, std::uint64_t now) noexcept;
  void wait(VcpuSlot& slot, std::uint64_t now) noexcept;
  void turn_off(VcpuSlot& slot) noexcept;
  void look_at_sleeper(VcpuSlot& slot) noexcept;

  [[nodiscard]] bool load(VcpuSlot& slot, std::uint64_t now) noexcept;
  void report_unbound(VcpuSlot& slot, const Error& error) noexcept;
  void unload(std::uint64_t now, Aarch64VCpu::Next next = Aarch64VCpu::Next::host) noexcept;

  // hand_over.cpp
  static void forget_sibling(VcpuSlot& slot) noexcept;
  [[nodiscard]] VcpuSlot* who_goes_on(const VcpuSlot& slot, std::uint64_t now) noexcept;

  void idle() noexcept;
  void on_timer() noexcept;
  void on_doorbell() noexcept;
  void on_guest_timer(const GuestTimer& timer) noexcept;
  template <class Deliver>
  [[nodiscard]] bool wakes_at_once(Deliver deliver) noexcept;
  void on_pmu() noexcept;
  void raise_linked(std::uint32_t intid) noexcept;
  void on_due(VcpuSlot& slot, std::uint64_t now) noexcept;

  // samples.cpp: what is seen of a guest without its doing.
  void let_guest_sleep() noexcept;
  static void begin_samples(VcpuSlot& slot) noexcept;
  void sample_guest(VcpuSlot& slot, std::uint64_t now) noexcept;
  void found_asleep(VcpuSlot& slot, std::uint64_t now) noexcept;
  void found_awake(VcpuSlot& slot, std::uint64_t now) noexcept;

  template <const GuestTimer& Timer>
  [[nodiscard]] VgicCpuMask raise_timer(VcpuSlot& slot, std::uint64_t now) noexcept;
  [[nodiscard]] VgicCpuMask raise_timers(VcpuSlot& slot, std::uint64_t now) noexcept;
  [[nodiscard]] std::uint64_t wait_ends(const VcpuSlot& slot, std::uint64_t now) const noexcept;
  void arm(std::uint64_t at_the_latest = Deadlines::kNever) noexcept;
  void program(std::uint64_t at_the_latest) noexcept;

  [[nodiscard]] std::uint64_t bit(const VcpuSlot& slot) const noexcept { return std::uint64_t{1} << slot.place; }

  Scheduler scheduler_;
  Deadlines waits_;                              // of vCPUs that sleep
  Aarch64PerCpu* physical_{};                    // the library's view of this CPU
  VcpuSlot* loaded_{};                           // whose registers this CPU has
  bool in_guest_{};                              // and whose guest goes on after this
  bool answers_{};                               // Vectors::answering
  bool hands_over_{};                            // on_wait(): the list registers are system registers
  bool must_leave_{};                            // the guest, to settle() or to let another vCPU run
  std::uint64_t noted_{};                        // by this CPU: left for settle()
  std::uint64_t programmed_{Deadlines::kNever};  // CNTHP_CVAL_EL2; kNever: off
  std::uint64_t next_sample_{};                  // ticks, of the vCPU that runs
  std::uint64_t doorbell_{};                     // ICC_SGI1R_EL1: kDoorbellSgi to this CPU
  struct alignas(std::uint64_t) Lateness {
    unsigned samples{};     // in a row, of the one that runs, behind the end of its slice
    unsigned is_overdue{};  // not 0: and so much that something must be wrong
  } late_;
  unsigned count_{};
  std::array<VcpuSlot*, Scheduler::kCapacity> slots_{};
};

// Something that CNTHP has to end may come earlier now. What is programmed for an earlier time stays: when it fires,
// this is called again. That spares a vCPU that sleeps and wakes the two writes, most of the time.
[[gnu::always_inline]] inline void CpuLoop::arm(std::uint64_t at_the_latest) noexcept {
  std::uint64_t at = waits_.earliest() < at_the_latest ? waits_.earliest() : at_the_latest;
  if (in_guest_) {
    if (next_sample_ < at) at = next_sample_;
    if (const auto end = scheduler_.slice_end(); end && *end < at) at = *end;
  }
  if (programmed_ > at) program(at_the_latest);
}

// `slot` was loaded: another vCPU of its VM may have left translations here under the same VMID.
[[gnu::always_inline]] inline void CpuLoop::forget_sibling(VcpuSlot& slot) noexcept {
  const unsigned self = slot.index + 1;
  if (*slot.last_here == self) return;
  el2::forget_sibling_vcpu();
  *slot.last_here = static_cast<std::uint8_t>(self);
}

// At boot, before the others are called.
void construct_cpu_loops() noexcept;
[[nodiscard]] CpuLoop& cpu_loop(unsigned cpu) noexcept;
[[nodiscard]] CpuLoop& this_cpu_loop() noexcept;

// The interrupts that the loops need, once.
struct LoopInterrupts {
  std::uint32_t virtual_timer{};
  std::uint32_t physical_timer{};  // of EL1
  std::uint32_t pmu{};             // overflow of the performance monitors; 0: not used
  std::uint32_t hypervisor_timer{};
  std::uint32_t maintenance{};
  std::uint32_t uart{};  // 0: polled
};
void set_loop_interrupts(const LoopInterrupts& interrupts) noexcept;

// The SGI that makes a CPU look at what was requested of it.
inline constexpr std::uint32_t kKickSgi = 1;

// The terminal's input, on the CPU that gets its interrupt.
void handle_console_input() noexcept;

}  // namespace arm_vcpu::hv
