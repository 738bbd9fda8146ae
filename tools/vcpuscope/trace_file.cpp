// SPDX-License-Identifier: Apache-2.0
#include "trace_file.hpp"

#include <fmt/core.h>
#include <libdeflate.h>

#include <algorithm>
#include <cstring>

#include "failure.hpp"

namespace arm_vcpu::scope {
namespace {

using trace::ChunkHeader;
using trace::Header;
using trace::Record;
using trace::RingHeader;

constexpr std::uint64_t kMaxCpus = 4096;

template <class T>
T load(std::span<const std::byte> bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

template <class T>
bool holds_magic(std::span<const std::byte> bytes, std::size_t at, const T& magic) {
  return at <= bytes.size() && bytes.size() - at >= magic.size() &&
         std::memcmp(bytes.data() + at, magic.data(), magic.size()) == 0;
}

bool plausible(const Header& header) {
  return header.version == trace::kVersion && header.header_bytes == sizeof(Header) &&
         header.record_bytes == sizeof(Record) && header.cpus <= kMaxCpus;
}

// What follows a header, when it is one. The magic also stands in the hypervisor's image, so it alone proves nothing.
enum class Form { none, stream, memory };

Form form_of(std::span<const std::byte> bytes, std::size_t at) {
  if (!holds_magic(bytes, at, trace::kFileMagic) || bytes.size() - at < sizeof(Header)) return Form::none;
  if (!plausible(load<Header>(bytes, at))) return Form::none;
  if (holds_magic(bytes, at + sizeof(Header), trace::kRingMagic)) return Form::memory;
  return at == 0 ? Form::stream : Form::none;
}

// Records in place; a dump may hold them at an address that a Record cannot have.
std::span<const Record> records_at(std::span<const std::byte> bytes, std::size_t at, std::size_t count) {
  return {reinterpret_cast<const Record*>(bytes.data() + at), count};
}

// How many of `records` carry the numbers that start with `first`: what a damaged end has left.
std::size_t numbered(std::span<const Record> records, std::uint64_t first) {
  std::size_t n = 0;
  while (n < records.size() && records[n].sequence == static_cast<std::uint32_t>(first + n)) ++n;
  return n;
}

}  // namespace

void CpuTrace::append(std::uint64_t first, std::span<const Record> run) {
  if (run.empty()) return;
  if (first > next) lost += first - next;
  next = first + run.size();
  records += run.size();
  if (!runs.empty() && runs.back().data() + runs.back().size() == run.data()) {
    runs.back() = {runs.back().data(), runs.back().size() + run.size()};
  } else {
    runs.push_back(run);
  }
}

TraceFile::TraceFile(const std::string& path) : path_{path}, file_{path} {
  const auto bytes = file_.bytes();
  if (bytes.empty()) throw Failure(fmt::format("{}: the file is empty", path));
  if (form_of(bytes, 0) == Form::stream) {
    read_stream(bytes);
  } else if (const auto area = find_area(bytes)) {
    read_memory(bytes.subspan(*area));
  } else if (!read_console({reinterpret_cast<const char*>(bytes.data()), bytes.size()})) {
    if (holds_magic(bytes, 0, trace::kFileMagic) && bytes.size() >= sizeof(Header)) {
      const auto header = load<Header>(bytes, 0);
      throw Failure(fmt::format("{}: trace format {} with records of {} bytes: this vcpuscope reads format {}", path,
                                header.version, header.record_bytes, trace::kVersion));
    }
    throw Failure(
        fmt::format("{}: no trace in it: neither a trace file, nor a memory dump with the recorder's area, "
                    "nor a log with \"[hv] dump\" lines",
                    path));
  }
  finish();
}

// Where the recorder's area is in a dump of memory. After a warm reset there may be an older one, kept for this.
std::optional<std::size_t> TraceFile::find_area(std::span<const std::byte> bytes) {
  std::optional<std::size_t> best;
  std::vector<std::size_t> all;
  for (std::size_t from = 0; from < bytes.size();) {
    const void* hit =
        ::memmem(bytes.data() + from, bytes.size() - from, trace::kFileMagic.data(), trace::kFileMagic.size());
    if (hit == nullptr) break;
    const auto at = static_cast<std::size_t>(static_cast<const std::byte*>(hit) - bytes.data());
    from = at + 1;
    if (form_of(bytes, at) != Form::memory) continue;
    all.push_back(at);
    if (!best || load<Header>(bytes, at).boot_count > load<Header>(bytes, *best).boot_count) best = at;
  }
  for (const std::size_t at : all) {
    if (at != *best) {
      problems_.push_back(
          fmt::format("the trace of an earlier boot ({}) is in it too, at offset {:#x}; the one of boot "
                      "{} is shown (cut the dump there to see the other)",
                      load<Header>(bytes, at).boot_count, at, load<Header>(bytes, *best).boot_count));
    }
  }
  return best;
}

CpuTrace& TraceFile::cpu(std::uint32_t number) {
  const auto found = std::find_if(cpus_.begin(), cpus_.end(), [&](const CpuTrace& c) { return c.cpu == number; });
  if (found != cpus_.end()) return *found;
  cpus_.emplace_back().cpu = number;
  return cpus_.back();
}

void TraceFile::read_stream(std::span<const std::byte> bytes) {
  header_ = load<Header>(bytes, 0);
  std::size_t at = sizeof(Header);
  while (at < bytes.size()) {
    const std::size_t left = bytes.size() - at;
    if (!holds_magic(bytes, at, trace::kChunkMagic) || left < sizeof(ChunkHeader)) {
      std::size_t next = at;
      while (next < bytes.size() && !(next > at && holds_magic(bytes, next, trace::kChunkMagic))) next += 64;
      next = std::min(next, bytes.size());
      problems_.push_back(fmt::format("offset {:#x}: no chunk here; {} bytes skipped", at, next - at));
      at = next;
      continue;
    }
    const auto chunk = load<ChunkHeader>(bytes, at);
    const std::size_t here = (left - sizeof(ChunkHeader)) / sizeof(Record);
    const auto records = records_at(bytes, at + sizeof(ChunkHeader), std::min<std::uint64_t>(here, chunk.count));
    if (chunk.cpu >= kMaxCpus) {
      problems_.push_back(fmt::format("offset {:#x}: chunk of CPU {}: not believed", at, chunk.cpu));
      at += sizeof(ChunkHeader);
      continue;
    }
    if (chunk.count > here) {  // cut off, or the header is damaged: another chunk may follow
      const std::size_t saved = numbered(records, chunk.first);
      cpu(chunk.cpu).append(chunk.first, records.first(saved));
      problems_.push_back(
          fmt::format("offset {:#x}: the chunk is cut off: {} of {} records saved", at, saved, chunk.count));
      at += sizeof(ChunkHeader) + saved * sizeof(Record);
      if (bytes.size() - at < sizeof(Record)) break;
      continue;
    }
    if (::libdeflate_crc32(0, records.data(), records.size_bytes()) != chunk.crc32) {
      problems_.push_back(fmt::format("offset {:#x}: checksum of a chunk of CPU {} is wrong: {} records left out", at,
                                      chunk.cpu, chunk.count));
      // A wrong count would hide the chunks behind it.
      const std::size_t behind = at + sizeof(ChunkHeader) + records.size_bytes();
      at = behind == bytes.size() || holds_magic(bytes, behind, trace::kChunkMagic) ? behind : at + sizeof(ChunkHeader);
      continue;
    }
    cpu(chunk.cpu).append(chunk.first, records);
    at += sizeof(ChunkHeader) + records.size_bytes();
  }
}

void TraceFile::read_memory(std::span<const std::byte> bytes) {
  header_ = load<Header>(bytes, 0);
  if (header_.area_bytes >= sizeof(Header) && header_.area_bytes < bytes.size()) {
    bytes = bytes.first(header_.area_bytes);
  }
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(Record) != 0) {
    auto& copy = owned_.emplace_back(bytes.size() / sizeof(Record));
    std::memcpy(static_cast<void*>(copy.data()), bytes.data(), copy.size() * sizeof(Record));
    bytes = std::as_bytes(std::span{copy});
  }
  std::size_t at = sizeof(Header);
  for (std::uint32_t index = 0; index < header_.cpus; ++index) {
    while (at < bytes.size() && !holds_magic(bytes, at, trace::kRingMagic)) at += sizeof(Record);
    if (at >= bytes.size() || bytes.size() - at < sizeof(RingHeader)) {
      problems_.push_back(fmt::format("the rings of {} of {} CPUs are not there", header_.cpus - index, header_.cpus));
      return;
    }
    const auto ring = load<RingHeader>(bytes, at);
    at += sizeof(RingHeader);
    const std::size_t here = (bytes.size() - at) / sizeof(Record);
    if (ring.cpu >= kMaxCpus || ring.capacity == 0 || (ring.capacity & (ring.capacity - 1)) != 0 ||
        ring.capacity > std::uint64_t{1} << 40) {
      problems_.push_back(fmt::format("ring {}: CPU {}, capacity {}: not believed", index, ring.cpu, ring.capacity));
      continue;
    }
    const auto slots = records_at(bytes, at, std::min<std::uint64_t>(here, ring.capacity));
    at += slots.size_bytes();
    // The writer may have been filling the slot of the oldest record.
    const bool busy = ring.written >= ring.capacity && header_.clean_shutdown == 0;
    std::uint64_t n = ring.written > ring.capacity ? ring.written - ring.capacity : 0;
    if (busy) ++n;
    std::uint64_t bad = 0;
    while (n < ring.written) {
      const std::size_t slot = n & (ring.capacity - 1);
      const std::uint64_t most = std::min<std::uint64_t>(ring.written - n, ring.capacity - slot);
      if (slot >= slots.size()) {  // the dump ends inside the ring
        bad += most;
        n += most;
        continue;
      }
      const std::size_t whole = std::min<std::size_t>(most, slots.size() - slot);
      const std::size_t good = numbered(slots.subspan(slot, whole), n);
      cpu(ring.cpu).append(n, slots.subspan(slot, good));
      n += good;
      if (good < whole) {
        ++n;
        ++bad;
      }
    }
    if (bad != 0) {
      problems_.push_back(
          fmt::format("ring of CPU {}: {} records are cut off or do not carry their number", ring.cpu, bad));
    }
  }
}

void TraceFile::finish() {
  std::sort(cpus_.begin(), cpus_.end(), [](const CpuTrace& a, const CpuTrace& b) { return a.cpu < b.cpu; });
  if (records() == 0) {
    const std::string why = problems_.empty() ? "it has no record yet" : problems_.front();
    throw Failure(fmt::format("{}: nothing in it is usable: {}", path_, why));
  }
  if (header_.counter_hz < 1000 || header_.counter_hz > 10'000'000'000) {
    problems_.push_back(
        fmt::format("a counter frequency of {} Hz is not believed: 1 ns per tick assumed", header_.counter_hz));
  } else {
    hz_ = header_.counter_hz;
  }
  first_time_ = ~std::uint64_t{0};
  for (const CpuTrace& c : cpus_) {
    if (c.runs.empty()) continue;
    // Records are in the order of their ends, and a few events precede the record of the exit that holds them.
    const auto head = c.runs.front().first(std::min<std::size_t>(c.runs.front().size(), 64));
    const auto tail = c.runs.back().last(std::min<std::size_t>(c.runs.back().size(), 64));
    for (const Record& r : head) first_time_ = std::min(first_time_, r.time);
    for (const Record& r : tail) {
      last_time_ = std::max(last_time_, r.time + (trace::is_exit(r.kind) ? r.duration : 0));
    }
  }
}

std::uint64_t TraceFile::records() const noexcept {
  std::uint64_t sum = 0;
  for (const CpuTrace& c : cpus_) sum += c.records;
  return sum;
}

std::uint64_t TraceFile::lost() const noexcept {
  std::uint64_t sum = 0;
  for (const CpuTrace& c : cpus_) sum += c.lost;
  return sum;
}

std::string TraceFile::vm_name(unsigned vm) const {
  if (vm < trace::kMaxVms && header_.vms[vm].vcpus != 0) {
    const auto& name = header_.vms[vm].name;
    const std::size_t length = ::strnlen(name.data(), name.size());
    const std::string_view text{name.data(), length};
    if (length != 0 && std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; })) {
      return std::string{text};
    }
  }
  return fmt::format("vm{}", vm);
}

}  // namespace arm_vcpu::scope
