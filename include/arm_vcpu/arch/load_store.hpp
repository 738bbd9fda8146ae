// SPDX-License-Identifier: Apache-2.0
// A64 loads and stores: what an instruction does to memory and to registers, from its 32 bits alone.
// [armarm] "Loads and Stores" in "A64 Instruction Set Encoding"
#pragma once

#include <cstdint>
#include <optional>

namespace arm_vcpu::a64 {

enum class Operation : std::uint8_t {
  load,
  store,
  load_exclusive,
  store_exclusive,
  // Read, combine with Rs, write; Rt receives the old value. [armarm] "Atomic memory operations"
  add,
  clear,
  exclusive_or,
  set,
  signed_max,
  signed_min,
  unsigned_max,
  unsigned_min,
  swap,
  compare_and_swap,  // Rs is compared and receives the old value, Rt is written
  prefetch,          // never aborts
  zero_block,        // DC ZVA
  load_tag,          // LDG
  store_tag,         // STG, ST2G
  zero_granules,     // STZG, STZ2G
};

// How the address is made. Where a form has the same effect as another, it is told apart because it has a name of its
// own, and LDTR and LDTRB and so on because they use EL0's permissions.
enum class Form : std::uint8_t {
  base,              // [Xn]
  literal,           // PC + offset
  unsigned_offset,   // [Xn, #offset], scaled in the encoding; signed for LDRAA, STG and their like
  unscaled,          // LDUR and so on
  unprivileged,      // LDTR and so on
  register_offset,   // [Xn, Rm, extend #amount]
  pre_index,         // [Xn, #offset]!
  post_index,        // [Xn], #offset
  post_register,     // [Xn], Xm
  pair_offset,       // [Xn, #offset] of LDP, STP, LDPSW
  pair_no_allocate,  // LDNP, STNP
};

// What a register of `registers` holds.
enum class Shape : std::uint8_t {
  scalar,     // one value of 2^size bytes: general registers, B to Q
  multiple,   // LD1 to LD4, ST1 to ST4 of whole vectors
  lane,       // one element of each
  replicate,  // LD1R to LD4R
};

// The order that the name says: LDAR, STLR, LDAPR, LDLAR and their like.
struct Ordering {
  bool acquire{};
  bool release{};
  bool acquire_pc{};  // LDAPR, LDAPUR
  bool limited{};     // LDLAR, STLLR
  friend constexpr bool operator==(const Ordering&, const Ordering&) noexcept = default;
};

// The key that the base is authenticated with: LDRAA, LDRAB.
enum class DataKey : std::uint8_t { none, a, b };

// [armarm] "ExtendReg"
enum class Extend : std::uint8_t { uxtw = 2, lsl = 3, sxtw = 6, sxtx = 7 };

// Aligned, so that it is copied by words.
struct alignas(8) LoadStore {
  Operation operation{};
  Form form{};
  Shape shape{};
  Ordering ordering{};
  bool vector{};       // Rt names SIMD&FP registers
  bool sign_extend{};  // of a load of general registers
  bool wide{};         // general registers are X, not W; a load extends to that
  DataKey key{};
  bool tags{};          // stores allocation tags, with data or without
  std::uint8_t size{};  // base-2 logarithm of the bytes of one element: 0 to 4, 4 for Q and tag granules only; a
                        // prefetch has none
  std::uint8_t registers{
      1};  // from Rt on: 1 to 4 for structures (modulo 32), 2 for pairs (Rt and Rt2); granules of tags
  std::uint8_t rt{};
  std::uint8_t rt2{};  // of pairs of general and of scalar registers
  std::uint8_t rn{};   // 31: SP
  std::uint8_t rs{};   // status of a store exclusive; operand of an atomic
  std::uint8_t rm{};   // of register_offset and post_register
  Extend extend{Extend::lsl};
  std::uint8_t shift{};      // of register_offset
  std::uint8_t elements{1};  // of one vector register
  std::uint8_t selem{1};     // registers that one structure of shape `multiple` goes over
  std::uint8_t lane{};       // the element, shape `lane`
  bool full{};               // 128-bit vectors (Q), shapes `multiple` and `replicate`
  std::int32_t offset{};     // bytes

  [[nodiscard]] constexpr bool is_atomic() const noexcept {
    return operation >= Operation::add && operation <= Operation::compare_and_swap;
  }
  [[nodiscard]] constexpr bool is_exclusive() const noexcept {
    return operation == Operation::load_exclusive || operation == Operation::store_exclusive;
  }
  [[nodiscard]] constexpr bool writes_back() const noexcept {
    return form == Form::pre_index || form == Form::post_index || form == Form::post_register;
  }
  [[nodiscard]] constexpr bool base_is_sp() const noexcept {
    return rn == 31 && form != Form::literal && operation != Operation::zero_block;
  }
  // Elements that are moved, one behind the other from the lowest address on, and the bytes of all of them. Not of
  // DC ZVA, whose size DCZID_EL0 says.
  [[nodiscard]] constexpr unsigned element_count() const noexcept {
    return operation == Operation::prefetch || operation == Operation::zero_block ? 0U
           : shape == Shape::multiple                                             ? unsigned{registers} * elements
                                                                                  : registers;
  }
  [[nodiscard]] constexpr unsigned bytes() const noexcept { return element_count() << size; }

  friend constexpr bool operator==(const LoadStore&, const LoadStore&) noexcept = default;
};

// Empty: not a load or store; unallocated; one whose registers make it CONSTRAINED UNPREDICTABLE, or whose
// should-be-one bits are not; or one of those that are not emulated: blocks of allocation tags (LDGM, STGM, STZGM),
// LD64B and ST64B, memory copy and set, 128-bit atomics, and what came later than Armv8.6.
[[nodiscard]] std::optional<LoadStore> decode_load_store(std::uint32_t opcode) noexcept;

// True when executing the instruction may access memory as data, decoded or not. The others (branches, exception
// generation, hints, data processing) never cause a data abort.
[[nodiscard]] bool may_access_memory(std::uint32_t opcode) noexcept;

}  // namespace arm_vcpu::a64
