// SPDX-License-Identifier: Apache-2.0
// Executes every form of load and store on RAM, and then where some of the memory is a device: registers and memory
// must be the same afterwards.
#include "accesses.hpp"

#include "guest/check.hpp"
#include "guest/console.hpp"
#include "guest/smp.hpp"

extern "C" {
[[gnu::visibility("hidden")]] extern const accesses::Case access_cases[];
[[gnu::visibility("hidden")]] extern const accesses::Case access_cases_end[];
}

namespace accesses {
namespace {

using namespace guest;

// The bytes around an access that are set before, and compared after.
struct Area {
  u64 first;  // offset in the window, a multiple of 8
  u64 bytes;
};
constexpr u64 kMostBytes = 64 + 2048 + 64;

struct Setup {
  Page first, second;
  u64 address;  // of the access
  u64 pstate;
  bool big_endian;
};

struct Outcome {
  Run run;
  u64 memory[kMostBytes / 8];
};
Outcome g_expected, g_found;
u64 g_instructions, g_runs, g_undefined, g_wrong;

u64 block_bytes() noexcept {
  return u64{4} << (GUEST_READ(dczid_el0) & 0xF);
}

Area area_of(const Case& c, u64 address) noexcept {
  u64 from = address - 48, to = address + 112;
  if (c.is(ACCESS_BLOCK)) {
    from = (address & ~(block_bytes() - 1)) - 64;
    to = from + block_bytes() + 128;
  }
  from = from < kWindow ? kWindow : from & ~u64{7};
  to = to > kEdge + kPage ? kEdge + kPage : to & ~u64{7};
  return {from - kWindow, to - from};
}

u64 pattern(u64 offset) noexcept {
  return 0xF0E1'D2C3'B4A5'9687 * (offset + 0x101);
}

Page page_at(const Setup& setup, u64 offset) noexcept {
  return offset < kPage ? setup.first : setup.second;
}

void run(const Case& c, const Setup& setup, Outcome& to) noexcept {
  constexpr u64 kE0E = u64{1} << 24;
  const Area area = area_of(c, setup.address);
  for (u64 i = 0; i < area.bytes; i += 8) poke(page_at(setup, area.first + i), area.first + i, pattern(area.first + i));
  map_window(setup.first, setup.second);
  fill_registers(to.run, setup.address - static_cast<u64>(static_cast<long>(c.displacement)), setup.pstate);
  const u64 at = setup.address - kWindow;
  if (at % 8 == 0) {  // what compare and swap finds
    to.run.x[6] = pattern(at);
    to.run.x[7] = pattern(at + 8);
    to.run.x[8] = pattern(at);
    to.run.x[9] = pattern(at) >> 32;
  }
  const u64 sctlr = GUEST_READ(sctlr_el1);
  if (setup.big_endian) {
    GUEST_WRITE(sctlr_el1, sctlr | kE0E);
    isb();
  }
  execute(c.opcode, to.run);
  GUEST_WRITE(sctlr_el1, sctlr);
  isb();
  for (u64 i = 0; i < area.bytes; i += 8) to.memory[i / 8] = peek(page_at(setup, area.first + i), area.first + i);
  ++g_runs;
}

const char* letter(Page page) noexcept {
  return page == Page::ram ? "RAM" : "device";
}

void report(const Case& c, const Setup& setup, const char* what, u64 n, u64 found, u64 expected) noexcept {
  if (++g_wrong > 20) return;
  print("FAIL accesses: ", c.name, " at ", Hex{setup.address}, ", ", letter(setup.first), " and ", letter(setup.second),
        setup.pstate == kEl0 ? ", EL0" : ", EL1", setup.big_endian ? ", big-endian: " : ": ", what, n, " is ",
        Hex{found}, ", not ", Hex{expected}, ", ESR ", Hex{g_found.run.esr}, '\n');
}

void compare(const Case& c, const Setup& setup) noexcept {
  const Run& a = g_expected.run;
  const Run& b = g_found.run;
  const u64 before = g_wrong;
  const auto same = [&](const char* what, u64 n, u64 found, u64 expected) {
    if (g_wrong == before && found != expected) report(c, setup, what, n, found, expected);
  };
  same("EC ", 0, b.ec(), a.ec());
  same("ELR ", 0, b.elr, a.elr);
  same("SPSR.NZCV ", 0, b.spsr >> 28, a.spsr >> 28);
  for (unsigned i = 0; i < 31; ++i) same("x", i, b.x[i], a.x[i]);
  same("SP_EL", 0, b.out_sp[0], a.out_sp[0]);
  same("SP_EL", 1, b.out_sp[1], a.out_sp[1]);
  for (unsigned i = 0; i < 64; ++i) same("half of v", i / 2, b.v[i], a.v[i]);
  const Area area = area_of(c, setup.address);
  for (u64 i = 0; i < area.bytes / 8; ++i) same("memory + ", 8 * i, g_found.memory[i], g_expected.memory[i]);
}

void try_at(const Case& c, Setup setup) noexcept {
  run(c, setup, g_found);
  compare(c, setup);
}

void test(const Case& c) noexcept {
  // An SP_EL0 of EL1 where the base is SP: it is another register.
  const u64 el1 = c.is(ACCESS_SP) && (g_instructions & 1) != 0 ? kEl1t : kEl1h;
  run(c, {Page::ram, Page::ram, kMiddle, el1, false}, g_expected);
  if (g_expected.run.ec() == kEcUndefined) {
    ++g_undefined;
    return;
  }
  ++g_instructions;
  if (g_expected.run.ec() != kEcSvc) {
    report(c, {Page::ram, Page::ram, kMiddle, el1, false}, "EC ", 0, g_expected.run.ec(), kEcSvc);
    return;
  }
  try_at(c, {Page::device, Page::device, kMiddle, el1, false});
  if (el1 == kEl1h || !c.is(ACCESS_SP)) {
    run(c, {Page::ram, Page::ram, kMiddle, kEl0, false}, g_expected);
    try_at(c, {Page::device, Page::device, kMiddle, kEl0, false});
    run(c, {Page::ram, Page::ram, kMiddle, kEl0, true}, g_expected);
    try_at(c, {Page::device, Page::device, kMiddle, kEl0, true});
  }
  if (c.is(ACCESS_ALIGNED | ACCESS_LITERAL | ACCESS_BLOCK)) return;
  for (const u64 address : {kMiddle + 3, kEdge - 8, kEdge - 3}) {
    run(c, {Page::ram, Page::ram, address, el1, false}, g_expected);
    if (address == kMiddle + 3) {
      try_at(c, {Page::device, Page::device, address, el1, false});
    } else {
      try_at(c, {Page::ram, Page::device, address, el1, false});
      try_at(c, {Page::device, Page::ram, address, el1, false});
    }
  }
}

}  // namespace
}  // namespace accesses

void guest_main(guest::u64) noexcept {
  using namespace accesses;
  guest::print("accesses: ", static_cast<u64>(access_cases_end - access_cases), " instructions\n");
  init_window();
  for (const Case* c = access_cases; c != access_cases_end; ++c) test(*c);
  guest::check("accesses.wrong", g_wrong, 0);
  guest::print("accesses: ", g_instructions, " instructions in ", g_runs, " runs, ", g_undefined,
               " that this CPU does not have\n");
  test_faults();
  guest::done();
}
