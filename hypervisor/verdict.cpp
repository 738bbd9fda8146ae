// SPDX-License-Identifier: Apache-2.0
#include "verdict.hpp"

#include "console.hpp"
#include "host_psci.hpp"
#include "trace_area.hpp"

namespace arm_vcpu::hv {
namespace {

// Whatever the log level is.
void last_line(std::string_view verdict, std::string_view why) noexcept {
  console::take_over();
  console::finish();
  char storage[256];
  TextBuffer text{storage};
  format_to(text, "verdict: {}{}", verdict, why);
  detail::log_line(Level::info, text.view());
  console::finish();
}

}  // namespace

void finish_ok() noexcept {
  trace_area::finish(true);
  last_line("ok", "");
  host_psci::system_off();
}

void finish_failed(std::string_view why) noexcept {
  trace_area::finish(false);
  last_line("failed: ", why);
  host_psci::system_off();
}

void finish_failed(std::string_view tried, const Error& error) noexcept {
  char storage[240];
  TextBuffer text{storage};
  format_to(text, "{}: ", tried);
  append(text, error);
  finish_failed(text.view());
}

void reset_machine() noexcept {
  console::take_over();
  console::finish();
  host_psci::system_reset();
}

}  // namespace arm_vcpu::hv
