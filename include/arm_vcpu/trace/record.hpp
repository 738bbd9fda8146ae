// SPDX-License-Identifier: Apache-2.0
// The exit recorder's format: in memory, in dumps and in files alike. All fields little-endian. EL2 writes it, the host
// tools read it; both include this header.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace arm_vcpu::trace {

enum class Kind : std::uint8_t {
#define VCPU_TRACE_KIND(value, name, meaning, fields) name = value,
#include "arm_vcpu/trace/kinds.def"
#undef VCPU_TRACE_KIND
};

// What became of an exit.
enum class Outcome : std::uint8_t {
  open,      // not decided when the record was read: the last record of a CPU
  handled,   // inside the vCPU
  injected,  // the guest got an exception
  returned,  // the hypervisor dealt with it: run() returned, or its ExitResponder answered
  failed,    // nobody could deal with it
  answered,  // at the vector, within a tick; data, far and hpfar are as kinds.def says for answers
  waits,     // a WFI; another vCPU goes on in its place, whose vcpu_scheduled follows
};

enum class VmEvent : std::uint8_t { created, started, reset, powered_off, failed };

// One event: one cache line. What the fields hold depends on the kind: see kinds.def.
struct alignas(64) Record {
  std::uint64_t time{};  // CNTPCT_EL0, ticks
  std::uint64_t pc{};
  std::uint64_t esr{};
  std::uint64_t far{};
  std::uint64_t hpfar{};
  std::uint64_t data{};
  std::uint32_t spsr{};      // SPSR_EL2[31:0]
  std::uint32_t duration{};  // of an exit: ticks from the vector to the next entry of the guest, saturated
  std::uint32_t sequence{};  // of this CPU, from 0, modulo 2^32
  std::uint8_t vm{};
  std::uint8_t vcpu{};
  Kind kind{};
  Outcome outcome{};
};
static_assert(sizeof(Record) == 64);

inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::array<char, 8> kFileMagic{'A', 'V', 'C', 'P', 'U', 'T', 'R', 'C'};
inline constexpr std::array<char, 4> kRingMagic{'A', 'V', 'R', 'B'};
inline constexpr std::array<char, 4> kChunkMagic{'A', 'V', 'C', 'K'};
inline constexpr unsigned kMaxVms = 8;

// What a VM is, so that a dump explains itself.
struct VmInfo {
  std::array<char, 32> name{};  // 0-terminated, or 32 long
  std::uint32_t vcpus{};        // 0: no such VM
  std::uint32_t reserved{};
  std::uint64_t ram_ipa{};
  std::uint64_t ram_pa{};
  std::uint64_t ram_bytes{};
  std::uint64_t entry{};
  std::uint64_t dtb{};  // IPA
  std::uint64_t vttbr_el2{};
  std::uint64_t vtcr_el2{};
  std::array<std::uint64_t, 4> reserved2{};
};
static_assert(sizeof(VmInfo) == 128);

// The first 4096 bytes of the trace area, and of a file.
struct alignas(64) Header {
  std::array<char, 8> magic{};              // kFileMagic
  std::uint32_t version{};                  // kVersion
  std::uint32_t header_bytes{};             // 4096
  std::uint32_t record_bytes{};             // 64
  std::uint32_t cpus{};                     // rings that follow in a memory dump
  std::uint64_t counter_hz{};               // of Record::time
  std::uint64_t area_bytes{};               // header and rings in memory
  std::uint64_t area_pa{};                  // where that memory is
  std::uint64_t image_base{};               // run-time address of the hypervisor's image
  std::uint64_t boot_count{};               // warm resets that this area has seen
  std::uint64_t clean_shutdown{};           // 1: the machine was powered off in order
  std::array<std::uint8_t, 20> build_id{};  // GNU build ID of the hypervisor's ELF
  std::uint32_t vm_count{};
  std::array<char, 32> hypervisor_version{};
  std::array<std::uint8_t, 4096 - 128 - kMaxVms * sizeof(VmInfo)> reserved{};
  std::array<VmInfo, kMaxVms> vms{};
};
static_assert(sizeof(Header) == 4096);

// In memory, each CPU's ring is a RingHeader and then `capacity` records; record n is at index n modulo capacity. The
// single writer stores the record, then `written` with release order. Lost so far: written - capacity, when positive.
struct alignas(64) RingHeader {
  std::array<char, 4> magic{};  // kRingMagic
  std::uint32_t cpu{};
  std::uint64_t capacity{};  // records, a power of two
  std::uint64_t written{};   // records since the start
  std::uint64_t streamed{};  // of these, how many a file has got
  std::uint64_t lost{};      // overwritten before a file got them
  std::array<std::uint64_t, 3> reserved{};
};
static_assert(sizeof(RingHeader) == 64);

// A file made by streaming is the Header and then chunks: a ChunkHeader and its records, in order for each CPU.
struct alignas(64) ChunkHeader {
  std::array<char, 4> magic{};  // kChunkMagic
  std::uint32_t cpu{};
  std::uint64_t first{};  // number, since the start, of the first record
  std::uint64_t count{};  // records that follow
  std::uint64_t lost{};   // records of this CPU lost so far
  std::uint32_t crc32{};  // of the records (CRC-32 as in IEEE 802.3, reflected)
  std::uint32_t reserved0{};
  std::array<std::uint64_t, 3> reserved{};
};
static_assert(sizeof(ChunkHeader) == 64);

[[nodiscard]] constexpr bool is_exit(Kind kind) noexcept {
  return static_cast<std::uint8_t>(kind) < 16;
}
[[nodiscard]] std::string_view name_of(Kind kind) noexcept;  // empty for an unknown value
[[nodiscard]] std::string_view meaning_of(Kind kind) noexcept;
[[nodiscard]] std::string_view name_of(Outcome outcome) noexcept;

// CRC-32 of the chunks and of console frames.
[[nodiscard]] std::uint32_t crc32(const void* data, std::uint64_t bytes, std::uint32_t seed = 0) noexcept;

// A dump on the console, for when nothing else works: lines
//   [hv] dump <cpu> <n> <base64 of up to 3 records> <crc32 of these bytes, 8 hex digits>
// between "[hv] dump begin <base64 of the first 128 bytes of Header> <crc32>" and "[hv] dump end <lines>". vcpuscope
// finds them in any log.

}  // namespace arm_vcpu::trace
