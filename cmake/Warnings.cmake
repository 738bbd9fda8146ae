# SPDX-License-Identifier: Apache-2.0
add_library(arm_vcpu_warnings INTERFACE)
target_compile_options(arm_vcpu_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual -Wundef -Werror)
