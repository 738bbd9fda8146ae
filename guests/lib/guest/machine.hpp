// SPDX-License-Identifier: Apache-2.0
// The `virt` machine as its guest sees it.
#pragma once

#include <cstdint>

namespace guest {

using u64 = std::uint64_t;
using u32 = std::uint32_t;

inline constexpr u64 kGicd = 0x0800'0000;
inline constexpr u64 kGicr = 0x080A'0000;
inline constexpr u64 kGicrStride = 0x2'0000;
inline constexpr u64 kUart = 0x0900'0000;

// Nothing is at these addresses, on QEMU's `virt` nor under the hypervisor (with less than 1022 MiB of RAM).
inline constexpr u64 kHole = 0x0B00'0000;         // mapped as Device
inline constexpr u64 kCodeHole = 0x7FE0'0000;     // mapped as executable memory
inline constexpr u64 kHighHole = 0x10'0000'0000;  // 64 GiB, mapped as Device
inline constexpr u64 kUnmapped = 0x7000'0000;     // in no translation table of the guest

inline constexpr u32 kUartIntid = 33;
inline constexpr u32 kVirtualTimerIntid = 27;
inline constexpr u32 kPhysicalTimerIntid = 30;

inline constexpr unsigned kMaxCpus = 8;

}  // namespace guest
