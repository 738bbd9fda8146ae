// SPDX-License-Identifier: Apache-2.0
// The vCPU's hardware for host tests: a CPU whose guest is a script of exits.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "vcpu/hw.hpp"

namespace arm_vcpu::fake {

struct Cpu {
  CpuIdentity id = supported_cpu();
  std::uint64_t id_aa64mmfr2 = 0;
  bool uses_ia_key = false;
  std::uint32_t pending_interrupt = 1023;
  El1State el1{.vbar_el1 = 0x8'0000, .sctlr_el1 = SctlrEl1::from(SctlrEl1::kReset)};
  std::optional<std::uint64_t> stage1_result;
  std::map<std::uint64_t, hw::GuestPlace> pages;  // by virtual page; elsewhere stage 1 refuses
  std::map<std::uint64_t, std::uint8_t> bytes;    // of memory, by physical address
  std::optional<hw::GuestPlace> read_only;        // what a write finds in place of memory, when set
  std::vector<hw::GuestAccess> located;           // what was asked for
  std::uint64_t sp_el0 = 0;
  bool tracks_writes = false;
  std::uint64_t tcr_el1 = 0x19'0019;  // 39 bits in both halves
  FpSimdState fp;
  Vectors vectors{};
  DebugRegisters debug;                         // as last loaded
  std::uint64_t mdscr = 0;                      // as last written on its own
  std::optional<PmuState> pmu;                  // on the CPU; empty: stopped
  std::uint64_t id_aa64dfr0_el1 = 0x1030'5106;  // six breakpoints, four watchpoints, two of context; PMUv3
  SveState sve;
  std::uint64_t zcr_el2 = 0xF;
  std::uint32_t sve_lengths = 0xB;  // 128, 256 and 512 bits
  GuestSystemRegisters live;
  bool serror_pending = false;
  std::uint64_t ticks = 1000;
  hw::FirmwareRegisters firmware_saw{};
  std::function<void(hw::FirmwareRegisters&)> firmware;  // answers an SMC

  // What the vector sees and writes.
  std::uint64_t elr = 0, spsr = 0, far = 0, hpfar = 0;
  std::uint64_t ich_elrsr = 0xF, ich_lr0 = 0;
  std::uint64_t eoir = 0, dir = 0, sgi1r = 0;  // as last written

  // What was done, in order: "save_fp", "trap_fp 0", "restore", ...
  std::vector<std::string> log;
  std::optional<El1Entry> entry;
  Esr entry_esr;
  std::optional<std::uint64_t> entry_far;

  // What the guest does: each run of it sets up one exit in the context. The exits that vmexit_handler() handles go on
  // with the next.
  std::vector<std::function<void(VCpuContext&)>> guest;

  // An Armv8.0 CPU with GICv3, 4 list registers and 44-bit physical addresses.
  static CpuIdentity supported_cpu();
};

// A responder that answers accesses only.
class DeviceResponder : public ExitResponder {
 public:
  Aarch64VCpu* on_wait(Aarch64VCpu&) noexcept override { return nullptr; }

 protected:
  ~DeviceResponder() = default;
};

// The one CPU; reset() makes it new.
Cpu& cpu();
void reset();

}  // namespace arm_vcpu::fake
