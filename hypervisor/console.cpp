// SPDX-License-Identifier: Apache-2.0
#include "console.hpp"

#include <array>
#include <atomic>

#include "arm_vcpu/el2/sysreg.hpp"
#include "console_mux.hpp"
#include "lock.hpp"
#include "per_cpu.hpp"
#include "pl011.hpp"
#include "verdict.hpp"

namespace arm_vcpu::hv {
namespace {

constexpr std::array<std::string_view, 5> kLevelNames{"error", "warn", "info", "debug", "trace"};
constexpr std::array<std::string_view, 5> kPrefixes{"error: ", "warning: ", "", "debug: ", "trace: "};
constexpr std::uint64_t kIdleMilliseconds = 50;
constexpr unsigned kNobody = ~0U;

constinit std::atomic<Level> g_level{Level::info};
constinit HostPl011 g_uart;
constinit std::optional<Interrupt> g_interrupt;

struct UartSink {
  void operator()(std::string_view text) const noexcept {
    for (const char c : text) g_uart.put(c);
  }
};

constinit SpinLock g_output_lock{"console output"};
constinit std::atomic<unsigned> g_last_speaker{kNobody};
constinit OutputMux<UartSink> g_output{UartSink{}};

// False: no guest has written since the last line was shown. Written under the output lock.
constinit std::atomic<bool> g_unfinished{false};

// Bit n: the queue of VM n is not empty. Written under g_input_lock.
constinit SpinLock g_input_lock{"console input"};
constinit InputRouter g_router;
constinit std::array<InputQueue, kMaxConsoles> g_queues{};
constinit bool g_throttled = false;

// The CPU that was entered at EL1 by mistake prints, too; it has no TPIDR_EL2.
unsigned speaker() noexcept {
  return el2::current_el() == 2 ? this_cpu().index : 0;
}

class OutputGuard {
 public:
  OutputGuard() noexcept : locks_{g_last_speaker.load(std::memory_order_relaxed) != speaker()} {
    if (locks_) g_output_lock.lock();
  }
  ~OutputGuard() {
    if (locks_) g_output_lock.unlock();
  }
  OutputGuard(const OutputGuard&) = delete;
  OutputGuard& operator=(const OutputGuard&) = delete;

 private:
  bool locks_;
};

std::uint64_t idle_ticks() noexcept {
  return el2::counter_hz() * kIdleMilliseconds / 1000;
}

}  // namespace

void set_log_level(Level level) noexcept {
  g_level.store(level, std::memory_order_relaxed);
}
Level log_level() noexcept {
  return g_level.load(std::memory_order_relaxed);
}

std::optional<Level> level_named(std::string_view name) noexcept {
  for (std::size_t i = 0; i < kLevelNames.size(); ++i) {
    if (kLevelNames[i] == name) return static_cast<Level>(i);
  }
  return std::nullopt;
}

void detail::log_line(Level level, std::string_view text) noexcept {
  if (!g_uart.started()) return;
  const OutputGuard guard;
  g_output.hypervisor_line(kPrefixes[static_cast<std::size_t>(level)], text);
}

namespace console {

void start(const UartInfo& uart) noexcept {
  g_uart.start(uart.registers.base);
  g_interrupt = uart.interrupt;
}

void set_vm_count(unsigned count) noexcept {
  {
    const OutputGuard guard;
    g_output.set_vm_count(count);
  }
  const LockGuard input{g_input_lock};  // never inside the output lock: receive() takes them the other way round
  g_router.set_vm_count(count);
}

std::optional<std::uint64_t> write(unsigned vm, std::string_view bytes) noexcept {
  if (!g_uart.started()) return std::nullopt;
  const OutputGuard guard;
  const std::uint64_t now = el2::counter_ticks();
  g_output.write(vm, bytes, now);
  g_unfinished.store(true, std::memory_order_relaxed);
  return g_output.waits(vm) ? std::optional{now + idle_ticks()} : std::nullopt;
}

std::optional<std::uint64_t> poll() noexcept {
  if (!g_unfinished.load(std::memory_order_relaxed)) return std::nullopt;
  const OutputGuard guard;
  g_output.show_idle(el2::counter_ticks(), idle_ticks());
  const std::optional<std::uint64_t> next = g_output.next_idle(idle_ticks());
  if (!next) g_unfinished.store(false, std::memory_order_relaxed);
  return next;
}

std::optional<char> read(unsigned vm) noexcept {
  if (vm >= kMaxConsoles) return std::nullopt;
  const LockGuard guard{g_input_lock};
  const std::optional<char> byte = g_queues[vm].pop();
  if (g_queues[vm].empty()) detail::g_waiting_input.fetch_and(~(1U << vm), std::memory_order_relaxed);
  if (byte && g_throttled && vm == g_router.focus()) {
    g_throttled = false;
    g_uart.enable_receive_interrupt(true);
  }
  return byte;
}

std::uint32_t receive() noexcept {
  if (!g_uart.started()) return 0;
  std::uint32_t fed = 0;
  bool ends = false;
  {
    const LockGuard guard{g_input_lock};
    while (!ends && !g_queues[g_router.focus()].full()) {
      const std::optional<char> byte = g_uart.get();
      if (!byte) break;
      switch (g_router.feed(*byte)) {
        case InputRouter::Action::deliver:
          g_queues[g_router.focus()].push(*byte);
          fed |= 1U << g_router.focus();
          detail::g_waiting_input.fetch_or(1U << g_router.focus(), std::memory_order_relaxed);
          break;
        case InputRouter::Action::focus_moved: log(Level::info, "the keyboard is vm{}'s", g_router.focus()); break;
        case InputRouter::Action::no_such_vm: log(Level::info, "there is no such VM"); break;
        case InputRouter::Action::end_machine: ends = true; break;
        case InputRouter::Action::help:
          log(Level::info, "Ctrl-] 0 to 9: keyboard to that VM; Ctrl-] x: end all; Ctrl-] Ctrl-]: send Ctrl-]");
          break;
        case InputRouter::Action::none: break;
      }
    }
    if (g_queues[g_router.focus()].full() && !g_throttled) {
      g_throttled = true;
      g_uart.enable_receive_interrupt(false);
    }
  }
  if (ends) finish_failed("ended by the user");
  return fed;
}

std::optional<Interrupt> interrupt() noexcept {
  return g_interrupt;
}

void listen() noexcept {
  const LockGuard guard{g_input_lock};
  g_uart.enable_receive_interrupt(true);
}

void take_over() noexcept {
  const unsigned self = speaker();
  if (g_last_speaker.load(std::memory_order_relaxed) == self) return;
  // A line at 9600 baud takes a quarter of a second. Who holds the lock longer has died with it.
  const std::uint64_t deadline = el2::counter_ticks() + el2::counter_hz();
  while (!g_output_lock.try_lock() && el2::counter_ticks() < deadline) el2::yield();
  g_last_speaker.store(self, std::memory_order_relaxed);
}

void finish() noexcept {
  if (!g_uart.started()) return;
  const OutputGuard guard;
  g_output.finish();
  g_uart.drain();
}

}  // namespace console
}  // namespace arm_vcpu::hv
