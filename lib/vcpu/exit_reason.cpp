// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/exit_reason.hpp"

namespace arm_vcpu {
namespace {

struct ExitText {
  std::string_view name;
  std::string_view meaning;
};

constexpr std::array<ExitText, kExitKindCount> kTexts{{
#define VCPU_EXIT(name, what) {#name, what},
#include "arm_vcpu/exit_reason.def"
#undef VCPU_EXIT
}};

}  // namespace

std::string_view name_of(ExitKind kind) noexcept {
  return kTexts[static_cast<unsigned>(kind)].name;
}
std::string_view meaning_of(ExitKind kind) noexcept {
  return kTexts[static_cast<unsigned>(kind)].meaning;
}

}  // namespace arm_vcpu
