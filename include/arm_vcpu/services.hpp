// SPDX-License-Identifier: Apache-2.0
// What a guest can call beside PSCI: true random numbers, stolen time, and who the hypervisor is. The same for HVC and
// SMC. [trng] "Arm True Random Number Generator Firmware Interface"; [pvtime] "Paravirtualized Time for Arm-based
// Systems"; [smccc] "General service queries".
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "arm_vcpu/psci.hpp"

namespace arm_vcpu {

// Where TRNG calls get their bits. `none`: the calls are NOT_SUPPORTED.
enum class EntropySource : std::uint8_t {
  none,
  rndrrs,    // FEAT_RNG's RNDRRS, which reseeds before each number
  firmware,  // TRNG_RND64 by SMC
};

struct ServiceConfig {
  EntropySource entropy{};
  // IPA of this vCPU's stolen time record, 64-byte aligned; the caller maps it, read-only, and keeps it up to date with
  // a StolenTime. 0: not offered.
  std::uint64_t stolen_time_ipa{};
};

inline constexpr unsigned kMaxEntropyBits = 192;
using EntropyWords = std::array<std::uint64_t, kMaxEntropyBits / 64>;

// Fills `words` with at least `bits` fresh random bits, from the lowest bit of words[0] up. False: not enough entropy
// now.
using EntropyReader = bool (*)(EntropySource source, unsigned bits, EntropyWords& words) noexcept;

// What goes into x0, and x1 to x3 where `count` is 4.
struct ServiceAnswer {
  std::array<std::uint64_t, 4> x{};
  unsigned count = 1;
};

// Empty: the function ID, without the SVE hint, is of none of these services, or of one that is not offered. The answer
// is then NOT_SUPPORTED.
[[nodiscard]] std::optional<ServiceAnswer> handle_service(const PsciCall& call, const ServiceConfig& config,
                                                          EntropyReader read_entropy) noexcept;

}  // namespace arm_vcpu
