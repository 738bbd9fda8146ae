// SPDX-License-Identifier: Apache-2.0
// Random states: no rule crashes, reads out of range, or writes a text that cannot be shown. Run with sanitizers, this
// is the test that counts.
#include <random>

#include "random_state.hpp"

namespace arm_vcpu::diag {
namespace {

class Random : public RandomState {
 protected:
  Random() : RandomState{std::mt19937_64{20'260'101}} {}
};

TEST_F(Random, NoStateBreaksARule) {
  for (int i = 0; i < 3000; ++i) {
    scramble();
    if (i % 8 == 0) {
      before_entry();
    } else {
      look(any_trigger());
    }
    for (const Diagnosis& diagnosis : list) {
      EXPECT_FALSE(diagnosis.what().empty());
      const std::string all = text(diagnosis, state);
      EXPECT_TRUE(all.starts_with("AV")) << all;
      for (const char c : all) ASSERT_TRUE(c == '\n' || (c >= ' ' && c <= '~')) << all;
    }
  }
}

TEST_F(Random, NoTraceBreaksTheReplay) {
  struct Sink final : ReplaySink {
    std::size_t findings{};
    void found(const Diagnosis& diagnosis, const CapturedState& state) noexcept override {
      ++findings;
      (void)text(diagnosis, state);
    }
    void recorded(Code, const trace::Record&) noexcept override {}
  };
  for (int i = 0; i < 20; ++i) {
    records.clear();
    for (int n = 0; n < 2000; ++n) records.push_back(any_record());
    Sink sink;
    replay(records, {.counter_hz = kHz, .devices = devices, .reset_unclean = true}, sink);
    EXPECT_GT(sink.findings, 0U);
    EXPECT_LE(sink.findings, 64U);
  }
}

}  // namespace
}  // namespace arm_vcpu::diag
