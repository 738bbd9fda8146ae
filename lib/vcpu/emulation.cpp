// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/emulation.hpp"

#include "arm_vcpu/arch/bits.hpp"
#include "arm_vcpu/arch/pointer.hpp"

namespace arm_vcpu {
namespace {

using a64::Extend;
using a64::Form;
using a64::LoadStore;
using a64::Operation;
using a64::Shape;

constexpr std::uint64_t kGranuleBytes = 16;

std::uint64_t extend_index(std::uint64_t value, Extend extend, unsigned shift) noexcept {
  switch (extend) {
    case Extend::uxtw: value &= 0xFFFF'FFFF; break;
    case Extend::sxtw: value = bits::sign_extend(value, 32); break;
    case Extend::lsl:
    case Extend::sxtx: break;
  }
  return value << shift;
}

std::uint64_t base_of(const LoadStore& op, const Emulation::Inputs& in) noexcept {
  if (op.form == Form::literal) return in.pc;
  // The operand of DC ZVA is a register like any other, so 31 is XZR.
  const std::uint64_t base = op.base_is_sp() ? in.sp : in.gpr(op.rn);
  // The access was made, so the base was accepted, or is not authenticated at all (SCTLR_EL1.EnDA, EnDB) and canonical.
  return op.key != a64::DataKey::none ? without_pac(base, in.tcr_el1) : base;
}

}  // namespace

Emulation::Emulation(const LoadStore& instruction, const Inputs& in) noexcept
    : op_{instruction}, big_endian_{in.big_endian} {
  const std::uint64_t base = base_of(op_, in);
  auto offset = static_cast<std::uint64_t>(std::int64_t{op_.offset});
  if (op_.form == Form::register_offset) offset = extend_index(in.gpr(op_.rm), op_.extend, op_.shift);
  if (op_.form == Form::post_register) offset = in.gpr(op_.rm);
  written_back_ = base + offset;
  const bool after = op_.form == Form::post_index || op_.form == Form::post_register;
  address_ = after ? base : base + offset;
  bytes_ = op_.bytes();
  if (op_.operation == Operation::zero_block) {
    bytes_ = static_cast<std::uint32_t>(in.block_bytes);
    address_ = bits::align_down(base, in.block_bytes);
    if (in.block_bytes < element_bytes()) op_.size = 2;  // DCZID_EL0.BS 0: one word
  }
  if (op_.operation == Operation::load_tag) address_ = bits::align_down(address_, kGranuleBytes);
  operands_[0] = in.gpr(op_.rs);
  operands_[1] = in.gpr(op_.rs + 1U);
  operands_[2] = in.gpr(op_.rt);
  operands_[3] = in.gpr(op_.rt2);
  writing_ = op_.operation == Operation::store || op_.operation == Operation::zero_block ||
             op_.operation == Operation::zero_granules;
  // Outside memory a tag reads as 0, and is not stored. [armarm] "Memory region tagging types"
  if (op_.operation == Operation::load_tag || op_.operation == Operation::store_tag) done_ = bytes_;
  // The monitor was cleared by the exception that brought us here: the store fails, and accesses nothing.
  if (op_.operation == Operation::store_exclusive) done_ = bytes_;
  if (op_.operation == Operation::store && !op_.vector) fill_image();
}

bool Emulation::is_misaligned() const noexcept {
  if (op_.tags) return !bits::aligned(address_, kGranuleBytes);
  const bool checked = op_.is_atomic() || op_.is_exclusive() || op_.ordering != a64::Ordering{};
  return checked && bytes_ != 0 && !bits::aligned(address_, bytes_);
}

bool Emulation::may_write() const noexcept {
  return op_.operation != Operation::load && op_.operation != Operation::load_exclusive &&
         op_.operation != Operation::load_tag && op_.operation != Operation::prefetch;
}

std::optional<std::uint64_t> Emulation::offset_of(std::uint64_t far, bool write_not_read) const noexcept {
  // An atomic faults as a read, a write, or whichever is refused.
  if (!op_.is_atomic() && may_write() != write_not_read) return {};
  const std::uint64_t offset = (far - address_) & bits::mask(55, 0);
  if (offset >= bytes_) return {};
  return offset;
}

unsigned Emulation::vector_number(unsigned i) const noexcept {
  return op_.shape == Shape::scalar && i == 1 ? op_.rt2 : (op_.rt + i) % 32;
}

// --- registers and the bytes in memory ------------------------------------------------------------------------------

Emulation::Slot Emulation::slot_of(unsigned element) const noexcept {
  if (op_.shape != Shape::multiple) return {element, op_.shape == Shape::lane ? op_.lane : 0U};
  // Structures one behind the other; in each, one element of each of its registers.
  const unsigned per_group = unsigned{op_.elements} * op_.selem;
  const unsigned group = element / per_group;
  const unsigned inside = element % per_group;
  return {group + inside % op_.selem, inside / op_.selem};
}

std::uint64_t Emulation::get(unsigned offset, unsigned bytes) const noexcept {
  return memory_[offset / 8] >> (offset % 8 * 8) & bits::mask(8 * bytes - 1, 0);
}

void Emulation::put(unsigned offset, unsigned bytes, std::uint64_t value) noexcept {
  const unsigned shift = offset % 8 * 8;
  const std::uint64_t ones = bits::mask(8 * bytes - 1, 0) << shift;
  std::uint64_t& word = memory_[offset / 8];
  word = (word & ~ones) | (value << shift & ones);
}

// As the register holds it. In big-endian order the last byte is the least significant one.
Emulation::Vector Emulation::image(unsigned element) const noexcept {
  if (op_.size == 4) {
    const Vector value{memory_[2 * element], memory_[2 * element + 1]};
    return big_endian_ ? Vector{__builtin_bswap64(value[1]), __builtin_bswap64(value[0])} : value;
  }
  const unsigned bytes = element_bytes();
  const std::uint64_t value = get(element * bytes, bytes);
  return {big_endian_ ? __builtin_bswap64(value) >> (64 - 8 * bytes) : value, 0};
}

void Emulation::set_image(unsigned element, const Vector& value) noexcept {
  if (op_.size == 4) {
    memory_[2 * element] = big_endian_ ? __builtin_bswap64(value[1]) : value[0];
    memory_[2 * element + 1] = big_endian_ ? __builtin_bswap64(value[0]) : value[1];
    return;
  }
  const unsigned bytes = element_bytes();
  put(element * bytes, bytes, big_endian_ ? __builtin_bswap64(value[0]) >> (64 - 8 * bytes) : value[0]);
}

void Emulation::take_vectors() noexcept {
  if (writing_ && op_.vector) fill_image();
}

// What a store writes.
void Emulation::fill_image() noexcept {
  for (unsigned i = 0; i < op_.element_count(); ++i) {
    if (!op_.vector) {
      set_image(i, {operands_[2 + i], 0});
      continue;
    }
    const Slot slot = slot_of(i);
    const Vector& from = vectors_[slot.reg];
    const unsigned at = slot.lane * element_bytes();  // bytes
    set_image(i, op_.size == 4 ? from : Vector{from[at / 8] >> (at % 8 * 8), 0});
  }
}

// --- the accesses ---------------------------------------------------------------------------------------------------

// A quadword is two doublewords. What is not aligned has no single-copy atomicity: byte by byte.
// [armarm] "Requirements for single-copy atomicity"
unsigned Emulation::piece_bytes() const noexcept {
  const unsigned unit = op_.size > 3 ? 8U : element_bytes();
  return bits::aligned(address_, unit) ? unit : 1;
}

std::optional<Emulation::Piece> Emulation::next() const noexcept {
  if (done_ == bytes_) return {};
  const unsigned bytes = piece_bytes();
  Piece piece{
      .offset = done_, .width = static_cast<AccessWidth>(__builtin_ctz(bytes)), .is_write = writing_, .data = 0};
  if (writing_ && op_.operation != Operation::zero_block) piece.data = get(done_, bytes);
  return piece;
}

void Emulation::complete(std::uint64_t value) noexcept {
  if (done_ == bytes_) return;
  const unsigned bytes = piece_bytes();
  if (!writing_) put(done_, bytes, value);
  done_ += bytes;
  if (done_ == bytes_ && op_.is_atomic() && !writing_) combine();
}

// An atomic has read: what it writes, if it does.
void Emulation::combine() noexcept {
  const unsigned width = 8 * element_bytes();
  const std::uint64_t ones = bits::mask(width - 1, 0);
  for (unsigned i = 0; i < op_.registers; ++i) old_[i] = image(i)[0];
  if (op_.operation == Operation::compare_and_swap) {
    for (unsigned i = 0; i < op_.registers; ++i) {
      if (old_[i] != (operands_[i] & ones)) return;
    }
    for (unsigned i = 0; i < op_.registers; ++i) set_image(i, {operands_[2 + i], 0});
  } else {
    const std::uint64_t old = old_[0];
    const std::uint64_t operand = operands_[0] & ones;
    const bool less = bits::sign_extend(old, width) + (std::uint64_t{1} << 63) <
                      bits::sign_extend(operand, width) + (std::uint64_t{1} << 63);
    std::uint64_t value = operand;  // of a swap
    switch (op_.operation) {
      case Operation::add: value = old + operand; break;
      case Operation::clear: value = old & ~operand; break;
      case Operation::exclusive_or: value = old ^ operand; break;
      case Operation::set: value = old | operand; break;
      case Operation::signed_max: value = less ? operand : old; break;
      case Operation::signed_min: value = less ? old : operand; break;
      case Operation::unsigned_max: value = old < operand ? operand : old; break;
      case Operation::unsigned_min: value = old < operand ? old : operand; break;
      default: break;
    }
    set_image(0, {value, 0});
  }
  writing_ = true;
  done_ = 0;
}

// --- the end --------------------------------------------------------------------------------------------------------

std::uint64_t Emulation::extended(std::uint64_t value) const noexcept {
  if (op_.sign_extend && op_.size < 3) value = bits::sign_extend(value, 8 * element_bytes());
  return op_.wide ? value : value & 0xFFFF'FFFF;
}

void Emulation::commit(GeneralRegisters& gpr, std::uint64_t& sp) noexcept {
  const auto set = [&gpr](unsigned n, std::uint64_t value) {
    if (n < 31) gpr[n] = value;
  };
  if (op_.operation == Operation::store_exclusive) {
    set(op_.rs, 1);
  } else if (op_.operation == Operation::load_tag) {
    set(op_.rt, operands_[2] & ~bits::mask(59, 56));
  } else if (op_.is_atomic()) {
    const bool compares = op_.operation == Operation::compare_and_swap;
    for (unsigned i = 0; i < op_.registers; ++i) set((compares ? op_.rs : op_.rt) + i, old_[i]);
  } else if (op_.operation == Operation::load || op_.operation == Operation::load_exclusive) {
    for (unsigned i = 0; i < op_.element_count(); ++i) {
      const Vector value = image(i);
      if (!op_.vector) {
        set(i == 0 ? op_.rt : op_.rt2, extended(value[0]));
        continue;
      }
      const Slot slot = slot_of(i);
      Vector& to = vectors_[slot.reg];
      if (op_.shape == Shape::scalar) {
        to = value;  // the rest of the register is zeroed
        continue;
      }
      if (op_.shape != Shape::lane && slot.lane == 0) to = {};
      const unsigned width = 8 * element_bytes();
      const unsigned lanes = op_.shape == Shape::replicate ? (op_.full ? 128 : 64) / width : 1;
      for (unsigned lane = slot.lane; lane < slot.lane + lanes; ++lane) {
        const unsigned at = lane * width;  // bits
        const std::uint64_t ones = bits::mask(width - 1, 0) << (at % 64);
        to[at / 64] = (to[at / 64] & ~ones) | (value[0] << (at % 64) & ones);
      }
    }
  }
  if (!op_.writes_back()) return;
  if (op_.rn == 31) {
    sp = written_back_;
  } else {
    gpr[op_.rn] = written_back_;
  }
}

}  // namespace arm_vcpu
