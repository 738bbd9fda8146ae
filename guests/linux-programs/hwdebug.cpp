// SPDX-License-Identifier: Apache-2.0
// A process of the Linux guest that debugs another one: single step, a hardware breakpoint, watchpoints; and that
// counts its own cycles with an interrupt at each overflow. One line for each, and status 0 when all is right. No C
// library: Linux's system calls for arm64 are all it uses. [linux] "ptrace(2)", "perf_event_open(2)"
#include "program.hpp"

namespace {

using namespace program;

void report(const char* name, bool right) noexcept {
  program::report("hwdebug", name, right);
}

// --- the process that is debugged -----------------------------------------------------------------------------------

constexpr u64 kSigStop = 19;
constexpr u64 kSigTrap = 5;
constexpr u64 kSigChld = 17;
constexpr u64 kExitStatus = 7;

extern "C" volatile u64 hwdebug_watched;
alignas(8) volatile u64 hwdebug_watched = 1;

// Stops itself; goes on with plain instructions, a function, a load and a store.
extern "C" [[noreturn]] void hwdebug_child(u64 pid);
extern "C" const char hwdebug_steps[];
extern "C" const char hwdebug_function[];
extern "C" const char hwdebug_load[];
extern "C" const char hwdebug_store[];
asm(R"(
    .text
    .balign 16
    .global hwdebug_child
hwdebug_child:
    mov     x1, #19
    mov     x8, #129
    svc     #0
    .global hwdebug_steps
hwdebug_steps:
    mov     x9, #1
    add     x9, x9, #1
    add     x9, x9, #1
    add     x9, x9, #1
    bl      hwdebug_function
    adrp    x10, hwdebug_watched
    add     x10, x10, :lo12:hwdebug_watched
    .global hwdebug_load
hwdebug_load:
    ldr     x11, [x10]
    add     x11, x11, #4
    .global hwdebug_store
hwdebug_store:
    str     x11, [x10]
    ldr     x0, [x10]
    add     x0, x0, #2
    mov     x8, #94
    svc     #0
    .balign 16
    .global hwdebug_function
hwdebug_function:
    ret
)");

// --- the debugger ---------------------------------------------------------------------------------------------------

enum Request : u64 {
  trace_me = 0,
  cont = 7,
  single_step = 9,
  get_siginfo = 0x4202,
  get_regset = 0x4204,
  set_regset = 0x4205,
};
constexpr u64 kGeneralRegisters = 1;  // NT_PRSTATUS
constexpr u64 kHwBreak = 0x402;       // NT_ARM_HW_BREAK
constexpr u64 kHwWatch = 0x403;       // NT_ARM_HW_WATCH
constexpr u32 kTrapTrace = 2;
constexpr u32 kTrapHwBreakpoint = 4;

struct Iovec {
  u64 base;
  u64 bytes;
};
struct Registers {
  u64 x[31];
  u64 sp;
  u64 pc;
  u64 pstate;
};
struct HwDebug {
  u32 info;  // low byte: how many there are
  u32 pad;
  struct {
    u64 address;
    u32 control;
    u32 pad;
  } slot[16];
};
struct SigInfo {
  u32 signo;
  u32 error;
  u32 code;
  u32 pad;
  u64 address;
  u64 rest[13];
};

constexpr u32 kEl0 = 2U << 1;
constexpr u32 kExecute = 1 | kEl0 | 0xFU << 5;
constexpr u32 kLoad = 1 | kEl0 | 1U << 3 | 0xFFU << 5;
constexpr u32 kStore = 1 | kEl0 | 2U << 3 | 0xFFU << 5;

struct Child {
  u64 pid;
  u32 status{};

  bool wait() noexcept { return call(Call::wait4, pid, address_of(&status), 0, 0) == static_cast<long>(pid); }
  [[nodiscard]] bool stopped_by(u64 signal) const noexcept { return (status & 0xFFFF) == (signal << 8 | 0x7F); }
  [[nodiscard]] bool exited_with(u64 code) const noexcept { return (status & 0xFFFF) == code << 8; }
  bool resume(Request request) noexcept { return call(Call::ptrace, request, pid) == 0 && wait(); }

  u64 pc() noexcept {
    Registers registers{};
    const Iovec where{address_of(&registers), sizeof registers};
    return call(Call::ptrace, get_regset, pid, kGeneralRegisters, address_of(&where)) == 0 ? registers.pc : 0;
  }
  SigInfo reason() noexcept {
    SigInfo info{};
    (void)call(Call::ptrace, get_siginfo, pid, 0, address_of(&info));
    return info;
  }
  unsigned count(u64 kind) noexcept {
    HwDebug state{};
    const Iovec where{address_of(&state), sizeof state};
    return call(Call::ptrace, get_regset, pid, kind, address_of(&where)) == 0 ? state.info & 0xFF : 0;
  }
  bool set(u64 kind, u64 address, u32 control) noexcept {
    HwDebug state{};
    state.slot[0].address = address;
    state.slot[0].control = control;
    const Iovec where{address_of(&state), offsetof(HwDebug, slot) + sizeof state.slot[0]};
    return call(Call::ptrace, set_regset, pid, kind, address_of(&where)) == 0;
  }
};

void debug_a_child() noexcept {
  const long forked = call(Call::clone, kSigChld);
  if (forked == 0) {
    (void)call(Call::ptrace, trace_me);
    hwdebug_child(static_cast<u64>(call(Call::getpid)));
  }
  Child child{static_cast<u64>(forked)};
  report("stopped", child.wait() && child.stopped_by(kSigStop) && child.pc() == address_of(hwdebug_steps));
  report("breakpoints", child.count(kHwBreak) >= 2);
  report("watchpoints", child.count(kHwWatch) >= 2);

  bool stepped = true;
  for (unsigned i = 1; i <= 4; ++i) {
    stepped = stepped && child.resume(single_step) && child.stopped_by(kSigTrap) && child.reason().code == kTrapTrace &&
              child.pc() == address_of(hwdebug_steps) + 4 * i;
  }
  report("step", stepped);

  report("break", child.set(kHwBreak, address_of(hwdebug_function), kExecute) && child.resume(cont) &&
                      child.stopped_by(kSigTrap) && child.reason().code == kTrapHwBreakpoint &&
                      child.pc() == address_of(hwdebug_function));
  const auto watched = const_cast<u64*>(&hwdebug_watched);
  report("watch.load", child.set(kHwBreak, 0, 0) && child.set(kHwWatch, address_of(watched), kLoad) &&
                           child.resume(cont) && child.stopped_by(kSigTrap) &&
                           child.reason().code == kTrapHwBreakpoint && child.reason().address == address_of(watched) &&
                           child.pc() == address_of(hwdebug_load));
  report("watch.store", child.set(kHwWatch, address_of(watched), kStore) && child.resume(cont) &&
                            child.stopped_by(kSigTrap) && child.reason().address == address_of(watched) &&
                            child.pc() == address_of(hwdebug_store));
  // 1 + 4 is stored, and 2 more is the status: every instruction was executed once.
  report("goes_on", child.set(kHwWatch, 0, 0) && child.resume(cont) && child.exited_with(kExitStatus));
}

// --- the performance monitors ---------------------------------------------------------------------------------------

struct PerfEventAttr {
  u32 type;  // 0: PERF_TYPE_HARDWARE
  u32 size;
  u64 config;  // 0: PERF_COUNT_HW_CPU_CYCLES
  u64 sample_period;
  u64 rest[5];
};

void count_cycles() noexcept {
  PerfEventAttr attributes{};
  attributes.size = sizeof attributes;
  attributes.sample_period = 2'000'000;  // an interrupt each time
  const long counter = call(Call::perf_event_open, address_of(&attributes), 0, ~u64{0}, ~u64{0}, 0);
  report("perf.open", counter >= 0);
  if (counter < 0) return;
  u64 before = 0;
  u64 after = 0;
  (void)call(Call::read, static_cast<u64>(counter), address_of(&before), sizeof before);
  for (u64 i = 0; i < 20'000'000; ++i) asm volatile("");
  (void)call(Call::read, static_cast<u64>(counter), address_of(&after), sizeof after);
  report("perf.counts", after > before + 4'000'000);
  (void)call(Call::close, static_cast<u64>(counter));
}

}  // namespace

extern "C" [[noreturn, gnu::used]] void program_main() noexcept {
  debug_a_child();
  count_cycles();
  finish("hwdebug: all right\n", "hwdebug: failed\n");
}
