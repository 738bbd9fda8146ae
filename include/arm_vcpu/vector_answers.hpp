// SPDX-License-Identifier: Apache-2.0
// What the vector needs to answer an exit by itself: registers whose value is known, private interrupts that can go
// straight into a list register. Others keep these tables true; the vector reads them without a lock.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <type_traits>

#include "arm_vcpu/exit_reason.hpp"

namespace arm_vcpu {

// Relaxed accesses to what other CPUs write too. An access of a std::atomic would cost an instruction more: compilers
// do not fold the member's offset into it.
template <class T>
[[nodiscard, gnu::always_inline]] inline T load_relaxed(const std::atomic<T>& from) noexcept {
  static_assert(sizeof from == sizeof(T) && std::atomic<T>::is_always_lock_free);
  return *reinterpret_cast<const volatile T*>(&from);
}
template <class T>
[[gnu::always_inline]] inline void store_relaxed(std::atomic<T>& to, std::type_identity_t<T> value) noexcept {
  static_assert(sizeof to == sizeof(T) && std::atomic<T>::is_always_lock_free);
  *reinterpret_cast<volatile T*>(&to) = value;
}

// Device registers that a read does not change: one table for a VM. A lookup is one probe, whatever the number of
// devices. Places are given out before the first vCPU runs.
class PublishedRegisters {
 public:
  static constexpr unsigned kSlots = 256;
  static constexpr std::uint64_t kHidden = ~std::uint64_t{0};

  // The vector loads both at once. A value that changes is stored as a whole; a reader gets the old or the new one.
  struct alignas(16) Slot {
    std::uint64_t key{kHidden};
    std::uint64_t value{};
  };

  // A register that changes, or that must be read the long way for a time.
  class Cell {
   public:
    void set(std::uint64_t value) noexcept { __atomic_store_n(&slot_->value, value, __ATOMIC_RELAXED); }
    void show() noexcept { __atomic_store_n(&slot_->key, key_, __ATOMIC_RELEASE); }
    void hide() noexcept { __atomic_store_n(&slot_->key, kHidden, __ATOMIC_RELAXED); }

   private:
    friend class PublishedRegisters;
    Slot* slot_{};
    std::uint64_t key_{};
  };

  // From now on a read of `width` at `ipa` gives `value`, cut to the width. False: the place is taken by another
  // register, and reads of this one go the long way.
  bool publish(std::uint64_t ipa, AccessWidth width, std::uint64_t value) noexcept {
    Cell cell;
    if (!reserve(ipa, width, cell)) return false;
    cell.set(truncate(value, width));
    cell.show();
    return true;
  }
  // A hidden register. False: as above, and `cell` must not be used.
  bool reserve(std::uint64_t ipa, AccessWidth width, Cell& cell) noexcept {
    const unsigned index = index_of(ipa, width);
    if ((taken_[index / 64] >> index % 64 & 1) != 0) return false;
    taken_[index / 64] |= std::uint64_t{1} << index % 64;
    cell.slot_ = &slots_[index];
    cell.key_ = key_of(ipa, width);
    return true;
  }

  // The slot where a register would be: it is there if the keys agree.
  [[nodiscard]] const Slot& slot_of(std::uint64_t ipa, AccessWidth width) const noexcept {
    return slots_[index_of(ipa, width)];
  }

  // An IPA has at most 52 bits.
  [[nodiscard]] static constexpr std::uint64_t key_of(std::uint64_t ipa, AccessWidth width) noexcept {
    return ipa | static_cast<std::uint64_t>(width) << 60;
  }

 private:
  // Frames of 64 KiB: what tells them apart is folded into the offset.
  [[nodiscard]] static constexpr unsigned index_of(std::uint64_t ipa, AccessWidth width) noexcept {
    return (static_cast<unsigned>((ipa ^ ipa >> 14) >> 2) ^ static_cast<unsigned>(width) << 6) % kSlots;
  }

  std::array<Slot, kSlots> slots_{};
  std::array<std::uint64_t, kSlots / 64> taken_{};
};

// The private interrupts of a vCPU that the vector may deliver, kept by its interrupt controller. Only list register 0
// is used for it, and only while it is empty.
struct DirectInterrupts {
  static constexpr unsigned kSgis = 16;

  // False: something else waits, so that the interrupt controller has to choose. Written by any CPU, set by the vCPU's.
  std::atomic<std::uint64_t> armed{};
  // What goes into the list register, for an SGI that is enabled; 0: it has to go the long way.
  std::array<std::atomic<std::uint64_t>, kSgis> sgi{};
  // The same for the virtual timer's PPI; 0 while not armed, too.
  std::atomic<std::uint64_t> timer{};
  // INTID + 1 of what the vector put into list register 0 last; 0: nothing since the interrupt controller looked.
  std::atomic<std::uint32_t> delivered{};
  std::uint32_t timer_intid{~0U};  // physical
  // SGIs that other vCPUs have sent and nobody has looked at.
  std::atomic<std::uint32_t> posted{};
  // ICC_SGI1R_EL1 that makes the CPU which runs this vCPU look at `posted`; 0: it does not run.
  std::atomic<std::uint64_t> doorbell{};
  // ICC_SGI1R_EL1 of a guest, without INTID, that names this vCPU and no other.
  std::uint64_t address{~std::uint64_t{0}};
};

// The vCPUs of a VM by Aff0, as far as the vector finds them.
struct DirectPeers {
  std::array<DirectInterrupts*, 16> by_aff0{};
};

// The physical SGI that says: look at DirectInterrupts::posted.
inline constexpr std::uint32_t kDoorbellSgi = 2;

// A hypercall that was refused: at the same place it is refused again.
struct RefusedCall {
  std::uint64_t function{};
  std::uint64_t pc{};  // 0: none yet
};

}  // namespace arm_vcpu
