// SPDX-License-Identifier: Apache-2.0
// The exit recorder's memory: one header, one ring for each CPU. It is found again after a warm reset.
#pragma once

#include <cstdint>
#include <string_view>

#include "arm_vcpu/result.hpp"
#include "arm_vcpu/trace/record.hpp"
#include "arm_vcpu/trace/ring.hpp"

namespace arm_vcpu::hv::trace_area {

inline constexpr std::uint64_t kRecordsPerCpu = 16384;  // 1 MiB

// Allocates the area and makes the rings. It must be the first user of memory::allocate(), so that it is at the same
// address after every reset. When the former run ended badly, its area is left alone, another is used, and a line says
// where the old one is. Errors: out_of_memory.
[[nodiscard]] Result<> start(unsigned cpus) noexcept;

// The calling CPU's ring, or another's. Null before start().
[[nodiscard]] trace::Ring* ring(unsigned cpu) noexcept;
[[nodiscard]] trace::Header* header() noexcept;

// What a former run that ended badly has left: its header, and the ring with the newest record. Null: there is none.
struct FormerRun {
  const trace::Header* header{};
  const trace::Ring* last_ring{};
};
[[nodiscard]] const FormerRun& former_run() noexcept;

// An event that belongs to no exit, in the calling CPU's ring.
void record(trace::Record event) noexcept;
void record_vm_event(unsigned vm, trace::VmEvent event) noexcept;

// From here on all records go to a file on the debugger's side.
void stream_to(std::string_view path) noexcept;
// Writes what the calling CPU's ring has gathered, when that is much. Outside the exit path; costs two loads otherwise.
void stream() noexcept;

// Prints the trace points of the calling CPU's new records: what --log trace shows.
void print_live() noexcept;

// Everything to the file; marks the area as ended in order, or not.
void finish(bool clean) noexcept;

// The last `most` records of each CPU as lines of text on the console, framed for vcpuscope.
void dump_to_console(std::uint64_t most) noexcept;

}  // namespace arm_vcpu::hv::trace_area
