// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/vm/pl011.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace arm_vcpu {
namespace {

using pl011::Cr;
using pl011::Dr;
using pl011::Fr;
using pl011::Interrupts;
using pl011::LcrH;
using pl011::Reg;
using pl011::Rsr;

constexpr std::uint64_t kRi = Interrupts::RI::kMask;
constexpr std::uint64_t kCts = Interrupts::CTS::kMask;
constexpr std::uint64_t kDcd = Interrupts::DCD::kMask;
constexpr std::uint64_t kDsr = Interrupts::DSR::kMask;
constexpr std::uint64_t kRx = Interrupts::RX::kMask;
constexpr std::uint64_t kTx = Interrupts::TX::kMask;
constexpr std::uint64_t kRt = Interrupts::RT::kMask;
constexpr std::uint64_t kBe = Interrupts::BE::kMask;
constexpr std::uint64_t kOe = Interrupts::OE::kMask;

class RecordingHost final : public Pl011Host {
 public:
  void transmit(std::uint8_t character) noexcept override { output.push_back(static_cast<char>(character)); }
  void set_irq(bool new_level) noexcept override { levels.push_back(new_level); }
  bool irq_enabled() const noexcept override { return enabled; }

  std::string output;
  std::vector<bool> levels;
  bool enabled{true};
};

class Pl011Test : public ::testing::Test {
 protected:
  std::uint64_t read(Reg reg, AccessWidth width = AccessWidth::word, unsigned lane = 0) {
    return uart.read({static_cast<std::uint64_t>(reg) + lane, width, 0}).value();
  }
  void write(Reg reg, std::uint64_t value, AccessWidth width = AccessWidth::word, unsigned lane = 0) {
    EXPECT_TRUE(uart.write({static_cast<std::uint64_t>(reg) + lane, width, 0}, value));
  }
  void type(std::string_view text) {
    for (const char c : text) {
      uart.receive(static_cast<std::uint8_t>(c));
    }
  }
  void use_fifo(std::uint64_t receive_level = 2) {
    write(Reg::LCR_H, LcrH::FEN::kMask);
    write(Reg::IFLS, receive_level << 3);
  }
  // What the host's loop does: gives as much of `input` as the UART takes.
  void feed(std::string& input) {
    while (!input.empty() && uart.can_receive()) {
      uart.receive(static_cast<std::uint8_t>(input.front()));
      input.erase(0, 1);
    }
  }

  RecordingHost host;
  Pl011 uart{host};
};

TEST_F(Pl011Test, ResetValues) {
  EXPECT_EQ(read(Reg::DR), 0U);
  EXPECT_EQ(read(Reg::RSR_ECR), 0U);
  EXPECT_EQ(read(Reg::FR), 0x90U);
  EXPECT_EQ(read(Reg::ILPR), 0U);
  EXPECT_EQ(read(Reg::IBRD), 0U);
  EXPECT_EQ(read(Reg::FBRD), 0U);
  EXPECT_EQ(read(Reg::LCR_H), 0U);
  EXPECT_EQ(read(Reg::CR), 0x300U);
  EXPECT_EQ(read(Reg::IFLS), 0x12U);
  EXPECT_EQ(read(Reg::IMSC), 0U);
  EXPECT_EQ(read(Reg::RIS), 0U);
  EXPECT_EQ(read(Reg::MIS), 0U);
  EXPECT_EQ(read(Reg::DMACR), 0U);
  EXPECT_TRUE(host.levels.empty());
}

TEST_F(Pl011Test, IdentifiesAsArmR1p1) {
  std::uint64_t identification = 0;
  for (unsigned i = 0; i < 8; ++i) {
    identification |= read(Reg::PeriphID0, AccessWidth::word, 4 * i) << (8 * i);
  }
  EXPECT_EQ(identification, 0xB105F00D'00141011U);
}

TEST_F(Pl011Test, WritableBitsOfTheStoredRegisters) {
  const struct {
    Reg reg;
    std::uint64_t kept;
  } cases[] = {{Reg::ILPR, 0xFF}, {Reg::IBRD, 0xFFFF}, {Reg::FBRD, 0x3F}, {Reg::LCR_H, 0xFF}, {Reg::CR, 0xFF87},
               {Reg::IFLS, 0x3F}, {Reg::IMSC, 0x7FF},  {Reg::DMACR, 0x7}, {Reg::FR, 0},       {Reg::PeriphID0, 0x11},
               {Reg{0x08C}, 0},   {Reg{0x800}, 0},     {Reg::MIS, 0}};
  for (const auto& c : cases) {
    Pl011 fresh{host};
    const auto offset = static_cast<std::uint64_t>(c.reg);
    ASSERT_TRUE(fresh.write({offset, AccessWidth::word, 0}, 0xFFFFFFFF));
    const std::uint64_t value = *fresh.read({offset, AccessWidth::word, 0});
    EXPECT_EQ(c.reg == Reg::FR ? value & ~std::uint64_t{0x90} : value, c.kept) << std::hex << offset;
  }
}

TEST_F(Pl011Test, NarrowAccessesUseTheirByteLanes) {
  write(Reg::IBRD, 0x1234, AccessWidth::halfword);
  EXPECT_EQ(read(Reg::IBRD, AccessWidth::byte), 0x34U);
  EXPECT_EQ(read(Reg::IBRD, AccessWidth::byte, 1), 0x12U);
  EXPECT_EQ(read(Reg::IBRD, AccessWidth::halfword, 2), 0U);
  write(Reg::IBRD, 0xFF, AccessWidth::byte, 1);
  EXPECT_EQ(read(Reg::IBRD), 0x1234U);
  write(Reg::DR, 'x', AccessWidth::byte);
  write(Reg::DR, 'y', AccessWidth::byte, 2);  // not the data lane
  EXPECT_EQ(host.output, "x");
}

TEST_F(Pl011Test, TransmitsWithoutAnySetUp) {
  write(Reg::CR, 0);
  for (const char c : std::string_view{"hello"}) {
    write(Reg::DR, 0xA00 | static_cast<unsigned char>(c));
    EXPECT_EQ(read(Reg::FR), 0x90U);  // never full, never busy
  }
  EXPECT_EQ(host.output, "hello");
}

TEST_F(Pl011Test, TransmitInterruptComesAfterEachCharacterAndNotBefore) {
  write(Reg::IMSC, kTx);
  EXPECT_TRUE(host.levels.empty());
  write(Reg::DR, 'a');
  EXPECT_THAT(host.levels, ::testing::ElementsAre(true));
  EXPECT_EQ(read(Reg::MIS), kTx);
  write(Reg::ICR, kTx);
  EXPECT_THAT(host.levels, ::testing::ElementsAre(true, false));
  write(Reg::DR, 'b');
  write(Reg::IMSC, 0);
  EXPECT_THAT(host.levels, ::testing::ElementsAre(true, false, true, false));
  EXPECT_EQ(read(Reg::RIS), kTx);
  EXPECT_EQ(read(Reg::MIS), 0U);
}

TEST_F(Pl011Test, HoldingRegisterTakesOneCharacter) {
  write(Reg::IMSC, kRx);
  ASSERT_TRUE(uart.can_receive());
  type("a");
  EXPECT_FALSE(uart.can_receive());
  EXPECT_EQ(read(Reg::FR), Fr::TXFE::kMask | Fr::RXFF::kMask);
  EXPECT_EQ(read(Reg::MIS), kRx);
  EXPECT_EQ(read(Reg::DR), std::uint64_t{'a'});
  EXPECT_EQ(read(Reg::MIS), 0U);
  EXPECT_THAT(host.levels, ::testing::ElementsAre(true, false));
}

TEST_F(Pl011Test, ReceiveLevels) {
  constexpr unsigned kTriggers[] = {2, 4, 8, 12, 14, 2, 2, 2};
  for (std::uint64_t select = 0; select < 8; ++select) {
    uart.reset();
    use_fifo(select);
    write(Reg::IMSC, kRx | kRt);
    for (unsigned level = 1; level <= 16; ++level) {
      ASSERT_TRUE(uart.can_receive());
      type("z");
      EXPECT_EQ((read(Reg::RIS) & kRx) != 0, level >= kTriggers[select]) << select << " at " << level;
      EXPECT_TRUE(uart.irq_level());  // by the time-out below the level
    }
    EXPECT_FALSE(uart.can_receive());
    for (unsigned level = 15; level > 0; --level) {
      EXPECT_EQ(read(Reg::DR), std::uint64_t{'z'});
      EXPECT_EQ((read(Reg::RIS) & kRx) != 0, level >= kTriggers[select]) << select << " at " << level;
      EXPECT_TRUE(uart.irq_level());
    }
    EXPECT_EQ(read(Reg::DR), std::uint64_t{'z'});
    EXPECT_EQ(read(Reg::RIS), 0U);
    EXPECT_FALSE(uart.irq_level());
  }
}

TEST_F(Pl011Test, ClearingAnInterruptWithCharactersLeftTimesOutAgain) {
  use_fifo();
  write(Reg::IMSC, kRx | kRt);
  type("12345678");
  EXPECT_EQ(read(Reg::MIS), kRx | kRt);  // RT since the first of them
  write(Reg::ICR, kRt);
  EXPECT_EQ(read(Reg::MIS), kRx);  // RX still tells of them
  write(Reg::ICR, kRx);
  EXPECT_EQ(read(Reg::MIS), kRt);
  write(Reg::ICR, kRt);
  EXPECT_EQ(read(Reg::MIS), kRt);
  for (int i = 0; i < 8; ++i) {
    read(Reg::DR);
  }
  EXPECT_EQ(read(Reg::MIS), 0U);
}

TEST_F(Pl011Test, ADriverThatUnmasksOnlyRxIsNotLeftWaitingForTheLevel) {
  use_fifo();
  write(Reg::IMSC, kRx);
  type("a");
  EXPECT_EQ(read(Reg::MIS), kRx);
  EXPECT_EQ(read(Reg::DR), std::uint64_t{'a'});
  EXPECT_FALSE(uart.irq_level());

  // The same when the mask is set with a character already there.
  write(Reg::IMSC, 0);
  type("b");
  EXPECT_EQ(read(Reg::RIS), kRt);
  write(Reg::IMSC, kRx);
  EXPECT_TRUE(uart.irq_level());
}

TEST_F(Pl011Test, FifoKeepsOrderAcrossTheWrap) {
  use_fifo();
  std::string got;
  for (int round = 0; round < 5; ++round) {
    type("0123456789a");
    for (int i = 0; i < 11; ++i) {
      got.push_back(static_cast<char>(read(Reg::DR)));
    }
  }
  EXPECT_EQ(got, "0123456789a0123456789a0123456789a0123456789a0123456789a");
}

TEST_F(Pl011Test, OverrunIsReportedWithTheNextCharacter) {
  use_fifo();
  type("0123456789abcdefLOST");
  EXPECT_EQ(uart.waiting(), 16U);
  EXPECT_EQ(read(Reg::RIS) & kOe, kOe);
  EXPECT_EQ(read(Reg::RSR_ECR), Rsr::OE::kMask);
  EXPECT_EQ(read(Reg::DR), std::uint64_t{'0'});
  type("n");
  type("m");
  for (int i = 0; i < 15; ++i) {
    EXPECT_EQ(read(Reg::DR) & Dr::OE::kMask, 0U);
  }
  EXPECT_EQ(read(Reg::DR), Dr::OE::kMask | 'n');
  EXPECT_EQ(read(Reg::RSR_ECR), Rsr::OE::kMask);
  write(Reg::RSR_ECR, 0);
  EXPECT_EQ(read(Reg::RSR_ECR), 0U);
  EXPECT_EQ(uart.waiting(), 0U);
  write(Reg::ICR, kOe);
  EXPECT_EQ(read(Reg::RIS), 0U);
}

TEST_F(Pl011Test, BreakIsAZeroCharacterWithItsFlag) {
  use_fifo();
  uart.receive_break();
  EXPECT_EQ(read(Reg::RIS) & kBe, kBe);
  EXPECT_EQ(read(Reg::DR), Dr::BE::kMask);
  EXPECT_EQ(read(Reg::RSR_ECR), Rsr::BE::kMask);
  type("a");
  read(Reg::DR);
  EXPECT_EQ(read(Reg::RSR_ECR), 0U);
}

TEST_F(Pl011Test, ReadingAnEmptyFifoIsHarmless) {
  use_fifo();
  EXPECT_EQ(read(Reg::DR), 0U);
  EXPECT_EQ(uart.waiting(), 0U);
  type("a");
  EXPECT_EQ(read(Reg::DR), std::uint64_t{'a'});
}

TEST_F(Pl011Test, FenFlushesWhenClearedAndKeepsWhenSet) {
  type("a");
  write(Reg::LCR_H, LcrH::FEN::kMask);
  EXPECT_EQ(read(Reg::DR), std::uint64_t{'a'});
  type("bcd");
  write(Reg::LCR_H, 0);
  EXPECT_EQ(uart.waiting(), 0U);
  EXPECT_EQ(read(Reg::RIS) & (kRx | kRt), 0U);
}

TEST_F(Pl011Test, LoopbackFeedsOutputAndModemLinesBack) {
  use_fifo();
  write(Reg::IMSC, kRi | kCts | kDcd | kDsr);
  write(Reg::CR, 0x300 | Cr::LBE::kMask | Cr::RTS::kMask);
  EXPECT_FALSE(uart.can_receive());  // cut off from the line
  EXPECT_EQ(read(Reg::FR) & 0x107, Fr::CTS::kMask);
  EXPECT_EQ(read(Reg::MIS), kCts);
  write(Reg::ICR, 0x7FF);
  EXPECT_FALSE(uart.irq_level());
  write(Reg::CR, 0x300 | Cr::LBE::kMask | Cr::DTR::kMask | Cr::Out1::kMask | Cr::Out2::kMask);
  EXPECT_EQ(read(Reg::FR) & 0x107, Fr::DSR::kMask | Fr::DCD::kMask | Fr::RI::kMask);
  EXPECT_EQ(read(Reg::MIS), kRi | kCts | kDcd | kDsr);
  write(Reg::DR, 'q');
  EXPECT_EQ(read(Reg::DR), std::uint64_t{'q'});
  write(Reg::LCR_H, LcrH::FEN::kMask | LcrH::BRK::kMask);
  EXPECT_EQ(read(Reg::DR), Dr::BE::kMask);
  write(Reg::CR, 0x300);
  EXPECT_EQ(read(Reg::FR) & 0x107, 0U);
}

TEST_F(Pl011Test, ResetDropsWhatWaitsAndLowersTheLine) {
  use_fifo();
  write(Reg::IMSC, kRx | kRt);
  type("abc");
  uart.reset();
  EXPECT_THAT(host.levels, ::testing::ElementsAre(true, false));
  EXPECT_EQ(uart.waiting(), 0U);
  EXPECT_EQ(read(Reg::LCR_H), 0U);
  EXPECT_EQ(read(Reg::CR), 0x300U);
}

// --- Input reaches the guest whole ---

TEST_F(Pl011Test, NothingIsTakenBeforeTheGuestIsReady) {
  EXPECT_FALSE(uart.can_receive());
  use_fifo();
  write(Reg::IMSC, kTx | kOe);
  EXPECT_FALSE(uart.can_receive());
  write(Reg::IMSC, kRx);
  EXPECT_TRUE(uart.can_receive());
  write(Reg::IMSC, kRt);
  EXPECT_TRUE(uart.can_receive());
  host.enabled = false;
  EXPECT_FALSE(uart.can_receive());
}

TEST_F(Pl011Test, PollingForACharacterShowsReadiness) {
  read(Reg::FR);
  read(Reg::FR);
  EXPECT_FALSE(uart.can_receive());
  read(Reg::FR);
  EXPECT_TRUE(uart.can_receive());
  read(Reg::CR);
  EXPECT_FALSE(uart.can_receive());
  for (int i = 0; i < 100; ++i) {
    read(i % 2 != 0 ? Reg::RIS : Reg::FR);
  }
  EXPECT_TRUE(uart.can_receive());
  type("a");
  EXPECT_FALSE(uart.can_receive());  // one at a time
  read(Reg::FR);
  read(Reg::DR);
  EXPECT_FALSE(uart.can_receive());
}

TEST_F(Pl011Test, AConsoleThatOnlyWritesDoesNotLookLikePolling) {
  for (const char c : std::string_view{"[    0.000000] Booting Linux"}) {
    read(Reg::FR);  // TXFF
    write(Reg::DR, static_cast<unsigned char>(c));
    read(Reg::FR);  // BUSY
    EXPECT_FALSE(uart.can_receive());
  }
}

// The accesses of Linux's amba-pl011 from probe to open, with the host offering input after each of them.
TEST_F(Pl011Test, PipedInputSurvivesALinuxBoot) {
  std::string input = "uname -a\ncat /proc/cpuinfo\npoweroff\n";
  const std::string all = input;
  std::string lost;
  const auto step = [&](Reg reg, std::uint64_t value) { write(reg, value), feed(input); };
  const auto look = [&](Reg reg) {
    const std::uint64_t value = read(reg);
    feed(input);
    return value;
  };
  host.enabled = false;
  for (int i = 0; i < 50; ++i) {  // earlycon
    look(Reg::FR), step(Reg::DR, 'e'), look(Reg::FR);
  }
  step(Reg::IMSC, 0), step(Reg::ICR, 0xFFFF);                              // probe
  step(Reg::CR, 0x101), look(Reg::FR), step(Reg::DR, 'c'), look(Reg::FR);  // console
  // Start-up: clears, unmasks for the time of the probe, masks, requests the interrupt.
  step(Reg::ICR, 0x7D0), look(Reg::IMSC), step(Reg::IMSC, kRx | kRt), step(Reg::IMSC, 0);
  host.enabled = true;
  step(Reg::IFLS, 0x12), look(Reg::CR), step(Reg::CR, 0x301), look(Reg::FR);
  step(Reg::ICR, kRx | kRt);
  while ((look(Reg::FR) & Fr::RXFE::kMask) == 0) {
    lost.push_back(static_cast<char>(look(Reg::DR)));
  }
  step(Reg::IMSC, kRx | kRt);
  step(Reg::CR, 0), step(Reg::LCR_H, 0x70), step(Reg::CR, 0x301);  // termios, with the interrupt not yet taken
  EXPECT_EQ(lost, "");

  std::string got;
  while (uart.irq_level()) {  // the interrupt handler
    EXPECT_NE(look(Reg::RIS) & (kRx | kRt), 0U);
    while ((look(Reg::FR) & Fr::RXFE::kMask) == 0) {
      got.push_back(static_cast<char>(look(Reg::DR)));
    }
  }
  EXPECT_EQ(got, all);
}

// U-Boot polls for each key, echoes it, and starts a kernel on the first line; the rest is the kernel's.
TEST_F(Pl011Test, APollingBootLoaderTakesNoMoreThanItReads) {
  std::string input = "boot\nroot\n";
  write(Reg::LCR_H, 0x70);
  std::string line;
  for (int polls = 0; polls < 1000 && !line.ends_with('\n'); ++polls) {
    feed(input);
    if ((read(Reg::FR) & Fr::RXFE::kMask) == 0) {
      line.push_back(static_cast<char>(read(Reg::DR)));
      feed(input);
      read(Reg::FR);
      write(Reg::DR, static_cast<unsigned char>(line.back()));
    }
  }
  feed(input);
  EXPECT_EQ(line, "boot\n");
  EXPECT_EQ(input, "root\n");
  EXPECT_EQ(uart.waiting(), 0U);
}

}  // namespace
}  // namespace arm_vcpu
