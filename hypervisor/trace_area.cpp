// SPDX-License-Identifier: Apache-2.0
#include "trace_area.hpp"

#include <cstring>

#include "arm_vcpu/arch/esr.hpp"
#include "arm_vcpu/decode.hpp"
#include "arm_vcpu/el2/sysreg.hpp"
#include "arm_vcpu/trace/console_dump.hpp"
#include "console.hpp"
#include "layout.hpp"
#include "lock.hpp"
#include "memory.hpp"
#include "per_cpu.hpp"
#include "semihosting.hpp"

extern "C" const unsigned char hv_build_id[];

namespace arm_vcpu::hv::trace_area {
namespace {

constexpr std::uint64_t kRingBytes = sizeof(trace::RingHeader) + kRecordsPerCpu * sizeof(trace::Record);

constinit trace::Header* g_header = nullptr;
constinit unsigned g_cpus = 0;
constinit SpinLock g_file_lock{"trace file"};
constinit SemihostingFile g_file;
constinit std::atomic<bool> g_streaming{false};
constinit std::array<std::uint64_t, kMaxCpus> g_printed{};
constinit FormerRun g_former{};

std::uint64_t area_bytes(unsigned cpus) noexcept {
  return bits::align_up(sizeof(trace::Header) + cpus * kRingBytes, 0x1000);
}

bool is_area(const trace::Header& header, std::uint64_t base) noexcept {
  return header.magic == trace::kFileMagic && header.version == trace::kVersion && header.area_pa == base &&
         header.cpus != 0 && header.cpus <= kMaxCpus;
}

void describe(trace::Header& header, std::uint64_t base, unsigned cpus, std::uint64_t boots) noexcept {
  header = trace::Header{};
  header.magic = trace::kFileMagic;
  header.version = trace::kVersion;
  header.header_bytes = sizeof(trace::Header);
  header.record_bytes = sizeof(trace::Record);
  header.cpus = cpus;
  header.counter_hz = el2::counter_hz();
  header.area_bytes = area_bytes(cpus);
  header.area_pa = base;
  header.image_base = image_range().base;
  header.boot_count = boots;
  // The note: 12 bytes of sizes and type, "GNU\0", then the ID.
  std::memcpy(header.build_id.data(), hv_build_id + 16, header.build_id.size());
  constexpr std::string_view kVersionText = VCPU_VERSION;
  std::memcpy(header.hypervisor_version.data(), kVersionText.data(), kVersionText.size());
}

// Precondition: start() succeeded.
trace::Ring& ring_of(unsigned cpu) noexcept {
  return *reinterpret_cast<trace::Ring*>(address_of(g_header) + sizeof(trace::Header) + cpu * kRingBytes);
}

void write_chunk(trace::Ring& ring) noexcept {
  trace::RingHeader& header = ring.header();
  const std::uint64_t first = ring.first();
  if (header.streamed < first) {
    header.lost += first - header.streamed;
    header.streamed = first;
  }
  const std::uint64_t end = ring.end();
  while (header.streamed < end) {
    // As far as the records lie in one piece.
    const std::uint64_t index = header.streamed & (header.capacity - 1);
    const std::uint64_t count =
        end - header.streamed < header.capacity - index ? end - header.streamed : header.capacity - index;
    const trace::Record& records = ring.at(header.streamed);
    trace::ChunkHeader chunk{.magic = trace::kChunkMagic,
                             .cpu = header.cpu,
                             .first = header.streamed,
                             .count = count,
                             .lost = header.lost,
                             .crc32 = trace::crc32(&records, count * sizeof(trace::Record))};
    const LockGuard guard{g_file_lock};
    if (!g_file.write(&chunk, sizeof chunk) || !g_file.write(&records, count * sizeof(trace::Record))) {
      g_streaming.store(false);
      return;
    }
    header.streamed += count;
  }
}

void print_record(const trace::Record& record) noexcept {
  const std::uint64_t us = record.time / (g_header->counter_hz / 1'000'000);
  const auto line = [&](std::string_view where, std::string_view pattern, const auto&... args) {
    char storage[200];
    TextBuffer text{storage};
    format_to(text, pattern, args...);
    log(Level::trace, "{}.{:06} vm{} vcpu{} {}: {}", us / 1'000'000, us % 1'000'000, record.vm, record.vcpu, where,
        text.view());
  };
  if (!trace::is_exit(record.kind)) {
    line(trace::name_of(record.kind), "PC {:x}, {:x} {:x} {:x}", record.pc, record.far, record.hpfar, record.data);
    return;
  }
  line("vmexit_handler", "exit reason {}, PC {:x}, {}", trace::meaning_of(record.kind), record.pc,
       trace::name_of(record.outcome));
  if (record.kind != trace::Kind::exit_sync) return;
  const Esr esr = Esr::from(record.esr);
  const Ec ec = esr.get<Esr::EC>();
  line("handle_exception_sync", "EC {:x} ({}), ISS {:x}", ec, meaning_of(ec), esr.get<Esr::ISS>());
  if (ec == Ec::data_abort_lower) {
    const auto iss = DataAbortIss::from(esr.get<Esr::ISS>());
    const std::uint64_t ipa = fault_ipa(Hpfar::from(record.hpfar), record.far, iss.get<DataAbortIss::S1PTW>());
    line("handle_data_abort", "{} at IPA {:x} (VA {:x}), PC {:x}, {}", iss.get<DataAbortIss::WnR>() ? "write" : "read",
         ipa, record.far, record.pc, meaning_of(iss.get<DataAbortIss::DFSC>()));
  }
}

}  // namespace

namespace {

void find_former_run(const trace::Header& header) noexcept {
  g_former = {.header = &header};
  std::uint64_t newest = 0;
  for (unsigned cpu = 0; cpu < header.cpus; ++cpu) {
    const auto& ring = *reinterpret_cast<const trace::Ring*>(address_of(&header) + sizeof header + cpu * kRingBytes);
    if (ring.header().magic != trace::kRingMagic || ring.header().capacity != kRecordsPerCpu || ring.end() == 0)
      continue;
    const std::uint64_t time = ring.at(ring.end() - 1).time;
    if (g_former.last_ring != nullptr && time < newest) continue;
    g_former.last_ring = &ring;
    newest = time;
  }
}

}  // namespace

Result<> start(unsigned cpus) noexcept {
  const std::uint64_t bytes = area_bytes(cpus);
  // Boot loaders write a stub or a spin table to the start of RAM at every reset: no place for what must survive it.
  if (const Result<Range> first_page = memory::allocate(0x1000, 0x1000); !first_page) {
    return std::unexpected(first_page.error());
  }
  Result<Range> area = memory::allocate(bytes, 0x1000);
  if (!area) return std::unexpected(area.error());
  std::uint64_t boots = 0;
  if (const auto& old = *pointer_to<const trace::Header>(area->base); is_area(old, area->base)) {
    boots = old.boot_count + 1;
    if (old.clean_shutdown == 0) {
      const Result<Range> other = memory::allocate(bytes, 0x1000);
      if (!other) return std::unexpected(other.error());
      log(Level::warn, "the former run ended badly; its trace is kept at {:x}, {} bytes: dump it for vcpuscope",
          area->base, bytes);
      find_former_run(old);
      area = other;
    }
  }
  g_header = pointer_to<trace::Header>(area->base);
  g_cpus = cpus;
  describe(*g_header, area->base, cpus, boots);
  for (unsigned cpu = 0; cpu < cpus; ++cpu) {
    (void)trace::Ring::create(pointer_to<void>(area->base + sizeof(trace::Header) + cpu * kRingBytes), cpu,
                              kRecordsPerCpu);
  }
  return {};
}

trace::Header* header() noexcept {
  return g_header;
}

const FormerRun& former_run() noexcept {
  return g_former;
}

trace::Ring* ring(unsigned cpu) noexcept {
  if (g_header == nullptr || cpu >= g_cpus) return nullptr;
  return &ring_of(cpu);
}

void record(trace::Record event) noexcept {
  trace::Ring* const own = ring(this_cpu().index);
  if (own == nullptr) return;
  event.time = el2::counter_ticks();
  own->append(event);
}

void record_vm_event(unsigned vm, trace::VmEvent event) noexcept {
  record(
      {.data = static_cast<std::uint64_t>(event), .vm = static_cast<std::uint8_t>(vm), .kind = trace::Kind::vm_event});
}

void stream_to(std::string_view path) noexcept {
  if (!g_file.open(path)) {
    log(Level::error, "the trace file {} cannot be written; run QEMU with -semihosting-config enable=on,target=native",
        path);
    return;
  }
  if (g_file.write(g_header, sizeof *g_header)) g_streaming.store(true);
}

void stream() noexcept {
  if (!g_streaming.load(std::memory_order_relaxed)) return;
  trace::Ring& own = ring_of(this_cpu().index);
  if (own.end() - own.header().streamed >= kRecordsPerCpu / 2) write_chunk(own);
}

void print_live() noexcept {
  if (log_level() < Level::trace) return;
  const trace::Ring& own = ring_of(this_cpu().index);
  std::uint64_t& printed = g_printed[this_cpu().index];
  if (printed < own.first()) {
    log(Level::trace, "{} records were overwritten before they could be printed", own.first() - printed);
    printed = own.first();
  }
  while (printed < own.end()) print_record(own.at(printed++));
}

void finish(bool clean) noexcept {
  if (g_header == nullptr) return;
  g_header->clean_shutdown = clean ? 1 : 0;
  el2::dc_cvac_range(g_header, sizeof *g_header);
  if (!g_streaming.load()) return;
  for (unsigned cpu = 0; cpu < g_cpus; ++cpu) write_chunk(ring_of(cpu));
  // The header again: by now it knows the VMs and how the run ended.
  if (g_file.seek(0)) (void)g_file.write(g_header, sizeof *g_header);
  g_file.close();
  g_streaming.store(false);
}

void dump_to_console(std::uint64_t most) noexcept {
  if (g_header == nullptr) return;
  trace::ConsoleDump dump{[](std::string_view line) {
    line.remove_prefix(trace::kDumpMark.size() - 5);  // the console puts "[hv] " itself
    detail::log_line(Level::info, line);
  }};
  dump.begin(*g_header);
  for (unsigned cpu = 0; cpu < g_cpus; ++cpu) dump.ring(ring_of(cpu), most);
  dump.end();
}

}  // namespace arm_vcpu::hv::trace_area
