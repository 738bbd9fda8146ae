// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/trace/console_dump.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace arm_vcpu::trace {
namespace {

struct Lines {
  std::vector<std::string> lines;
  auto sink() {
    return [this](std::string_view line) { lines.emplace_back(line); };
  }
};

TEST(ConsoleDump, LinesHaveTheDocumentedForm) {
  // The expected text was made with Python's base64 and zlib.
  DumpLine line;
  const Record record{};
  EXPECT_EQ(dump_record_line(line, 2, 77, {&record, 1}), "[hv] dump 2 77 " + std::string(86, 'A') + "== 758d6336");
  EXPECT_EQ(dump_end_line(line, 12), "[hv] dump end 12");
}

TEST(ConsoleDump, HeaderAndLongestLineFit) {
  DumpLine line;
  EXPECT_EQ(dump_begin_line(line, Header{.magic = kFileMagic}).size(), std::strlen("[hv] dump begin ") + 172 + 9);
  const std::array<Record, 3> records{};
  const auto longest = dump_record_line(line, ~0U, ~std::uint64_t{0}, records);
  EXPECT_LT(longest.size(), kDumpLineChars);
  EXPECT_EQ(longest.substr(longest.size() - 9, 1), " ") << "the CRC is there: nothing was cut";
}

TEST(ConsoleDump, ARingGivesItsLastRecordsOverTheWrap) {
  constexpr std::uint64_t kCapacity = 8;
  alignas(64) std::byte memory[sizeof(RingHeader) + kCapacity * sizeof(Record)]{};
  Ring& ring = *Ring::create(memory, 1, kCapacity);
  for (std::uint64_t i = 0; i < 13; ++i) ring.append({.data = i});
  Lines out;
  ConsoleDump dump{out.sink()};
  dump.begin(Header{});
  dump.ring(ring, 7);
  dump.end();
  ASSERT_EQ(out.lines.size(), 5U);
  EXPECT_EQ(out.lines[1].substr(0, 14), "[hv] dump 1 6 ");
  EXPECT_EQ(out.lines[2].substr(0, 14), "[hv] dump 1 9 ");
  EXPECT_EQ(out.lines[3].substr(0, 15), "[hv] dump 1 12 ");
  EXPECT_EQ(out.lines[4], "[hv] dump end 3");
}

TEST(ConsoleDump, AnEmptyRingGivesNothing) {
  alignas(64) std::byte memory[sizeof(RingHeader) + 4 * sizeof(Record)]{};
  Lines out;
  ConsoleDump dump{out.sink()};
  dump.ring(*Ring::create(memory, 0, 4), 100);
  EXPECT_TRUE(out.lines.empty());
}

}  // namespace
}  // namespace arm_vcpu::trace
