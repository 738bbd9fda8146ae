// SPDX-License-Identifier: Apache-2.0
// Who has which physical memory.
#pragma once

#include <cstdint>

#include "arm_vcpu/result.hpp"
#include "board.hpp"
#include "ranges.hpp"

namespace arm_vcpu::hv::memory {

// Takes over all RAM but the image, the device tree, the bundle, and what the tree reserves; maps it for EL2.
// Errors: those of mmu::map_ram(), and out_of_slots.
[[nodiscard]] Result<> init(const Board& board) noexcept;

// Whole pages, `alignment` a power of two of at least a page; the content is not defined.
// Error: out_of_memory (`has` is the sum of what is left, which may be in pieces).
[[nodiscard]] Result<Range> allocate(std::uint64_t bytes, std::uint64_t alignment) noexcept;

// Aligned for the largest stage-2 blocks: 1 GiB if it is that large and there is such a place, else 2 MiB.
[[nodiscard]] Result<Range> allocate_guest_ram(std::uint64_t bytes) noexcept;

// Zeros in cacheable memory: clean it before somebody reads it past the caches. Page-aligned.
void zero(Range range) noexcept;

// Zeros at the point of coherency, and none of them in a cache: for somebody who reads and writes past the caches.
// Page-aligned.
void zero_past_caches(Range range) noexcept;

// zero(), and allocation tags of zero. FEAT_MTE2 only.
void zero_with_tags(Range range) noexcept;

// Takes back a whole range that one of the two gave. Nothing translates to it any more, for anybody but EL2.
void free(Range range) noexcept;

[[nodiscard]] std::uint64_t bytes_left() noexcept;

}  // namespace arm_vcpu::hv::memory
