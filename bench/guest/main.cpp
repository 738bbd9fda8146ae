// SPDX-License-Identifier: Apache-2.0
// What exits cost, seen from the guest: each row of rows.def is done a number of times between two marks, which
// bench/plugin counts the instructions between: of the guest, the hypervisor, and whoever else works for it, on all
// CPUs. The trapping instruction is included; nothing else of the guest is, but for the interrupt handler where the row
// says so.
#include "cpu.hpp"
#include "machine.hpp"
#include "marks.h"

namespace bench {
namespace {

enum class Row : unsigned {
#define BENCH_ROW(name, text) name,
#include "rows.def"
#undef BENCH_ROW
};

constexpr unsigned kTimes = 33;    // the first is a warm-up for what happens only once
constexpr unsigned kFewTimes = 9;  // of what takes long
// Microseconds: longer than a hypervisor polls before it lets the CPU sleep.
constexpr u64 kLongSleep = 1000;

constinit Machine g_machine;
unsigned g_rows_begun = 0;

void begin(Row row) noexcept {
  for (; g_rows_begun <= static_cast<unsigned>(row); ++g_rows_begun) BENCH_HINT(BENCH_MARK_ROW);
  this_cpu().exceptions = 0;
}

// An exception in the place of the result is not the row.
void end() noexcept {
  if (this_cpu().exceptions != 0) BENCH_HINT(BENCH_SKIP_EXCEPTION);
}

template <class F>
void measure(Row row, F operation) noexcept {
  begin(row);
  for (unsigned i = 0; i < kTimes && this_cpu().exceptions == 0; ++i) operation();
  end();
}

#define BENCH_CALL(instruction, function)                                                                          \
  do {                                                                                                             \
    register u64 x0 asm("x0") = (function);                                                                        \
    asm volatile(BENCH_MARKED(instruction)                                                                         \
                 : "+r"(x0)                                                                                        \
                 :                                                                                                 \
                 : "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", \
                   "x16", "x17", "memory");                                                                        \
  } while (false)

constexpr u64 kUnknownFunction = 0xC600'FF00;

void calls() noexcept {
  measure(Row::hvc_psci_version, [] { BENCH_CALL("hvc #0", psci::kVersion); });
  measure(Row::hvc_smccc_version, [] { BENCH_CALL("hvc #0", psci::kSmcccVersion); });
  measure(Row::hvc_unknown, [] { BENCH_CALL("hvc #0", kUnknownFunction); });
  measure(Row::smc_psci_version, [] { BENCH_CALL(".inst 0xD4000003", psci::kVersion); });  // SMC #0
}

void load32(u64 address) noexcept {
  u64 value;
  asm volatile(BENCH_MARKED("ldr %w0, [%1]") : "=&r"(value) : "r"(address) : "memory");
}
void load64(u64 address) noexcept {
  u64 value;
  asm volatile(BENCH_MARKED("ldr %0, [%1]") : "=&r"(value) : "r"(address) : "memory");
}
// No syndrome says what this one did: the hypervisor has to look at the instruction.
void load32_with_writeback(u64 address) noexcept {
  u64 value;
  asm volatile(BENCH_MARKED("ldr %w0, [%1], #4") : "=&r"(value), "+r"(address) : : "memory");
}
void store32(u64 address, u32 value) noexcept {
  asm volatile(BENCH_MARKED("str %w0, [%1]") : : "r"(value), "r"(address) : "memory");
}

void registers_and_devices() noexcept {
  measure(Row::id_register, [] {
    u64 value;
    asm volatile(BENCH_MARKED("mrs %0, id_aa64pfr0_el1") : "=r"(value));
  });
  measure(Row::gicd_typer, [] { load32(g_machine.gicd + 0x4); });
  measure(Row::gicd_ispendr, [] { store32(g_machine.gicd + 0x204, 0); });
  measure(Row::gicr_typer, [] { load64(g_machine.gicr + 0x8); });
  measure(Row::uart_fr, [] { load32(g_machine.uart + 0x18); });
  measure(Row::uart_writeback, [] { load32_with_writeback(g_machine.uart + 0x18); });
  measure(Row::cntp_ctl, [] {
    u64 value;
    asm volatile(BENCH_MARKED("mrs %0, cntp_ctl_el0") : "=r"(value));
  });
}

constexpr u32 kSgi = 1;

u64 sgi_to(unsigned cpu) noexcept {
  const u64 mpidr = g_machine.mpidr[cpu];
  const u64 affinities = (mpidr >> 32 & 0xFF) << 48 | (mpidr >> 16 & 0xFF) << 32 | (mpidr >> 8 & 0xFF) << 16;
  return affinities | u64{kSgi} << 24 | u64{1} << (mpidr & 0xF);
}

u64 in_microseconds(u64 us) noexcept {
  isb();
  return BENCH_READ(cntvct_el0) + BENCH_READ(cntfrq_el0) * us / 1'000'000;
}

void wait_microseconds(u64 us) noexcept {
  for (const u64 end = in_microseconds(us); BENCH_READ(cntvct_el0) < end;) asm volatile("yield");
}

void interrupts_to_self() noexcept {
  gic_enable(kVirtualTimer);
  unmask_interrupts();
  measure(Row::sgi_self, [] { bench_sgi_self(sgi_to(0), &this_cpu().interrupt); });
  set_vectors(bench_vectors_timer);
  measure(Row::timer, [] { bench_timer(in_microseconds(100), &this_cpu().interrupt); });
  mask_interrupts();
  measure(Row::wfi_timer, [] {
    bench_wfi_timer(in_microseconds(kLongSleep));
    unmask_interrupts();  // takes it
    isb();
    mask_interrupts();
  });
  set_vectors(bench_vectors);
}

void memory() noexcept {
  begin(Row::first_touch);
  u64 page = untouched_memory();
  for (unsigned i = 0; i < kUntouchedBlocks; ++i, page += kBlock) load32(page);
  end();
}

// The other CPU, in tasks of its own. It says `ready` before it waits and `done` with each that it has answered.
volatile u32 g_ready = 0;
volatile u32 g_done = 0;
volatile u32 g_leave = 0;
volatile u32 g_online = 0;

[[noreturn]] void turn_off() noexcept {
  mask_interrupts();
  psci_call(g_machine.psci_by_smc, psci::kCpuOff);
  for (;;) asm volatile("wfi");
}

void task_online() noexcept {
  g_online = 1;
  turn_off();
}

void task_running() noexcept {
  gic_init_cpu(g_machine);
  set_vectors(bench_vectors_acknowledged);
  Cpu& self = this_cpu();
  unmask_interrupts();
  while (g_leave == 0) {
    self.interrupt = 0;
    g_ready = 1;
    bench_wait(&self.interrupt);
    g_done = 1;
  }
  turn_off();
}

void task_sleeping() noexcept {
  gic_init_cpu(g_machine);
  set_vectors(bench_vectors_acknowledged);
  Cpu& self = this_cpu();
  while (g_leave == 0) {
    mask_interrupts();
    self.interrupt = 0;
    g_ready = 1;
    while (self.interrupt == 0) {
      asm volatile("wfi");
      unmask_interrupts();
      isb();
      mask_interrupts();
    }
    g_done = 1;
  }
  turn_off();
}

bool wait_until_off() noexcept {
  for (const u64 end = in_microseconds(1'000'000); BENCH_READ(cntvct_el0) < end;) {
    if (psci_call(g_machine.psci_by_smc, psci::kAffinityInfo, g_machine.mpidr[1]) == psci::kOff) return true;
    asm volatile("yield");
  }
  return false;
}

bool start(void (*task)()) noexcept {
  g_leave = 0;
  g_ready = 0;
  return psci_call(g_machine.psci_by_smc, psci::kCpuOn, g_machine.mpidr[1], reinterpret_cast<u64>(bench_secondary),
                   reinterpret_cast<u64>(task)) == 0;
}

void sgis_to_other(Row row, void (*task)(), unsigned times, u64 pause) noexcept {
  begin(row);
  if (!start(task)) {
    BENCH_HINT(BENCH_SKIP_NO_ANSWER);
    return;
  }
  for (unsigned i = 0; i < times; ++i) {
    bench_wait(&g_ready);
    g_ready = 0;
    g_done = 0;
    if (i + 1 == times) g_leave = 1;
    wait_microseconds(pause);  // it is in its loop, or asleep, by now
    bench_sgi_other(sgi_to(1), &g_done);
  }
  end();
  (void)wait_until_off();
}

void two_cpus() noexcept {
  begin(Row::cpu_on);
  for (unsigned i = 0; i < kFewTimes; ++i) {
    g_online = 0;
    if (bench_cpu_on(g_machine.mpidr[1], reinterpret_cast<u64>(bench_secondary), reinterpret_cast<u64>(task_online),
                     &g_online) != 0 ||
        !wait_until_off()) {
      BENCH_HINT(BENCH_SKIP_NO_ANSWER);
      return;
    }
  }
  end();
  sgis_to_other(Row::sgi_running, task_running, kTimes, 20);
  sgis_to_other(Row::sgi_wfi, task_sleeping, kFewTimes, kLongSleep);
}

// Two vCPUs that share a CPU: one SGI goes back and forth, and who has sent it waits in WFI. CPU 0 names the rows.
void give_way(unsigned self) noexcept {
  constexpr u64 kTargets = 0xFFFF;
  const u64 peer = sgi_to(1 - self);
  u64 first = self == 0 ? peer : peer & ~kTargets;  // CPU 1 waits first
  if (self == 0) begin(Row::vcpu_switch);
  for (unsigned i = 0; i < kTimes; ++i, first = peer) bench_give_way(first);
  if (self == 0) begin(Row::fp_after_switch);
  for (unsigned i = 0; i < kTimes; ++i) bench_give_way_fp(peer);
  if (self == 0) begin(Row::vcpu_switch_fp);
  for (unsigned i = 0; i < kTimes; ++i) bench_give_way_with_fp(peer);
  if (self != 0) BENCH_WRITE(S3_0_C12_C11_5, peer);  // ICC_SGI1R_EL1: CPU 0 waits for it
}

void task_give_way() noexcept {
  gic_init_cpu(g_machine);
  enable_fp();
  give_way(1);
  turn_off();
}

void shared_cpu() noexcept {
  enable_fp();
  if (!start(task_give_way)) {
    begin(Row::vcpu_switch);
    BENCH_HINT(BENCH_SKIP_NO_ANSWER);
    return;
  }
  give_way(0);
  (void)wait_until_off();
}

}  // namespace

extern "C" [[noreturn]] void bench_main(u64 tree) noexcept {
  read_device_tree(tree, g_machine);
  while (g_machine.idle) asm volatile("wfi");
  gic_init_distributor(g_machine);
  gic_init_cpu(g_machine);
  if (g_machine.one_physical_cpu) {
    shared_cpu();
  } else {
    calls();
    registers_and_devices();
    interrupts_to_self();
    memory();
    if (g_machine.cpus > 1) {
      two_cpus();
    } else {
      for (auto row = static_cast<unsigned>(Row::cpu_on); row <= static_cast<unsigned>(Row::sgi_wfi); ++row) {
        begin(Row{row});
        BENCH_HINT(BENCH_SKIP_ONE_CPU);
      }
    }
  }
  BENCH_HINT(BENCH_MARK_DONE);
  (void)psci_call(g_machine.psci_by_smc, psci::kSystemOff);
  for (;;) asm volatile("wfi");
}

}  // namespace bench
