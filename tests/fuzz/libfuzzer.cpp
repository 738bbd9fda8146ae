// SPDX-License-Identifier: Apache-2.0
// The entry points that libFuzzer calls. The environment's ARM_VCPU_FUZZ_TARGET names the target.
#include <gtest/gtest.h>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {
const arm_vcpu::fuzz::Target* target;
}

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  static_cast<void>(argc);
  static_cast<void>(argv);
  GTEST_FLAG_SET(break_on_failure, true);  // the models that targets share with the unit tests use its macros
  const char* name = std::getenv("ARM_VCPU_FUZZ_TARGET");  // NOLINT(concurrency-mt-unsafe): there is one thread
  target = arm_vcpu::fuzz::find_target(name == nullptr ? "" : name);
  if (target == nullptr) {
    std::fputs("fuzz: set ARM_VCPU_FUZZ_TARGET to one of the targets, or use ./x fuzz\n", stderr);
    std::exit(2);  // NOLINT(concurrency-mt-unsafe)
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  target->run(arm_vcpu::fuzz::Input{{data, size}});
  return 0;
}
