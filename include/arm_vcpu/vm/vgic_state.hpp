// SPDX-License-Identifier: Apache-2.0
// The state of a virtual GIC. The caller provides the storage; only Vgic reads and writes it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "arm_vcpu/arch/gic.hpp"
#include "arm_vcpu/vector_answers.hpp"

namespace arm_vcpu {

// Bit n: vCPU n.
using VgicCpuMask = std::uint64_t;

inline constexpr unsigned kVgicMaxCpus = 64;
inline constexpr std::uint8_t kVgicNoCpu = 0xFF;
inline constexpr unsigned kVgicNoIntid = ~0U;

// A set of INTIDs below 1024. A summary word keeps the cost of a walk to the members, not to the range.
class IntidSet {
 public:
  constexpr void insert(unsigned intid) noexcept {
    words_[intid / 64] |= std::uint64_t{1} << intid % 64;
    summary_ |= 1U << intid / 64;
  }
  constexpr void erase(unsigned intid) noexcept {
    words_[intid / 64] &= ~(std::uint64_t{1} << intid % 64);
    if (words_[intid / 64] == 0) summary_ &= ~(1U << intid / 64);
  }
  // Precondition: no member is above 63.
  constexpr void clear_below_64() noexcept {
    words_[0] = 0;
    summary_ = 0;
  }
  [[nodiscard]] constexpr bool contains(unsigned intid) const noexcept {
    return (words_[intid / 64] >> intid % 64 & 1) != 0;
  }
  [[nodiscard]] constexpr bool empty() const noexcept { return summary_ == 0; }

  // The member of a set of one; kVgicNoIntid for any other set.
  [[nodiscard]] constexpr unsigned single() const noexcept {
    if (summary_ == 0 || (summary_ & (summary_ - 1)) != 0) return kVgicNoIntid;
    const auto word = static_cast<unsigned>(__builtin_ctz(summary_));
    const std::uint64_t members = words_[word];
    return (members & (members - 1)) == 0 ? word * 64 + static_cast<unsigned>(__builtin_ctzll(members)) : kVgicNoIntid;
  }

  // The same for members below 64, which private interrupts are.
  [[nodiscard]] constexpr unsigned single_below_64() const noexcept {
    const std::uint64_t members = words_[0];
    return summary_ == 1 && (members & (members - 1)) == 0 ? static_cast<unsigned>(__builtin_ctzll(members))
                                                           : kVgicNoIntid;
  }

  // Calls f(intid) in rising order. `f` may erase the member it is called with, and must not insert.
  template <class F>
  constexpr void for_each(F&& f) const noexcept {
    for (std::uint32_t summary = summary_; summary != 0; summary &= summary - 1) {
      const auto word = static_cast<unsigned>(__builtin_ctz(summary));
      for (std::uint64_t members = words_[word]; members != 0; members &= members - 1) {
        f(word * 64 + static_cast<unsigned>(__builtin_ctzll(members)));
      }
    }
  }

 private:
  std::array<std::uint64_t, 16> words_{};
  std::uint32_t summary_{};
};

// One interrupt. While a list register holds it, the part of its state that was put there (pending, active, the link
// to a physical interrupt) is there only, and comes back when that vCPU's list registers are folded. What happens to
// the interrupt meanwhile collects here.
struct VgicIrq {
  std::uint32_t affinity{};         // GICD_IROUTER; of a GICv2 GICD_ITARGETSR
  std::uint16_t physical_intid{};   // when linked
  std::uint8_t priority{};          // implemented bits only
  std::uint8_t target{kVgicNoCpu};  // the vCPU that the routing selects
  std::uint8_t holder{kVgicNoCpu};  // the vCPU whose list register holds it, or at which it is active
  std::uint8_t queued_at{kVgicNoCpu};
  std::uint8_t slot{};  // list register; a hint once it is folded
  bool any_cpu{};       // GICD_IROUTER.Interrupt_Routing_Mode
  bool enabled{};
  bool group1{};
  bool edge{};
  bool line{};   // level of the input
  bool latch{};  // pending by an edge, or by software
  bool active{};
  bool linked{};           // its source is the physical interrupt `physical_intid`
  bool physical_active{};  // that one is active on our behalf, and ours to deactivate
  bool in_lr{};
  bool lr_latch{};      // the list register's pending state came from `latch`
  bool lr_physical{};   // the list register has HW == 1 and will deactivate the physical interrupt
  bool drop_pending{};  // cleared by the guest while in a list register: ignore what it says
  bool drop_active{};

  // A GICv2's SGIs are pending for each sender on its own, one after the other in the list register. `latch` is set
  // while `sources` is not empty.
  bool by_source{};
  std::uint8_t sources{};  // bit n: sent by vCPU n
  std::uint8_t source{};   // of the one that is active, or in the list register

  // A linked interrupt is pending once per physical acknowledge; its line is the physical GIC's business.
  [[nodiscard]] constexpr bool follows_line() const noexcept { return !edge && !linked; }
  [[nodiscard]] constexpr bool pending() const noexcept { return latch || (follows_line() && line); }
};

// One vCPU: its Redistributor, and its CPU interface while that is not in the hardware.
struct VgicCpu {
  std::array<VgicIrq, gic::kPrivateCount> irqs{};
  IntidSet waiting{};   // pending and enabled, or active; not in a list register
  IntidSet releases{};  // linked, and neither pending nor active any more: deactivate the physical interrupt

  std::array<gic::IchLr, gic::kMaxListRegisters> lr{};  // what the hardware held when last read or written
  std::uint32_t lr_used{};                              // bit n: list register n is not empty
  std::uint32_t lr_written{};                           // bit n: the hardware's has held something since load()
  bool lrs_live{};                                      // the guest may have changed them since
  bool is_parked{};                                     // since park(): what follows is as the hardware has it
  gic::IchHcr hcr{};

  gic::IchVmcr vmcr{};  // as of the last park() or save()
  std::array<std::uint64_t, gic::kMaxActivePriorityRegisters> ap0r{};
  std::array<std::uint64_t, gic::kMaxActivePriorityRegisters> ap1r{};

  std::uint32_t affinity{};
  std::uint32_t linked_ppis{};  // bit n: the PPI with INTID n is a physical interrupt
  bool has_active_ppis{};       // one of them may be active at the physical GIC, on behalf of this vCPU
  bool asleep{};                // GICR_WAKER
  bool waits_gicd{};            // GICD_CTLR.RWP: a disabled SPI, or group, is still in a list register here
  bool waits_gicr{};            // GICR_CTLR.RWP: the same of an SGI or PPI
  std::atomic<bool> dirty{};

  DirectInterrupts direct{};     // what the vector may deliver by itself
  std::uint64_t direct_timer{};  // direct.timer while armed
  bool direct_stale{true};       // enable, group or priority of a private interrupt has changed
};

}  // namespace arm_vcpu
