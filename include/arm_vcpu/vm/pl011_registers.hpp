// SPDX-License-Identifier: Apache-2.0
// The registers of the PrimeCell UART. [pl011] "Programmer's Model", DDI 0183.
#pragma once

#include <cstdint>

#include "arm_vcpu/arch/bits.hpp"

namespace arm_vcpu::pl011 {

inline constexpr std::uint64_t kRegionBytes = 0x1000;

// Byte offsets from the base.
enum class Reg : std::uint16_t {
  DR = 0x000,
  RSR_ECR = 0x004,
  FR = 0x018,
  ILPR = 0x020,
  IBRD = 0x024,
  FBRD = 0x028,
  LCR_H = 0x02C,
  CR = 0x030,
  IFLS = 0x034,
  IMSC = 0x038,
  RIS = 0x03C,
  MIS = 0x040,
  ICR = 0x044,
  DMACR = 0x048,
  PeriphID0 = 0xFE0,
  PCellID3 = 0xFFC,
};

// [pl011] "Data Register, UARTDR"; a received character is kept in the FIFO in this form.
struct Dr : bits::Image<Dr> {
  using DATA = Field<7, 0, std::uint8_t>;
  using FE = Flag<8>;
  using PE = Flag<9>;
  using BE = Flag<10>;
  using OE = Flag<11>;
};

// [pl011] "Receive Status Register / Error Clear Register, UARTRSR/UARTECR"
struct Rsr : bits::Image<Rsr> {
  using FE = Flag<0>;
  using PE = Flag<1>;
  using BE = Flag<2>;
  using OE = Flag<3>;
};

// [pl011] "Flag Register, UARTFR"
struct Fr : bits::Image<Fr> {
  using CTS = Flag<0>;
  using DSR = Flag<1>;
  using DCD = Flag<2>;
  using BUSY = Flag<3>;
  using RXFE = Flag<4>;
  using TXFF = Flag<5>;
  using RXFF = Flag<6>;
  using TXFE = Flag<7>;
  using RI = Flag<8>;
};

// [pl011] "Line Control Register, UARTLCR_H"
struct LcrH : bits::Image<LcrH> {
  using BRK = Flag<0>;
  using PEN = Flag<1>;
  using EPS = Flag<2>;
  using STP2 = Flag<3>;
  using FEN = Flag<4>;
  using WLEN = Field<6, 5, std::uint8_t>;
  using SPS = Flag<7>;
};

// [pl011] "Control Register, UARTCR"
struct Cr : bits::Image<Cr> {
  using UARTEN = Flag<0>;
  using SIREN = Flag<1>;
  using SIRLP = Flag<2>;
  using LBE = Flag<7>;
  using TXE = Flag<8>;
  using RXE = Flag<9>;
  using DTR = Flag<10>;
  using RTS = Flag<11>;
  using Out1 = Flag<12>;
  using Out2 = Flag<13>;
  using RTSEn = Flag<14>;
  using CTSEn = Flag<15>;
};

// [pl011] "Interrupt FIFO Level Select Register, UARTIFLS"
struct Ifls : bits::Image<Ifls> {
  using TXIFLSEL = Field<2, 0, std::uint8_t>;
  using RXIFLSEL = Field<5, 3, std::uint8_t>;
};

// The interrupts, as IMSC, RIS, MIS and ICR lay them out.
// [pl011] "Interrupt Mask Set/Clear Register, UARTIMSC"
struct Interrupts : bits::Image<Interrupts> {
  using RI = Flag<0>;
  using CTS = Flag<1>;
  using DCD = Flag<2>;
  using DSR = Flag<3>;
  using RX = Flag<4>;
  using TX = Flag<5>;
  using RT = Flag<6>;
  using FE = Flag<7>;
  using PE = Flag<8>;
  using BE = Flag<9>;
  using OE = Flag<10>;
};

}  // namespace arm_vcpu::pl011
