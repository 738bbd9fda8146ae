// SPDX-License-Identifier: Apache-2.0
// The diagnosis of any captured state and any trace: it comes to an end, and its text is text.
#include "fuzz.hpp"
#include "trace/diagnosis/random_state.hpp"

namespace arm_vcpu::diag {
namespace {

struct State final : RandomState {
  using RandomState::RandomState;
  using TestState::before_entry;
  using TestState::devices;
  using TestState::list;
  using TestState::look;
  using TestState::records;
  using TestState::state;
  void TestBody() override {}
};

void check(const Diagnosis& diagnosis, const CapturedState& state) {
  FUZZ_CHECK(!diagnosis.what().empty());
  struct Sink final : LineSink {
    void line(std::string_view line) noexcept override {
      FUZZ_CHECK(line.size() <= 200);
      for (const char c : line) FUZZ_CHECK(c >= ' ' && c <= '~');
    }
  } sink;
  render(diagnosis, state, sink);
}

FUZZ_TARGET(diagnosis, "rules, preflight and replay over any captured state") {
  // Each number costs 1 to 9 bytes; when they are over the rest is made from the last.
  std::uint64_t last = 1;
  State state{[&] { return last = input.empty() ? last * 6'364'136'223'846'793'005 + 1 : input.number(); }};
  for (unsigned i = 0; i < 3; ++i) {
    state.scramble();
    if (input.flag()) {
      state.before_entry();
    } else {
      state.look(state.any_trigger());
    }
    for (const Diagnosis& one : state.list) check(one, state.state);
  }
  struct Sink final : ReplaySink {
    unsigned findings{};
    void found(const Diagnosis& one, const CapturedState& captured) noexcept override {
      ++findings;
      check(one, captured);
    }
    void recorded(Code, const trace::Record&) noexcept override {}
  } sink;
  replay(state.records, {.counter_hz = kHz, .devices = state.devices, .reset_unclean = input.flag()}, sink);
  FUZZ_CHECK(sink.findings <= 64);
}

}  // namespace
}  // namespace arm_vcpu::diag
