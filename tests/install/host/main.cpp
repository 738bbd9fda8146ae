// SPDX-License-Identifier: Apache-2.0
// A host tool outside the tree: it needs the installed headers, their .def tables, and the archive.
#include <arm_vcpu/exit_reason.hpp>
#include <arm_vcpu/result.hpp>
#include <cstdio>

int main() {
  const auto text = arm_vcpu::describe(arm_vcpu::Errc{});
  std::printf("%.*s\n", static_cast<int>(text.name.size()), text.name.data());
  return text.name.empty() ? 1 : 0;
}
