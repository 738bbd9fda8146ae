// SPDX-License-Identifier: Apache-2.0
// Images of the self-hosted debug registers. Field names as in [armarm], each under the register's title there.
#pragma once

#include <cstdint>

#include "arm_vcpu/arch/bits.hpp"

namespace arm_vcpu {

// MDSCR_EL1, Monitor Debug System Control Register
struct Mdscr : bits::Image<Mdscr> {
  using SS = Flag<0>;   // software step
  using ERR = Flag<6>;  // this and the other fields of the external debugger's EDSCR: for save and restore of that
  using TDCC = Flag<12>;
  using KDE = Flag<13>;  // debug exceptions from EL1 too
  using HDE = Flag<14>;
  using MDE = Flag<15>;  // breakpoints and watchpoints
  using SC2 = Flag<19>;
  using TDA = Flag<21>;
  using INTdis = Field<23, 22>;
  using TXU = Flag<26>;
  using RXO = Flag<27>;
  using TXfull = Flag<29>;
  using RXfull = Flag<30>;

  static constexpr std::uint64_t kSelfHosted = SS::kMask | TDCC::kMask | KDE::kMask | MDE::kMask;
  // Writable only while the OS Lock is locked.
  static constexpr std::uint64_t kExternal = ERR::kMask | HDE::kMask | SC2::kMask | TDA::kMask | INTdis::kMask |
                                             TXU::kMask | RXO::kMask | TXfull::kMask | RXfull::kMask;
};

// MDCCINT_EL1, Monitor DCC Interrupt Enable Register
struct Mdccint : bits::Image<Mdccint> {
  using TX = Flag<29>;
  using RX = Flag<30>;
};

// DBGBCR<n>_EL1, Debug Breakpoint Control Registers
struct Dbgbcr : bits::Image<Dbgbcr> {
  using E = Flag<0>;
  using PMC = Field<2, 1>;
  using BAS = Field<8, 5>;
  using HMC = Flag<13>;
  using SSC = Field<15, 14>;
  using LBN = Field<19, 16>;
  using BT = Field<23, 20>;

  static constexpr std::uint64_t kDefined =
      E::kMask | PMC::kMask | BAS::kMask | HMC::kMask | SSC::kMask | LBN::kMask | BT::kMask;
};

// DBGWCR<n>_EL1, Debug Watchpoint Control Registers
struct Dbgwcr : bits::Image<Dbgwcr> {
  using E = Flag<0>;
  using PAC = Field<2, 1>;
  using LSC = Field<4, 3>;
  using BAS = Field<12, 5>;
  using HMC = Flag<13>;
  using SSC = Field<15, 14>;
  using LBN = Field<19, 16>;
  using WT = Flag<20>;
  using MASK = Field<28, 24>;

  static constexpr std::uint64_t kDefined =
      E::kMask | PAC::kMask | LSC::kMask | BAS::kMask | HMC::kMask | SSC::kMask | LBN::kMask | WT::kMask | MASK::kMask;
};

// OSLAR_EL1, OS Lock Access Register
struct Oslar : bits::Image<Oslar> {
  using OSLK = Flag<0>;
};

// OSLSR_EL1, OS Lock Status Register
struct Oslsr : bits::Image<Oslsr> {
  using OSLK = Flag<1>;

  static constexpr std::uint64_t kImplemented = 0x8;  // OSLM, bits 3 and 0: 0b10
};

// OSDLR_EL1, OS Double Lock Register
struct Osdlr : bits::Image<Osdlr> {
  using DLK = Flag<0>;
};

// DBGPRCR_EL1, Debug Power Control Register
struct Dbgprcr : bits::Image<Dbgprcr> {
  using CORENPDRQ = Flag<0>;
};

// DBGAUTHSTATUS_EL1, Debug Authentication Status Register
struct Dbgauthstatus : bits::Image<Dbgauthstatus> {
  using NSID = Field<1, 0>;
  using NSNID = Field<3, 2>;

  static constexpr std::uint64_t kDisabled = 0b10;  // implemented, not enabled
};

}  // namespace arm_vcpu
