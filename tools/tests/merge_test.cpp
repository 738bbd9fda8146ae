// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <map>

#include "temporary_trace.hpp"
#include "trace_file.hpp"

namespace arm_vcpu::scope {
namespace {

TEST(Merge, IsByTimeAndKeepsEachCpusOrder) {
  Bytes bytes;
  write_sample_stream({.records = 20'000, .cpus = 5}, into(bytes));
  const TemporaryFile written{bytes};
  const TraceFile file{written.path()};
  std::map<std::uint32_t, std::uint32_t> next;
  std::uint64_t seen = 0;
  std::uint64_t time = 0;
  for_each_by_time(file, [&](const CpuTrace& cpu, const trace::Record& record) {
    ASSERT_EQ(record.sequence, next[cpu.cpu]++);
    ASSERT_GE(record.time, time);
    time = record.time;
    ++seen;
  });
  EXPECT_EQ(seen, 20'000U);
}

TEST(Merge, ACpuOutOfOrderStaysInItsOrder) {
  const TemporaryFile written{stream_of({{.time = 10}, {.time = 30}, {.time = 20}, {.time = 40}})};
  const TraceFile file{written.path()};
  std::vector<std::uint64_t> times;
  for_each_by_time(file, [&](const CpuTrace&, const trace::Record& record) { times.push_back(record.time); });
  EXPECT_EQ(times, (std::vector<std::uint64_t>{10, 30, 20, 40}));
}

}  // namespace
}  // namespace arm_vcpu::scope
