// SPDX-License-Identifier: Apache-2.0
// The interrupt controller: its CPU interface as no driver uses it, and all that its registers take. [gicv3]
#include "classes.hpp"
#include "guest/cpu.hpp"
#include "guest/gic.hpp"

namespace torture {
namespace {

using namespace guest;

constexpr u64 kSlotNop = 0;
constexpr u32 kNop = 0xD503'201F;

void prepare(Random&) noexcept {
  write_slot(kSlotNop, kNop);
  finish_code(kSlotNop, 2);
  reset_interrupts();
}

void end(u64 intid, bool group1) noexcept {
  if (group1) {
    GUEST_WRITE(S3_0_C12_C12_1, intid);  // ICC_EOIR1_EL1
  } else {
    GUEST_WRITE(S3_0_C12_C8_1, intid);  // ICC_EOIR0_EL1
  }
}
u64 acknowledge(bool group1) noexcept {
  const u64 intid = group1 ? GUEST_READ(S3_0_C12_C12_0) : GUEST_READ(S3_0_C12_C8_0);
  dsb();
  return intid & 0xFF'FFFF;
}

u64 any_intid(Random& random) noexcept {
  return random.one_in(4) ? random.number() & 0xFFFF'FFFF : random.below(288);
}

// EOI storms: of what was never acknowledged, of what does not exist, again and again.
void storm(Random& random) noexcept {
  for (u64 n = random.below(64); n != 0; --n) end(any_intid(random), random.one_in(2));
}

void deactivate_storm(Random& random) noexcept {
  for (u64 n = random.below(8); n != 0; --n) GUEST_WRITE(S3_0_C12_C11_1, any_intid(random));  // ICC_DIR_EL1
}

// More interrupts active and pending than there are list registers.
void exhaust(Random& random) noexcept {
  const u32 what = random.word();
  for (u64 block = 1; block < 9; ++block) {
    write32(kGicd + gic::kIsenabler + 4 * block, what);
    write32(kGicd + gic::kIspendr + 4 * block, ~0U);
    if (random.one_in(4)) write32(kGicd + gic::kIsactiver + 4 * block, random.word());
  }
  for (u64 n = random.below(40); n != 0; --n) (void)acknowledge(!random.one_in(4));  // and never ended
}

void clear(Random& random) noexcept {
  for (u64 block = 1; block < 9; ++block) {
    write32(kGicd + gic::kIcpendr + 4 * block, random.one_in(2) ? ~0U : random.word());
    write32(kGicd + gic::kIcactiver + 4 * block, random.one_in(2) ? ~0U : random.word());
  }
}

// SGIs: every IRM, RS, affinity and list of targets; of the three registers.
void send(Random& random) noexcept {
  u64 value = random.bits();
  if (random.one_in(2)) value &= 0x0F00'FFFF;               // cluster 0
  if (random.one_in(4)) value = (value & 0x0F00'0000) | 1;  // to this CPU
  if (random.one_in(4)) value |= u64{1} << 40;              // IRM
  switch (random.below(3)) {
    case 0: GUEST_WRITE(S3_0_C12_C11_5, value); break;   // ICC_SGI1R_EL1
    case 1: GUEST_WRITE(S3_0_C12_C11_6, value); break;   // ICC_ASGI1R_EL1
    default: GUEST_WRITE(S3_0_C12_C11_7, value); break;  // ICC_SGI0R_EL1
  }
}

// Any register of the Distributor or of a Redistributor, any value, any size that the register may have.
void write_any(Random& random) noexcept {
  const u64 value = random.number();
  const bool distributor = random.one_in(2);
  const u64 frame = kGicr + random.below(cpus()) * kGicrStride;
  const u64 base = distributor ? kGicd : frame + (random.one_in(3) ? 0 : 0x1'0000);
  const u64 offset = random.one_in(4) ? random.below(0x1'0000) : random.below(0xD00);
  switch (random.below(4)) {
    case 0: write8(base + offset, static_cast<u32>(value)); break;
    case 1: write64(base + (offset & ~u64{7}), value); break;
    default: write32(base + (offset & ~u64{3}), static_cast<u32>(value)); break;
  }
}
void read_any(Random& random) noexcept {
  const u64 base = random.one_in(2) ? kGicd : kGicr + random.below(cpus()) * kGicrStride;
  const u64 offset = random.below(0x1'0000);
  if (random.one_in(2)) {
    (void)read64(base + (offset & ~u64{7}));
  } else {
    (void)read32(base + (offset & ~u64{3}));
  }
}

void interface(Random& random) noexcept {
  const u64 value = random.number();
  switch (random.below(9)) {
    case 0: GUEST_WRITE(S3_0_C4_C6_0, value); break;              // ICC_PMR_EL1
    case 1: GUEST_WRITE(S3_0_C12_C12_4, value); break;            // ICC_CTLR_EL1: EOImode, CBPR
    case 2: GUEST_WRITE(S3_0_C12_C12_6, value & 1); break;        // ICC_IGRPEN0_EL1
    case 3: GUEST_WRITE(S3_0_C12_C12_7, value & 1); break;        // ICC_IGRPEN1_EL1
    case 4: GUEST_WRITE(S3_0_C12_C8_3, (value & 7) | 1); break;   // ICC_BPR0_EL1; not 0: see kills_qemu()
    case 5: GUEST_WRITE(S3_0_C12_C12_3, (value & 7) | 1); break;  // ICC_BPR1_EL1
    case 6: GUEST_WRITE(S3_0_C12_C8_4, value); break;             // ICC_AP0R0_EL1
    case 7: GUEST_WRITE(S3_0_C12_C9_0, value); break;             // ICC_AP1R0_EL1
    default:
      (void)GUEST_READ(S3_0_C12_C12_2);  // ICC_HPPIR1_EL1
      (void)GUEST_READ(S3_0_C12_C8_2);   // ICC_HPPIR0_EL1
      (void)GUEST_READ(S3_0_C12_C11_3);  // ICC_RPR_EL1
  }
}

// Whatever is there comes; the instruction may never be reached.
void take(Random& random) noexcept {
  fill_registers(random);
  const Outcome& outcome = attempt(address_of_slot(kSlotNop), random.one_in(4) ? kModeEl0 : kModeEl1h);
  if (outcome.is_serror()) fail("an SError of an interrupt", outcome.esr, 0);
  if (outcome.is_sync() && outcome.ec() != kEcBrk) fail("an interrupt came as another exception", outcome.esr, 0);
  if (outcome.is_irq() || outcome.is_fiq()) {
    const u64 intid = acknowledge(outcome.is_irq());
    if (!random.one_in(8)) end(intid, outcome.is_irq());
  }
}

void route(Random& random) noexcept {
  const u64 intid = 32 + random.below(256);
  write64(kGicd + gic::kIrouter + 8 * intid, random.one_in(2) ? random.below(16) : random.number());
}

void operate(Random& random, u64 number) noexcept {
  // Chaos that is never cleared would become the same state for ever.
  if (number % 512 == 511) reset_interrupts();
  PerCpu& self = this_cpu();
  // A refused access of the program itself is no more than that.
  (void)catching([&] {
    switch (random.below(12)) {
      case 0: storm(random); break;
      case 1: deactivate_storm(random); break;
      case 2: exhaust(random); break;
      case 3: clear(random); break;
      case 4:
      case 5: send(random); break;
      case 6: interface(random); break;
      case 7: route(random); break;
      case 8: read_any(random); break;
      case 9: take(random); break;
      default: write_any(random); break;
    }
  });
  tally().aborted += self.caught.count;
}

}  // namespace

constinit const Class kInterrupts{"interrupts", prepare, operate};

}  // namespace torture
