// SPDX-License-Identifier: Apache-2.0
// Finds "fault=NAME" in the device tree's bytes (the boot arguments are text in it) and runs it.
#include <algorithm>

#include "faults.hpp"
#include "guest/console.hpp"
#include "guest/psci.hpp"
#include "guest/smp.hpp"

namespace {

using namespace guest;

constexpr char kKey[] = "fault=";

u32 big_endian(const volatile unsigned char* at) noexcept {
  return u32{at[0]} << 24 | u32{at[1]} << 16 | u32{at[2]} << 8 | at[3];
}

bool is_equal(const volatile char* text, const char* name) noexcept {
  for (; *name != '\0'; ++name, ++text) {
    if (*text != *name) return false;
  }
  return *text == '\0' || *text == ' ';
}

bool starts_with(const volatile char* text, const char* key) noexcept {
  for (; *key != '\0'; ++key, ++text) {
    if (*text != *key) return false;
  }
  return true;
}

const volatile char* find_name(u64 tree) noexcept {
  map_ram(tree);
  const auto* bytes = reinterpret_cast<const volatile unsigned char*>(tree);
  const u32 total = big_endian(bytes + 4);
  for (u32 i = 40; i + sizeof kKey < total; ++i) {
    const auto* text = reinterpret_cast<const volatile char*>(bytes + i);
    if (starts_with(text, kKey)) return text + sizeof kKey - 1;
  }
  return nullptr;
}

bool run_from(std::span<const faults::Fault> table, const volatile char* name) noexcept {
  const auto fault = std::ranges::find_if(table, [&](const auto& one) { return is_equal(name, one.name); });
  if (fault == table.end()) return false;
  print("fault: ", fault->name, '\n');
  fault->run();
  return true;
}

}  // namespace

// A fault that returns has been survived by the guest.
void guest_main(u64 tree) noexcept {
  const volatile char* const name = find_name(tree);
  const bool known =
      name != nullptr && (run_from(faults::mmio_faults(), name) || run_from(faults::call_faults(), name) ||
                          run_from(faults::exception_faults(), name) || run_from(faults::loop_faults(), name) ||
                          run_from(faults::healthy_guests(), name));
  print(known ? "fault: the guest goes on\n" : "fault: no such name in the boot arguments\n");
  psci::system_off();
}
