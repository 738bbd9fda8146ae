// SPDX-License-Identifier: Apache-2.0
// What tests of a vCPU on the fake CPU have in common.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>

#include "arm_vcpu/vcpu.hpp"
#include "vcpu/fake_hw.hpp"

namespace arm_vcpu {

using Exit = AxVCpuExitReason;

// 40-bit IPA, start level 1, two concatenated tables: an 8 KiB root.
inline constexpr Stage2Root kRoot{.vttbr_el2 = 0x1ULL << 48 | 0x8000'2000, .vtcr_el2 = 0x8002'3558};
inline constexpr std::uint64_t kEntry = 0x4008'0000;

inline std::function<void(VCpuContext&)> sync_exit(Ec ec, std::uint32_t iss, std::uint64_t far = 0x10,
                                                   std::uint64_t ipa = 0) {
  return [=](VCpuContext& context) {
    context.kind = TrapKind::sync;
    context.esr = Esr{}.with<Esr::EC>(ec).with<Esr::IL>(true).with<Esr::ISS>(iss);
    context.far = far;
    context.hpfar = Hpfar::from(ipa >> 12 << 4);
  };
}

inline std::function<void(VCpuContext&)> interrupt(TrapKind kind = TrapKind::irq) {
  return [kind](VCpuContext& context) { context.kind = kind; };
}

// One vCPU and the CPU that it is bound to by prepare(); run() plays a script of exits.
class VCpuTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fake::reset();
    ASSERT_TRUE(per_cpu.hardware_enable());
  }

  void prepare(const Aarch64VCpuSetupConfig& config = {}) {
    ASSERT_TRUE(vcpu.setup(config));
    ASSERT_TRUE(vcpu.set_ept_root(kRoot));
    ASSERT_TRUE(vcpu.set_entry(kEntry));
    ASSERT_TRUE(vcpu.bind(per_cpu));
  }

  template <class... Steps>
  Exit run(Steps... steps) {
    fake::cpu().guest = {steps...};
    const Result<Exit> exit = vcpu.run();
    EXPECT_TRUE(exit);
    EXPECT_TRUE(fake::cpu().guest.empty()) << "run() returned early";
    return exit ? *exit : Exit{};
  }

  std::uint64_t pc() const { return vcpu.trap_frame().exception_pc(); }

  Aarch64PerCpu per_cpu{0};
  Aarch64VCpu vcpu = *Aarch64VCpu::create({.mpidr_el1 = 0x1, .dtb_addr = 0x4800'0000});
};

}  // namespace arm_vcpu
