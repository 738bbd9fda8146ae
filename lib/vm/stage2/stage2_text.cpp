// SPDX-License-Identifier: Apache-2.0
// Stage-2 attributes and walks as text, for the hypervisor's log and the diagnosis tools.
#include "arm_vcpu/text.hpp"
#include "arm_vcpu/vm/stage2_walk.hpp"

namespace arm_vcpu::stage2 {
namespace {

std::string_view name_of(Shareability shareability) noexcept {
  switch (shareability) {
    case Shareability::non: return "non-shareable";
    case Shareability::outer: return "outer";
    case Shareability::inner: return "inner";
  }
  return "reserved";
}

std::string_view kind_of(const WalkStep& step) noexcept {
  if (step.descriptor.is_table(step.level)) return "table";
  if (step.descriptor.is_leaf(step.level)) return step.level == kLastLevel ? "page" : "block";
  return step.descriptor.valid() ? "reserved encoding" : "invalid";
}

}  // namespace

std::string_view name_of(WalkOutcome outcome) noexcept {
  switch (outcome) {
    case WalkOutcome::translated: return "translated";
    case WalkOutcome::translation_fault: return "translation fault";
    case WalkOutcome::access_flag_fault: return "access flag fault";
    case WalkOutcome::address_size_fault: return "address size fault";
    case WalkOutcome::unreadable: return "descriptor not readable";
  }
  return {};
}

std::string_view name_of(MemoryType type) noexcept {
  switch (type) {
    case MemoryType::device_nGnRnE: return "device-nGnRnE";
    case MemoryType::device_nGnRE: return "device-nGnRE";
    case MemoryType::normal_nc: return "normal-nc";
    case MemoryType::normal_wb: return "normal-wb";
  }
  return {};
}

void append(TextBuffer& out, const Attributes& attributes) noexcept {
  const std::string_view type = name_of(attributes.type);
  if (type.empty()) {
    format_to(out, "MemAttr={:x}", static_cast<unsigned>(attributes.type));
  } else {
    out.put(type);
  }
  format_to(out, " {}{}{} {}", attributes.read ? 'r' : '-', attributes.write ? 'w' : '-',
            attributes.execute ? 'x' : '-', name_of(attributes.shareability));
}

void append(TextBuffer& out, const Walk& walk) noexcept {
  for (const WalkStep& step : walk.steps()) {
    format_to(out, "L{} @{:x}: 0x{:016x} {}\n", step.level, step.descriptor_pa, step.descriptor.raw, kind_of(step));
  }
  format_to(out, "{}, level {}", name_of(walk.outcome), walk.level);
  if (walk.translated() || walk.outcome == WalkOutcome::access_flag_fault) {
    format_to(out, ", pa {:x}, ", walk.output_address);
    append(out, walk.attributes);
  }
  out.put('\n');
}

}  // namespace arm_vcpu::stage2
