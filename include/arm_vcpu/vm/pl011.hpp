// SPDX-License-Identifier: Apache-2.0
// An emulated PrimeCell UART (PL011) revision r1p1, the one that QEMU's `virt` machine has: FIFOs of 16 characters.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "arm_vcpu/vector_answers.hpp"
#include "arm_vcpu/vm/mmio_bus.hpp"
#include "arm_vcpu/vm/pl011_registers.hpp"

namespace arm_vcpu {

// What the UART is wired to.
class Pl011Host {
 public:
  // One character from the guest. It is gone when this returns: the guest never sees a full transmit FIFO.
  virtual void transmit(std::uint8_t character) noexcept = 0;

  // The level of UARTINTR, the combined interrupt. Called only when it changes; it is low after construction.
  virtual void set_irq(bool level) noexcept = 0;

  // Whether the interrupt controller forwards UARTINTR: the SPI's GICD_ISENABLER bit. See Pl011::can_receive().
  // A host that cannot tell leaves it at true.
  [[nodiscard]] virtual bool irq_enabled() const noexcept { return true; }

 protected:
  ~Pl011Host() = default;
};

// Not locked: the caller serializes register accesses and receive(), which may come from different CPUs.
//
// Where the model is more lenient than the hardware, it is so on purpose, and as QEMU is:
// - Characters are transmitted although CR.UARTEN or CR.TXE are 0, and received although CR.RXE is: bare guests and
//   early consoles that write DR without any set-up are heard.
// - There is no line, so the baud rate, parity, word length and flow control are kept and have no effect.
// - TX is pending after each character written, not only when the level falls through the one of IFLS: the FIFO
//   drains at once, so a driver that loads it by less than the trigger level would otherwise wait for ever.
// - Time-outs have no 32 bit periods: RT is pending as soon as a character waits and RX is not pending. When the
//   guest has unmasked RX but not RT, RX takes its place, so a driver that does not know of RT is not left waiting
//   for a FIFO that fills up no further.
class Pl011 final : public MmioDevice {
 public:
  static constexpr unsigned kFifoDepth = 16;

  explicit Pl011(Pl011Host& host) noexcept : host_{host} {}

  [[nodiscard]] std::optional<std::uint64_t> read(const MmioAccess& access) noexcept override;
  [[nodiscard]] bool write(const MmioAccess& access, std::uint64_t value) noexcept override;

  // Whether a character given to receive() now reaches the guest's software. Take the next one from the real
  // input only then: what is piped in waits outside, and nothing is lost.
  //
  // Room in the FIFO is not enough. Linux empties the FIFO when it opens the port, and input that is piped in is
  // there long before; it would vanish. So the guest must also have shown that it is ready:
  // - it takes interrupts: RX or RT is unmasked in IMSC, and the interrupt is enabled at the interrupt controller.
  //   (Linux unmasks both for a moment while it probes the port, before it requests the interrupt.) Or
  // - it polls: the last three register accesses were reads of FR (or RIS, MIS) that found no character. A console that
  //   only writes reads FR at most twice between two characters. One character is given at a time, so a boot
  //   loader that starts a kernel on "\n" leaves the kernel all that follows.
  // In loopback mode the receiver is cut off from the line.
  [[nodiscard]] bool can_receive() const noexcept;

  // A character from the line. When the FIFO is full it is lost, with an overrun, as on hardware.
  void receive(std::uint8_t character) noexcept;
  // A break condition (magic SysRq in Linux).
  void receive_break() noexcept;

  // Where UARTFR is published for the vector. Show it only while no input waits: can_receive() goes by the reads of FR
  // that come here.
  void publish_flags(PublishedRegisters::Cell* cell) noexcept {
    published_flags_ = cell;
    update();
  }

  // Back to the state after power-on; characters that wait are dropped, the interrupt goes low.
  void reset() noexcept;

  [[nodiscard]] bool irq_level() const noexcept { return irq_level_; }
  [[nodiscard]] unsigned waiting() const noexcept { return count_; }  // characters in the receive FIFO

 private:
  [[nodiscard]] unsigned depth() const noexcept;
  [[nodiscard]] unsigned receive_trigger() const noexcept;
  [[nodiscard]] pl011::Fr flags() const noexcept;
  [[nodiscard]] std::uint64_t read_register(pl011::Reg reg) noexcept;
  void write_register(pl011::Reg reg, std::uint64_t value) noexcept;
  [[nodiscard]] pl011::Dr pop() noexcept;
  void push(pl011::Dr character) noexcept;
  void transmit(std::uint8_t character) noexcept;
  void write_line_control(pl011::LcrH value) noexcept;
  void write_control(pl011::Cr value) noexcept;
  void update() noexcept;

  // Everything that reset() restores.
  struct State {
    pl011::Rsr rsr{};
    pl011::LcrH lcr_h{};
    pl011::Cr cr{0x300};     // RXE and TXE
    pl011::Ifls ifls{0x12};  // both at half full
    pl011::Interrupts imsc{};
    pl011::Interrupts ris{};
    std::uint8_t ilpr{};
    std::uint16_t ibrd{};
    std::uint8_t fbrd{};
    std::uint8_t dmacr{};
    bool overrun_pending{};    // OE goes with the next character that finds room
    unsigned starved_polls{};  // reads in a row that looked for a character and found none
  };

  Pl011Host& host_;
  PublishedRegisters::Cell* published_flags_{};
  State s_{};
  std::array<pl011::Dr, kFifoDepth> fifo_{};
  unsigned head_{};
  unsigned count_{};
  bool irq_level_{};
};

}  // namespace arm_vcpu
