// SPDX-License-Identifier: Apache-2.0
// Self-hosted debug of EL1 by itself: breakpoints, watchpoints, single step, the locks, and whose registers they are.
#include "exits.hpp"
#include "guest/check.hpp"
#include "guest/cpu.hpp"
#include "guest/smp.hpp"

namespace exits {
namespace {

using namespace guest;

constexpr u64 kSs = 1;
constexpr u64 kKde = 1U << 13;
constexpr u64 kMde = 1U << 15;
constexpr u64 kBreakpointAtEl1 = 1 | 0b01 << 1 | 0xF << 5;        // E, PMC, BAS
constexpr u64 kWatchpointAtEl1 = 1 | 0b01 << 1 | u64{0xFF} << 5;  // E, PAC, BAS: all eight bytes
constexpr u64 kOnLoad = 0b01 << 3;
constexpr u64 kOnStore = 0b10 << 3;

constexpr unsigned kBreakpointEc = 0x31;
constexpr unsigned kStepEc = 0x33;
constexpr unsigned kWatchpointEc = 0x35;

// Two instructions; a breakpoint on the second one is skipped by `catching`, and the value says so.
extern "C" u64 exits_breakpoint_target(u64 value);
extern "C" const char exits_breakpoint_place[];
asm(R"(
    .text
    .balign 16
    .global exits_breakpoint_target
exits_breakpoint_target:
    add     x0, x0, #1
    .global exits_breakpoint_place
exits_breakpoint_place:
    add     x0, x0, #2
    ret
)");

void unmask_debug() noexcept {
  asm volatile("msr daifclr, #8\n\tisb" : : : "memory");
}
void mask_debug() noexcept {
  asm volatile("msr daifset, #8\n\tisb" : : : "memory");
}
void write_mdscr(u64 value) noexcept {
  GUEST_WRITE(mdscr_el1, value);
  isb();
}

u64 place() noexcept {
  return reinterpret_cast<u64>(&exits_breakpoint_place);
}

struct Hit {
  Caught caught{};
  u64 result{};
};
Hit run_to_breakpoint() noexcept {
  Hit hit{};
  unmask_debug();
  hit.caught = catching([&] { hit.result = exits_breakpoint_target(10); });
  mask_debug();
  return hit;
}

void check_hit(const char* name, const Hit& hit) noexcept {
  check_true(name, hit.caught.count == 1 && hit.caught.ec() == kBreakpointEc && hit.caught.elr == place() &&
                       hit.caught.fsc() == 0x22 && hit.result == 11);
}
void check_no_hit(const char* name, const Hit& hit) noexcept {
  check_true(name, hit.caught.count == 0 && hit.result == 13);
}

// Steps one instruction. `%0` is where the step has to end.
#define STEP(instruction, ...)                                                                               \
  [] {                                                                                                       \
    u64 end = 0;                                                                                             \
    u64 scratch = 0;                                                                                         \
    GUEST_WRITE(mdscr_el1, kKde | kSs);                                                                      \
    const Caught caught = catching([&] {                                                                     \
      asm volatile(                                                                                          \
          "adr %1, 1f\n\tmsr elr_el1, %1\n\tmov %1, #0x1C5\n\torr %1, %1, #0x200000\n\t"                     \
          "msr spsr_el1, %1\n\tadr %0, 2f\n\tmov %1, %2\n\tisb\n\teret\n1:\t" instruction "\n2:\tnop\n\tnop" \
          : "=&r"(end), "=&r"(scratch)                                                                       \
          : __VA_ARGS__                                                                                      \
          : "memory", "cc", "x0", "x1", "x2", "x3");                                                         \
    });                                                                                                      \
    write_mdscr(0);                                                                                          \
    mask_debug();                                                                                            \
    return caught.count == 1 && caught.ec() == kStepEc && caught.elr == end;                                 \
  }()

void test_reset_values(const Machine& machine) noexcept {
  check("debug.reset.mdscr", GUEST_READ(mdscr_el1), 0);
  check("debug.reset.os_lock", GUEST_READ(oslsr_el1) >> 1 & 1, machine.is_virtual ? 1 : GUEST_READ(oslsr_el1) >> 1 & 1);
  check("debug.reset.bcr0", GUEST_READ(dbgbcr0_el1), 0);
  check("debug.reset.bvr0", GUEST_READ(dbgbvr0_el1), 0);
  check("debug.reset.wcr0", GUEST_READ(dbgwcr0_el1), 0);
}

// Whether `access` is defined. QEMU 7.2 lacks some of the registers that every CPU has.
template <class Access>
bool is_there(const char* name, Access access) noexcept {
  if (catching(access).count == 0) return true;
  skip(name, "this CPU does not have the register");
  return false;
}

// There is no external debugger, and no debug ROM.
void test_no_external_debugger() noexcept {
  if (is_there("debug.claim", [] { GUEST_WRITE(dbgclaimset_el1, 0x5A); })) {
    check("debug.claim.set", GUEST_READ(dbgclaimclr_el1), 0x5A);
    check("debug.claim.exist", GUEST_READ(dbgclaimset_el1), 0xFF);
    GUEST_WRITE(dbgclaimclr_el1, 0xFF);
    check("debug.claim.cleared", GUEST_READ(dbgclaimclr_el1), 0);
  }
  if (is_there("debug.dcc", [] { GUEST_WRITE(dbgdtrtx_el0, 0x1234); })) {
    check("debug.dcc.nothing_comes", GUEST_READ(dbgdtrrx_el0), 0);
  }
  if (is_there("debug.dcc.status", [] { (void)GUEST_READ(mdccsr_el0); })) {
    check("debug.dcc.nobody_reads", GUEST_READ(mdccsr_el0), 0);
  }
  if (is_there("debug.auth", [] { (void)GUEST_READ(dbgauthstatus_el1); })) {
    check("debug.auth.disabled", GUEST_READ(dbgauthstatus_el1), 0xA);
  }
  check("debug.rom.none", GUEST_READ(mdrar_el1), 0);
}

void test_breakpoints() noexcept {
  const u64 count = (GUEST_READ(id_aa64dfr0_el1) >> 12 & 0xF) + 1;
  check_between("debug.breakpoints", count, 2, 16);
  GUEST_WRITE(dbgbvr1_el1, place());
  GUEST_WRITE(dbgbcr1_el1, kBreakpointAtEl1);
  check("debug.breakpoint.value_reads_back", GUEST_READ(dbgbvr1_el1), place());
  check("debug.breakpoint.control_reads_back", GUEST_READ(dbgbcr1_el1), kBreakpointAtEl1);
  check_no_hit("debug.breakpoint.not_enabled", run_to_breakpoint());
  write_mdscr(kKde | kMde);
  check_hit("debug.breakpoint.hits", run_to_breakpoint());
  check_hit("debug.breakpoint.hits_again", run_to_breakpoint());
  GUEST_WRITE(dbgbcr1_el1, kBreakpointAtEl1 & ~u64{1});
  isb();
  check_no_hit("debug.breakpoint.disabled", run_to_breakpoint());
  GUEST_WRITE(dbgbcr1_el1, kBreakpointAtEl1);
  write_mdscr(kMde);
  check_no_hit("debug.breakpoint.without_kde", run_to_breakpoint());
  if (count < 16) {
    const Caught caught = catching([] { (void)GUEST_READ(dbgbcr15_el1); });
    check_true("debug.breakpoint.15_undefined", caught.count == 1 && caught.ec() == 0);
  }
}

void test_watchpoints() noexcept {
  alignas(8) static u64 watched = 7;
  const auto address = reinterpret_cast<u64>(&watched);
  check_between("debug.watchpoints", (GUEST_READ(id_aa64dfr0_el1) >> 20 & 0xF) + 1, 2, 16);
  write_mdscr(kKde | kMde);
  GUEST_WRITE(dbgwvr0_el1, address);
  const auto access = [&](u64 control, bool writes) {
    GUEST_WRITE(dbgwcr0_el1, kWatchpointAtEl1 | control);
    isb();
    unmask_debug();
    const Caught caught = catching([&] { writes ? write64(address, 8) : static_cast<void>(read64(address)); });
    mask_debug();
    return caught;
  };
  Caught caught = access(kOnLoad, false);
  check_true("debug.watchpoint.load", caught.count == 1 && caught.ec() == kWatchpointEc && caught.far == address &&
                                          !caught.is_write() && caught.fsc() == 0x22);
  check("debug.watchpoint.load_ignores_store", access(kOnLoad, true).count, 0);
  check("debug.watchpoint.stored", watched, 8);
  watched = 7;
  caught = access(kOnStore, true);
  check_true("debug.watchpoint.store",
             caught.count == 1 && caught.ec() == kWatchpointEc && caught.far == address && caught.is_write());
  check("debug.watchpoint.before_the_store", read64(address), 7);
  check("debug.watchpoint.store_ignores_load", access(kOnStore, false).count, 0);
  GUEST_WRITE(dbgwcr0_el1, 0);
  write_mdscr(0);
}

// What the hypervisor emulates is one step, too.
void test_step(const Machine& machine) noexcept {
  check_true("debug.step.instruction", STEP("nop", "r"(u64{0})));
  check_true("debug.step.load_from_device", STEP("ldr w0, [%1]", "r"(kGicd + 4)));
  check_true("debug.step.store_to_device", STEP("str wzr, [%1]", "r"(kGicd + 8)));
  check_true("debug.step.system_register", STEP("mrs x0, id_aa64pfr0_el1", "r"(u64{0})));
  check_true("debug.step.wfe", STEP("wfe", "r"(u64{0})));
  check_true("debug.step.timer", STEP("mrs x0, cntp_ctl_el0", "r"(u64{0})));
  if (machine.is_virtual) check_true("debug.step.hvc", STEP("hvc #0", "r"(u64{0})));
}

void test_os_lock(const Machine& machine) noexcept {
  if (!machine.is_virtual) {
    skip("debug.os_lock", "QEMU 7.2 does not look at its own OS Lock");
    return;
  }
  write_mdscr(kKde | kMde);
  GUEST_WRITE(oslar_el1, 1);
  isb();
  check("debug.os_lock.locked", GUEST_READ(oslsr_el1), 0xA);
  check_no_hit("debug.os_lock.suppresses", run_to_breakpoint());
  check("debug.os_lock.keeps_mdscr", GUEST_READ(mdscr_el1), kKde | kMde);
  GUEST_WRITE(oslar_el1, 0);
  isb();
  check("debug.os_lock.unlocked", GUEST_READ(oslsr_el1), 0x8);
  check_hit("debug.os_lock.hits_again", run_to_breakpoint());
  if ((GUEST_READ(id_aa64dfr0_el1) >> 36 & 0xF) != 0) return;
  GUEST_WRITE(osdlr_el1, 1);
  isb();
  check_no_hit("debug.double_lock.suppresses", run_to_breakpoint());
  if (is_there("debug.double_lock.without_effect", [] { GUEST_WRITE(dbgprcr_el1, 1); })) {
    isb();  // no power-down is asked for, so the lock has no effect
    check_hit("debug.double_lock.without_effect", run_to_breakpoint());
    GUEST_WRITE(dbgprcr_el1, 0);
  }
  GUEST_WRITE(osdlr_el1, 0);
}

struct Fresh {
  u64 registers{};
  Hit bare{};  // with debugging enabled and no breakpoint set
  Hit own{};   // with its own
};
constinit Fresh g_fresh{};

void use_debug(u64) noexcept {
  g_fresh.registers = GUEST_READ(mdscr_el1) | GUEST_READ(dbgbvr0_el1) | GUEST_READ(dbgbcr0_el1) |
                      GUEST_READ(dbgbvr1_el1) | GUEST_READ(dbgbcr1_el1) | GUEST_READ(dbgwvr0_el1) |
                      GUEST_READ(dbgwcr0_el1) | GUEST_READ(osdlr_el1);
  GUEST_WRITE(oslar_el1, 0);
  write_mdscr(kKde | kMde);
  g_fresh.bare = run_to_breakpoint();
  GUEST_WRITE(dbgbvr0_el1, place());
  GUEST_WRITE(dbgbcr0_el1, kBreakpointAtEl1);
  isb();
  g_fresh.own = run_to_breakpoint();
}

void test_other_cpu() noexcept {
  for (const char* name : {"debug.other.first", "debug.other.again"}) {
    check(name, start_cpu(1, use_debug), psci::kSuccess);
    check_true("debug.other.off", wait_until_off(1));
    check("debug.other.fresh_registers", g_fresh.registers, 0);
    check_no_hit("debug.other.not_hit", g_fresh.bare);
    check_hit("debug.other.own_hits", g_fresh.own);
  }
  check_hit("debug.kept_across_other_cpu", run_to_breakpoint());
}

}  // namespace

void test_debug(const Machine& machine) noexcept {
  mask_debug();
  test_reset_values(machine);
  GUEST_WRITE(oslar_el1, 0);
  isb();
  if (machine.is_virtual) test_no_external_debugger();
  test_breakpoints();
  test_os_lock(machine);
  write_mdscr(kKde | kMde);
  check_hit("debug.breakpoint.at_last", run_to_breakpoint());
  if (machine.cpus > 1) test_other_cpu();
  GUEST_WRITE(dbgbcr1_el1, 0);
  test_watchpoints();
  test_step(machine);
  write_mdscr(0);
}

}  // namespace exits
