// SPDX-License-Identifier: Apache-2.0
// What the vector saves when the guest exits. vectors.S knows the layout by
// the offsets of lib/el2/context_asm.h, which lib/el2/world_switch.cpp checks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "arm_vcpu/arch/esr.hpp"
#include "arm_vcpu/arch/registers.hpp"

namespace arm_vcpu {

// X0 to X30. `gpr[n]` is the stored register, n <= 30. `gpr(n)` reads as an instruction does: 31 is XZR.
struct GeneralRegisters {
  std::uint64_t x[31]{};

  constexpr std::uint64_t& operator[](std::size_t n) noexcept { return x[n]; }
  constexpr std::uint64_t operator[](std::size_t n) const noexcept { return x[n]; }
  constexpr std::uint64_t operator()(std::size_t n) const noexcept { return n < 31 ? x[n] : 0; }
};

// The guest's general-purpose registers, PC and PSTATE at the exit.
struct TrapFrame {
  GeneralRegisters gpr;
  std::uint64_t sp_el0{};  // current only while the vCPU is out of run()
  std::uint64_t elr{};
  Spsr spsr{};

  // Writes as an instruction does: 31 is XZR, and is dropped.
  constexpr void set_gpr(std::size_t n, std::uint64_t value) noexcept {
    if (n < 31) {
      gpr[n] = value;
    }
  }
  // PSTATE.IT of AArch32 code; 0 outside of an IT block.
  [[nodiscard]] constexpr std::uint64_t itstate() const noexcept {
    return bits::extract(spsr.raw, 15, 10) << 2 | bits::extract(spsr.raw, 26, 25);
  }

  constexpr void set_argument(std::uint64_t value) noexcept { gpr[0] = value; }
  [[nodiscard]] constexpr std::uint64_t exception_pc() const noexcept { return elr; }
  constexpr void set_exception_pc(std::uint64_t pc) noexcept { elr = pc; }
  // The instruction at the PC has been carried out here: the next one, as the CPU would have left PSTATE.
  // [armarm] "Software Step exceptions"; "Effect of entering ... BTYPE"
  constexpr void complete_instruction() noexcept {
    elr += 4;
    spsr = spsr.with<Spsr::SS>(false).with<Spsr::BTYPE>(0);
  }
};

// Which vector took the exit.
enum class TrapKind : std::uint64_t { sync, irq, fiq, serror };

// The inputs of every decision about an exit, latched once at the vector. Nothing reads ESR_EL2, FAR_EL2 or HPFAR_EL2
// again, so a recorded frame decodes as the live one did. For irq and fiq, esr, far and hpfar keep their last values.
// While one instruction is carried out by several exits, far and hpfar are those of the access that is reported.
struct ExitFrame {
  TrapFrame frame;
  Esr esr{};
  std::uint64_t far{};
  Hpfar hpfar{};
  TrapKind kind{};
};

}  // namespace arm_vcpu
