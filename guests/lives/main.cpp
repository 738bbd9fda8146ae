// SPDX-License-Identifier: Apache-2.0
// Lives that end early. Each writes all over its memory, and sets allocation tags where it has them, leaves its timer
// armed and its other CPU running, and resets; from some moment on it powers off instead.
#include "guest/check.hpp"
#include "guest/console.hpp"
#include "guest/cpu.hpp"
#include "guest/gic.hpp"
#include "guest/psci.hpp"
#include "guest/smp.hpp"
#include "guest/tags.hpp"
#include "guest/timer.hpp"

namespace {

using namespace guest;

constexpr u64 kLastResetMs = 4000;
constexpr u64 kScratch = 0x4038'0000;  // RAM that the image does not cover
constexpr u64 kScratchWords = 0x1'0000;
constexpr u64 kTagged = 0x5000'0000;     // where kTaggedRam is Tagged
constexpr u64 kTaggedRam = 0x4060'0000;  // the last of 8 MiB
constexpr u64 kMark = 0x4C49'5645'5332'2121;

void spin(u64) noexcept {
  for (;;) {
  }
}

}  // namespace

void guest_main(u64) noexcept {
  auto* const scratch = reinterpret_cast<volatile u64*>(kScratch);
  u64 dirt = 0;
  for (u64 i = 0; i < kScratchWords; ++i) dirt |= scratch[i];
  if (dirt != 0) {
    print("lives: memory of a former life\n");
    check("lives.memory_is_zero", dirt, 0);
    done();
  }
  for (u64 i = 0; i < kScratchWords; ++i) scratch[i] = kMark + i;
  if (tags::version() >= 2) {
    tags::enable(tags::Checks::none);
    tags::map(kTagged, kTaggedRam);
    if (const u64 found = guest_tags_of(kTagged, tags::kBlock); found != 0) {
      check("lives.tags_are_zero", found, 0);
      done();
    }
    guest_set_tags(tags::with_tag(kTagged, 0xB), tags::kBlock);
    if (guest_tag_at(kTagged) != 0xB) check("lives.tags", guest_tag_at(kTagged), 0xB);
  }
  gic::init_distributor();
  gic::init_cpu();
  gic::enable(kVirtualTimerIntid);
  GUEST_WRITE(cntv_cval_el0, 0);
  GUEST_WRITE(cntv_ctl_el0, 1);
  isb();
  if (gic::count_cpus() > 1) check("lives.cpu_on", start_cpu(1, spin), psci::kSuccess);
  if (counter() < ticks_of_ms(kLastResetMs)) psci::system_reset();
  psci::system_off();
}
