// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/capabilities.hpp"

namespace arm_vcpu {
namespace {

template <class F>
auto field(std::uint64_t raw) noexcept {
  return F::Owner::from(raw).template get<F>();
}

// ID_AA64MMFR0_EL1.TGran<n>_2: 0 means "as stage 1", 1 not supported, 2 and up supported.
bool stage2_granule(std::uint8_t stage2, bool stage1) noexcept {
  return stage2 == 0 ? stage1 : stage2 >= 2;
}

}  // namespace

unsigned Capabilities::pa_bits() const noexcept {
  return pa_bits_of(field<IdAa64Mmfr0::PARange>(id.id_aa64mmfr0_el1));
}

bool Capabilities::stage2_4k() const noexcept {
  // TGran4 is signed: 0b1111 not supported.
  return stage2_granule(field<IdAa64Mmfr0::TGran4_2>(id.id_aa64mmfr0_el1),
                        field<IdAa64Mmfr0::TGran4>(id.id_aa64mmfr0_el1) < 8);
}

bool Capabilities::stage2_16k() const noexcept {
  return stage2_granule(field<IdAa64Mmfr0::TGran16_2>(id.id_aa64mmfr0_el1),
                        field<IdAa64Mmfr0::TGran16>(id.id_aa64mmfr0_el1) != 0);
}

bool Capabilities::stage2_64k() const noexcept {
  return stage2_granule(field<IdAa64Mmfr0::TGran64_2>(id.id_aa64mmfr0_el1),
                        field<IdAa64Mmfr0::TGran64>(id.id_aa64mmfr0_el1) < 8);
}

unsigned Capabilities::vmid_bits() const noexcept {
  return field<IdAa64Mmfr1::VMIDBits>(id.id_aa64mmfr1_el1) == 2 ? 16 : 8;
}

bool Capabilities::vhe() const noexcept {
  return field<IdAa64Mmfr1::VH>(id.id_aa64mmfr1_el1) != 0;
}

unsigned Capabilities::gic_version() const noexcept {
  if (id.has_gich) {
    return 2;
  }
  const auto gic = field<IdAa64Pfr0::GIC>(id.id_aa64pfr0_el1);
  if (gic == 0 || (id.icc_sre_el2 & 1) == 0) {
    return 0;
  }
  return gic == 1 ? 3 : 4;
}

unsigned Capabilities::list_registers() const noexcept {
  return gic_version() == 0 ? 0 : field<IchVtr::ListRegs>(id.ich_vtr_el2) + 1U;
}

// FP and AdvSIMD are signed: 0b1111 not implemented.
bool Capabilities::fp() const noexcept {
  return field<IdAa64Pfr0::FP>(id.id_aa64pfr0_el1) < 8;
}
bool Capabilities::sve() const noexcept {
  return field<IdAa64Pfr0::SVE>(id.id_aa64pfr0_el1) != 0;
}
bool Capabilities::sme() const noexcept {
  return field<IdAa64Pfr1::SME>(id.id_aa64pfr1_el1) != 0;
}
bool Capabilities::pauth() const noexcept {
  return field<IdAa64Isar1::APA>(id.id_aa64isar1_el1) != 0 || field<IdAa64Isar1::API>(id.id_aa64isar1_el1) != 0 ||
         field<IdAa64Isar2::APA3>(id.id_aa64isar2_el1) != 0;
}
bool Capabilities::bti() const noexcept {
  return field<IdAa64Pfr1::BT>(id.id_aa64pfr1_el1) != 0;
}
bool Capabilities::scxtnum() const noexcept {
  return field<IdAa64Pfr0::CSV2>(id.id_aa64pfr0_el1) >= 2 || field<IdAa64Pfr1::CSV2_frac>(id.id_aa64pfr1_el1) >= 2;
}
bool Capabilities::fgt() const noexcept {
  return field<IdAa64Mmfr0::FGT>(id.id_aa64mmfr0_el1) != 0;
}
bool Capabilities::mte() const noexcept {
  return field<IdAa64Pfr1::MTE>(id.id_aa64pfr1_el1) >= 2;
}
bool Capabilities::pan() const noexcept {
  return field<IdAa64Mmfr1::PAN>(id.id_aa64mmfr1_el1) != 0;
}
bool Capabilities::ssbs() const noexcept {
  return field<IdAa64Pfr1::SSBS>(id.id_aa64pfr1_el1) != 0;
}
bool Capabilities::ras() const noexcept {
  return field<IdAa64Pfr0::RAS>(id.id_aa64pfr0_el1) != 0;
}
bool Capabilities::el0_aarch32() const noexcept {
  return field<IdAa64Pfr0::EL0>(id.id_aa64pfr0_el1) == 2;
}
bool Capabilities::pmu() const noexcept {
  const auto version = field<IdAa64Dfr0::PMUVer>(id.id_aa64dfr0_el1);
  return version != 0 && version != 0xF;
}

Result<> check_hardware_support(const Capabilities& caps, const Requirements& wanted) noexcept {
  if (caps.exception_level() != 2) {
    return fail(Errc::not_at_el2, 2, caps.exception_level());
  }
  if (caps.id.e2h_is_res1) {
    return fail(Errc::vhe_only, 0, Hcr{}.with<Hcr::E2H>(true).raw);
  }
  if (field<IdAa64Pfr0::EL1>(caps.id.id_aa64pfr0_el1) == 0) {
    return fail(Errc::no_el1_aarch64, 0, caps.id.id_aa64pfr0_el1);
  }
  if (wanted.granule_kib != 4 || !caps.stage2_4k()) {
    return fail(Errc::unsupported_granule, wanted.granule_kib, caps.id.id_aa64mmfr0_el1);
  }
  if (wanted.ipa_bits < 32 || wanted.ipa_bits > caps.pa_bits()) {
    return fail(Errc::unsupported_ipa_size, wanted.ipa_bits, caps.pa_bits());
  }
  if (wanted.virtual_gic) {
    if (caps.gic_version() == 0) {
      return fail(Errc::no_gic_system_registers, 3, field<IdAa64Pfr0::GIC>(caps.id.id_aa64pfr0_el1));
    }
    if (caps.list_registers() == 0) {
      return fail(Errc::no_list_registers, 1, caps.id.ich_vtr_el2);
    }
  }
  return {};
}

bool has_hardware_support() noexcept {
  return check_hardware_support(probe(), Requirements{}).has_value();
}

}  // namespace arm_vcpu
