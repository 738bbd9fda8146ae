// SPDX-License-Identifier: Apache-2.0
// What vcpuscope reads: streamed files, dumps of memory, logs. The files are in memory only.
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "../../tools/vcpuscope/failure.hpp"
#include "../../tools/vcpuscope/trace_file.hpp"
#include "arm_vcpu/trace/console_dump.hpp"
#include "fuzz.hpp"

namespace arm_vcpu::scope {
namespace {

class MemoryFile {
 public:
  template <class T>
  explicit MemoryFile(std::span<const T> bytes) : descriptor_{memfd_create("fuzz", 0)} {
    FUZZ_CHECK(descriptor_ >= 0);
    FUZZ_CHECK(write(descriptor_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  }
  ~MemoryFile() { close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

void check(const TraceFile& file) {
  std::uint64_t count = 0;
  for_each_by_time(file, [&](const CpuTrace&, const trace::Record& record) {
    ++count;
    static_cast<void>(file.vm_name(record.vm));
    static_cast<void>(file.ns(record.time));
  });
  FUZZ_CHECK(count == file.records() && count != 0);
}

FUZZ_TARGET(trace_file, "trace files, dumps and logs as vcpuscope reads them") {
  const MemoryFile file{input.rest()};
  try {
    check(TraceFile{file.path()});
  } catch (const Failure& failure) {
    FUZZ_CHECK(*failure.what() != '\0');
  }
}

FUZZ_TARGET(console_dump, "a dump on the console: what is written is read again, or its damage is noticed") {
  trace::Header header{};
  header.magic = trace::kFileMagic;
  header.version = trace::kVersion;
  header.header_bytes = sizeof header;
  header.record_bytes = sizeof(trace::Record);
  header.counter_hz = 62'500'000;
  std::string log = "boot\n";
  trace::ConsoleDump dump{[&](std::string_view line) {
    log += line;
    log += "\r\n";
  }};
  dump.begin(header);
  const unsigned cpus = 1 + input.below(4);
  std::uint64_t written = 0;
  std::vector<std::vector<trace::Record>> all(cpus);
  for (unsigned cpu = 0; cpu < cpus; ++cpu) {
    all[cpu].resize(input.below(20));
    const std::uint64_t first = input.number() & 0xFFFF'FFFF;
    for (std::size_t i = 0; i < all[cpu].size(); ++i) {
      all[cpu][i] = input.take<trace::Record>();
      all[cpu][i].sequence = static_cast<std::uint32_t>(first + i);
    }
    written += all[cpu].size();
    dump.records(cpu, first, all[cpu]);
  }
  dump.end();
  // Damage, as a serial line does it.
  const unsigned damage = input.below(4);
  for (unsigned i = 0; i < damage; ++i) log[input.take<std::uint32_t>() % log.size()] = static_cast<char>(input.byte());
  const MemoryFile file{std::span<const char>{log}};
  try {
    const TraceFile read{file.path()};
    check(read);
    FUZZ_CHECK(read.records() <= written);
    for (const CpuTrace& cpu : read.cpus()) {
      if (damage != 0) break;
      std::size_t at = 0;
      for (const auto run : cpu.runs) {
        for (const trace::Record& record : run)
          FUZZ_CHECK(std::memcmp(&record, &all[cpu.cpu][at++], sizeof record) == 0);
      }
      FUZZ_CHECK(at == all[cpu.cpu].size() && cpu.lost <= 0xFFFF'FFFF);
    }
    FUZZ_CHECK(damage != 0 || read.records() == written);
  } catch (const Failure&) {
    FUZZ_CHECK(damage != 0 || written == 0);
  }
}

}  // namespace
}  // namespace arm_vcpu::scope
