// SPDX-License-Identifier: Apache-2.0
// A record in words.
#pragma once

#include <cstdint>
#include <string>

#include "arm_vcpu/trace/record.hpp"
#include "devices.hpp"
#include "direct_cache.hpp"
#include "syndrome.hpp"
#include "text.hpp"

namespace arm_vcpu::scope {

class Describer {
 public:
  [[nodiscard]] Syndromes& syndromes() noexcept { return syndromes_; }

  // What the record tells beyond its reason, PC and outcome: "write4 0x9000000 PL011.DR <- 0x41".
  void detail(Text& out, const trace::Record& record);

  // The device register, system register, call or interrupt that the record is about; empty when there is none. For
  // counting and for names of slices.
  [[nodiscard]] std::string target(const trace::Record& record);

  [[nodiscard]] const std::string& register_at(std::uint64_t ipa) {
    return registers_.get(ipa, [ipa](std::string& name) { name = device_register(ipa); });
  }

 private:
  void exit_detail(Text& out, const trace::Record& record);
  void event_detail(Text& out, const trace::Record& record);

  Syndromes syndromes_;
  DirectCache<std::string> registers_;
  DirectCache<std::string, 64> interrupts_;
};

}  // namespace arm_vcpu::scope
