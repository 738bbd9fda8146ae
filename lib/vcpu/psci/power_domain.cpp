// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "arm_vcpu/psci.hpp"

namespace arm_vcpu {
namespace {

// Affinity fields from level `level` up. [psci] "AFFINITY_INFO", lowest_affinity_level
constexpr std::uint64_t affinity_mask(std::uint32_t level) noexcept {
  constexpr std::uint64_t kFromLevel[] = {0xFF'00FF'FFFF, 0xFF'00FF'FF00, 0xFF'00FF'0000, 0xFF'0000'0000};
  return kFromLevel[level];
}

}  // namespace

void PowerDomain::reset(std::size_t boot) noexcept {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    slots_[i].state.store(i == boot ? PowerState::on : PowerState::off, std::memory_order_release);
  }
}

PsciStatus PowerDomain::cpu_on(std::uint64_t target, std::uint64_t entry, std::uint64_t context_id) noexcept {
  const std::optional<std::size_t> index = index_of(target);
  if (!index) return PsciStatus::INVALID_PARAMETERS;
  if (!is_executable(entry)) return PsciStatus::INVALID_ADDRESS;

  PowerSlot& slot = slots_[*index];
  PowerState found = PowerState::off;
  if (!slot.state.compare_exchange_strong(found, PowerState::claimed, std::memory_order_acquire)) {
    return found == PowerState::on ? PsciStatus::ALREADY_ON : PsciStatus::ON_PENDING;
  }
  // `claimed` keeps the target away from the two words until both are written.
  slot.entry = entry;
  slot.context_id = context_id;
  slot.state.store(PowerState::on_pending, std::memory_order_release);
  return PsciStatus::SUCCESS;
}

std::optional<PowerDomain::Start> PowerDomain::pending_start(std::size_t index) const noexcept {
  if (state(index) != PowerState::on_pending) return std::nullopt;
  return Start{slots_[index].entry, slots_[index].context_id};
}

bool PowerDomain::mark_on(std::size_t index) noexcept {
  PowerState expected = PowerState::on_pending;
  return slots_[index].state.compare_exchange_strong(expected, PowerState::on, std::memory_order_acq_rel);
}

bool PowerDomain::cpu_off(std::size_t index) noexcept {
  PowerState expected = PowerState::on;
  return slots_[index].state.compare_exchange_strong(expected, PowerState::off, std::memory_order_acq_rel);
}

std::optional<AffinityState> PowerDomain::affinity_info(std::uint64_t target, std::uint32_t level) const noexcept {
  if (level > 3 || (target & ~kPsciAffinityMask) != 0) return std::nullopt;
  std::optional<AffinityState> result;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (((slots_[i].mpidr ^ target) & affinity_mask(level)) != 0) continue;
    switch (state(i)) {
      case PowerState::on: return AffinityState::ON;
      case PowerState::claimed:
      case PowerState::on_pending: result = AffinityState::ON_PENDING; break;
      case PowerState::off: result = result.value_or(AffinityState::OFF); break;
    }
  }
  return result;
}

std::optional<std::size_t> PowerDomain::index_of(std::uint64_t affinity) const noexcept {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].mpidr == affinity) return i;
  }
  return std::nullopt;
}

bool PowerDomain::is_executable(std::uint64_t ipa) const noexcept {
  if (!bits::aligned(ipa, 4)) return false;
  return executable_.empty() ||
         std::ranges::any_of(executable_, [ipa](EntryRange range) { return range.contains(ipa); });
}

}  // namespace arm_vcpu
