// SPDX-License-Identifier: Apache-2.0
#include "test_state.hpp"

namespace arm_vcpu::diag {
namespace {

class Render : public TestState {};

class Names final : public Symbolizer {
 public:
  bool symbolize(TextBuffer& out, std::uint64_t address, bool el2) const noexcept override {
    if (address != kEntry) return false;
    out.put(el2 ? "hypervisor" : "start_kernel+0x1c");
    return true;
  }
};

TEST_F(Render, SymbolsOfTheGuest) {
  set_exit(esr_of(Ec::data_abort_lower, abort_iss(Fsc::translation_l2)), kEntry, 0xA00'0000, 0xA00'0000);
  look(trigger::MmioFailure{0xA00'0000, AccessWidth::word, false, 0, MmioOutcome::hole});
  const Names names;
  EXPECT_THAT(text(list[0], state, &names), HasSubstr("evidence: PC 0x40200000 <start_kernel+0x1c>\n"));
}

TEST_F(Render, OneScreenAndNoLongLines) {
  set_exit(esr_of(Ec::data_abort_lower, abort_iss(Fsc::translation_l2)), kEntry, 0xA00'0000, 0xA00'0000);
  look(trigger::MmioFailure{0xA00'0000, AccessWidth::word, false, 0, MmioOutcome::hole});
  const std::string all = text();
  std::size_t lines = 0, start = 0;
  for (std::size_t end = all.find('\n'); end != std::string::npos; start = end + 1, end = all.find('\n', start)) {
    ++lines;
    EXPECT_LE(end - start, 200U);
    if (lines > 1) {
      const std::string line = all.substr(start, end - start);
      EXPECT_TRUE(line.starts_with("  evidence: ") || line.starts_with("  cause (") || line.starts_with("  check: ") ||
                  line.starts_with("  considered: "))
          << line;
    }
  }
  EXPECT_LE(lines, 24U) << all;
  EXPECT_GE(lines, 6U);
}

TEST_F(Render, TheUnknownDumpsWithinAScreenOrTwo) {
  for (int i = 0; i < 100; ++i) push(record(trace::Kind::exit_irq));
  look(trigger::Inspection{});
  EXPECT_THAT(codes(), ElementsAre(Code::unknown));
  const std::string all = text();
  EXPECT_THAT(all, HasSubstr("x30"));
  EXPECT_THAT(all, HasSubstr("record 99 "));
  EXPECT_LE(std::count(all.begin(), all.end(), '\n'), 50);
}

}  // namespace
}  // namespace arm_vcpu::diag
