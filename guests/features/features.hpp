// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "guest/machine.hpp"

namespace features {

// For tests/system/features.py. It is printed at the end, when the hypervisor has nothing more to say.
struct Outcome {
  bool forwarded;  // the firmware answered an SMC
  bool has_trng;
  unsigned sve_bits;  // 0: no SVE
  unsigned mte;       // ID_AA64PFR1_EL1.MTE
};
extern Outcome g_outcome;

void test_filter() noexcept;
void test_random() noexcept;
void test_stolen_time() noexcept;
void test_services() noexcept;
void test_set_way() noexcept;
void test_fresh() noexcept;  // of CPU 1
void test_sve(unsigned cpus) noexcept;
void test_mte(unsigned cpus) noexcept;
void test_pauth() noexcept;

}  // namespace features
