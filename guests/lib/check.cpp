// SPDX-License-Identifier: Apache-2.0
#include "guest/check.hpp"

#include "guest/console.hpp"
#include "guest/psci.hpp"

namespace guest {
namespace {

u32 g_passed = 0;
u32 g_total = 0;

bool verdict(const char* name, bool holds) noexcept {
  ++g_total;
  if (holds) {
    ++g_passed;
    print("PASS ", name, '\n');
  }
  return holds;
}

}  // namespace

bool check(const char* name, u64 got, u64 expected) noexcept {
  if (verdict(name, got == expected)) return true;
  print("FAIL ", name, ": ", Hex{got}, ' ', Hex{expected}, '\n');
  return false;
}

bool check_true(const char* name, bool holds) noexcept {
  if (verdict(name, holds)) return true;
  print("FAIL ", name, ": false true\n");
  return false;
}

bool check_between(const char* name, u64 got, u64 low, u64 high) noexcept {
  if (verdict(name, low <= got && got <= high)) return true;
  print("FAIL ", name, ": ", Hex{got}, ' ', Hex{low}, "..", Hex{high}, '\n');
  return false;
}

void skip(const char* name, const char* why) noexcept {
  print("SKIP ", name, ": ", why, '\n');
}

void done() noexcept {
  print("DONE ", g_passed, '/', g_total, '\n');
  psci::system_off();
}

}  // namespace guest
