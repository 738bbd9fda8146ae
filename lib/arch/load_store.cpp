// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/arch/load_store.hpp"

#include "arm_vcpu/arch/bits.hpp"

namespace arm_vcpu::a64 {
namespace {

using Decoded = std::optional<LoadStore>;

// The fields that more than one class has, in their usual place.
struct Opcode {
  std::uint32_t raw;

  [[nodiscard]] constexpr unsigned bits(unsigned hi, unsigned lo) const noexcept {
    return static_cast<unsigned>(bits::extract(raw, hi, lo));
  }
  [[nodiscard]] constexpr bool bit(unsigned n) const noexcept { return (raw >> n & 1) != 0; }
  [[nodiscard]] constexpr std::int32_t simm(unsigned hi, unsigned lo) const noexcept {
    return static_cast<std::int32_t>(bits::sign_extend(bits(hi, lo), hi - lo + 1));
  }
  [[nodiscard]] constexpr std::uint8_t reg(unsigned lo) const noexcept {
    return static_cast<std::uint8_t>(raw >> lo & 31);
  }
  [[nodiscard]] constexpr std::uint8_t rt() const noexcept { return reg(0); }
  [[nodiscard]] constexpr std::uint8_t rn() const noexcept { return reg(5); }
  [[nodiscard]] constexpr std::uint8_t rt2() const noexcept { return reg(10); }
  [[nodiscard]] constexpr std::uint8_t rs() const noexcept { return reg(16); }  // and Rm
  [[nodiscard]] constexpr std::uint8_t size() const noexcept { return static_cast<std::uint8_t>(raw >> 30); }
  [[nodiscard]] constexpr bool vector() const noexcept { return bit(26); }
  [[nodiscard]] constexpr bool load() const noexcept { return bit(22); }
};

constexpr Operation move(bool load) noexcept {
  return load ? Operation::load : Operation::store;
}

// --- one register ---------------------------------------------------------------------------------------------------

// size, V and opc of "Load/store register": what is moved. Empty for unallocated ones; the form is still `base`.
constexpr Decoded one_register(Opcode op) noexcept {
  LoadStore result{.operation = move(op.bits(23, 22) != 0), .vector = op.vector(), .size = op.size(), .rt = op.rt()};
  result.rn = op.rn();
  const unsigned opc = op.bits(23, 22);
  if (op.vector()) {
    result.operation = move((opc & 1) != 0);
    if ((opc & 2) != 0) {
      if (op.size() != 0) return {};
      result.size = 4;
    }
    return result;
  }
  result.wide = op.size() == 3;
  if (opc < 2) return result;
  if (op.size() == 3) {
    if (opc == 3) return {};
    result.operation = Operation::prefetch;
    return result;
  }
  if (op.size() == 2 && opc == 3) return {};
  result.sign_extend = true;
  result.wide = opc == 2;
  return result;
}

// A write-back to the register that is loaded or stored is CONSTRAINED UNPREDICTABLE; SP is another register than XZR.
constexpr bool writes_back_to(const LoadStore& op, std::uint8_t reg) noexcept {
  return !op.vector && op.rn == reg && op.rn != 31;
}

constexpr Decoded with_unscaled_offset(Opcode op, Form form) noexcept {
  Decoded result = one_register(op);
  if (!result) return {};
  result->form = form;
  result->offset = op.simm(20, 12);
  if (result->writes_back() && (result->operation == Operation::prefetch || writes_back_to(*result, result->rt))) {
    return {};
  }
  if (form == Form::unprivileged && (result->vector || result->operation == Operation::prefetch)) return {};
  return result;
}

constexpr Decoded unscaled(Opcode op) noexcept {
  return with_unscaled_offset(op, Form::unscaled);
}
constexpr Decoded post_index(Opcode op) noexcept {
  return with_unscaled_offset(op, Form::post_index);
}
constexpr Decoded unprivileged(Opcode op) noexcept {
  return with_unscaled_offset(op, Form::unprivileged);
}
constexpr Decoded pre_index(Opcode op) noexcept {
  return with_unscaled_offset(op, Form::pre_index);
}

constexpr Decoded unsigned_offset(Opcode op) noexcept {
  Decoded result = one_register(op);
  if (!result) return {};
  result->form = Form::unsigned_offset;
  result->offset = static_cast<std::int32_t>(op.bits(21, 10) << result->size);
  return result;
}

constexpr Decoded register_offset(Opcode op) noexcept {
  Decoded result = one_register(op);
  if (!result || !op.bit(14)) return {};  // option<1> == 0: sub-word extensions
  result->form = Form::register_offset;
  result->rm = op.rs();
  result->extend = static_cast<Extend>(op.bits(15, 13));
  result->shift = op.bit(12) ? result->size : std::uint8_t{0};
  return result;
}

constexpr Decoded literal(Opcode op) noexcept {
  LoadStore result{.operation = Operation::load, .form = Form::literal, .vector = op.vector(), .rt = op.rt()};
  result.offset = op.simm(23, 5) * 4;
  if (op.vector()) {
    if (op.size() == 3) return {};
    result.size = static_cast<std::uint8_t>(2 + op.size());
    return result;
  }
  result.size = op.size() == 1 ? 3 : 2;
  result.wide = op.size() != 0;
  result.sign_extend = op.size() == 2;
  if (op.size() == 3) {
    result.operation = Operation::prefetch;
    result.sign_extend = false;
  }
  return result;
}

// LDAPUR, STLUR and their signed loads: [armarm] "LDAPR/STLR (unscaled immediate)"
constexpr Decoded ordered_unscaled(Opcode op) noexcept {
  Decoded result = one_register(op);
  if (!result || result->operation == Operation::prefetch) return {};
  result->form = Form::unscaled;
  result->offset = op.simm(20, 12);
  result->ordering = result->operation == Operation::load ? Ordering{.acquire_pc = true} : Ordering{.release = true};
  return result;
}

// LDRAA, LDRAB.
constexpr Decoded authenticated(Opcode op) noexcept {
  LoadStore result{.operation = Operation::load,
                   .form = op.bit(11) ? Form::pre_index : Form::unsigned_offset,
                   .wide = true,
                   .key = op.bit(23) ? DataKey::b : DataKey::a,
                   .size = 3,
                   .rt = op.rt(),
                   .rn = op.rn()};
  const auto offset = static_cast<std::int32_t>(bits::sign_extend(op.bits(22, 22) << 9 | op.bits(20, 12), 10));
  result.offset = offset * 8;
  if (result.writes_back() && writes_back_to(result, result.rt)) return {};
  return result;
}

// --- allocation tags ------------------------------------------------------------------------------------------------

constexpr std::uint8_t kGranule = 4;  // log2 of 16 bytes

// LDG, STG, STZG, ST2G, STZ2G. Those of a whole block have opcode bits 11:10 0, as LDG has.
constexpr Decoded tag(Opcode op) noexcept {
  constexpr Form kForms[] = {Form::unsigned_offset, Form::post_index, Form::unsigned_offset, Form::pre_index};
  const unsigned opc = op.bits(23, 22);
  const unsigned mode = op.bits(11, 10);
  LoadStore result{.operation = (opc & 1) != 0 ? Operation::zero_granules : Operation::store_tag,
                   .form = kForms[mode],
                   .wide = true,
                   .tags = true,
                   .size = kGranule,
                   .registers = static_cast<std::uint8_t>((opc & 2) != 0 ? 2 : 1),
                   .rt = op.rt(),
                   .rn = op.rn()};
  result.offset = op.simm(20, 12) * 16;
  if (mode == 0) {
    if (opc != 1) return {};
    result.operation = Operation::load_tag;
    result.tags = false;
  }
  return result;
}

// STGP: a pair of X registers, and the tag of their granule.
constexpr Decoded store_tag_and_pair(Opcode op, LoadStore pair) noexcept {
  pair.wide = true;
  pair.tags = true;
  pair.size = 3;
  pair.offset = op.simm(21, 15) * 16;
  if (pair.writes_back() && (writes_back_to(pair, pair.rt) || writes_back_to(pair, pair.rt2))) return {};
  return pair;
}

// --- pairs ----------------------------------------------------------------------------------------------------------

constexpr Decoded pair(Opcode op) noexcept {
  constexpr Form kForms[] = {Form::pair_no_allocate, Form::post_index, Form::pair_offset, Form::pre_index};
  LoadStore result{.operation = move(op.load()),
                   .form = kForms[op.bits(24, 23)],
                   .vector = op.vector(),
                   .registers = 2,
                   .rt = op.rt(),
                   .rt2 = op.rt2(),
                   .rn = op.rn()};
  if (op.size() == 3) return {};
  if (op.vector()) {
    result.size = static_cast<std::uint8_t>(2 + op.size());
  } else {
    result.size = op.size() == 2 ? 3 : 2;
    result.wide = op.size() != 0;
    if (op.size() == 1) {  // LDPSW, which has no non-temporal form; its store is STGP
      if (result.form == Form::pair_no_allocate) return {};
      if (!op.load()) return store_tag_and_pair(op, result);
      result.sign_extend = true;
    }
  }
  if (op.load() && result.rt == result.rt2) return {};
  if (result.writes_back() && (writes_back_to(result, result.rt) || writes_back_to(result, result.rt2))) return {};
  result.offset = op.simm(21, 15) * (1 << result.size);
  return result;
}

// --- exclusives, ordered accesses, atomics --------------------------------------------------------------------------

constexpr std::uint8_t kShouldBeOne = 31;

constexpr LoadStore at_base(Opcode op, Operation operation) noexcept {
  return {.operation = operation,
          .form = Form::base,
          .wide = op.size() == 3,
          .size = op.size(),
          .rt = op.rt(),
          .rn = op.rn(),
          .rs = op.rs()};
}

// LDXR, STXR, LDAXR, STLXR.
constexpr Decoded exclusive(Opcode op) noexcept {
  LoadStore result = at_base(op, op.load() ? Operation::load_exclusive : Operation::store_exclusive);
  result.ordering = {.acquire = op.load() && op.bit(15), .release = !op.load() && op.bit(15)};
  if (op.rt2() != kShouldBeOne) return {};
  if (op.load()) {
    if (op.rs() != kShouldBeOne) return {};
    result.rs = 0;
    return result;
  }
  // The status must be another register than the data, and than the base.
  if (result.rs == result.rt || (result.rs == result.rn && result.rn != 31)) return {};
  return result;
}

// LDXP, STXP, LDAXP, STLXP.
constexpr Decoded exclusive_pair(Opcode op) noexcept {
  LoadStore result = at_base(op, op.load() ? Operation::load_exclusive : Operation::store_exclusive);
  result.ordering = {.acquire = op.load() && op.bit(15), .release = !op.load() && op.bit(15)};
  result.registers = 2;
  result.rt2 = op.rt2();
  if (op.load()) {
    if (op.rs() != kShouldBeOne || result.rt == result.rt2) return {};
    result.rs = 0;
    return result;
  }
  if (result.rs == result.rt || result.rs == result.rt2 || (result.rs == result.rn && result.rn != 31)) return {};
  return result;
}

// LDAR, STLR, LDLAR, STLLR.
constexpr Decoded ordered(Opcode op) noexcept {
  if (op.rs() != kShouldBeOne || op.rt2() != kShouldBeOne) return {};
  LoadStore result = at_base(op, move(op.load()));
  result.rs = 0;
  result.ordering = {.acquire = op.load(), .release = !op.load(), .limited = !op.bit(15)};
  return result;
}

constexpr Decoded compare_and_swap(Opcode op) noexcept {
  if (op.rt2() != kShouldBeOne) return {};
  LoadStore result = at_base(op, Operation::compare_and_swap);
  result.ordering = {.acquire = op.load(), .release = op.bit(15)};
  return result;
}

// CASP: pairs of registers that begin with an even one.
constexpr Decoded compare_and_swap_pair(Opcode op) noexcept {
  if (op.rt2() != kShouldBeOne || (op.rs() & 1) != 0 || (op.rt() & 1) != 0) return {};
  LoadStore result = at_base(op, Operation::compare_and_swap);
  result.ordering = {.acquire = op.load(), .release = op.bit(15)};
  result.size = op.bit(30) ? 3 : 2;
  result.wide = op.bit(30);
  result.registers = 2;
  result.rt2 = static_cast<std::uint8_t>(op.rt() + 1);
  return result;
}

constexpr Decoded atomic(Opcode op) noexcept {
  LoadStore result = at_base(op, Operation::add);
  result.ordering = {.acquire = op.bit(23), .release = op.bit(22)};
  if (!op.bit(15)) {
    result.operation = static_cast<Operation>(static_cast<unsigned>(Operation::add) + op.bits(14, 12));
    return result;
  }
  switch (op.bits(14, 12)) {
    case 0: result.operation = Operation::swap; return result;
    case 4:  // LDAPR
      if (!op.bit(23) || op.bit(22) || op.rs() != kShouldBeOne) return {};
      result.operation = Operation::load;
      result.ordering = {.acquire_pc = true};
      result.rs = 0;
      return result;
    default: return {};
  }
}

// --- structures -----------------------------------------------------------------------------------------------------

// Post-index by the bytes transferred, or by a register.
constexpr void add_post_index(Opcode op, LoadStore& result) noexcept {
  result.form = op.rs() == 31 ? Form::post_index : Form::post_register;
  result.rm = op.rs() == 31 ? std::uint8_t{0} : op.rs();
  result.offset = op.rs() == 31 ? static_cast<std::int32_t>(result.bytes()) : 0;
}

constexpr Decoded multiple_structures(Opcode op) noexcept {
  // registers and registers of one structure, by `opcode`
  struct Row {
    std::uint8_t registers, selem;
  };
  constexpr Row kRows[16] = {{4, 4}, {}, {4, 1}, {}, {3, 3}, {}, {3, 1}, {1, 1},
                             {2, 2}, {}, {2, 1}, {}, {},     {}, {},     {}};
  const Row row = kRows[op.bits(15, 12)];
  LoadStore result{.operation = move(op.load()),
                   .form = Form::base,
                   .shape = Shape::multiple,
                   .vector = true,
                   .size = static_cast<std::uint8_t>(op.bits(11, 10)),
                   .registers = row.registers,
                   .rt = op.rt(),
                   .rn = op.rn()};
  result.full = op.bit(30);
  result.selem = row.selem;
  result.elements = static_cast<std::uint8_t>((result.full ? 16 : 8) >> result.size);
  if (row.registers == 0 || (result.elements == 1 && row.selem != 1)) return {};
  if (op.bit(23)) add_post_index(op, result);
  return result;
}

constexpr Decoded single_structure(Opcode op) noexcept {
  LoadStore result{.operation = move(op.load()),
                   .form = Form::base,
                   .shape = Shape::lane,
                   .vector = true,
                   .size = static_cast<std::uint8_t>(op.bits(15, 14)),
                   .registers = static_cast<std::uint8_t>((op.bit(13) ? 2 : 0) + (op.bit(21) ? 1 : 0) + 1),
                   .rt = op.rt(),
                   .rn = op.rn()};
  const unsigned size = op.bits(11, 10);
  const unsigned q_s_size = op.bits(30, 30) << 3 | op.bits(12, 10);
  switch (result.size) {
    case 0: result.lane = static_cast<std::uint8_t>(q_s_size); break;
    case 1:
      if ((size & 1) != 0) return {};
      result.lane = static_cast<std::uint8_t>(q_s_size >> 1);
      break;
    case 2:
      if ((size & 2) != 0) return {};
      if ((size & 1) == 0) {
        result.lane = static_cast<std::uint8_t>(q_s_size >> 2);
      } else {
        if (op.bit(12)) return {};
        result.size = 3;
        result.lane = static_cast<std::uint8_t>(q_s_size >> 3);
      }
      break;
    default:  // one element to all lanes
      if (!op.load() || op.bit(12)) return {};
      result.shape = Shape::replicate;
      result.size = static_cast<std::uint8_t>(size);
      result.full = op.bit(30);
      break;
  }
  if (op.bit(23)) add_post_index(op, result);
  return result;
}

constexpr Decoded zero_block(Opcode op) noexcept {
  return LoadStore{
      .operation = Operation::zero_block, .form = Form::base, .wide = true, .size = 3, .rt = 31, .rn = op.rt()};
}

// The classes, by their fixed bits. No two rows match the same instruction, so their order is free: write-back and
// pairs first, which are what CPUs leave undescribed most. [armarm] "Loads and Stores", its table; "ISS encoding for an
// exception from a Data Abort", ISV
struct Class {
  std::uint32_t mask;
  std::uint32_t value;
  Decoded (*decode)(Opcode) noexcept;
};
constexpr Class kClasses[] = {
    {0x3B20'0C00, 0x3800'0400, post_index},
    {0x3B20'0C00, 0x3800'0C00, pre_index},
    {0x3A00'0000, 0x2800'0000, pair},
    {0x3B00'0000, 0x3900'0000, unsigned_offset},
    {0xBFBF'0000, 0x0C00'0000, multiple_structures},
    {0xBFA0'0000, 0x0C80'0000, multiple_structures},  // post-indexed
    {0xBF9F'0000, 0x0D00'0000, single_structure},
    {0xBF80'0000, 0x0D80'0000, single_structure},  // post-indexed
    {0x3FA0'0000, 0x0800'0000, exclusive},
    {0xBFA0'0000, 0x8820'0000, exclusive_pair},
    {0xBFA0'0000, 0x0820'0000, compare_and_swap_pair},
    {0x3FA0'0000, 0x0880'0000, ordered},
    {0x3FA0'0000, 0x08A0'0000, compare_and_swap},
    {0x3F20'0C00, 0x1900'0000, ordered_unscaled},
    {0x3B00'0000, 0x1800'0000, literal},
    {0x3B20'0C00, 0x3800'0000, unscaled},
    {0x3B20'0C00, 0x3800'0800, unprivileged},
    {0x3F20'0C00, 0x3820'0000, atomic},
    {0xFF20'0400, 0xF820'0400, authenticated},
    {0xFF20'0000, 0xD920'0000, tag},
    {0x3B20'0C00, 0x3820'0800, register_offset},
    {0xFFFF'FFE0, 0xD50B'7420, zero_block},
};

constexpr bool disjoint() noexcept {
  for (const Class& a : kClasses) {
    for (const Class& b : kClasses) {
      if (&a != &b && ((a.value ^ b.value) & a.mask & b.mask) == 0) return false;
    }
  }
  return true;
}
static_assert(disjoint());

}  // namespace

Decoded decode_load_store(std::uint32_t opcode) noexcept {
  for (const Class& row : kClasses) {
    if ((opcode & row.mask) == row.value) return row.decode(Opcode{opcode});
  }
  return {};
}

bool may_access_memory(std::uint32_t opcode) noexcept {
  const unsigned op0 = opcode >> 25 & 0xF;                                  // bits 28:25
  if ((op0 & 0b0101) == 0b0100 || op0 == 0b0010) return true;               // loads and stores; SVE
  if (op0 == 0b0000 && (opcode >> 31) != 0) return true;                    // SME
  return (opcode & 0xFFC0'0000) == 0xD500'0000 && (opcode >> 19 & 3) == 1;  // SYS and SYSL: DC, IC, AT
}

}  // namespace arm_vcpu::a64
