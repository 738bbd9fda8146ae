// SPDX-License-Identifier: Apache-2.0
// What the vCPU asks of the firmware, and of FEAT_RNG.
#include "arm_vcpu/el2/sysreg.hpp"
#include "vcpu/hw.hpp"

extern "C" void arm_vcpu_smc(std::uint64_t* registers) noexcept;

namespace arm_vcpu::hw {
namespace {

// RNDRRS: the generator is seeded anew before the number. False: it could not deliver in time, PSTATE.Z is 1.
// [armarm] "RNDRRS, Random Number Full Entropy"
bool read_rndrrs(std::uint64_t& value) noexcept {
  std::uint64_t delivered;
  __asm__ volatile("mrs %0, S3_3_C2_C4_1\n\tcset %1, ne" : "=r"(value), "=r"(delivered) : : "cc");
  return delivered != 0;
}

}  // namespace

void call_firmware(FirmwareRegisters& x) noexcept {
  arm_vcpu_smc(x.data());
}

bool read_entropy(EntropySource source, unsigned bits, EntropyWords& words) noexcept {
  switch (source) {
    case EntropySource::none: return false;
    case EntropySource::rndrrs: {
      // A few tries: a failure says that other readers drained it, not that it is broken.
      constexpr unsigned kTries = 8;
      for (unsigned n = 0; n * 64 < bits; ++n) {
        unsigned tries = 0;
        while (!read_rndrrs(words[n])) {
          if (++tries == kTries) return false;
        }
      }
      return true;
    }
    case EntropySource::firmware: {
      FirmwareRegisters x{smccc::TRNG_RND64.raw, bits};
      call_firmware(x);
      if (static_cast<std::int32_t>(x[0]) != 0) return false;
      words = {x[3], x[2], x[1]};
      return true;
    }
  }
  return false;
}

}  // namespace arm_vcpu::hw
