// SPDX-License-Identifier: Apache-2.0
// The guest's memory and registers for the emulation of one instruction (vcpu/hw.hpp). EL2 reaches what stage 2 maps at
// its physical address; where it does not, its own translation says so and the access is not made.
#include "arm_vcpu/el2/sysreg.hpp"
#include "vcpu/hw.hpp"

extern "C" {
void arm_vcpu_read_vector(std::uint64_t n, std::uint64_t* value) noexcept;
void arm_vcpu_write_vector(std::uint64_t n, const std::uint64_t* value) noexcept;
}

namespace arm_vcpu::hw {
namespace {

// PAR_EL1, Physical Address Register, as AT leaves it. [armarm]
struct Par : bits::Image<Par> {
  using F = Flag<0>;  // the translation failed
  using FST = Field<6, 1, Fsc>;
  using PTW = Flag<8>;  // with S: on a stage-1 walk
  using S = Flag<9>;    // by stage 2
  using PA = Field<51, 12>;
  using ATTR = Field<63, 56>;
};

// AT and the reading of its result; the guest's PAR_EL1 is as before.
template <class Translate>
Par translate(Translate at) noexcept {
  const std::uint64_t guest_par = VCPU_READ_SYSREG(par_el1);
  at();
  el2::isb();
  const Par par = Par::from(VCPU_READ_SYSREG(par_el1));
  VCPU_WRITE_SYSREG(par_el1, guest_par);
  return par;
}

Par stage_1(std::uint64_t va, bool is_el0, bool is_write) noexcept {
  return translate([=] {
    if (is_el0 && is_write) {
      __asm__ volatile("at s1e0w, %0" ::"r"(va) : "memory");
    } else if (is_el0) {
      __asm__ volatile("at s1e0r, %0" ::"r"(va) : "memory");
    } else if (is_write) {
      __asm__ volatile("at s1e1w, %0" ::"r"(va) : "memory");
    } else {
      __asm__ volatile("at s1e1r, %0" ::"r"(va) : "memory");
    }
  });
}

Par stage_1_and_2(std::uint64_t va, bool is_el0, bool is_write) noexcept {
  return translate([=] {
    if (is_el0 && is_write) {
      __asm__ volatile("at s12e0w, %0" ::"r"(va) : "memory");
    } else if (is_el0) {
      __asm__ volatile("at s12e0r, %0" ::"r"(va) : "memory");
    } else if (is_write) {
      __asm__ volatile("at s12e1w, %0" ::"r"(va) : "memory");
    } else {
      __asm__ volatile("at s12e1r, %0" ::"r"(va) : "memory");
    }
  });
}

bool el2_maps(std::uint64_t pa, bool is_write) noexcept {
  const Par par = translate([=] {
    if (is_write) {
      __asm__ volatile("at s1e2w, %0" ::"r"(pa) : "memory");
    } else {
      __asm__ volatile("at s1e2r, %0" ::"r"(pa) : "memory");
    }
  });
  return !par.get<Par::F>();
}

// Write-back in the inner and the outer caches, with allocation tags or without. [armarm] "MAIR_EL1, Memory Attribute
// Indirection Register (EL1)", "MAIR_EL1.Attr encoding"
bool is_cached(Par par) noexcept {
  constexpr std::uint64_t kWriteBack = 0xCC;
  constexpr std::uint64_t kTagged = 0xF0;
  return (par.get<Par::ATTR>() & kWriteBack) == kWriteBack || par.get<Par::ATTR>() == kTagged;
}

std::uint64_t physical(Par par, std::uint64_t va) noexcept {
  return par.get<Par::PA>() << 12 | (va & 0xFFF);
}

// EL1's own access to what EL0 reaches, with PSTATE.PAN set. [armarm] "PSTATE.PAN"
enum class Pan : std::uint8_t { allowed, refused, unknown };
Pan check_pan(const GuestAccess& access, Fsc& fsc) noexcept {
  constexpr std::uint64_t kPan2 = 2;  // AT S1E1RP and S1E1WP
  if (bits::extract(VCPU_READ_SYSREG(id_aa64mmfr1_el1), 23, 20) < kPan2) {
    const Par el0 = translate([=] { __asm__ volatile("at s1e0r, %0" ::"r"(access.va) : "memory"); });
    return el0.get<Par::F>() ? Pan::allowed : Pan::unknown;  // refused, at a level that nobody says
  }
  const Par par = translate([=] {
    __asm__ volatile("msr S0_0_C4_C1_4, xzr" ::: "memory");  // MSR PAN, #1
    if (access.is_write) {
      __asm__ volatile("sys #0, c7, c9, #1, %0" ::"r"(access.va) : "memory");  // AT S1E1WP
    } else {
      __asm__ volatile("sys #0, c7, c9, #0, %0" ::"r"(access.va) : "memory");  // AT S1E1RP
    }
    __asm__ volatile("msr S0_0_C4_C0_4, xzr" ::: "memory");  // MSR PAN, #0
  });
  if (!par.get<Par::F>()) return Pan::allowed;
  fsc = par.get<Par::FST>();
  return Pan::refused;
}

template <class T>
std::uint64_t load(std::uint64_t pa) noexcept {
  return *reinterpret_cast<const volatile T*>(pa);
}
template <class T>
void store(std::uint64_t pa, std::uint64_t value) noexcept {
  *reinterpret_cast<volatile T*>(pa) = static_cast<T>(value);
}

}  // namespace

std::optional<std::uint64_t> translate_stage1(std::uint64_t va, bool is_el0, bool is_write) noexcept {
  const Par par = stage_1(va, is_el0, is_write);
  if (par.get<Par::F>()) return std::nullopt;
  return physical(par, va);
}

GuestPlace locate(const GuestAccess& access) noexcept {
  using Kind = GuestPlace::Kind;
  const Par par = stage_1_and_2(access.va, access.is_el0, access.is_write);
  if (par.get<Par::F>() && !par.get<Par::S>()) return {.kind = Kind::fault, .fsc = par.get<Par::FST>()};
  if (par.get<Par::F>() && par.get<Par::PTW>()) return {.kind = Kind::walk};
  if (access.pan) {
    Fsc fsc{};
    switch (check_pan(access, fsc)) {
      case Pan::allowed: break;
      case Pan::refused: return {.kind = Kind::fault, .fsc = fsc};
      case Pan::unknown: return {.kind = Kind::hidden};
    }
  }
  if (par.get<Par::F>()) {
    const Par first = stage_1(access.va, access.is_el0, access.is_write);
    if (first.get<Par::F>()) return {.kind = Kind::hidden};
    constexpr std::uint64_t kNormal = 0xF0;  // not all of them 0
    return {.kind = Kind::unmapped,
            .device = (first.get<Par::ATTR>() & kNormal) == 0,
            .address = physical(first, access.va)};
  }
  const std::uint64_t pa = physical(par, access.va);
  if (!el2_maps(pa, access.is_write)) return {.kind = Kind::hidden};
  return {.kind = Kind::memory, .cached = is_cached(par), .address = pa};
}

// The guest sees memory past the caches there, EL2 through them: what is in them is written out, or dropped, first.
std::uint64_t read_guest(const GuestPlace& place, AccessWidth width) noexcept {
  const unsigned bytes = bytes_of(width);
  if (!place.cached) el2::dc_civac_range(place.address, bytes);
  if (!bits::aligned(place.address, bytes)) {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < bytes; ++i) value |= load<std::uint8_t>(place.address + i) << (8 * i);
    return value;
  }
  switch (width) {
    case AccessWidth::byte: return load<std::uint8_t>(place.address);
    case AccessWidth::halfword: return load<std::uint16_t>(place.address);
    case AccessWidth::word: return load<std::uint32_t>(place.address);
    case AccessWidth::doubleword: return load<std::uint64_t>(place.address);
  }
  return 0;
}

void write_guest(const GuestPlace& place, AccessWidth width, std::uint64_t value) noexcept {
  const unsigned bytes = bytes_of(width);
  if (!place.cached) el2::dc_civac_range(place.address, bytes);
  if (!bits::aligned(place.address, bytes)) {
    for (unsigned i = 0; i < bytes; ++i) store<std::uint8_t>(place.address + i, value >> (8 * i));
  } else {
    switch (width) {
      case AccessWidth::byte: store<std::uint8_t>(place.address, value); break;
      case AccessWidth::halfword: store<std::uint16_t>(place.address, value); break;
      case AccessWidth::word: store<std::uint32_t>(place.address, value); break;
      case AccessWidth::doubleword: store<std::uint64_t>(place.address, value); break;
    }
  }
  if (!place.cached) el2::dc_civac_range(place.address, bytes);
}

// By EL1's read permission, which every mapping that executes has; a data cache line that is stale is dropped, since
// the guest may have written the instruction past the caches.
std::optional<std::uint32_t> fetch_guest(std::uint64_t va) noexcept {
  const GuestPlace place = locate({.va = va});
  if (place.kind != GuestPlace::Kind::memory) return std::nullopt;
  return static_cast<std::uint32_t>(read_guest(place, AccessWidth::word));
}

void flush_guest_tlb() noexcept {
  __asm__ volatile("tlbi vmalls12e1\n\tdsb nsh\n\tisb" ::: "memory");
}

std::uint64_t read_sp_el1() noexcept {
  return VCPU_READ_SYSREG(sp_el1);
}
void write_sp_el1(std::uint64_t value) noexcept {
  VCPU_WRITE_SYSREG(sp_el1, value);
}

std::uint64_t zero_block_bytes() noexcept {
  return std::uint64_t{4} << (VCPU_READ_SYSREG(dczid_el0) & 0xF);
}

std::uint64_t read_tcr_el1() noexcept {
  return VCPU_READ_SYSREG(tcr_el1);
}

bool guest_tracks_writes() noexcept {
  constexpr std::uint64_t kHD = std::uint64_t{1} << 40;
  return (read_tcr_el1() & kHD) != 0;
}

std::array<std::uint64_t, 2> read_vector(unsigned n) noexcept {
  std::array<std::uint64_t, 2> value{};
  arm_vcpu_read_vector(n, value.data());
  return value;
}
void write_vector(unsigned n, const std::array<std::uint64_t, 2>& value) noexcept {
  arm_vcpu_write_vector(n, value.data());
}

}  // namespace arm_vcpu::hw
