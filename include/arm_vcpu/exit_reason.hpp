// SPDX-License-Identifier: Apache-2.0
// Why Aarch64VCpu::run() returned, and what the caller needs to act on it.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <variant>

#include "arm_vcpu/arch/esr.hpp"

namespace arm_vcpu {

// Width of one access to memory. The value is the base-2 logarithm of the bytes, as in ESR_EL2.ISS.SAS.
enum class AccessWidth : std::uint8_t { byte, halfword, word, doubleword };

[[nodiscard]] constexpr unsigned bytes_of(AccessWidth width) noexcept {
  return 1U << static_cast<unsigned>(width);
}
[[nodiscard]] constexpr unsigned bits_of(AccessWidth width) noexcept {
  return 8 * bytes_of(width);
}

// Cuts `value` to the width of the access.
[[nodiscard]] constexpr std::uint64_t truncate(std::uint64_t value, AccessWidth width) noexcept {
  const unsigned above = (64 - bits_of(width)) % 64;
  return value << above >> above;
}

// A closed set of exits. Unless an exit says otherwise, the guest's PC has not moved: answer the exit with the
// matching Aarch64VCpu function (complete_mmio_read, complete_mmio_write, complete_sysreg_read,
// complete_sysreg_write) or inject an exception, then run() again.
struct AxVCpuExitReason {
  struct Nothing {};

  // HVC outside the PSCI and SMCCC ranges the vCPU answers. The PC is already past the HVC; answer with
  // set_return_value().
  struct Hypercall {
    std::uint64_t nr{};                   // x0
    std::array<std::uint64_t, 6> args{};  // x1 to x6
    std::uint16_t imm{};                  // the HVC's immediate
  };

  struct MmioRead {
    std::uint64_t addr{};  // intermediate physical address
    AccessWidth width{};
    std::uint8_t reg{};       // destination, 31 for XZR
    AccessWidth reg_width{};  // word (Wt) or doubleword (Xt)
    bool signed_ext{};        // the value is sign-extended to reg_width
  };

  struct MmioWrite {
    std::uint64_t addr{};  // intermediate physical address
    AccessWidth width{};
    std::uint64_t data{};  // cut to width
  };

  // `addr` is the register's encoding as in ESR_EL2.ISS of EC 0x18 with Rt and Direction clear: SysRegId::iss().
  struct SysRegRead {
    std::uint64_t addr{};
    std::uint8_t reg{};  // destination, 31 for XZR
  };
  struct SysRegWrite {
    std::uint64_t addr{};
    std::uint64_t value{};
  };

  // Acknowledged on the physical GIC, not yet deactivated.
  struct ExternalInterrupt {
    std::uint32_t vector{};  // INTID; 1023: spurious. Of an SGI of a GICv2 also who sent it, as GICC_IAR has it
  };

  // The target is marked ON_PENDING; the caller sets its entry point and x0 and makes it run. The answer, SUCCESS,
  // is already in x0.
  struct CpuUp {
    std::uint64_t target_cpu{};   // MPIDR affinity, as the guest passed it
    std::uint64_t entry_point{};  // IPA
    std::uint64_t arg{};          // x0 of the started CPU
  };

  struct CpuDown {
    std::uint64_t state{};  // power_state of CPU_SUSPEND; 0 for CPU_OFF
  };

  struct SystemDown {};
  struct SystemReset {};

  // A write to ICC_SGI1R_EL1, ICC_SGI0R_EL1 or ICC_ASGI1R_EL1, decoded. The PC is already past it.
  struct SendIPI {
    std::uint64_t target_cpu{};      // affinity Aff3.Aff2.Aff1 as in MPIDR_EL1, Aff0 clear
    std::uint64_t target_cpu_aux{};  // bit n: the CPU with Aff0 == range_base + n
    std::uint16_t range_base{};      // 16 * RS
    bool send_to_all{};              // IRM: all but the sender
    bool send_to_self{};             // the only target is the sender
    bool group1{};                   // ICC_SGI1R_EL1; the others generate Group 0 in a single Security state
    std::uint8_t vector{};           // SGI 0 to 15
  };

  // The PC is past the instruction.
  struct Halt {
    bool is_wfe{};
    bool has_deadline{};       // WFIT, WFET
    std::uint64_t deadline{};  // CNTPCT_EL0 ticks: the wait ends then, if nothing ends it before
  };

  // The guest's caches have to be cleaned and invalidated to the point of coherency, over all of its memory, by
  // address: it maintains them by set and way, or turned them on or off while it did. The PC is past the instruction.
  struct CacheFlush {};

  // Stage-2 fault without a valid instruction syndrome, on an instruction fetch, or on a stage-1 table walk.
  struct NestedPageFault {
    std::uint64_t addr{};  // intermediate physical address (page-granular when the syndrome gives no more)
    std::uint64_t gva{};   // FAR_EL2
    bool is_write{};
    bool is_fetch{};
    bool on_table_walk{};  // S1PTW
    bool isv{};
    std::uint8_t fsc{};  // fault status code
  };

  struct FailEntry {
    Esr esr{};
    std::uint64_t far{};
    bool is_serror{};  // an asynchronous abort, whose syndrome is in esr too
  };

  using Variant = std::variant<
#define VCPU_EXIT(name, what) name,
#include "arm_vcpu/exit_reason.def"
#undef VCPU_EXIT
      std::monostate>;  // closes the list; never held

  Variant value{};

  AxVCpuExitReason() = default;
  template <class T>
    requires std::is_constructible_v<Variant, T>
  AxVCpuExitReason(T exit) noexcept : value{exit} {}  // NOLINT(google-explicit-constructor): an exit is a reason

  template <class T>
  [[nodiscard]] bool is() const noexcept {
    return std::holds_alternative<T>(value);
  }
  // The exit of kind T, or null.
  template <class T>
  [[nodiscard]] const T* get_if() const noexcept {
    return std::get_if<T>(&value);
  }
};

// The position of an exit in exit_reason.def, for counters and traces.
enum class ExitKind : std::uint8_t {
#define VCPU_EXIT(name, what) name,
#include "arm_vcpu/exit_reason.def"
#undef VCPU_EXIT
};

inline constexpr unsigned kExitKindCount = 0
#define VCPU_EXIT(name, what) +1
#include "arm_vcpu/exit_reason.def"
#undef VCPU_EXIT
    ;

[[nodiscard]] constexpr ExitKind kind_of(const AxVCpuExitReason& reason) noexcept {
  return static_cast<ExitKind>(reason.value.index());
}
[[nodiscard]] std::string_view name_of(ExitKind kind) noexcept;
[[nodiscard]] std::string_view meaning_of(ExitKind kind) noexcept;

}  // namespace arm_vcpu
