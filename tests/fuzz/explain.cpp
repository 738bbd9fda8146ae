// SPDX-License-Identifier: Apache-2.0
// Values in words: registers, syndromes, encodings, calls, walks of both stages, backtraces.
#include "arm_vcpu/trace/explain.hpp"

#include <string>

#include "arm_vcpu/text.hpp"
#include "arm_vcpu/trace/backtrace.hpp"
#include "arm_vcpu/trace/explain_calls.hpp"
#include "arm_vcpu/trace/explain_sysreg.hpp"
#include "arm_vcpu/trace/explain_walk.hpp"
#include "fuzz.hpp"

namespace arm_vcpu {
namespace {

// Text is printable and says something.
void check(const TextBuffer& out) {
  FUZZ_CHECK(!out.view().empty() && !out.truncated());
  for (const char c : out.view()) FUZZ_CHECK(c == '\n' || (c >= ' ' && c <= '~'));
}

FUZZ_TARGET(explain, "values of registers, syndromes, encodings and calls in words") {
  static char storage[64 * 1024];
  const auto with = [](auto&& append) {
    TextBuffer out{storage};
    append(out);
    check(out);
  };
  const std::uint64_t value = input.number();
  const auto esr = input.take<std::uint64_t>();
  with([&](TextBuffer& out) { explain::append_esr(out, esr, input.flag()); });
  TextBuffer meaning{storage};
  explain::append_esr_meaning(meaning, esr);
  const explain::Register one = explain::register_at(input.take<std::uint16_t>() % explain::register_count());
  with([&](TextBuffer& out) { explain::append(out, one, value, input.flag()); });
  std::uint64_t seen = 0;  // no bit is told twice
  explain::visit(one, value, [&](const explain::FieldView& field) {
    FUZZ_CHECK(field.hi < 64 && field.lo <= field.hi);
    FUZZ_CHECK((seen & bits::mask(field.hi, field.lo)) == 0);
    FUZZ_CHECK(field.value == bits::extract(value, field.hi, field.lo));
    seen |= bits::mask(field.hi, field.lo);
  });
  with([&](TextBuffer& out) { explain::append_mair(out, input.byte()); });
  const SysRegId id = SysRegId::from_iss(SysRegIss::from(input.take<std::uint32_t>() & 0x1FF'FFFF));
  with([&](TextBuffer& out) { explain::append_sysreg(out, id); });
  TextBuffer generic{storage};
  explain::append_generic(generic, id);
  FUZZ_CHECK(explain::parse_generic(generic.view()) == id);
  const FunctionId call = FunctionId::from_x0(input.number());
  with([&](TextBuffer& out) { explain::append_call(out, call); });
  with([&](TextBuffer& out) { explain::append_call(out, call, value, input.number(), input.number()); });
  const std::string name{reinterpret_cast<const char*>(input.rest().data()), input.rest().size()};
  static_cast<void>(explain::find_register(name));
  static_cast<void>(explain::find_encoding(name));
  static_cast<void>(explain::parse_generic(name));
}

FUZZ_TARGET(walk, "stage 1 over stage 2, with any registers and any tables; frame records") {
  stage1::Registers registers{.tcr_el1 = input.take<std::uint64_t>(),
                              .ttbr0_el1 = input.number(),
                              .ttbr1_el1 = input.number(),
                              .mair_el1 = input.take<std::uint64_t>(),
                              .sctlr_el1 = input.take<std::uint32_t>() | std::uint64_t{input.below(4) != 0}};
  std::optional<explain::Stage2Tables> tables;
  if (input.flag()) {
    if (const auto layout = stage2::make_layout({.ipa_bits = 25 + input.below(30), .pa_bits = 32 + input.below(21)})) {
      tables = {.layout = *layout, .root = input.number() & ~std::uint64_t{0xFFFF}};
    }
  }
  const stage1::Request request{.va = input.number(),
                                .access = static_cast<stage1::Access>(input.below(3)),
                                .el = static_cast<std::uint8_t>(input.below(2)),
                                .pan = input.flag()};
  // Memory: what the input has, in the order of the reads; descriptors that lead on are the likelier ones.
  unsigned reads = 0;
  const auto reader = [&](std::uint64_t) noexcept -> std::optional<std::uint64_t> {
    FUZZ_CHECK(++reads <= 64);  // 5 levels, each descriptor through 4 levels
    if (input.empty()) return std::nullopt;
    const std::uint64_t value = input.number();
    return input.below(4) != 0 ? value | 3 : value;
  };
  const explain::Translation result = explain::translate(registers, tables, request, reader);
  FUZZ_CHECK(result.allowed() || !result.verdict.why.empty());
  FUZZ_CHECK(result.first.step_count <= result.first.storage.size());
  static char storage[16 * 1024];
  TextBuffer out{storage};
  stage1::append(out, registers, result.first);
  check(out);

  const trace::BacktraceLimits limits{.frames = input.below(100), .va_bits = 36 + input.below(17)};
  const auto words = [&](std::uint64_t) noexcept -> std::optional<std::uint64_t> {
    if (input.empty()) return std::nullopt;
    return input.number();
  };
  std::optional<std::uint64_t> x30;
  if (input.flag()) x30 = input.number();
  const trace::Backtrace trace =
      trace::backtrace(input.number(), input.number() & ~std::uint64_t{15}, x30, limits, words);
  FUZZ_CHECK(trace.count <= trace::Backtrace::kMaxFrames && trace.count <= (limits.frames == 0 ? 0 : limits.frames));
  FUZZ_CHECK(!meaning_of(trace.end).empty());
}

}  // namespace
}  // namespace arm_vcpu
