// SPDX-License-Identifier: Apache-2.0
#include "features.hpp"
#include "guest/check.hpp"
#include "guest/console.hpp"
#include "guest/gic.hpp"
#include "guest/smp.hpp"

void guest_main(guest::u64) noexcept {
  using namespace features;
  guest::print("features: ", guest::gic::count_cpus(), " CPUs\n");
  guest::gic::init_distributor();
  guest::gic::init_cpu();
  test_filter();
  test_random();
  test_stolen_time();
  test_services();
  test_set_way();
  test_pauth();
  if (guest::gic::count_cpus() > 1) test_fresh();
  test_sve(guest::gic::count_cpus());
  test_mte(guest::gic::count_cpus());
  guest::print("outcome: ", g_outcome.forwarded ? "forwarded" : "refused", ", ",
               g_outcome.has_trng ? "trng" : "no trng", ", SVE ", g_outcome.sve_bits, ", MTE ", g_outcome.mte, '\n');
  guest::done();
}
