// SPDX-License-Identifier: Apache-2.0
// Any instruction word, decoded and carried out with any registers on a memory that answers anything.
#include "arm_vcpu/arch/load_store.hpp"

#include "arm_vcpu/emulation.hpp"
#include "fuzz.hpp"

namespace arm_vcpu {
namespace {

FUZZ_TARGET(load_store, "the decoder of loads and stores, and their emulation") {
  const auto opcode = input.take<std::uint32_t>();
  const auto instruction = a64::decode_load_store(opcode);
  if (!instruction) return;
  FUZZ_CHECK(a64::may_access_memory(opcode));
  FUZZ_CHECK(instruction->rt < 32 && instruction->rt2 < 32 && instruction->rn < 32 && instruction->rs < 32);
  FUZZ_CHECK(instruction->rm < 32 && instruction->registers >= 1 && instruction->registers <= 4);
  FUZZ_CHECK(instruction->bytes() <= 64);
  GeneralRegisters gpr;
  for (auto& x : gpr.x) x = input.number();
  const GeneralRegisters before = gpr;
  std::uint64_t sp = input.number();
  const std::uint64_t block = std::uint64_t{4} << input.below(10);
  Emulation it{*instruction,
               {.gpr = gpr, .sp = sp, .pc = input.number(), .big_endian = input.flag(), .block_bytes = block}};
  FUZZ_CHECK(it.bytes() <= 2048 && it.vector_count() <= 4);
  for (unsigned i = 0; i < it.vector_count(); ++i) {
    FUZZ_CHECK(it.vector_number(i) < 32);
    it.vectors()[i] = {input.number(), input.number()};
  }
  it.take_vectors();
  static_cast<void>(it.is_misaligned());
  static_cast<void>(it.suits_device_memory());
  if (const auto offset = it.offset_of(input.number(), input.flag())) FUZZ_CHECK(*offset < it.bytes());
  unsigned pieces = 0;
  while (const auto piece = it.next()) {
    const unsigned bytes = bytes_of(piece->width);
    FUZZ_CHECK(++pieces <= 2 * 2048);
    FUZZ_CHECK(piece->offset + bytes <= it.bytes() && (it.address() + piece->offset) % bytes == 0);
    FUZZ_CHECK(!piece->is_write || (it.may_write() && piece->data == truncate(piece->data, piece->width)));
    it.complete(piece->is_write ? 0 : truncate(input.number(), piece->width));
  }
  FUZZ_CHECK(std::memcmp(&gpr, &before, sizeof gpr) == 0);  // registers change all at once, at the end
  it.commit(gpr, sp);
  unsigned changed = 0;
  for (unsigned n = 0; n < 31; ++n) changed += gpr[n] != before[n];
  FUZZ_CHECK(changed <= 3);  // two registers of a pair or of CASP, and the base
}

}  // namespace
}  // namespace arm_vcpu
