// SPDX-License-Identifier: Apache-2.0
// The shape of a stage-2 table tree, and the two registers that tell the hardware of it: VTCR_EL2 and VTTBR_EL2.
#pragma once

#include <cstdint>

#include "arm_vcpu/arch/bits.hpp"
#include "arm_vcpu/arch/registers.hpp"
#include "arm_vcpu/result.hpp"

namespace arm_vcpu {

// VTCR_EL2, Virtualization Translation Control Register
struct Vtcr : bits::Image<Vtcr> {
  using T0SZ = Field<5, 0>;                 // 64 - IPA bits
  using SL0 = Field<7, 6, std::uint8_t>;    // 4 KiB granule: 0b10 starts at level 0, 0b01 at 1, 0b00 at 2
  using IRGN0 = Field<9, 8, std::uint8_t>;  // 0b01: Normal, Inner Write-Back Read-Allocate Write-Allocate
  using ORGN0 = Field<11, 10, std::uint8_t>;
  using SH0 = Field<13, 12, std::uint8_t>;  // 0b11: Inner Shareable
  using TG0 = Field<15, 14, std::uint8_t>;  // 0b00: 4 KiB, 0b01: 64 KiB, 0b10: 16 KiB
  using PS = Field<18, 16, std::uint8_t>;   // output size, coded as ID_AA64MMFR0_EL1.PARange
  using VS = Flag<19>;                      // 1: 16-bit VMIDs
  using HA = Flag<21>;                      // hardware sets the Access flag
  using HD = Flag<22>;                      // hardware manages dirty state
  using HWU = Field<28, 25, std::uint8_t>;  // HWU59 to HWU62
  using NSW = Flag<29>;                     // only for the Secure EL1&0 regime
  using NSA = Flag<30>;                     // only for the Secure EL1&0 regime
  using RES1 = Flag<31>;
  using DS = Flag<32>;   // 52-bit addresses with the 4 KiB and 16 KiB granules
  using SL2 = Flag<33>;  // with DS: level -1
};

// VTTBR_EL2, Virtualization Translation Table Base Register
struct Vttbr : bits::Image<Vttbr> {
  using VMID = Field<63, 48, std::uint16_t>;
  using BADDR = Field<47, 1>;  // address bits 47:1 of the root table
  using CnP = Flag<0>;

  [[nodiscard]] constexpr std::uint64_t root() const noexcept { return raw & BADDR::kMask; }
};

namespace stage2 {

inline constexpr unsigned kPageShift = 12;
inline constexpr unsigned kBitsPerLevel = 9;
inline constexpr std::uint64_t kPageBytes = std::uint64_t{1} << kPageShift;
inline constexpr unsigned kTableEntries = 1U << kBitsPerLevel;
inline constexpr unsigned kLastLevel = 3;
inline constexpr unsigned kFirstBlockLevel = 1;  // level 0 has no blocks without DS
inline constexpr unsigned kMaxRootTables = 16;
inline constexpr unsigned kMinIpaBits = 32;
inline constexpr unsigned kMaxAddressBits = 48;  // 4 KiB granule without DS; more bits of the CPU stay unused
inline constexpr unsigned kMinPaBitsForLevel0 = 44;

// What one descriptor of `level` translates: 512 GiB, 1 GiB, 2 MiB, 4 KiB for levels 0 to 3.
[[nodiscard]] constexpr unsigned level_shift(unsigned level) noexcept {
  return kPageShift + kBitsPerLevel * (kLastLevel - level);
}
[[nodiscard]] constexpr std::uint64_t level_bytes(unsigned level) noexcept {
  return std::uint64_t{1} << level_shift(level);
}

struct LayoutRequest {
  unsigned ipa_bits = kMinIpaBits;
  unsigned pa_bits = 40;   // of the CPU; the smallest of all CPUs that run the VM
  unsigned vmid_bits = 8;  // 8 or 16
  unsigned levels = 0;     // 3 or 4; 0: the fewest
};

// A legal combination of input size, start level and concatenated root tables for the 4 KiB granule.
struct Layout {
  std::uint8_t ipa_bits{};
  std::uint8_t pa_bits{};      // of output addresses, 48 at most
  std::uint8_t start_level{};  // 0 to 2
  std::uint8_t root_tables{};  // 1 to 16, contiguous in memory
  bool vmid16{};

  [[nodiscard]] constexpr unsigned levels() const noexcept { return kLastLevel + 1U - start_level; }
  [[nodiscard]] constexpr std::uint64_t root_bytes() const noexcept { return root_tables * kPageBytes; }
  // A concatenated root is aligned to its whole size. A root with fewer entries than a page could hold may be aligned
  // to less; it gets a page of its own anyway.
  [[nodiscard]] constexpr std::uint64_t root_alignment() const noexcept { return root_bytes(); }
  [[nodiscard]] constexpr std::uint64_t ipa_limit() const noexcept { return std::uint64_t{1} << ipa_bits; }
  [[nodiscard]] constexpr std::uint64_t pa_limit() const noexcept { return std::uint64_t{1} << pa_bits; }

  // The value to program, the same on every CPU that runs the VM. Table walks are Inner Shareable Write-Back, as the
  // hypervisor's own mapping of the tables has to be: otherwise a descriptor could stay in its cache, out of the
  // walker's sight. Hardware management of the Access flag stays off: every descriptor is written with AF set.
  [[nodiscard]] constexpr Vtcr vtcr() const noexcept {
    std::uint8_t ps = 0;
    while (pa_bits_of(ps) < pa_bits) ++ps;
    return Vtcr{}
        .with<Vtcr::RES1>(true)
        .with<Vtcr::T0SZ>(64U - ipa_bits)
        .with<Vtcr::SL0>(static_cast<std::uint8_t>(2U - start_level))
        .with<Vtcr::IRGN0>(0b01)
        .with<Vtcr::ORGN0>(0b01)
        .with<Vtcr::SH0>(0b11)
        .with<Vtcr::TG0>(0b00)
        .with<Vtcr::PS>(ps)
        .with<Vtcr::VS>(vmid16);
  }

  // Precondition: `root` is aligned to root_alignment(). With 8-bit VMIDs the upper half of VMID is RES0.
  [[nodiscard]] constexpr Vttbr vttbr(std::uint64_t root, std::uint16_t vmid) const noexcept {
    return Vttbr::from(root & Vttbr::BADDR::kMask)
        .with<Vttbr::VMID>(static_cast<std::uint16_t>(vmid16 ? vmid : vmid & 0xFF));
  }

  friend constexpr bool operator==(const Layout&, const Layout&) noexcept = default;
};

// Root tables that `ipa_bits` of input need when the walk starts at `level`: a power of two, or 0 where the combination
// is illegal. The first table resolves at least one bit, and concatenation adds at most four to its nine.
// [armarm] "Concatenated translation tables for the initial stage 2 lookup"
[[nodiscard]] constexpr unsigned root_tables_for(unsigned ipa_bits, unsigned level) noexcept {
  const unsigned least = level_shift(level) + 1;
  const unsigned one_table = level_shift(level) + kBitsPerLevel;
  if (ipa_bits < least || ipa_bits > one_table + 4) return 0;
  return ipa_bits <= one_table ? 1U : 1U << (ipa_bits - one_table);
}

// Chooses the fewest levels that the request and the architecture allow: 3 with concatenation up to 43 bits, else 4.
// A start at level 0 is legal only where the CPU has 44 bits of physical address or more, and the input size never
// exceeds that of the CPU: hardware otherwise takes a level-0 translation fault on every access of the guest.
// [armarm] "VTCR_EL2, Virtualization Translation Control Register", SL0 and T0SZ.
// Errors: unsupported_ipa_size (bits asked, most this CPU allows), unsupported_table_levels.
[[nodiscard]] constexpr Result<Layout> make_layout(const LayoutRequest& wanted) noexcept {
  // A reserved PARange reads as 0 bits. Later values mean more, so such a CPU has at least what this table can use.
  const unsigned pa_bits = wanted.pa_bits == 0 || wanted.pa_bits > kMaxAddressBits ? kMaxAddressBits : wanted.pa_bits;
  if (wanted.ipa_bits < kMinIpaBits || wanted.ipa_bits > pa_bits) {
    return fail(Errc::unsupported_ipa_size, wanted.ipa_bits, pa_bits);
  }
  const unsigned tables3 = root_tables_for(wanted.ipa_bits, 1);
  const unsigned tables4 = pa_bits >= kMinPaBitsForLevel0 ? root_tables_for(wanted.ipa_bits, 0) : 0;
  const unsigned levels = wanted.levels != 0 ? wanted.levels : (tables3 != 0 ? 3U : 4U);
  const unsigned tables = levels == 3 ? tables3 : levels == 4 ? tables4 : 0;
  if (tables == 0) return fail(Errc::unsupported_table_levels, levels, tables3 != 0 ? 3 : 4);
  return Layout{.ipa_bits = static_cast<std::uint8_t>(wanted.ipa_bits),
                .pa_bits = static_cast<std::uint8_t>(pa_bits),
                .start_level = static_cast<std::uint8_t>(kLastLevel + 1 - levels),
                .root_tables = static_cast<std::uint8_t>(tables),
                .vmid16 = wanted.vmid_bits == 16};
}

// Whether stage 2 can use the 4 KiB granule. TGran4_2 is 0 where stage 2 does as stage 1, else 1 for no and 2 or more
// for yes; TGran4 is signed, negative for no.
[[nodiscard]] constexpr bool granule_4k_supported(IdAa64Mmfr0 mmfr0) noexcept {
  const auto stage2 = mmfr0.get<IdAa64Mmfr0::TGran4_2>();
  return stage2 == 0 ? mmfr0.get<IdAa64Mmfr0::TGran4>() < 8 : stage2 >= 2;
}

// make_layout() for a CPU with these feature registers. Errors: unsupported_granule, and those of make_layout().
[[nodiscard]] constexpr Result<Layout> layout_for(unsigned ipa_bits, IdAa64Mmfr0 mmfr0, IdAa64Mmfr1 mmfr1,
                                                  unsigned levels = 0) noexcept {
  if (!granule_4k_supported(mmfr0)) return fail(Errc::unsupported_granule, 4, mmfr0.raw);
  return make_layout({.ipa_bits = ipa_bits,
                      .pa_bits = pa_bits_of(mmfr0.get<IdAa64Mmfr0::PARange>()),
                      .vmid_bits = mmfr1.get<IdAa64Mmfr1::VMIDBits>() == 2 ? 16U : 8U,
                      .levels = levels});
}

// The layout that a value of VTCR_EL2 describes, for tools that look at a dump. It may start at level 2.
// Errors: unsupported_granule (KiB), unsupported_ipa_size, unsupported_table_levels.
[[nodiscard]] constexpr Result<Layout> layout_of(Vtcr vtcr) noexcept {
  const auto tg0 = vtcr.get<Vtcr::TG0>();
  if (tg0 != 0) return fail(Errc::unsupported_granule, tg0 == 1 ? 64 : 16, vtcr.raw);
  const auto t0sz = static_cast<unsigned>(vtcr.get<Vtcr::T0SZ>());
  const unsigned ipa_bits = 64 - t0sz;
  unsigned pa_bits = pa_bits_of(vtcr.get<Vtcr::PS>());
  if (pa_bits > kMaxAddressBits) pa_bits = kMaxAddressBits;  // hardware takes 0b110 for 0b101 with this granule
  if (vtcr.get<Vtcr::DS>() || ipa_bits > kMaxAddressBits) return fail(Errc::unsupported_ipa_size, ipa_bits, pa_bits);
  const auto sl0 = vtcr.get<Vtcr::SL0>();
  const unsigned start_level = sl0 <= 2 ? 2U - sl0 : kLastLevel;
  const unsigned tables = start_level < kLastLevel ? root_tables_for(ipa_bits, start_level) : 0;
  if (tables == 0 || (start_level == 0 && tables > 1)) {
    return fail(Errc::unsupported_table_levels, kLastLevel + 1 - start_level);
  }
  return Layout{.ipa_bits = static_cast<std::uint8_t>(ipa_bits),
                .pa_bits = static_cast<std::uint8_t>(pa_bits),
                .start_level = static_cast<std::uint8_t>(start_level),
                .root_tables = static_cast<std::uint8_t>(tables),
                .vmid16 = vtcr.get<Vtcr::VS>()};
}

}  // namespace stage2
}  // namespace arm_vcpu
