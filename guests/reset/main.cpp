// SPDX-License-Identifier: Apache-2.0
// SYSTEM_RESET. Nothing of the first boot survives, so the counter, which goes on, tells the second from it.
#include "guest/check.hpp"
#include "guest/console.hpp"
#include "guest/gic.hpp"
#include "guest/smp.hpp"
#include "guest/tags.hpp"
#include "guest/timer.hpp"

namespace {

using namespace guest;

constexpr u64 kFirstBootEndsMs = 6000;  // a busy host is slow to get here
constexpr u64 kScratch = 0x4300'0000;   // RAM that the image does not cover
constexpr u64 kTagged = 0x4600'0000;
constexpr u64 kMark = 0x5157'4B45'4550'2121;
constexpr u32 kSpi = 170;

constexpr u64 kGicrSgi = kGicr + 0x1'0000;
constexpr u64 kUartImsc = kUart + 0x38;
constexpr u64 kUartIbrd = kUart + 0x24;

volatile u64& scratch() noexcept {
  return *reinterpret_cast<volatile u64*>(kScratch);
}

// Of one 2 MiB block of RAM.
void check_tags() noexcept {
  if (tags::version() < 2) return;
  tags::enable(tags::Checks::none);
  tags::map(kTagged);
  check("reset.tags", guest_tags_of(kTagged, tags::kBlock), 0);
}

void check_state(unsigned cpus) noexcept {
  check_tags();
  if (has_hypervisor()) {
    check("reset.ram", scratch(), 0);
    check("reset.uart_imsc", read32(kUartImsc), 0);
    check("reset.uart_ibrd", read32(kUartIbrd), 0);
  } else {
    skip("reset.ram", "QEMU keeps it");
    skip("reset.uart", "QEMU 7.2 does not reset it");
  }
  check("reset.gicd_ctlr", read32(kGicd) & 3, 0);
  check("reset.spi_enables", read32(kGicd + gic::kIsenabler + kSpi / 32 * 4), 0);
  check("reset.spi_pending", read32(kGicd + gic::kIspendr + kSpi / 32 * 4), 0);
  check("reset.ppi_enables", read32(kGicrSgi + gic::kIsenabler) & 0xFFFF'0000, 0);
  check("reset.ppi_active", read32(kGicrSgi + gic::kIsactiver), 0);
  check("reset.cntv_ctl", GUEST_READ(cntv_ctl_el0) & 1, 0);
  check("reset.cntp_ctl", GUEST_READ(cntp_ctl_el0) & 1, 0);
  check("reset.icc_igrpen1", GUEST_READ(S3_0_C12_C12_7), 0);
  check("reset.icc_pmr", GUEST_READ(S3_0_C4_C6_0), 0);
  if (cpus > 1) check("reset.other_cpu_is_off", call(Conduit::hvc, psci::kAffinityInfo, 1).x0, psci::kOff);
}

volatile bool g_other_runs = false;

// Interrupted by the reset, with an interrupt active and the timer running.
void spin(u64) noexcept {
  GUEST_WRITE(cntv_cval_el0, 0);
  GUEST_WRITE(cntv_ctl_el0, 1);
  g_other_runs = true;
  for (;;) {
  }
}

void make_disorder(unsigned cpus) noexcept {
  scratch() = kMark;
  if (tags::version() >= 2) {
    guest_set_tags(tags::with_tag(kTagged, 0xD), tags::kBlock);
    check("disorder.tags", guest_tag_at(kTagged + tags::kBlock - 16), 0xD);
  }
  gic::init_distributor();
  gic::init_cpu();
  gic::enable(kSpi);
  gic::enable(kVirtualTimerIntid);
  gic::enable(kPhysicalTimerIntid);
  gic::set_pending(kSpi, true);
  write32(kUartImsc, 0x50);
  write32(kUartIbrd, 0x1234);
  GUEST_WRITE(cntv_cval_el0, 0);
  GUEST_WRITE(cntv_ctl_el0, 1);
  GUEST_WRITE(cntp_cval_el0, 0);
  GUEST_WRITE(cntp_ctl_el0, 1);
  isb();
  // Two interrupts stay active: one of the distributor, one that is linked to a physical interrupt.
  const auto first = static_cast<u32>(GUEST_READ(S3_0_C12_C12_0));
  check_true("disorder.interrupt_taken", first == kSpi || first == kVirtualTimerIntid || first == kPhysicalTimerIntid);
  if (cpus < 2) return;
  check("disorder.cpu_on", start_cpu(1, spin), psci::kSuccess);
  check_true("disorder.other_runs", wait_until([] { return g_other_runs; }));
}

}  // namespace

void guest_main(u64) noexcept {
  const u64 limit = ticks_of_ms(kFirstBootEndsMs);
  const bool is_first = counter() < limit;
  const unsigned cpus = gic::count_cpus();
  print("reset: ", is_first ? "first" : "second", " boot, ", cpus, " CPUs\n");
  check_state(cpus);
  if (!is_first) done();
  make_disorder(cpus);
  while (counter() < limit) {
  }
  psci::system_reset();
}
