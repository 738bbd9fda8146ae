// SPDX-License-Identifier: Apache-2.0
// The hypervisor's own translation tables: identity map, 4 KiB granule, 48 bits, four levels. Only memory is touched
// here; what the MMU must be told is in mmu.cpp.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "arm_vcpu/arch/bits.hpp"
#include "arm_vcpu/result.hpp"
#include "ranges.hpp"

namespace arm_vcpu::hv {

inline constexpr std::uint64_t kPageBytes = 0x1000;
inline constexpr unsigned kStage1VaBits = 48;

// [armarm] "VMSAv8-64 descriptor formats": block, page and table descriptors of stage 1.
struct Stage1Descriptor : bits::Image<Stage1Descriptor> {
  using valid = Flag<0>;
  using table_or_page = Flag<1>;  // levels 0 to 2: 1 table, 0 block; level 3: always 1
  using AttrIndx = Field<4, 2, std::uint8_t>;
  using AP1 = Flag<6>;  // RES1 where the regime has one privilege level; else 1: EL0 has access
  using AP2 = Flag<7>;  // read-only
  using SH = Field<9, 8, std::uint8_t>;
  using AF = Flag<10>;
  using output = Field<47, 12>;
  using GP = Flag<50>;  // indirect branches must land on BTI
  using XN = Flag<54>;
  using guard = Flag<55>;  // ignored by hardware; ours, in invalid descriptors: stays unmapped
};

// MAIR_EL2 in the order of Stage1Memory. [armarm] "MAIR_EL2, Memory Attribute Indirection Register (EL2)"
enum class Stage1Memory : std::uint8_t { normal_wb, device_nGnRE, normal_tagged };
inline constexpr std::uint64_t kStage1Mair = 0xFF | 0x04 << 8;
inline constexpr std::uint64_t kStage1MairTagged = kStage1Mair | 0xF0 << 16;  // with FEAT_MTE2

enum class Stage1Access : std::uint8_t { read_only, read_write, read_execute };

struct Stage1Attributes {
  Stage1Memory memory{};
  Stage1Access access{};
};
inline constexpr Stage1Attributes kText{Stage1Memory::normal_wb, Stage1Access::read_execute};
inline constexpr Stage1Attributes kConstants{Stage1Memory::normal_wb, Stage1Access::read_only};
inline constexpr Stage1Attributes kData{Stage1Memory::normal_wb, Stage1Access::read_write};
// As kData, and instructions for allocation tags reach them. An alias without the Tagged attribute is no mismatch.
// [armarm] "Mismatched memory attributes"
inline constexpr Stage1Attributes kTaggedData{Stage1Memory::normal_tagged, Stage1Access::read_write};
inline constexpr Stage1Attributes kDevice{Stage1Memory::device_nGnRE, Stage1Access::read_write};

// What map() does where something is mapped, or guarded, already.
enum class Occupied : std::uint8_t { is_an_error, keeps };

struct Stage1Options {
  bool guarded_pages{};         // FEAT_BTI: text is mapped with GP
  bool two_privilege_levels{};  // EL1&0, or EL2&0 with E2H: AP[1] would give EL0 access
};

class Stage1Map {
 public:
  using Table = std::array<std::uint64_t, 512>;  // 4 KiB, aligned to it

  // `pool` is zeroed and identity mapped; its first table becomes the root.
  constexpr Stage1Map(std::span<Table> pool, Stage1Options options) noexcept : pool_{pool}, options_{options} {}

  // Maps every page of `range` to itself, with the largest blocks that fit. Invalid entries become valid, never
  // anything else, so no TLB maintenance is needed: a DSB and an ISB make the map visible.
  // Errors: unaligned_address, address_out_of_range, already_mapped, out_of_table_memory (with a part mapped).
  [[nodiscard]] Result<> map(Range range, Stage1Attributes attributes, Occupied occupied) noexcept;

  // Keeps one page unmapped for good. Errors: as map().
  [[nodiscard]] Result<> guard(std::uint64_t page) noexcept;

  // The leaf descriptor for an address, or 0.
  [[nodiscard]] std::uint64_t lookup(std::uint64_t address) const noexcept;

  [[nodiscard]] std::uint64_t root() const noexcept { return reinterpret_cast<std::uintptr_t>(pool_.data()); }
  [[nodiscard]] std::size_t tables_used() const noexcept { return used_; }

 private:
  [[nodiscard]] Table* next_table(std::uint64_t& entry) noexcept;
  [[nodiscard]] std::uint64_t attribute_bits(Stage1Attributes attributes) const noexcept;

  std::span<Table> pool_;
  Stage1Options options_;
  std::size_t used_{1};  // the root
};

}  // namespace arm_vcpu::hv
