// SPDX-License-Identifier: Apache-2.0
// The terminal, shared by the hypervisor and its guests, from any CPU. Nothing here is for the exit path of a running
// guest but write(), read() and receive(); they take a lock and wait for the UART.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string_view>

#include "arm_vcpu/text.hpp"
#include "board.hpp"

namespace arm_vcpu::hv {

enum class Level : std::uint8_t { error, warn, info, debug, trace };

void set_log_level(Level level) noexcept;
[[nodiscard]] Level log_level() noexcept;
[[nodiscard]] std::optional<Level> level_named(std::string_view name) noexcept;  // "error" to "trace"

namespace console {

namespace detail {
inline constinit std::atomic<std::uint32_t> g_waiting_input{0};  // bit n: something waits for VM n
}

// Before this, output goes nowhere. The registers must be mapped. `interrupt` is reported by uart_intid().
void start(const UartInfo& uart) noexcept;

// How many VMs share the terminal: 1 passes bytes as they are, more puts "[vmN] " before lines. At most kMaxConsoles.
void set_vm_count(unsigned count) noexcept;

// Output of a guest. When poll() is due at the latest (ticks); empty: nothing of it waits.
std::optional<std::uint64_t> write(unsigned vm, std::string_view bytes) noexcept;

// The next byte that the user typed for this VM.
[[nodiscard]] std::optional<char> read(unsigned vm) noexcept;
// One load: it is asked at each access of a guest to a device.
[[nodiscard]] inline bool has_input(unsigned vm) noexcept {
  return (detail::g_waiting_input.load(std::memory_order_relaxed) >> vm & 1) != 0;
}

// Takes what the UART received: call it for the UART's interrupt, and now and then where it has none. Handles the
// user's Ctrl-] commands (Ctrl-] x does not return). Bit n of the result: VM n has new input.
// While the focus VM's queue is full nothing is taken, and the sender waits, until that VM reads.
std::uint32_t receive() noexcept;

// Shows unfinished lines of VMs that have gone idle. Call it whenever EL2 has the time; in an idle loop, again at the
// returned counter value (CNTPCT_EL0 ticks) at the latest. Empty: nothing waits.
std::optional<std::uint64_t> poll() noexcept;

// The receive interrupt's INTID, unmasked in the UART by listen(); empty: the UART has none, poll with receive().
[[nodiscard]] std::optional<Interrupt> interrupt() noexcept;
void listen() noexcept;

// From here on this CPU alone prints; the others wait for ever when they try. For the machine's last words. Does not
// wait for a CPU that died with the lock.
void take_over() noexcept;
// Everything is on the wire, at the start of a line.
void finish() noexcept;

}  // namespace console

namespace detail {
void log_line(Level level, std::string_view text) noexcept;
}

// One line, "[hv] " and the text; longer than 240 bytes it is cut. Patterns as in arm_vcpu/text.hpp.
template <class... Args>
void log(Level level, std::string_view pattern, const Args&... args) noexcept {
  if (level > log_level()) return;
  char storage[240];
  TextBuffer text{storage};
  format_to(text, pattern, args...);
  detail::log_line(level, text.view());
}

}  // namespace arm_vcpu::hv
