// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/vm/timer.hpp"

namespace arm_vcpu::vm {

std::optional<std::uint64_t> EmulatedTimer::access(SysRegId id, bool is_write, std::uint64_t value,
                                                   std::uint64_t now) noexcept {
  switch (id.iss()) {
    case sysreg::CNTP_TVAL_EL0.iss():
      if (!is_write) return read_tval(now);
      write_tval(value, now);
      return 0;
    case sysreg::CNTP_CTL_EL0.iss():
      if (!is_write) return read_ctl(now);
      write_ctl(value);
      return 0;
    case sysreg::CNTP_CVAL_EL0.iss():
      if (!is_write) return read_cval();
      write_cval(value);
      return 0;
    default: return std::nullopt;
  }
}

}  // namespace arm_vcpu::vm
