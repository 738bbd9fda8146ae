// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/vm/bundle_error.hpp"

namespace arm_vcpu {
namespace {

std::string_view text_of(BundleReason reason) noexcept {
  switch (reason) {
#define VCPU_BUNDLE_REASON(name, text) \
  case BundleReason::name: return text;
#include "arm_vcpu/vm/bundle_reason.def"
#undef VCPU_BUNDLE_REASON
  }
  return {};
}

}  // namespace

void append(TextBuffer& out, const BundleError& error) noexcept {
  out.put(error.node.view());
  out.put(": ");
  if (!error.property.view().empty()) {
    out.put(error.property.view());
    out.put(": ");
  }
  format_to(out, text_of(error.reason), error.value, error.limit);
  if (!error.detail.view().empty()) {
    out.put(" \"");
    out.put(error.detail.view());
    out.put('"');
  }
}

}  // namespace arm_vcpu
