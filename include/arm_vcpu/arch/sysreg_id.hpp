// SPDX-License-Identifier: Apache-2.0
// Which system register, or which system instruction, a trapped MSR, MRS or SYS names.
#pragma once

#include <compare>
#include <cstdint>
#include <string_view>

#include "arm_vcpu/arch/esr.hpp"

namespace arm_vcpu {

class TextBuffer;

// The encoding op0, op1, CRn, CRm, op2 as one value. It is kept as ESR_EL2.ISS of EC 0x18 holds it, with Rt and
// Direction clear, so that a trap is identified by one AND. [armarm] "ISS encoding for an exception from MSR, MRS, or
// System instruction execution in AArch64 state".
class SysRegId {
 public:
  constexpr SysRegId() noexcept = default;

  // Bits beyond a field's width are dropped.
  constexpr SysRegId(unsigned op0, unsigned op1, unsigned crn, unsigned crm, unsigned op2) noexcept
      : iss_{static_cast<std::uint32_t>(SysRegIss{}
                                            .with<SysRegIss::Op0>(static_cast<std::uint8_t>(op0))
                                            .with<SysRegIss::Op1>(static_cast<std::uint8_t>(op1))
                                            .with<SysRegIss::CRn>(static_cast<std::uint8_t>(crn))
                                            .with<SysRegIss::CRm>(static_cast<std::uint8_t>(crm))
                                            .with<SysRegIss::Op2>(static_cast<std::uint8_t>(op2))
                                            .raw)} {}

  // Drops Rt, Direction and what lies above the encoding (IV, CV and the class, if a whole ESR is passed).
  [[nodiscard]] static constexpr SysRegId from_iss(SysRegIss iss) noexcept {
    SysRegId id{};
    id.iss_ = static_cast<std::uint32_t>(iss.raw & kMask);
    return id;
  }

  [[nodiscard]] constexpr std::uint32_t iss() const noexcept { return iss_; }

  [[nodiscard]] constexpr unsigned op0() const noexcept { return SysRegIss::from(iss_).get<SysRegIss::Op0>(); }
  [[nodiscard]] constexpr unsigned op1() const noexcept { return SysRegIss::from(iss_).get<SysRegIss::Op1>(); }
  [[nodiscard]] constexpr unsigned crn() const noexcept { return SysRegIss::from(iss_).get<SysRegIss::CRn>(); }
  [[nodiscard]] constexpr unsigned crm() const noexcept { return SysRegIss::from(iss_).get<SysRegIss::CRm>(); }
  [[nodiscard]] constexpr unsigned op2() const noexcept { return SysRegIss::from(iss_).get<SysRegIss::Op2>(); }

  friend constexpr auto operator<=>(const SysRegId&, const SysRegId&) noexcept = default;

 private:
  static constexpr std::uint64_t kMask = SysRegIss::Op0::kMask | SysRegIss::Op1::kMask | SysRegIss::Op2::kMask |
                                         SysRegIss::CRn::kMask | SysRegIss::CRm::kMask;

  std::uint32_t iss_{};
};

// sysreg::ICC_SGI1R_EL1, sysreg::DC_ISW and so on. In a switch: `case sysreg::ICC_SGI1R_EL1.iss():`.
namespace sysreg {
#define VCPU_SYSREG(name, op0, op1, crn, crm, op2) inline constexpr SysRegId name{op0, op1, crn, crm, op2};
#define VCPU_SYSINSN(mnemonic, operand, op0, op1, crn, crm, op2) \
  inline constexpr SysRegId mnemonic##_##operand{op0, op1, crn, crm, op2};
#include "arm_vcpu/arch/sysreg_names.def"
#undef VCPU_SYSREG
#undef VCPU_SYSINSN
}  // namespace sysreg

// "ICC_SGI1R_EL1", "DC ISW"; empty when the table has no name for it.
[[nodiscard]] std::string_view name_of(SysRegId id) noexcept;

// The name, or the assembler's generic form: S<op0>_<op1>_C<CRn>_C<CRm>_<op2>.
void append(TextBuffer& out, SysRegId id) noexcept;

}  // namespace arm_vcpu
