// SPDX-License-Identifier: Apache-2.0
#include "mmu.hpp"

#include "arm_vcpu/arch/registers.hpp"
#include "arm_vcpu/el2/sysreg.hpp"
#include "layout.hpp"
#include "lock.hpp"
#include "per_cpu.hpp"
#include "stage1.hpp"

constinit arm_vcpu::hv::mmu::Regime hv_regime{};

// Beyond the bss that boot.S clears, so that memory nobody may ever use is not touched.
[[gnu::section(".bss..stacks")]] alignas(HV_STACK_SLOT_BYTES) unsigned char hv_stacks[sizeof hv_stacks];

namespace arm_vcpu::hv::mmu {
namespace {

constexpr std::size_t kTables = 96;

alignas(kPageBytes) constinit Stage1Map::Table g_tables[kTables]{};
constinit Stage1Map g_map{{}, {}};
constinit SpinLock g_lock{"EL2 tables"};

// [armarm] "TCR_EL2, Translation Control Register (EL2)", the layout of E2H=0.
struct TcrEl2 : bits::Image<TcrEl2> {
  using T0SZ = Field<5, 0>;
  using IRGN0 = Field<9, 8>;
  using ORGN0 = Field<11, 10>;
  using SH0 = Field<13, 12>;
  using PS = Field<18, 16>;
  static constexpr std::uint64_t kRes1 = 1ULL << 31 | 1ULL << 23;
};
// [armarm] "TCR_EL1, Translation Control Register (EL1)"; TCR_EL2 has this layout where E2H is 1.
struct TcrEl1 : bits::Image<TcrEl1> {
  using EPD1 = Flag<23>;
  using IPS = Field<34, 32>;
};
// [armarm] "SCTLR_EL2, System Control Register (EL2)"
struct Sctlr : bits::Image<Sctlr> {
  using M = Flag<0>;
  using C = Flag<2>;
  using SA = Flag<3>;
  using I = Flag<12>;
  using WXN = Flag<19>;
  using EnIA = Flag<31>;
  using BT = Flag<36>;  // PACIASP is no landing pad for BR
};

constexpr std::uint64_t kWriteBack = 1;  // IRGN0, ORGN0: write-back, read- and write-allocate
constexpr std::uint64_t kInnerShareable = 3;

std::uint64_t pa_range() noexcept {
  const std::uint64_t range = VCPU_READ_SYSREG(id_aa64mmfr0_el1) & 0xF;
  return range > 5 ? 5 : range;  // 5: 48 bits
}

bool has_bti() noexcept {
  return (VCPU_READ_SYSREG(id_aa64pfr1_el1) & 0xF) != 0;
}

// FEAT_MTE2: memory has allocation tags.
bool has_tags() noexcept {
  return IdAa64Pfr1::from(VCPU_READ_SYSREG(id_aa64pfr1_el1)).get<IdAa64Pfr1::MTE>() >= 2;
}

// True where EL0 shares the tables: at EL1, and at EL2 on a CPU that cannot leave E2H=1.
bool has_el0() noexcept {
  constexpr std::uint64_t kE2H = 1ULL << 34;
  return el2::current_el() == 1 || (VCPU_READ_SYSREG(hcr_el2) & kE2H) != 0;
}

std::uint64_t tcr() noexcept {
  const TcrEl2 common = TcrEl2{}
                            .with<TcrEl2::T0SZ>(64 - kStage1VaBits)
                            .with<TcrEl2::IRGN0>(kWriteBack)
                            .with<TcrEl2::ORGN0>(kWriteBack)
                            .with<TcrEl2::SH0>(kInnerShareable);
  if (has_el0()) return TcrEl1::from(common.raw).with<TcrEl1::EPD1>(true).with<TcrEl1::IPS>(pa_range()).raw;
  return common.with<TcrEl2::PS>(pa_range()).raw | TcrEl2::kRes1;
}

std::uint64_t sctlr() noexcept {
  const std::uint64_t now = el2::current_el() == 1 ? VCPU_READ_SYSREG(sctlr_el1) : VCPU_READ_SYSREG(sctlr_el2);
  return Sctlr::from(now)
      .with<Sctlr::M>(true)
      .with<Sctlr::C>(true)
      .with<Sctlr::I>(true)
      .with<Sctlr::SA>(true)
      .with<Sctlr::WXN>(true)
      .with<Sctlr::BT>(has_bti() && !has_el0())
      .raw;
}

// Guards first: a slot is guard, emergency stack, guard, stack.
Result<> map_stacks() noexcept {
  for (unsigned cpu = 0; cpu < kMaxCpus; ++cpu) {
    const std::uint64_t slot = address_of(&hv_stacks[cpu * HV_STACK_SLOT_BYTES]);
    for (const std::uint64_t page : {slot, slot + HV_EMERGENCY_STACK_TOP}) {
      if (Result<> guarded = g_map.guard(page); !guarded) return guarded;
    }
  }
  return g_map.map({address_of(hv_stacks), sizeof hv_stacks}, kData, Occupied::keeps);
}

Result<> map_image() noexcept {
  const auto part = [](const void* from, const void* to, Stage1Attributes attributes) noexcept {
    return g_map.map(Range::from_to(address_of(from), address_of(to)), attributes, Occupied::is_an_error);
  };
  if (Result<> text = part(hv_image_start, hv_rodata_start, kText); !text) return text;
  if (Result<> constants = part(hv_rodata_start, hv_data_start, kConstants); !constants) return constants;
  if (Result<> data = part(hv_data_start, hv_bss_end, kData); !data) return data;
  // Where RAM begins at 0 a null pointer shall fault all the same, unless the image itself is there.
  (void)g_map.guard(0);
  return map_stacks();
}

Result<> map_now(Range range, Stage1Attributes attributes) noexcept {
  const LockGuard guard{g_lock};
  const Result<> result = g_map.map(range, attributes, Occupied::keeps);
  el2::dsb_ishst();
  el2::isb();
  return result;
}

}  // namespace

// Runs with the MMU off: no atomics, no text, aligned accesses only. Nothing but the image and the device tree is
// known yet, so there is nothing to print a failure on.
extern "C" void hv_build_boot_map(std::uint64_t tree) {
  g_map = Stage1Map{g_tables, {.guarded_pages = has_bti(), .two_privilege_levels = has_el0()}};
  if (!map_image()) hv_park();
  if (const std::uint64_t bytes = tree_bytes(tree); bytes != 0) {
    (void)g_map.map(Range{tree, bytes}.rounded_out(kPageBytes), kConstants, Occupied::keeps);
  }
  hv_regime = {has_tags() ? kStage1MairTagged : kStage1Mair, tcr(), g_map.root(), sctlr()};
}

std::uint64_t tree_bytes(std::uint64_t address) noexcept {
  constexpr std::uint32_t kMagic = 0xD00D'FEED;
  if (address == 0 || !bits::aligned(address, 8)) return 0;
  const auto* header = pointer_to<const std::uint32_t>(address);
  const std::uint32_t bytes = __builtin_bswap32(header[1]);
  return __builtin_bswap32(header[0]) == kMagic && bytes <= kMaxTreeBytes ? bytes : 0;
}

Result<> map_ram(Range range) noexcept {
  return map_now(range.rounded_in(kPageBytes), has_tags() ? kTaggedData : kData);
}
Result<> map_read_only(Range range) noexcept {
  return map_now(range.rounded_out(kPageBytes), kConstants);
}
Result<> map_device(Range range) noexcept {
  return map_now(range.rounded_out(kPageBytes), kDevice);
}

unsigned physical_address_bits() noexcept {
  constexpr unsigned kBits[] = {32, 36, 40, 42, 44, 48};
  return kBits[pa_range()];
}

}  // namespace arm_vcpu::hv::mmu
