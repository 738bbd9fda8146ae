// SPDX-License-Identifier: Apache-2.0
// The diagnoses that the hypervisor printed itself.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace arm_vcpu::scope {

// Each "[hv] AV0003 ...", with its indented lines that follow, without "[hv] ". Empty for a file that is no text, or
// that is not there.
[[nodiscard]] std::vector<std::string> diagnoses_in_log(const std::string& path);

[[nodiscard]] std::vector<std::string> diagnoses_in_text(std::string_view log);

}  // namespace arm_vcpu::scope
