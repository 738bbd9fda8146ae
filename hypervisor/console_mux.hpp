// SPDX-License-Identifier: Apache-2.0
// One terminal, many talkers: the hypervisor's lines, the guests' output, and where the user's keys go. No hardware, no
// clock of its own, no lock: console.cpp has those.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace arm_vcpu::hv {

inline constexpr unsigned kMaxConsoles = 8;

// With one VM, its bytes pass as they are. With several, output appears by lines, each behind "[vmN] ". A line that
// stays unfinished (a prompt) is shown after kIdle; from then on the VM owns the terminal's line and its bytes pass
// at once (echo), until another talker needs a line of its own.
template <class Sink>
class OutputMux {
 public:
  constexpr explicit OutputMux(Sink sink) noexcept : sink_{sink} {}

  void set_vm_count(unsigned count) noexcept { vm_count_ = count; }

  // A whole line of the hypervisor's, at the start of a line whatever a guest was printing.
  void hypervisor_line(std::string_view prefix, std::string_view text) noexcept {
    start_line();
    put("[hv] ");
    put(prefix);
    put(text);
    put("\r\n");
  }

  void write(unsigned vm, std::string_view bytes, std::uint64_t now) noexcept {
    if (vm >= kMaxConsoles) return;
    if (vm_count_ <= 1) {
      put(bytes);
      return;
    }
    while (!bytes.empty()) {
      const std::size_t newline = bytes.find('\n');
      const std::string_view piece = bytes.substr(0, newline == std::string_view::npos ? newline : newline + 1);
      bytes.remove_prefix(piece.size());
      write_piece(vm, piece, now);
    }
  }

  // Shows unfinished lines that are older than `idle`. The age is judged from their last byte.
  void show_idle(std::uint64_t now, std::uint64_t idle) noexcept {
    for (unsigned vm = 0; vm < kMaxConsoles; ++vm) {
      if (waiting_[vm].used != 0 && now - waiting_[vm].last >= idle) show(vm);
    }
  }
  // Whether the VM has an unfinished line that was not shown.
  [[nodiscard]] constexpr bool waits(unsigned vm) const noexcept { return vm < kMaxConsoles && waiting_[vm].used != 0; }
  // When the next line becomes idle; empty when nothing waits.
  [[nodiscard]] std::optional<std::uint64_t> next_idle(std::uint64_t idle) const noexcept {
    std::optional<std::uint64_t> earliest;
    for (const Waiting& waiting : waiting_) {
      if (waiting.used != 0 && (!earliest || waiting.last + idle < *earliest)) earliest = waiting.last + idle;
    }
    return earliest;
  }

  // Everything out, and the terminal at the start of a line.
  void finish() noexcept {
    for (unsigned vm = 0; vm < kMaxConsoles; ++vm) {
      if (waiting_[vm].used != 0) show(vm);
    }
    start_line();
  }

 private:
  struct Waiting {
    std::array<char, 256> bytes{};
    std::size_t used{};
    std::uint64_t last{};
  };
  static constexpr unsigned kNobody = kMaxConsoles;

  void put(std::string_view text) noexcept {
    if (text.empty()) return;
    sink_(text);
    mid_line_ = text.back() != '\n';
    if (!mid_line_) owner_ = kNobody;
  }
  void start_line() noexcept {
    if (mid_line_) put("\r\n");
  }

  void write_piece(unsigned vm, std::string_view piece, std::uint64_t now) noexcept {
    if (owner_ == vm) {
      put(piece);
      return;
    }
    Waiting& waiting = waiting_[vm];
    waiting.last = now;
    for (const char c : piece) {
      waiting.bytes[waiting.used++] = c;
      if (c == '\n' || waiting.used == waiting.bytes.size()) show(vm);
    }
  }

  void show(unsigned vm) noexcept {
    Waiting& waiting = waiting_[vm];
    if (owner_ != vm) {
      start_line();
      const char prefix[] = {'[', 'v', 'm', static_cast<char>('0' + vm), ']', ' '};
      put({prefix, sizeof prefix});
      owner_ = vm;
    }
    put({waiting.bytes.data(), waiting.used});
    waiting.used = 0;
  }

  Sink sink_;
  unsigned vm_count_{1};
  unsigned owner_{kNobody};  // whose unfinished line is on the terminal
  bool mid_line_{};
  std::array<Waiting, kMaxConsoles> waiting_{};
};

// Keys from the user. Ctrl-] is the escape: a digit moves the focus, x ends the machine, Ctrl-] sends itself.
class InputRouter {
 public:
  static constexpr char kEscape = 0x1D;

  enum class Action : std::uint8_t { none, deliver, focus_moved, no_such_vm, end_machine, help };

  void set_vm_count(unsigned count) noexcept { vm_count_ = count; }
  [[nodiscard]] unsigned focus() const noexcept { return focus_; }

  // `deliver`: the byte is for focus().
  [[nodiscard]] Action feed(char byte) noexcept {
    if (!escaped_) {
      escaped_ = byte == kEscape;
      return escaped_ ? Action::none : Action::deliver;
    }
    escaped_ = false;
    if (byte == kEscape) return Action::deliver;
    if (byte == 'x' || byte == 'X') return Action::end_machine;
    if (byte < '0' || byte > '9') return Action::help;
    const auto vm = static_cast<unsigned>(byte - '0');
    if (vm >= vm_count_) return Action::no_such_vm;
    focus_ = vm;
    return Action::focus_moved;
  }

 private:
  unsigned vm_count_{1};
  unsigned focus_{};
  bool escaped_{};
};

// Bytes on their way to one VM.
class InputQueue {
 public:
  [[nodiscard]] bool full() const noexcept { return in_ - out_ == kCapacity; }
  [[nodiscard]] bool empty() const noexcept { return in_ == out_; }
  // Precondition: not full.
  void push(char byte) noexcept { bytes_[in_++ % kCapacity] = byte; }
  [[nodiscard]] std::optional<char> pop() noexcept {
    if (empty()) return std::nullopt;
    return bytes_[out_++ % kCapacity];
  }

 private:
  static constexpr std::uint32_t kCapacity = 256;  // a power of two: the counters wrap
  std::array<char, kCapacity> bytes_{};
  std::uint32_t in_{};
  std::uint32_t out_{};
};

}  // namespace arm_vcpu::hv
