// SPDX-License-Identifier: Apache-2.0
// GICv3 in one Security state, affinity routing on. [gicv3]
#pragma once

#include "guest/machine.hpp"

namespace guest::gic {

inline constexpr u32 kSpurious = 1023;
inline constexpr u32 kDefaultPriority = 0xA0;

// Offsets in the Distributor, and for INTIDs below 32 in the Redistributor's SGI frame.
inline constexpr u64 kIgroupr = 0x080;
inline constexpr u64 kIsenabler = 0x100;
inline constexpr u64 kIcenabler = 0x180;
inline constexpr u64 kIspendr = 0x200;
inline constexpr u64 kIcpendr = 0x280;
inline constexpr u64 kIsactiver = 0x300;
inline constexpr u64 kIcactiver = 0x380;
inline constexpr u64 kIpriorityr = 0x400;
inline constexpr u64 kIcfgr = 0xC00;
inline constexpr u64 kIrouter = 0x6000;

// All SPIs in Group 1, disabled, routed to this CPU. Once.
void init_distributor() noexcept;
// SGIs and PPIs in Group 1 and disabled; the CPU interface open for Group 1. Every CPU.
void init_cpu() noexcept;

// CPUs of the machine: one Redistributor each.
[[nodiscard]] unsigned count_cpus() noexcept;

// Of the calling CPU for SGIs and PPIs.
void enable(u32 intid) noexcept;
void disable(u32 intid) noexcept;
void set_pending(u32 intid, bool pending) noexcept;
[[nodiscard]] bool is_pending(u32 intid) noexcept;
[[nodiscard]] bool is_active(u32 intid) noexcept;
void set_priority(u32 intid, u32 priority) noexcept;
void set_edge(u32 intid, bool edge) noexcept;
void set_group1(u32 intid, bool group1) noexcept;
void route(u32 intid, u64 affinity) noexcept;

void set_priority_mask(u32 mask) noexcept;

// ICC_SGI1R_EL1: to the CPUs of `targets`, a bit for each Aff0, in the cluster of CPU 0.
void send_sgi(u32 intid, u32 targets) noexcept;
void send_sgi_to_others(u32 intid) noexcept;

}  // namespace guest::gic
