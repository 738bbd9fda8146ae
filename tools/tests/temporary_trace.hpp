// SPDX-License-Identifier: Apache-2.0
// Files for tests: made in memory, written to a temporary file that goes away.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "arm_vcpu/trace/record.hpp"
#include "sample.hpp"
#include "trace_file.hpp"

namespace arm_vcpu::scope {

using Bytes = std::vector<std::byte>;

inline Sink into(Bytes& bytes) {
  return [&bytes](std::span<const std::byte> more) { bytes.insert(bytes.end(), more.begin(), more.end()); };
}

template <class T>
void append_object(Bytes& bytes, const T& object) {
  const auto raw = std::as_bytes(std::span{&object, 1});
  bytes.insert(bytes.end(), raw.begin(), raw.end());
}

class TemporaryFile {
 public:
  explicit TemporaryFile(std::span<const std::byte> bytes) {
    const int fd = ::mkstemp(path_.data());
    if (fd < 0 || ::write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) ADD_FAILURE();
    ::close(fd);
  }
  explicit TemporaryFile(std::string_view text) : TemporaryFile{std::as_bytes(std::span{text})} {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { ::unlink(path_.c_str()); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_ = ::testing::TempDir() + "vcpuscope-XXXXXX";
};

// A streamed file of one CPU with these records.
inline Bytes stream_of(std::vector<trace::Record> records) {
  Bytes bytes;
  append_object(bytes, sample_header({.cpus = 1}));
  for (std::size_t i = 0; i < records.size(); ++i) records[i].sequence = static_cast<std::uint32_t>(i);
  trace::ChunkHeader chunk{};
  chunk.magic = trace::kChunkMagic;
  chunk.count = records.size();
  chunk.crc32 = trace::crc32(records.data(), records.size() * sizeof(trace::Record));
  append_object(bytes, chunk);
  for (const auto& record : records) append_object(bytes, record);
  return bytes;
}

inline std::vector<trace::Record> all_records(const TraceFile& file) {
  std::vector<trace::Record> records;
  for_each_by_time(file, [&](const CpuTrace&, const trace::Record& record) { records.push_back(record); });
  return records;
}

}  // namespace arm_vcpu::scope
