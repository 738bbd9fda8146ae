// SPDX-License-Identifier: Apache-2.0
// Stage-2 descriptors. [armarm] "VMSAv8-64 translation table format descriptors", "Stage 2 attribute fields".
#pragma once

#include <cstdint>

#include "arm_vcpu/arch/bits.hpp"
#include "arm_vcpu/vm/stage2_layout.hpp"

namespace arm_vcpu::stage2 {

// MemAttr[3:0] of a leaf with HCR_EL2.FWB == 0; any of the 16 values may turn up in a dump. Stage 1 of the guest can
// make a type stricter, never laxer: Device-nGnRnE in stage 1 stays that under device_nGnRE here.
enum class MemoryType : std::uint8_t {
  device_nGnRnE = 0b0000,
  device_nGnRE = 0b0001,
  normal_nc = 0b0101,  // Normal, Inner and Outer Non-cacheable
  normal_wb = 0b1111,  // Normal, Inner and Outer Write-Back
};

// Hardware takes Device and Normal Non-cacheable memory as Outer Shareable, whatever the descriptor says.
enum class Shareability : std::uint8_t { non = 0b00, outer = 0b10, inner = 0b11 };

[[nodiscard]] constexpr bool is_device(MemoryType type) noexcept {
  return (static_cast<unsigned>(type) & 0b1100) == 0;
}

// What the guest may do with a range. With neither read, write nor execute, accesses fault on permission.
struct Attributes {
  MemoryType type = MemoryType::normal_wb;
  bool read = true;
  bool write = true;
  bool execute = true;  // never in effect for Device memory
  Shareability shareability = Shareability::inner;

  friend constexpr bool operator==(const Attributes&, const Attributes&) noexcept = default;
};

inline constexpr Attributes kGuestRam{};
inline constexpr Attributes kGuestRom{.write = false};
inline constexpr Attributes kGuestDevice{
    .type = MemoryType::device_nGnRE, .execute = false, .shareability = Shareability::outer};

struct Descriptor : bits::Image<Descriptor> {
  using XN = Flag<54>;   // no execution at EL1 and EL0
  using XN0 = Flag<53>;  // XN[0]: splits EL1 from EL0 with FEAT_XNX; RES0 without, and never set here
  using Contiguous = Flag<52>;
  using OA = Field<47, 12>;  // of a table: its address
  using AF = Flag<10>;
  using SH = Field<9, 8, Shareability>;
  using S2AP = Field<7, 6, std::uint8_t>;  // bit 0: read, bit 1: write
  using MemAttr = Field<5, 2, MemoryType>;
  using Table = Flag<1>;  // levels 0 to 2: a table follows; level 3: 1 in every valid descriptor
  using Valid = Flag<0>;

  [[nodiscard]] constexpr bool valid() const noexcept { return get<Valid>(); }
  [[nodiscard]] constexpr bool is_table(unsigned level) const noexcept {
    return valid() && get<Table>() && level < kLastLevel;
  }
  // A valid block or page. Encodings that are reserved at their level translate nothing: hardware takes them as
  // invalid.
  [[nodiscard]] constexpr bool is_leaf(unsigned level) const noexcept {
    return valid() && (level == kLastLevel ? get<Table>() : level >= kFirstBlockLevel && !get<Table>());
  }
  [[nodiscard]] constexpr std::uint64_t table_address() const noexcept { return raw & OA::kMask; }
  // The address that the leaf's first byte maps to. Bits below the block size are no address bits.
  [[nodiscard]] constexpr std::uint64_t leaf_address(unsigned level) const noexcept {
    return bits::align_down(raw & OA::kMask, level_bytes(level));
  }
};

[[nodiscard]] constexpr Descriptor table_descriptor(std::uint64_t table) noexcept {
  return Descriptor::from(table & Descriptor::OA::kMask).with<Descriptor::Table>(true).with<Descriptor::Valid>(true);
}

// Device memory is always execute-never: hardware may fetch speculatively from anything that is not, and a read of a
// device can change it. [armarm] "Device memory"
[[nodiscard]] constexpr Descriptor leaf_descriptor(unsigned level, std::uint64_t pa,
                                                   const Attributes& wanted) noexcept {
  return Descriptor::from(pa & Descriptor::OA::kMask)
      .with<Descriptor::XN>(!wanted.execute || is_device(wanted.type))
      .with<Descriptor::AF>(true)
      .with<Descriptor::SH>(wanted.shareability)
      .with<Descriptor::S2AP>(static_cast<std::uint8_t>((wanted.write ? 2U : 0U) | (wanted.read ? 1U : 0U)))
      .with<Descriptor::MemAttr>(wanted.type)
      .with<Descriptor::Table>(level == kLastLevel)
      .with<Descriptor::Valid>(true);
}

[[nodiscard]] constexpr Attributes attributes_of(Descriptor leaf) noexcept {
  const auto s2ap = leaf.get<Descriptor::S2AP>();
  return {.type = leaf.get<Descriptor::MemAttr>(),
          .read = (s2ap & 1) != 0,
          .write = (s2ap & 2) != 0,
          .execute = !leaf.get<Descriptor::XN>(),
          .shareability = leaf.get<Descriptor::SH>()};
}

// Whether one valid leaf may replace another without passing through invalid: only permissions may differ. The output
// address, the type, cacheability, shareability and the size may not, else two CPUs could use the same memory with
// different attributes, or one TLB could hold both. [armarm] "Using break-before-make when updating translation table
// entries"
[[nodiscard]] constexpr bool may_replace_directly(Descriptor before, Descriptor after) noexcept {
  constexpr std::uint64_t kPermissions = Descriptor::S2AP::kMask | Descriptor::XN::kMask;
  return ((before.raw ^ after.raw) & ~kPermissions) == 0;
}

}  // namespace arm_vcpu::stage2
