// SPDX-License-Identifier: Apache-2.0
// Calls: which SMCs reach the firmware, random numbers, who the hypervisor is. [smccc]; [trng]
#include "features.hpp"
#include "guest/check.hpp"
#include "guest/cpu.hpp"
#include "guest/gic.hpp"
#include "guest/psci.hpp"
#include "guest/smp.hpp"
#include "guest/timer.hpp"

extern "C" void smc_with_everything(guest::u64* x) noexcept;

namespace features {
namespace {

using namespace guest;

// PSCI 0.1 had no fixed numbers; these are the ones that QEMU's firmware knows, so who answers shows who was asked.
// Both refuse these arguments with INVALID_PARAMETERS.
constexpr u64 kFirmwareSuspend = 0x95C1'BA5E;
constexpr u64 kFirmwareCpuOn = 0x95C1'BA60;
constexpr u64 kBadPowerState = 0xFFFE'0000;
constexpr u64 kBadAffinity = 0x00FF'0000;

constexpr u64 kArchFeatures = 0x8000'0001;
constexpr u64 kSocId = 0x8000'0002;
constexpr u64 kTrngVersion = 0x8400'0050;
constexpr u64 kTrngFeatures = 0x8400'0051;
constexpr u64 kTrngUuid = 0x8400'0052;
constexpr u64 kTrngRnd32 = 0x8400'0053;
constexpr u64 kTrngRnd64 = 0xC400'0053;
constexpr u64 kVendorUid = 0x8600'FF01;
constexpr u64 kSveHint = 1U << 16;

volatile u64 g_record = 0;

// 20 ms of WFI.
void wfi_until_timer() noexcept {
  gic::enable(kVirtualTimerIntid);
  GUEST_WRITE(cntv_cval_el0, counter() + ticks_of_ms(20));
  GUEST_WRITE(cntv_ctl_el0, 1);
  isb();
  wfi();
  GUEST_WRITE(cntv_ctl_el0, 0);
  isb();
  gic::set_pending(kVirtualTimerIntid, false);
  gic::disable(kVirtualTimerIntid);
}

}  // namespace

constinit Outcome g_outcome{};

// tests/system/features.py runs this with and without leave for kFirmwareSuspend, and reads the line.
void test_filter() noexcept {
  u64 x[31];
  for (unsigned i = 0; i < 31; ++i) x[i] = 0x5A00'0000'0000'0000 | i;
  x[0] = kFirmwareSuspend;
  x[1] = kBadPowerState;
  smc_with_everything(x);
  g_outcome.forwarded = x[0] == psci::kInvalidParameters;
  check_true("smc.answer", x[0] == psci::kInvalidParameters || x[0] == psci::kNotSupported);
  check("smc.x1", x[1], kBadPowerState);
  bool kept = true;
  for (unsigned i = 2; i < 31; ++i) kept = kept && x[i] == (0x5A00'0000'0000'0000 | i);
  check_true("smc.keeps_x2_to_x30", kept);
  check("smc.default_is_deny", call(Conduit::smc, kFirmwareCpuOn, kBadAffinity).x0, psci::kNotSupported);
  check("smc.hvc_is_not_forwarded", call(Conduit::hvc, kFirmwareSuspend, kBadPowerState).x0, psci::kNotSupported);
  for (const u64 hint : {u64{0}, kSveHint}) {
    check("smccc.version", call(Conduit::smc, psci::kSmcccVersion | hint).x0, 0x1'0003);
    check("psci.version", call(Conduit::hvc, psci::kVersion | hint).x0, 0x1'0001);
  }
  check("smccc.soc_id_feature", call(Conduit::hvc, kArchFeatures, kSocId).x0, psci::kNotSupported);
  check("smccc.soc_id", call(Conduit::hvc, kSocId).x0, psci::kNotSupported);
  const u64 csv2 = GUEST_READ(id_aa64pfr0_el1) >> 56 & 0xF;
  const u64 workaround1 = call(Conduit::hvc, kArchFeatures, 0x8000'8000).x0;
  check("smccc.workaround_1", workaround1, csv2 != 0 ? 1 : psci::kNotSupported);
  if (workaround1 == 1) check("smccc.workaround_1.call", call(Conduit::hvc, 0x8000'8000).x0, psci::kSuccess);
}

void test_random() noexcept {
  const u64 version = call(Conduit::hvc, kTrngVersion).x0;
  const bool has_rndr = GUEST_READ(S3_0_C0_C6_0) >> 60 != 0;
  g_outcome.has_trng = version != psci::kNotSupported;
  if (version == psci::kNotSupported) {
    check_true("trng.none_without_source", !has_rndr);
    check("trng.none.features", call(Conduit::hvc, kTrngFeatures, kTrngRnd64).x0, psci::kNotSupported);
    check("trng.none.rnd", call(Conduit::hvc, kTrngRnd64, 64).x0, psci::kNotSupported);
    return;
  }
  check("trng.version", version, 0x1'0000);
  check("trng.by_smc", call(Conduit::smc, kTrngVersion).x0, 0x1'0000);
  for (const u64 function : {kTrngVersion, kTrngFeatures, kTrngUuid, kTrngRnd32, kTrngRnd64}) {
    check("trng.features", call(Conduit::hvc, kTrngFeatures, function).x0, psci::kSuccess);
  }
  check("trng.features.other", call(Conduit::hvc, kTrngFeatures, psci::kVersion).x0, psci::kNotSupported);
  const CallResult uuid = call(Conduit::hvc, kTrngUuid);
  check_true("trng.uuid", (uuid.x0 >> 32) == 0 && uuid.x0 != 0xFFFF'FFFF && (uuid.x1 | uuid.x2 | uuid.x3) >> 32 == 0);
  const CallResult first = call(Conduit::hvc, kTrngRnd64, 192);
  const CallResult second = call(Conduit::smc, kTrngRnd64, 192);
  check("trng.rnd64", first.x0 | second.x0, psci::kSuccess);
  check_true("trng.rnd64.differs", first.x1 != second.x1 && first.x2 != second.x2 && first.x3 != second.x3 &&
                                       first.x1 != first.x2 && first.x2 != first.x3);
  const CallResult few = call(Conduit::hvc, kTrngRnd64, 65);
  check_true("trng.rnd64.65_bits", few.x0 == 0 && few.x1 == 0 && few.x2 <= 1);
  const CallResult words = call(Conduit::hvc, kTrngRnd32, 96);
  check_true("trng.rnd32", words.x0 == 0 && (words.x1 | words.x2 | words.x3) >> 32 == 0 && words.x1 != words.x2);
  check("trng.rnd64.none", call(Conduit::hvc, kTrngRnd64, 0).x0, psci::kInvalidParameters);
  check("trng.rnd64.193", call(Conduit::hvc, kTrngRnd64, 193).x0, psci::kInvalidParameters);
  check("trng.rnd32.97", call(Conduit::hvc, kTrngRnd32, 97).x0, psci::kInvalidParameters);
}

// The record of each CPU, as the kernel would find it.
void test_stolen_time() noexcept {
  constexpr u64 kPvTimeFeatures = 0xC500'0020;
  constexpr u64 kPvTimeSt = 0xC500'0021;
  check("stolen.arch_features", call(Conduit::hvc, kArchFeatures, kPvTimeFeatures).x0, psci::kSuccess);
  check("stolen.features", call(Conduit::hvc, kPvTimeFeatures, kPvTimeSt).x0, psci::kSuccess);
  check("stolen.features.other", call(Conduit::hvc, kPvTimeFeatures, kPvTimeSt + 1).x0, psci::kNotSupported);
  const u64 record = call(Conduit::hvc, kPvTimeSt).x0;
  check("stolen.aligned", record % 64, 0);
  check("stolen.by_smc", call(Conduit::smc, kPvTimeSt).x0, record);
  u64 header = ~u64{0};
  u64 before = 0;
  const Caught read = catching([&] {
    header = read64(record);
    before = read64(record + 8);
  });
  check("stolen.readable", read.count, 0);
  check("stolen.revision_and_attributes", header, 0);
  check_between("stolen.nanoseconds", before, 0, 1'000'000'000);
  const Caught write = catching([&] { write64(record + 8, 0); });
  check("stolen.not_writable", write.ec(), 0x25);
  wfi_until_timer();
  const u64 after = read64(record + 8);
  check_between("stolen.wait_is_not_stolen", after - before, 0, 5'000'000);
  g_record = 0;
  if (gic::count_cpus() < 2) return;
  check("stolen.cpu_on", start_cpu(1, [](u64) { g_record = call(Conduit::hvc, 0xC500'0021).x0; }), psci::kSuccess);
  check_true("stolen.cpu_off", wait_until_off(1));
  check("stolen.record_of_the_next_cpu", g_record, record + 64);
}

void test_services() noexcept {
  const CallResult uid = call(Conduit::hvc, kVendorUid);
  check("hypervisor.uid.0", uid.x0, 0x7F5F'2FF2);
  check("hypervisor.uid.3", uid.x3, 0x3281'133A);
}

}  // namespace features
