// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/services.hpp"

#include "arm_vcpu/arch/bits.hpp"

namespace arm_vcpu {
namespace {

using Uuid = std::array<std::uint8_t, 16>;

// Of this hypervisor, f22f5f7f-a4a5-4ab6-a032-de903a138132; and of its source of random numbers.
constexpr Uuid kHypervisorUuid{0xF2, 0x2F, 0x5F, 0x7F, 0xA4, 0xA5, 0x4A, 0xB6,
                               0xA0, 0x32, 0xDE, 0x90, 0x3A, 0x13, 0x81, 0x32};
constexpr Uuid kTrngUuid{0x20, 0x5A, 0xAB, 0x21, 0xE1, 0xD9, 0x42, 0x5C,
                         0xA1, 0xA3, 0xD1, 0xEC, 0x50, 0x44, 0xD6, 0xC9};

constexpr std::uint32_t kTrngVersion = interface_version(1, 0);
constexpr std::uint32_t kHypervisorRevision = interface_version(1, 0);

constexpr std::int64_t kNotSupported = -1;
constexpr std::int64_t kInvalidParameters = -2;  // [trng] "Return codes"
constexpr std::int64_t kNoEntropy = -3;

ServiceAnswer answer(std::int64_t x0) noexcept {
  return {.x = {static_cast<std::uint64_t>(x0)}};
}

// Bytes 0 to 3 in W0, the first of them in its low bits, and so on.
constexpr ServiceAnswer answer(const Uuid& uuid) noexcept {
  ServiceAnswer result{.count = 4};
  for (unsigned i = 0; i < uuid.size(); ++i) {
    result.x[i / 4] |= static_cast<std::uint64_t>(uuid[i]) << (i % 4 * 8);
  }
  return result;
}
// W0 would be taken for NOT_SUPPORTED.
static_assert(answer(kHypervisorUuid).x[0] != 0xFFFF'FFFF && answer(kTrngUuid).x[0] != 0xFFFF'FFFF);

bool is_trng_function(FunctionId id) noexcept {
  return id == smccc::TRNG_VERSION || id == smccc::TRNG_FEATURES || id == smccc::TRNG_GET_UUID ||
         id == smccc::TRNG_RND32 || id == smccc::TRNG_RND64;
}

// Bits 191:128 in X1, 127:64 in X2, 63:0 in X3; in the 32-bit form 95:64 in W1 and so on. What was not asked for is 0.
ServiceAnswer random_bits(std::uint64_t bits, bool is64, EntropySource source, EntropyReader read_entropy) noexcept {
  const unsigned width = is64 ? 64 : 32;
  if (bits == 0 || bits > 3 * width) return answer(kInvalidParameters);
  EntropyWords words{};
  ServiceAnswer result{.count = 4};
  if (!read_entropy(source, static_cast<unsigned>(bits), words)) {
    result.x[0] = static_cast<std::uint64_t>(kNoEntropy);
    return result;
  }
  for (unsigned n = 0; n < 3 && n * width < bits; ++n) {
    const unsigned left = static_cast<unsigned>(bits) - n * width;
    const std::uint64_t word = is64 ? words[n] : words[n / 2] >> (n % 2 * 32);
    result.x[3 - n] = word & bits::mask((left < width ? left : width) - 1, 0);
  }
  return result;
}

ServiceAnswer trng(FunctionId id, const PsciCall& call, EntropySource source, EntropyReader read_entropy) noexcept {
  if (id == smccc::TRNG_VERSION) return answer(kTrngVersion);
  if (id == smccc::TRNG_FEATURES) {
    return answer(is_trng_function(FunctionId::from_x0(call.x1).without_sve_hint()) ? 0 : kNotSupported);
  }
  if (id == smccc::TRNG_GET_UUID) return answer(kTrngUuid);
  if (id == smccc::TRNG_RND32) return random_bits(call.x1 & 0xFFFF'FFFF, false, source, read_entropy);
  return random_bits(call.x1, true, source, read_entropy);
}

}  // namespace

std::optional<ServiceAnswer> handle_service(const PsciCall& call, const ServiceConfig& config,
                                            EntropyReader read_entropy) noexcept {
  const FunctionId id = FunctionId::from_x0(call.x0).without_sve_hint();
  if (is_trng_function(id)) {
    if (config.entropy == EntropySource::none) return std::nullopt;
    return trng(id, call, config.entropy, read_entropy);
  }
  if (id == smccc::VENDOR_HYP_UID) return answer(kHypervisorUuid);
  if (id == smccc::VENDOR_HYP_REVISION) {
    // Major in W0, minor in W1.
    ServiceAnswer result{.x = {kHypervisorRevision >> 16, kHypervisorRevision & 0xFFFF}, .count = 2};
    return result;
  }
  if (config.stolen_time_ipa != 0) {
    if (id == smccc::PV_TIME_FEATURES) {
      const FunctionId asked = FunctionId::from_x0(call.x1).without_sve_hint();
      return answer(asked == smccc::PV_TIME_FEATURES || asked == smccc::PV_TIME_ST ? 0 : kNotSupported);
    }
    if (id == smccc::PV_TIME_ST) return answer(static_cast<std::int64_t>(config.stolen_time_ipa));
  }
  return std::nullopt;
}

}  // namespace arm_vcpu
