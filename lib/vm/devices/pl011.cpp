// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/vm/pl011.hpp"

namespace arm_vcpu {

using namespace pl011;

namespace {

constexpr unsigned kPollsThatShowReading = 3;

// [pl011] "Peripheral Identification Registers", "PrimeCell Identification Registers": part 0x011, designer 0x41
// (Arm), revision 1 (r1p1, whose FIFOs hold 16 characters).
constexpr std::array<std::uint8_t, 8> kIdentification{0x11, 0x10, 0x14, 0x00, 0x0D, 0xF0, 0x05, 0xB1};

// The modem status inputs, which are also interrupts 3:0 in the order RI, CTS, DCD, DSR. Nothing is connected, except
// in loopback mode: [pl011] "Loopback testing" feeds the modem outputs back.
Interrupts modem_inputs(Cr cr) noexcept {
  if (!cr.get<Cr::LBE>()) {
    return {};
  }
  return Interrupts{}
      .with<Interrupts::RI>(cr.get<Cr::Out2>())
      .with<Interrupts::CTS>(cr.get<Cr::RTS>())
      .with<Interrupts::DCD>(cr.get<Cr::Out1>())
      .with<Interrupts::DSR>(cr.get<Cr::DTR>());
}

}  // namespace

// With FEN clear the FIFOs are 1-byte holding registers.
unsigned Pl011::depth() const noexcept {
  return s_.lcr_h.get<LcrH::FEN>() ? kFifoDepth : 1;
}

// The level at which RX becomes pending: 1/8, 1/4, 1/2, 3/4 or 7/8 full. For the reserved selections, the lowest:
// too early costs an interrupt, too late costs the character.
unsigned Pl011::receive_trigger() const noexcept {
  constexpr std::array<std::uint8_t, 8> kLevels{2, 4, 8, 12, 14, 2, 2, 2};
  return s_.lcr_h.get<LcrH::FEN>() ? kLevels[s_.ifls.get<Ifls::RXIFLSEL>()] : 1;
}

Fr Pl011::flags() const noexcept {
  const Interrupts modem = modem_inputs(s_.cr);
  return Fr{}
      .with<Fr::TXFE>(true)
      .with<Fr::RXFE>(count_ == 0)
      .with<Fr::RXFF>(count_ >= depth())
      .with<Fr::RI>(modem.get<Interrupts::RI>())
      .with<Fr::CTS>(modem.get<Interrupts::CTS>())
      .with<Fr::DCD>(modem.get<Interrupts::DCD>())
      .with<Fr::DSR>(modem.get<Interrupts::DSR>());
}

bool Pl011::can_receive() const noexcept {
  if (s_.cr.get<Cr::LBE>() || count_ >= depth()) {
    return false;
  }
  const bool unmasked = s_.imsc.get<Interrupts::RX>() || s_.imsc.get<Interrupts::RT>();
  return (unmasked && host_.irq_enabled()) || s_.starved_polls >= kPollsThatShowReading;
}

void Pl011::receive(std::uint8_t character) noexcept {
  push(Dr{}.with<Dr::DATA>(character));
  update();
}

// [pl011] "Data Register, UARTDR", BE: one 0 character is loaded into the FIFO. The missing stop bit is not reported
// as a framing error too, so that drivers count one event.
void Pl011::receive_break() noexcept {
  push(Dr{}.with<Dr::BE>(true));
  update();
}

void Pl011::push(Dr character) noexcept {
  s_.starved_polls = 0;
  if (count_ >= depth()) {
    // [pl011] "Overrun bit": the FIFO stays as it is; OE goes into it along with the next character that fits.
    s_.overrun_pending = true;
    s_.rsr = s_.rsr.with<Rsr::OE>(true);
    s_.ris = s_.ris.with<Interrupts::OE>(true);
    return;
  }
  fifo_[(head_ + count_) % kFifoDepth] = character.with<Dr::OE>(s_.overrun_pending);
  s_.overrun_pending = false;
  ++count_;
  if (character.get<Dr::BE>()) {
    s_.ris = s_.ris.with<Interrupts::BE>(true);
  }
  // RX is latched as the level rises to the trigger: cleared by ICR, it stays so until the level rises again.
  if (count_ == receive_trigger()) {
    s_.ris = s_.ris.with<Interrupts::RX>(true);
  }
}

Dr Pl011::pop() noexcept {
  if (count_ == 0) {
    return Dr{};
  }
  const Dr character = fifo_[head_];
  head_ = (head_ + 1) % kFifoDepth;
  --count_;
  // FE, PE and BE tell of the character just read; OE stays until ECR is written.
  s_.rsr = Rsr{}
               .with<Rsr::FE>(character.get<Dr::FE>())
               .with<Rsr::PE>(character.get<Dr::PE>())
               .with<Rsr::BE>(character.get<Dr::BE>())
               .with<Rsr::OE>(s_.rsr.get<Rsr::OE>());
  return character;
}

// Transmission takes no time. In loopback mode the character comes back, and the line carries it too.
void Pl011::transmit(std::uint8_t character) noexcept {
  host_.transmit(character);
  if (s_.cr.get<Cr::LBE>()) {
    push(Dr{}.with<Dr::DATA>(character));
  }
  s_.ris = s_.ris.with<Interrupts::TX>(true);
}

// [pl011] "Control Register, UARTCR" has software clear FEN to flush the transmit FIFO; the receive FIFO goes with it.
// Setting FEN keeps the held character: Linux does so after it has unmasked RX.
void Pl011::write_line_control(LcrH value) noexcept {
  const bool break_begins = value.get<LcrH::BRK>() && !s_.lcr_h.get<LcrH::BRK>();
  if (s_.lcr_h.get<LcrH::FEN>() && !value.get<LcrH::FEN>()) {
    head_ = 0;
    count_ = 0;
  }
  s_.lcr_h = value;
  if (break_begins && s_.cr.get<Cr::LBE>()) {
    push(Dr{}.with<Dr::BE>(true));
  }
}

void Pl011::write_control(Cr value) noexcept {
  const std::uint64_t changed = modem_inputs(s_.cr).raw ^ modem_inputs(value).raw;
  s_.cr = value;
  s_.ris.raw |= changed;
}

// Brings the receive interrupts and the interrupt line into line with everything else.
void Pl011::update() noexcept {
  if (count_ < receive_trigger()) {
    s_.ris = s_.ris.with<Interrupts::RX>(false);
  }
  if (count_ == 0) {
    s_.ris = s_.ris.with<Interrupts::RT>(false);
  } else if (!s_.ris.get<Interrupts::RX>()) {
    if (s_.imsc.get<Interrupts::RX>() && !s_.imsc.get<Interrupts::RT>()) {
      s_.ris = s_.ris.with<Interrupts::RX>(true);
    } else {
      s_.ris = s_.ris.with<Interrupts::RT>(true);
    }
  }
  if (published_flags_ != nullptr) {
    published_flags_->set(flags().raw);
  }
  const bool level = (s_.ris.raw & s_.imsc.raw) != 0;
  if (level != irq_level_) {
    irq_level_ = level;
    host_.set_irq(level);
  }
}

std::uint64_t Pl011::read_register(Reg reg) noexcept {
  const bool looks_for_character = reg == Reg::FR || reg == Reg::RIS || reg == Reg::MIS;
  s_.starved_polls =
      looks_for_character && count_ == 0 ? s_.starved_polls + (s_.starved_polls < kPollsThatShowReading) : 0;
  switch (reg) {
    case Reg::DR: return pop().raw;
    case Reg::RSR_ECR: return s_.rsr.raw;
    case Reg::FR: return flags().raw;
    case Reg::ILPR: return s_.ilpr;
    case Reg::IBRD: return s_.ibrd;
    case Reg::FBRD: return s_.fbrd;
    case Reg::LCR_H: return s_.lcr_h.raw;
    case Reg::CR: return s_.cr.raw;
    case Reg::IFLS: return s_.ifls.raw;
    case Reg::IMSC: return s_.imsc.raw;
    case Reg::RIS: return s_.ris.raw;
    case Reg::MIS: return s_.ris.raw & s_.imsc.raw;
    case Reg::ICR: return 0;  // write-only
    case Reg::DMACR: return s_.dmacr;
    default: break;
  }
  if (reg >= Reg::PeriphID0 && reg <= Reg::PCellID3) {
    return kIdentification[(static_cast<unsigned>(reg) - static_cast<unsigned>(Reg::PeriphID0)) / 4];
  }
  return 0;  // reserved
}

void Pl011::write_register(Reg reg, std::uint64_t value) noexcept {
  s_.starved_polls = 0;
  switch (reg) {
    case Reg::DR: transmit(static_cast<std::uint8_t>(value)); break;
    case Reg::RSR_ECR: s_.rsr = {}; break;  // any value clears
    case Reg::ILPR: s_.ilpr = static_cast<std::uint8_t>(value); break;
    case Reg::IBRD: s_.ibrd = static_cast<std::uint16_t>(value); break;
    case Reg::FBRD: s_.fbrd = static_cast<std::uint8_t>(value & bits::mask(5, 0)); break;
    case Reg::LCR_H: write_line_control(LcrH::from(value & bits::mask(7, 0))); break;
    // Bits 6:3 are reserved.
    case Reg::CR: write_control(Cr::from(value & (bits::mask(15, 7) | bits::mask(2, 0)))); break;
    case Reg::IFLS: s_.ifls = Ifls::from(value & bits::mask(5, 0)); break;
    case Reg::IMSC: s_.imsc = Interrupts::from(value & bits::mask(10, 0)); break;
    case Reg::ICR: s_.ris.raw &= ~value; break;
    case Reg::DMACR: s_.dmacr = static_cast<std::uint8_t>(value & bits::mask(2, 0)); break;
    default: break;  // read-only or reserved
  }
}

// The UART decodes address bits 11:2; a narrow read picks its byte lanes from the register.
std::optional<std::uint64_t> Pl011::read(const MmioAccess& access) noexcept {
  const auto reg = static_cast<Reg>(bits::align_down(access.offset, 4) & 0xFFC);
  const std::uint64_t value = read_register(reg) >> (8 * (access.offset & 3));
  update();
  return truncate(value, access.width);
}

// A narrow write beside lane 0 has no defined effect (the bus has no byte strobes); here it has none.
bool Pl011::write(const MmioAccess& access, std::uint64_t value) noexcept {
  if ((access.offset & 3) == 0) {
    write_register(static_cast<Reg>(access.offset & 0xFFC), value);
    update();
  }
  return true;
}

void Pl011::reset() noexcept {
  s_ = {};
  head_ = 0;
  count_ = 0;
  update();
}

}  // namespace arm_vcpu
