// SPDX-License-Identifier: Apache-2.0
#include "diagnose_log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace arm_vcpu::scope {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(DiagnoseLog, PicksWhatTheHypervisorSaid) {
  EXPECT_THAT(diagnoses_in_text("booting\r\n"
                                "[hv] vm0 (linux): 1 vCPU\r\n"
                                "[hv] AV0003 MMIO access failure: read\r\n"
                                "[hv]   evidence: PC 0x1\r\n"
                                "[    0.1] the guest prints in between\r\n"
                                "[hv]   check: the address\r\n"
                                "[hv] vm0: powered off\r\n"
                                "[hv]   not part of it\r\n"
                                "[hv] AV0002 loop: again"),
              ElementsAre("AV0003 MMIO access failure: read\n  evidence: PC 0x1\n  check: the address\n",
                          "AV0002 loop: again\n"));
}

TEST(DiagnoseLog, NothingElseIsADiagnosis) {
  EXPECT_THAT(diagnoses_in_text(""), IsEmpty());
  EXPECT_THAT(diagnoses_in_text("AV0003 MMIO: not the hypervisor's\n"), IsEmpty());
  EXPECT_THAT(diagnoses_in_text("[hv] AV0999 no such code\n[hv] AV12\n[hv] AVX512 is not here\n[hv] "), IsEmpty());
}

TEST(DiagnoseLog, AFileThatIsNotThere) {
  EXPECT_THAT(diagnoses_in_log("/nonexistent/log"), IsEmpty());
}

}  // namespace
}  // namespace arm_vcpu::scope
