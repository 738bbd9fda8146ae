// SPDX-License-Identifier: Apache-2.0
// What the host's device tree says about the machine. Addresses are those of the CPU: `ranges` of all parents applied.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

#include "ranges.hpp"

namespace arm_vcpu::hv {

// A tree that does not describe what the hypervisor needs.
struct BoardProblem {
  std::string_view what;
  std::string_view fix;
};
template <class T>
using BoardResult = std::expected<T, BoardProblem>;

struct Interrupt {
  std::uint32_t intid{};
  bool edge{};
};

struct UartInfo {
  Range registers;
  std::optional<Interrupt> interrupt;  // empty: input is polled
};

inline constexpr std::size_t kMaxRedistributorRegions = 16;
struct GicInfo {
  unsigned version{3};  // or 2, with virtualization extensions
  Range distributor;
  Range cpu_interface;          // of a GICv2: GICC
  Range interface_control;      // GICH
  Range virtual_cpu_interface;  // GICV, which a guest gets
  std::array<Range, kMaxRedistributorRegions> redistributors{};
  std::size_t redistributor_count{};
  std::uint64_t redistributor_stride{};  // bytes; 0: as GICR_TYPER.VLPIS says
  std::uint32_t maintenance_intid{};
};

enum class PsciConduit : std::uint8_t { none, smc, hvc };

struct TimerInfo {
  std::uint32_t virtual_intid{};
  std::uint32_t physical_intid{};    // EL1 physical timer
  std::uint32_t hypervisor_intid{};  // EL2 physical timer
};

inline constexpr std::size_t kMaxBoardCpus = 64;
struct CpuList {
  std::array<std::uint64_t, kMaxBoardCpus> mpidr{};  // affinity fields
  std::size_t count{};
  std::size_t unusable{};  // of the tree: not started by PSCI, or beyond kMaxBoardCpus
};

struct Board {
  RangeSet<64> ram;        // all banks
  RangeSet<64> reserved;   // parts of it that are not ours: /memreserve/, /reserved-memory
  RangeSet<32> never_map;  // parts of `reserved` with no-map: not even the hypervisor may map them
  Range tree;
  Range bundle;  // /chosen linux,initrd-start to -end; empty without
  std::string_view bootargs;
  std::string_view model;
  GicInfo gic;
  TimerInfo timer;
  std::uint32_t pmu_intid{};  // overflow of the performance monitors, a PPI; 0: not known
  CpuList cpus;
};

// `tree` is mapped and must stay where it is: the results refer to its strings.
// The console comes first, so that what else is wrong can be printed.
[[nodiscard]] BoardResult<UartInfo> find_uart(const void* tree) noexcept;
[[nodiscard]] PsciConduit find_psci(const void* tree) noexcept;
// A GICv3, or a GICv2 with virtualization extensions.
[[nodiscard]] BoardResult<GicInfo> find_gic(const void* tree) noexcept;
[[nodiscard]] BoardResult<void> read_board(const void* tree, Board& board) noexcept;

}  // namespace arm_vcpu::hv
