// SPDX-License-Identifier: Apache-2.0
#include "trace_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>

#include "arm_vcpu/trace/console_dump.hpp"
#include "failure.hpp"
#include "sample.hpp"
#include "temporary_trace.hpp"

namespace arm_vcpu::scope {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using trace::ChunkHeader;
using trace::Header;
using trace::Record;
using trace::RingHeader;

constexpr SampleOptions kOptions{.records = 9000, .cpus = 3};
constexpr std::size_t kFirstChunk = sizeof(Header);

Bytes stream(const SampleOptions& options = kOptions) {
  Bytes bytes;
  write_sample_stream(options, into(bytes));
  return bytes;
}

std::string failure_of(const std::string& path) {
  try {
    const TraceFile file{path};
    return "no failure";
  } catch (const Failure& failure) {
    return failure.what();
  }
}

template <class T>
T& at(Bytes& bytes, std::size_t offset) {
  return *reinterpret_cast<T*>(bytes.data() + offset);
}

void expect_numbered(const TraceFile& file) {
  for (const CpuTrace& cpu : file.cpus()) {
    std::uint32_t next = cpu.runs.empty() ? 0 : cpu.runs[0][0].sequence;
    for (const auto& run : cpu.runs) {
      for (const Record& record : run) ASSERT_EQ(record.sequence, next++);
    }
  }
}

TEST(Stream, GivesEveryRecordInOrder) {
  const TemporaryFile written{stream()};
  const TraceFile file{written.path()};
  EXPECT_THAT(file.problems(), IsEmpty());
  EXPECT_EQ(file.records(), 9000U);
  EXPECT_EQ(file.lost(), 0U);
  ASSERT_EQ(file.cpus().size(), 3U);
  expect_numbered(file);
  EXPECT_EQ(file.vm_name(0), "linux");
  EXPECT_EQ(file.vm_name(7), "vm7");
  EXPECT_EQ(file.ns(62'500'000ULL * 86'400 * 365 + 1), 1'000'000'000ULL * 86'400 * 365 + 16) << "exact after a year";
}

TEST(Stream, ALongerGapIsCountedAsLost) {
  Bytes bytes = stream();
  at<ChunkHeader>(bytes, kFirstChunk).first += 100;
  const TraceFile file{TemporaryFile{bytes}.path()};
  EXPECT_EQ(file.lost(), 100U);
}

TEST(Stream, AWrongChecksumLeavesOutItsChunkOnly) {
  Bytes bytes = stream();
  const std::size_t count = at<ChunkHeader>(bytes, kFirstChunk).count;
  bytes[kFirstChunk + sizeof(ChunkHeader) + 5] ^= std::byte{1};
  const TraceFile file{TemporaryFile{bytes}.path()};
  EXPECT_EQ(file.records(), 9000U - count);
  EXPECT_EQ(file.lost(), count);
  EXPECT_THAT(file.problems(), ElementsAre(HasSubstr("offset 0x1000: checksum")));
}

TEST(Stream, AWrongCountDoesNotHideTheChunksBehindIt) {
  Bytes bytes = stream();
  const std::size_t count = at<ChunkHeader>(bytes, kFirstChunk).count;
  at<ChunkHeader>(bytes, kFirstChunk).count = count + 1'000'000'000;
  const TraceFile file{TemporaryFile{bytes}.path()};
  EXPECT_EQ(file.records(), 9000U) << "the numbers of the records tell where the chunk ends";
  EXPECT_EQ(file.problems().size(), 1U);
}

TEST(Stream, ADamagedMagicIsSkippedToTheNextChunk) {
  Bytes bytes = stream();
  const std::size_t count = at<ChunkHeader>(bytes, kFirstChunk).count;
  at<ChunkHeader>(bytes, kFirstChunk).magic = {'j', 'u', 'n', 'k'};
  const TraceFile file{TemporaryFile{bytes}.path()};
  EXPECT_EQ(file.records(), 9000U - count);
  EXPECT_EQ(file.problems().size(), 1U);
}

// Wherever the file is cut, no record is lost but those behind the cut, and nothing is read past its end.
TEST(Stream, EveryCutSavesWhatIsBeforeIt) {
  const Bytes whole = stream({.records = 30, .cpus = 2});
  for (std::size_t size = sizeof(Header); size < whole.size(); ++size) {
    const TemporaryFile cut{std::span{whole}.first(size)};
    const std::size_t chunk0 = sizeof(Header) + sizeof(ChunkHeader);
    std::size_t expected = std::min<std::size_t>(size < chunk0 ? 0 : (size - chunk0) / sizeof(Record), 15);
    const std::size_t chunk1 = chunk0 + 15 * sizeof(Record) + sizeof(ChunkHeader);
    if (size >= chunk1) expected += (size - chunk1) / sizeof(Record);
    if (expected == 0) {
      EXPECT_THAT(failure_of(cut.path()), HasSubstr("usable")) << size;
      continue;
    }
    const TraceFile file{cut.path()};
    ASSERT_EQ(file.records(), expected) << size;
    expect_numbered(file);
  }
}

TEST(Stream, AnotherVersionIsNamed) {
  Bytes bytes = stream();
  at<Header>(bytes, 0).version = 9;
  EXPECT_THAT(failure_of(TemporaryFile{bytes}.path()), HasSubstr("trace format 9"));
}

Bytes memory(std::uint64_t records, std::uint64_t capacity = 64) {
  Bytes bytes;
  write_sample_memory({.records = records, .cpus = 3}, capacity, into(bytes));
  return bytes;
}

TEST(Memory, RingsThatHaveNotWrapped) {
  const TraceFile file{TemporaryFile{memory(90)}.path()};
  EXPECT_EQ(file.records(), 90U);
  EXPECT_EQ(file.lost(), 0U);
  EXPECT_THAT(file.problems(), IsEmpty());
  expect_numbered(file);
}

TEST(Memory, WrappedRingsLoseTheOldestAndTheSlotInUse) {
  const TraceFile file{TemporaryFile{memory(3 * 150)}.path()};
  EXPECT_EQ(file.records(), 3 * 63U);
  EXPECT_EQ(file.lost(), 3 * (150 - 63U));
  expect_numbered(file);
}

TEST(Memory, AfterACleanShutdownNoSlotIsInUse) {
  Bytes bytes = memory(3 * 150);
  at<Header>(bytes, 0).clean_shutdown = 1;
  EXPECT_EQ(TraceFile{TemporaryFile{bytes}.path()}.records(), 3 * 64U);
}

TEST(Memory, IsFoundInADumpOfRam) {
  const Bytes area = memory(90);
  for (const std::size_t before : {4096UL, 40960UL, 100UL, 1UL}) {
    Bytes dump(before);
    // The magic also stands in the hypervisor's image.
    if (before > 200) std::memcpy(dump.data() + 50, trace::kFileMagic.data(), trace::kFileMagic.size());
    dump.insert(dump.end(), area.begin(), area.end());
    dump.resize(dump.size() + 12345);
    const TraceFile file{TemporaryFile{dump}.path()};
    EXPECT_EQ(file.records(), 90U) << before;
    expect_numbered(file);
  }
}

TEST(Memory, OfTwoBootsTheLaterIsShown) {
  Bytes dump = memory(90);
  dump.resize(8192 * 8);
  Bytes later = memory(60);
  at<Header>(later, 0).boot_count = 1;
  dump.insert(dump.end(), later.begin(), later.end());
  const TraceFile file{TemporaryFile{dump}.path()};
  EXPECT_EQ(file.records(), 60U);
  EXPECT_THAT(file.problems(), ElementsAre(HasSubstr("earlier boot (0)")));
}

TEST(Memory, ADumpThatEndsInARing) {
  Bytes bytes = memory(3 * 60);
  bytes.resize(sizeof(Header) + sizeof(RingHeader) + 64 * sizeof(Record) + sizeof(RingHeader) + 10 * sizeof(Record));
  const TraceFile file{TemporaryFile{bytes}.path()};
  EXPECT_EQ(file.records(), 70U);
  EXPECT_EQ(file.problems().size(), 2U) << "a cut ring, and one that is missing";
}

TEST(Memory, ARingThatCannotBeTrueIsLeftOut) {
  for (const std::uint64_t capacity : {std::uint64_t{0}, std::uint64_t{63}, std::uint64_t{1} << 63}) {
    Bytes bytes = memory(90);
    at<RingHeader>(bytes, sizeof(Header)).capacity = capacity;
    EXPECT_EQ(TraceFile{TemporaryFile{bytes}.path()}.records(), 60U);
  }
}

TEST(Memory, HugeNumbersEndSoon) {
  Bytes bytes = memory(90);
  at<RingHeader>(bytes, sizeof(Header)).written = ~std::uint64_t{0} - 5;
  at<RingHeader>(bytes, sizeof(Header)).capacity = std::uint64_t{1} << 40;
  const TraceFile file{TemporaryFile{bytes}.path()};
  EXPECT_THAT(file.problems(), ::testing::Not(IsEmpty()));
}

std::string console(const SampleOptions& options = {.records = 30, .cpus = 2}) {
  Bytes bytes;
  write_sample_console(options, into(bytes));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(Console, IsPickedOutOfALog) {
  std::string log = console();
  log = "[    0.000000] Booting Linux\r\n[hv] dump me not\n" + log + "# reboot\n";
  for (std::size_t at = 0; (at = log.find("[hv] dump 1", at)) != log.npos; at += 30) {
    log.insert(at, "\x1b[0m12:00:01 ");  // what a terminal server adds
  }
  const TraceFile file{TemporaryFile{log}.path()};
  EXPECT_EQ(file.records(), 30U);
  EXPECT_THAT(file.problems(), IsEmpty());
  EXPECT_EQ(file.header().counter_hz, 62'500'000U);
  expect_numbered(file);
  const auto whole = all_records(file);
  Bytes streamed;
  write_sample_stream({.records = 30, .cpus = 2}, into(streamed));
  const auto same = all_records(TraceFile{TemporaryFile{streamed}.path()});
  ASSERT_EQ(whole.size(), same.size());
  EXPECT_EQ(std::memcmp(whole.data(), same.data(), whole.size() * sizeof(Record)), 0);
}

TEST(Console, DamagedAndMissingLinesAreCounted) {
  std::string log = console();
  log[log.find("[hv] dump 0 3 ") + 40] ^= 1;
  const std::size_t line = log.find("[hv] dump 0 6 ");
  log.erase(line, log.find('\n', line) + 1 - line);
  const TraceFile file{TemporaryFile{log}.path()};
  EXPECT_EQ(file.records(), 24U);
  EXPECT_EQ(file.lost(), 6U);
  EXPECT_THAT(file.problems(), ElementsAre(HasSubstr("1 of 9 lines"), HasSubstr("1 lines")));
}

TEST(Console, EveryCutIsSurvived) {
  const std::string log = console({.records = 9, .cpus = 1});
  for (std::size_t size = 1; size < log.size(); ++size) {
    const std::string message = failure_of(TemporaryFile{log.substr(0, size)}.path());
    EXPECT_THAT(message, ::testing::AnyOf(HasSubstr("no trace"), HasSubstr("usable"), "no failure"));
  }
}

TEST(Console, OfTwoDumpsTheLastIsShown) {
  const std::string log = console({.records = 30, .cpus = 2}) + console({.records = 10, .cpus = 1});
  EXPECT_EQ(TraceFile{TemporaryFile{log}.path()}.records(), 10U);
}

TEST(Anything, ThatIsNoTraceIsRefused) {
  EXPECT_THAT(failure_of("/nonexistent/file"), HasSubstr("No such file"));
  EXPECT_THAT(failure_of("/"), HasSubstr("directory"));
  EXPECT_THAT(failure_of(TemporaryFile{std::string_view{}}.path()), HasSubstr("empty"));
  EXPECT_THAT(failure_of(TemporaryFile{std::string_view{"text\n"}}.path()), HasSubstr("no trace in it"));
}

// Bytes flipped anywhere: the reader reports or ignores, and never leaves the file.
TEST(Anything, SurvivesFlippedBytes) {
  const Bytes sources[] = {stream({.records = 40, .cpus = 2}), memory(60, 16)};
  std::uint64_t random = 1;
  for (int round = 0; round < 2000; ++round) {
    Bytes bytes = sources[round % 2];
    for (int flips = 0; flips < 3; ++flips) {
      random = random * 6364136223846793005 + 1442695040888963407;
      const bool in_headers = (random >> 60) < 8;
      bytes[(random >> 20) % (in_headers ? 4400 : bytes.size())] ^= static_cast<std::byte>(random >> 50 | 1);
    }
    (void)failure_of(TemporaryFile{bytes}.path());
  }
}

}  // namespace
}  // namespace arm_vcpu::scope
