// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/vm/mmio_bus.hpp"

namespace arm_vcpu {

std::string_view name_of(MmioOutcome outcome) noexcept {
  switch (outcome) {
    case MmioOutcome::done: return "done";
    case MmioOutcome::hole: return "no device at this address";
    case MmioOutcome::unaligned: return "address not aligned to the access width";
    case MmioOutcome::bad_width: return "access width not supported by the device";
    case MmioOutcome::refused: return "refused by the device";
  }
  return {};
}

// The index of the first region with base > ipa.
std::size_t MmioBus::upper_bound(std::uint64_t ipa) const noexcept {
  std::size_t low = 0;
  std::size_t high = count_;
  while (low != high) {
    const std::size_t middle = low + (high - low) / 2;
    if (regions_[middle].base <= ipa) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

Result<> MmioBus::add(const MmioRegion& region) noexcept {
  const bool wraps = region.size != 0 && region.last() < region.base;
  if (region.device == nullptr || region.size == 0 || wraps) {
    return fail(Errc::bad_device_region, region.base, region.size);
  }
  const std::size_t at = upper_bound(region.base);
  if (at != 0 && regions_[at - 1].contains(region.base)) {
    return fail(Errc::overlap, region.base, regions_[at - 1].base);
  }
  if (at != count_ && regions_[at].base <= region.last()) {
    return fail(Errc::overlap, region.base, regions_[at].base);
  }
  if (count_ == kCapacity) {
    return fail(Errc::out_of_slots, count_ + 1, kCapacity);
  }
  for (std::size_t i = count_; i != at; --i) {
    regions_[i] = regions_[i - 1];
  }
  regions_[at] = region;
  ++count_;
  return {};
}

const MmioRegion* MmioBus::find(std::uint64_t ipa) const noexcept {
  const std::size_t above = upper_bound(ipa);
  return above != 0 && regions_[above - 1].contains(ipa) ? &regions_[above - 1] : nullptr;
}

MmioNeighbours MmioBus::nearest(std::uint64_t ipa) const noexcept {
  const std::size_t above = upper_bound(ipa);
  return {.below = above != 0 ? &regions_[above - 1] : nullptr, .above = above != count_ ? &regions_[above] : nullptr};
}

// Says whether the access may reach a device. The order decides which of several faults is reported: a hole before
// all, then what the guest's own CPU would have checked first.
MmioReply MmioBus::route(std::uint64_t ipa, AccessWidth width) const noexcept {
  MmioReply reply{.region = find(ipa)};
  const std::uint64_t bytes = bytes_of(width);
  if (reply.region == nullptr || reply.region->size - (ipa - reply.region->base) < bytes) {
    reply.outcome = MmioOutcome::hole;
  } else if (ipa % bytes != 0) {
    reply.outcome = MmioOutcome::unaligned;
  } else if (!reply.region->widths.contains(width)) {
    reply.outcome = MmioOutcome::bad_width;
  }
  return reply;
}

MmioReply MmioBus::read(std::uint64_t ipa, AccessWidth width, unsigned vcpu) const noexcept {
  MmioReply reply = route(ipa, width);
  if (reply.outcome != MmioOutcome::done) {
    return reply;
  }
  if (const auto value = reply.region->device->read({ipa - reply.region->base, width, vcpu})) {
    reply.value = truncate(*value, width);
  } else {
    reply.outcome = MmioOutcome::refused;
  }
  return reply;
}

MmioReply MmioBus::write(std::uint64_t ipa, AccessWidth width, unsigned vcpu, std::uint64_t value) const noexcept {
  MmioReply reply = route(ipa, width);
  if (reply.outcome == MmioOutcome::done &&
      !reply.region->device->write({ipa - reply.region->base, width, vcpu}, truncate(value, width))) {
    reply.outcome = MmioOutcome::refused;
  }
  return reply;
}

}  // namespace arm_vcpu
