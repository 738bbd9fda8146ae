// SPDX-License-Identifier: Apache-2.0
// "torture.seed=N torture.count=N torture.class=NAME": so many operations of each class, or of one. The end is
// "torture: done, <failures> failures" and SYSTEM_OFF.
#include "classes.hpp"
#include "guest/arguments.hpp"
#include "guest/console.hpp"
#include "guest/cpu.hpp"
#include "guest/gic.hpp"
#include "guest/smp.hpp"

namespace torture {
namespace {

using namespace guest;

constinit unsigned g_cpus = 1;

struct Options {
  u64 seed;
  u64 count;
  char only[16];  // empty: all classes
};

Options read_options(u64 tree) noexcept {
  Options options{.seed = number_argument(tree, "torture.seed=", 1),
                  .count = number_argument(tree, "torture.count=", 1000),
                  .only = {}};
  if (Text text = find_argument(tree, "torture.class="); text != nullptr) {
    for (unsigned i = 0; i + 1 < sizeof options.only && *text > ' '; ++i, ++text) options.only[i] = *text;
  }
  return options;
}

const Class* const kClasses[] = {&kSysregs,     &kCalls,  &kDevices, &kInterrupts, &kTimers,
                                 &kMaintenance, &kTables, &kWords,   &kWordsA32,   &kPower};

bool is_equal(const char* a, const char* b) noexcept {
  for (; *a != '\0' && *a == *b; ++a, ++b) {
  }
  return *a == *b;
}

// A class begins in the same state whatever was before it, so that one alone does what it does in a full run.
void run(const Class& what, const Options& options, u64 number) noexcept {
  Random random{options.seed * 31 + number};
  reset_interrupts();
  tally() = {};
  what.prepare(random);
  for (u64 i = 0; i < options.count; ++i) {
    what.operate(random, i);
    if (options.count >= 100'000 && i != 0 && i % (options.count / 10) == 0) {
      console_init();
      print("torture: ", what.name, ": ", i, " of ", options.count, '\n');
    }
  }
  reset_interrupts();
  GUEST_WRITE(cntkctl_el1, 0);
  const Tally& t = tally();
  print("\ntorture: ", what.name, ": ", options.count, " operations; attempts: ", t.completed, " completed, ");
  print(t.undefined, " undefined, ", t.aborted, " aborted, ", t.interrupted, " interrupted, ", t.other, " other\n");
}

}  // namespace

unsigned cpus() noexcept {
  return g_cpus;
}

}  // namespace torture

void guest_main(guest::u64 tree) noexcept {
  using namespace torture;
  const Options options = read_options(tree);
  g_cpus = guest::gic::count_cpus();
  guest::gic::init_distributor();
  guest::gic::init_cpu();
  prepare_attempts(g_cpus);
  restore_registers();
  guest::print("torture: seed ", options.seed, ", ", options.count, " operations of each class, ", g_cpus, " vCPUs\n");
  bool known = options.only[0] == '\0';
  for (u64 i = 0; i < sizeof kClasses / sizeof kClasses[0]; ++i) {
    if (options.only[0] != '\0' && !is_equal(options.only, kClasses[i]->name)) continue;
    known = true;
    run(*kClasses[i], options, i);
  }
  if (!known) guest::print("torture: there is no class ", static_cast<const char*>(options.only), '\n');
  guest::print("torture: done, ", failures(), " failures\n");
}
