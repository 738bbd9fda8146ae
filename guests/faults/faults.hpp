// SPDX-License-Identifier: Apache-2.0
// The failures, by name. scripts/faults/table.py has the code that each must be diagnosed as.
#pragma once

#include <span>

#include "guest/cpu.hpp"

namespace faults {

struct Fault {
  const char* name;
  void (*run)() noexcept;
};

[[nodiscard]] std::span<const Fault> mmio_faults() noexcept;
[[nodiscard]] std::span<const Fault> call_faults() noexcept;
[[nodiscard]] std::span<const Fault> exception_faults() noexcept;
[[nodiscard]] std::span<const Fault> loop_faults() noexcept;
[[nodiscard]] std::span<const Fault> healthy_guests() noexcept;

extern "C" {
[[gnu::visibility("hidden")]] extern const char stuck_vectors[];
[[gnu::visibility("hidden")]] extern const char faulting_vectors[];
[[gnu::visibility("hidden")]] extern const char returning_vectors[];
[[gnu::visibility("hidden")]] extern const char sleeping_vectors[];
[[gnu::visibility("hidden")]] extern const char rewriting_vectors[];
}

inline void set_vectors(guest::u64 base) noexcept {
  GUEST_WRITE(vbar_el1, base);
  guest::isb();
}
inline void set_vectors(const char* table) noexcept {
  set_vectors(reinterpret_cast<guest::u64>(table));
}

}  // namespace faults
