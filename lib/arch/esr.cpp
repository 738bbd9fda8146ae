// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/arch/esr.hpp"

namespace arm_vcpu {

std::string_view name_of(Ec ec) noexcept {
  switch (ec) {
#define VCPU_EC(value, name, meaning) \
  case Ec::name: return #name;
#include "arm_vcpu/arch/ec.def"
#undef VCPU_EC
  }
  return {};
}

std::string_view meaning_of(Ec ec) noexcept {
  switch (ec) {
#define VCPU_EC(value, name, meaning) \
  case Ec::name: return meaning;
#include "arm_vcpu/arch/ec.def"
#undef VCPU_EC
  }
  return {};
}

std::string_view meaning_of(Fsc fsc) noexcept {
  switch (fsc) {
#define VCPU_FSC(value, name, kind, level, meaning) \
  case Fsc::name: return meaning;
#include "arm_vcpu/arch/fsc.def"
#undef VCPU_FSC
  }
  return {};
}

}  // namespace arm_vcpu
