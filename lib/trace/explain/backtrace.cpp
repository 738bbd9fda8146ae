// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/trace/backtrace.hpp"

namespace arm_vcpu::trace {

std::string_view meaning_of(BacktraceEnd end) noexcept {
  switch (end) {
    case BacktraceEnd::complete: return "the chain is complete";
    case BacktraceEnd::misaligned: return "the next frame record is not 16-byte aligned";
    case BacktraceEnd::out_of_bounds: return "the next frame record is beyond the stack";
    case BacktraceEnd::unreadable: return "the next frame record cannot be read";
    case BacktraceEnd::not_above:
      return "the next frame record is not above this one: the chain is broken, or code without frame pointers";
    case BacktraceEnd::too_long: return "the chain goes on";
  }
  return {};
}

}  // namespace arm_vcpu::trace
