// SPDX-License-Identifier: Apache-2.0
#include "selection.hpp"

#include <gtest/gtest.h>

#include "failure.hpp"
#include "temporary_trace.hpp"

namespace arm_vcpu::scope {
namespace {

using trace::Kind;
using trace::Record;

constexpr std::uint64_t kHz = 62'500'000;

struct SelectionTest : ::testing::Test {
  const std::vector<Record> records{
      {.time = 1000, .pc = 0x1000, .esr = 0x9381'0047, .far = 0x7018, .hpfar = 0x0900'0000 >> 8},
      {.time = 1000 + kHz, .pc = 0x2000, .data = 27, .vcpu = 1, .kind = Kind::exit_irq},
      {.time = 1000 + 2 * kHz, .pc = 0x3000, .esr = 0x5A00'0000, .data = 0xC400'0003, .vm = 1},
      {.time = 1000 + 3 * kHz, .pc = 0x3000, .data = 0xC400'0003, .vm = 1, .kind = Kind::psci_call},
  };
  const TemporaryFile written{stream_of(records)};
  const TraceFile file{written.path()};

  std::string taken(const SelectionOptions& options) {
    const Selection selection{options, file};
    Syndromes syndromes;
    std::string text;
    for (std::size_t i = 0; i < records.size(); ++i) {
      if (selection.takes(records[i], syndromes)) text += std::to_string(i);
    }
    return text;
  }
};

TEST_F(SelectionTest, NoneTakesAll) {
  EXPECT_EQ(taken({}), "0123");
}

TEST_F(SelectionTest, Vcpu) {
  EXPECT_EQ(taken({.vcpus = {"linux.1"}}), "1");
  EXPECT_EQ(taken({.vcpus = {"0"}}), "01");
  EXPECT_EQ(taken({.vcpus = {"0.1", "vm1"}}), "123");
}

TEST_F(SelectionTest, ReasonClassEventAndCall) {
  EXPECT_EQ(taken({.reasons = {"mmiowrite"}}), "0");
  EXPECT_EQ(taken({.reasons = {"data_abort_lower"}}), "0");
  EXPECT_EQ(taken({.reasons = {"ExternalInterrupt", "Psci"}}), "12");
  EXPECT_EQ(taken({.reasons = {"hvc64"}}), "2");
  EXPECT_EQ(taken({.reasons = {"cpu_on"}}), "23");
  EXPECT_EQ(taken({.reasons = {"psci_call"}}), "3");
}

TEST_F(SelectionTest, Kind) {
  EXPECT_EQ(taken({.kinds = {"exit_irq"}}), "1");
}

TEST_F(SelectionTest, Address) {
  EXPECT_EQ(taken({.address = "0x2000-0x3fff"}), "123");
  EXPECT_EQ(taken({.address = "0x9000018"}), "0") << "the IPA";
  EXPECT_EQ(taken({.address = "0x7018"}), "0") << "FAR";
}

TEST_F(SelectionTest, Time) {
  EXPECT_EQ(taken({.from = "1"}), "123");
  EXPECT_EQ(taken({.from = "500ms", .to = "2.5"}), "12");
}

TEST_F(SelectionTest, WhatMeansNothingIsRefused) {
  EXPECT_THROW(taken({.vcpus = {"nobody.0"}}), Failure);
  EXPECT_THROW(taken({.vcpus = {"0.x"}}), Failure);
  EXPECT_THROW(taken({.reasons = {"MmioRaed"}}), Failure);
  EXPECT_THROW(taken({.kinds = {"exit"}}), Failure);
  EXPECT_THROW(taken({.address = "here"}), Failure);
  EXPECT_THROW(taken({.from = "-1"}), Failure);
  EXPECT_THROW(taken({.to = "3 weeks"}), Failure);
}

}  // namespace
}  // namespace arm_vcpu::scope
