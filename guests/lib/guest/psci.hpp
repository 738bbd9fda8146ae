// SPDX-License-Identifier: Apache-2.0
// PSCI. [psci] "Arm Power State Coordination Interface"
#pragma once

#include "guest/machine.hpp"

namespace guest {

// x0 to x3 after a call.
struct CallResult {
  u64 x0, x1, x2, x3;
};

enum class Conduit : unsigned char { hvc, smc };

CallResult call(Conduit conduit, u64 x0, u64 x1 = 0, u64 x2 = 0, u64 x3 = 0) noexcept;

namespace psci {

inline constexpr u64 kVersion = 0x8400'0000;
inline constexpr u64 kCpuSuspend32 = 0x8400'0001;
inline constexpr u64 kCpuSuspend = 0xC400'0001;
inline constexpr u64 kCpuOff = 0x8400'0002;
inline constexpr u64 kCpuOn = 0xC400'0003;
inline constexpr u64 kAffinityInfo = 0xC400'0004;
inline constexpr u64 kMigrateInfoType = 0x8400'0006;
inline constexpr u64 kSystemOff = 0x8400'0008;
inline constexpr u64 kSystemReset = 0x8400'0009;
inline constexpr u64 kFeatures = 0x8400'000A;
inline constexpr u64 kSystemReset2 = 0xC400'0012;
inline constexpr u64 kSmcccVersion = 0x8000'0000;

inline constexpr u64 kSuccess = 0;
inline constexpr u64 kNotSupported = ~u64{0};
inline constexpr u64 kInvalidParameters = ~u64{1};
inline constexpr u64 kAlreadyOn = ~u64{3};
inline constexpr u64 kOnPending = ~u64{4};
inline constexpr u64 kInvalidAddress = ~u64{8};

// AFFINITY_INFO
inline constexpr u64 kOn = 0;
inline constexpr u64 kOff = 1;

[[noreturn]] void system_off() noexcept;
[[noreturn]] void system_reset() noexcept;

}  // namespace psci
}  // namespace guest
