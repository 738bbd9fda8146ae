// SPDX-License-Identifier: Apache-2.0
// One load or store carried out by software, access by access. Pure: memory is the caller's, who is asked for one piece
// after the other; registers change all at once at the end, or not at all.
//
//   Emulation it{instruction, inputs};
//   while (const auto piece = it.next()) it.complete(piece->is_write ? (write(*piece), 0) : read(*piece));
//   it.commit(gpr, sp);
//
// [armarm] "Shared pseudocode", AArch64.MemSingle; "Loads and Stores"
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "arm_vcpu/arch/bits.hpp"
#include "arm_vcpu/arch/load_store.hpp"
#include "arm_vcpu/exit_reason.hpp"
#include "arm_vcpu/trap_frame.hpp"

namespace arm_vcpu {

class Emulation {
 public:
  struct Inputs {
    const GeneralRegisters& gpr;
    std::uint64_t sp{};             // of the Exception level that executes it; of no meaning unless it is the base
    std::uint64_t pc{};             // of the instruction
    bool big_endian{};              // its data accesses: SCTLR_EL1.EE or E0E
    std::uint64_t block_bytes{64};  // DCZID_EL0: what DC ZVA zeroes, at most 2048
    std::uint64_t tcr_el1{};        // says which bits of a pointer authenticate it
  };

  // An aligned access to memory of 1, 2, 4 or 8 bytes. Values are as a little-endian device sees them.
  struct Piece {
    std::uint64_t offset{};  // bytes from address()
    AccessWidth width{};
    bool is_write{};
    std::uint64_t data{};  // of a write
  };

  Emulation() = default;
  Emulation(const a64::LoadStore& instruction, const Inputs& in) noexcept;

  [[nodiscard]] const a64::LoadStore& instruction() const noexcept { return op_; }
  // Where the access begins, as the instruction computes it, and how many bytes it has.
  [[nodiscard]] std::uint64_t address() const noexcept { return address_; }
  [[nodiscard]] unsigned bytes() const noexcept { return bytes_; }
  // True when the address must be a multiple of bytes(), whatever SCTLR_EL1.A says, and is not.
  // [armarm] "Alignment of data accesses": atomics, exclusives, load-acquire, store-release. Stores of tags: a multiple
  // of 16.
  [[nodiscard]] bool is_misaligned() const noexcept;
  // False: on Device memory it is an alignment fault.
  [[nodiscard]] bool suits_device_memory() const noexcept {
    return bits::aligned(address_, element_bytes()) && op_.operation != a64::Operation::zero_block;
  }
  // Whether an abort with this FAR and WnR can be this instruction's. Empty, or the offset of FAR in the access. Tags
  // in the top byte are not compared: FAR may or may not have them.
  [[nodiscard]] std::optional<std::uint64_t> offset_of(std::uint64_t far, bool write_not_read) const noexcept;
  // False: all of it must be outside memory, or tags that it stores would be lost.
  [[nodiscard]] bool suits_memory() const noexcept { return !op_.tags; }
  // True when it may write to memory.
  [[nodiscard]] bool may_write() const noexcept;

  // SIMD&FP registers that take part, in the order of the instruction, and their values (low, high half): for `vector`
  // instructions the caller fills them in before the first next(), loads too, and stores them after commit().
  [[nodiscard]] unsigned vector_count() const noexcept { return op_.vector ? op_.registers : 0U; }
  [[nodiscard]] unsigned vector_number(unsigned i) const noexcept;
  [[nodiscard]] std::span<std::array<std::uint64_t, 2>, 4> vectors() noexcept { return vectors_; }
  // Call when the vectors are filled in.
  void take_vectors() noexcept;

  // The next access; empty when all have been made.
  [[nodiscard]] std::optional<Piece> next() const noexcept;
  // It has been made; `value` is what was read.
  void complete(std::uint64_t value) noexcept;

  // Registers, write-back included. `sp` is that of Inputs.
  void commit(GeneralRegisters& gpr, std::uint64_t& sp) noexcept;

 private:
  using Vector = std::array<std::uint64_t, 2>;

  struct Slot {
    unsigned reg{}, lane{};
  };
  [[nodiscard]] Slot slot_of(unsigned element) const noexcept;
  [[nodiscard]] unsigned element_bytes() const noexcept { return 1U << op_.size; }
  [[nodiscard]] unsigned piece_bytes() const noexcept;
  // Bytes of the access, naturally aligned in it: 1, 2, 4 or 8.
  [[nodiscard]] std::uint64_t get(unsigned offset, unsigned bytes) const noexcept;
  void put(unsigned offset, unsigned bytes, std::uint64_t value) noexcept;
  [[nodiscard]] Vector image(unsigned element) const noexcept;
  void set_image(unsigned element, const Vector& value) noexcept;
  void fill_image() noexcept;
  void combine() noexcept;
  [[nodiscard]] std::uint64_t extended(std::uint64_t value) const noexcept;

  a64::LoadStore op_{};
  std::uint64_t address_{};
  std::uint64_t written_back_{};
  std::uint64_t operands_[4]{};  // Rs, Rs+1, Rt, Rt2
  std::uint64_t old_[2]{};       // what an atomic read
  std::array<Vector, 4> vectors_{};
  std::array<std::uint64_t, 8> memory_{};  // the bytes of the access, from the lowest address and the lowest bits on
  std::uint32_t bytes_{};
  std::uint32_t done_{};  // of them
  bool big_endian_{};
  bool writing_{};
};

}  // namespace arm_vcpu
