// SPDX-License-Identifier: Apache-2.0
// Data aborts that the syndrome does not describe, on the fake CPU: exits, answers, races, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "arm_vcpu/vcpu.hpp"
#include "vcpu/fake_hw.hpp"

namespace arm_vcpu {
namespace {

using Exit = AxVCpuExitReason;
using Kind = hw::GuestPlace::Kind;

constexpr std::uint64_t kCode = 0x4008'0000;    // mapped 1:1, memory
constexpr std::uint64_t kDevice = 0x7000'0000;  // VA of a page that stage 2 does not map
constexpr std::uint64_t kDeviceIpa = 0x0900'0000;
constexpr std::uint64_t kMemory = 0x7000'1000;  // VA of the page behind it
constexpr std::uint64_t kMemoryPa = 0x9000'0000;

constexpr std::uint32_t kLdp = 0xA940'0C22;      // ldp x2, x3, [x1]
constexpr std::uint32_t kLdpPost = 0xA8C1'0C22;  // ldp x2, x3, [x1], #16
constexpr std::uint32_t kStp = 0xA900'0C22;      // stp x2, x3, [x1]
constexpr std::uint32_t kLdrX = 0xF940'0022;     // ldr x2, [x1]
constexpr std::uint32_t kLdrSp = 0xF842'07E2;    // ldr x2, [sp], #32
constexpr std::uint32_t kLdpQ = 0xAD40'0C22;     // ldp q2, q3, [x1]
constexpr std::uint32_t kSwp = 0xF822'8023;      // swp x2, x3, [x1]
constexpr std::uint32_t kStxr = 0xC802'7C23;     // stxr w2, x3, [x1]
constexpr std::uint32_t kLdtr = 0xF840'8822;     // ldtr x2, [x1, #8]
constexpr std::uint32_t kLdraa = 0xF820'1C22;    // ldraa x2, [x1, #8]!
constexpr std::uint32_t kLdrZ = 0x8580'4020;     // ldr z0, [x1]
constexpr std::uint32_t kSt2g = 0xD9A0'0822;     // st2g x2, [x1]
constexpr std::uint32_t kPrfm = 0xF980'0020;
constexpr std::uint32_t kNop = 0xD503'201F;

constexpr unsigned kTranslation = 0x07;

class EmulateTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fake::reset();
    ASSERT_TRUE(per_cpu.hardware_enable());
    ASSERT_TRUE(vcpu.setup({}));
    ASSERT_TRUE(vcpu.set_ept_root({.vttbr_el2 = 0x1ULL << 48 | 0x8000'2000, .vtcr_el2 = 0x8002'3558}));
    ASSERT_TRUE(vcpu.set_entry(kCode));
    ASSERT_TRUE(vcpu.bind(per_cpu));
    fake::cpu().pages[kCode] = {.kind = Kind::memory, .cached = true, .address = kCode};
    fake::cpu().pages[kDevice] = {.kind = Kind::unmapped, .address = kDeviceIpa};
    fake::cpu().pages[kMemory] = {.kind = Kind::memory, .cached = true, .address = kMemoryPa};
    for (unsigned i = 0; i < 0x100; ++i) fake::cpu().bytes[kMemoryPa + i] = static_cast<std::uint8_t>(i);
    vcpu.trap_frame().gpr[1] = kDevice + 0x20;
    vcpu.trap_frame().gpr[2] = 0x22;
    vcpu.trap_frame().gpr[3] = 0x33;
  }

  void put(std::uint32_t opcode) {
    for (unsigned i = 0; i < 4; ++i) fake::cpu().bytes[kCode + i] = static_cast<std::uint8_t>(opcode >> (8 * i));
  }

  static std::function<void(VCpuContext&)> abort_at(std::uint64_t far, bool write = false, unsigned dfsc = kTranslation,
                                                    std::uint32_t isv = 0) {
    return [=](VCpuContext& context) {
      context.kind = TrapKind::sync;
      context.esr = Esr{}
                        .with<Esr::EC>(Ec::data_abort_lower)
                        .with<Esr::IL>(true)
                        .with<Esr::ISS>(dfsc | (write ? 1U << 6 : 0) | isv);
      context.far = far;
      context.hpfar = Hpfar::from(kDeviceIpa >> 12 << 4);
    };
  }
  static std::function<void(VCpuContext&)> interrupt() {
    return [](VCpuContext& context) { context.kind = TrapKind::irq; };
  }

  Exit run(std::vector<std::function<void(VCpuContext&)>> steps = {}) {
    fake::cpu().guest = std::move(steps);
    const Result<Exit> exit = vcpu.run();
    EXPECT_TRUE(exit);
    EXPECT_TRUE(fake::cpu().guest.empty()) << "run() returned early";
    return exit ? *exit : Exit{};
  }
  // After the emulation the guest runs on, until an interrupt.
  void expect_guest_runs() { EXPECT_TRUE(run({interrupt()}).is<Exit::ExternalInterrupt>()); }
  // The guest's first FP instruction since another vCPU had the registers.
  void use_vectors() {
    run({[](VCpuContext& context) {
           context.kind = TrapKind::sync;
           context.esr = Esr{}.with<Esr::EC>(Ec::fp_access);
         },
         interrupt()});
  }

  const Exit::MmioRead& read_of(const Exit& exit) {
    EXPECT_TRUE(exit.is<Exit::MmioRead>()) << exit.value.index();
    static const Exit::MmioRead none{};
    return exit.is<Exit::MmioRead>() ? *exit.get_if<Exit::MmioRead>() : none;
  }

  std::uint64_t x(unsigned n) const { return vcpu.trap_frame().gpr(n); }
  std::uint64_t pc() const { return vcpu.trap_frame().exception_pc(); }

  Aarch64PerCpu per_cpu{0};
  Aarch64VCpu vcpu = *Aarch64VCpu::create({.mpidr_el1 = 0x1, .dtb_addr = 0});
};

TEST_F(EmulateTest, OneExitForEachAccessAndAllRegistersAtTheEnd) {
  put(kLdpPost);
  const Exit first = run({abort_at(kDevice + 0x20)});
  EXPECT_EQ(read_of(first).addr, kDeviceIpa + 0x20);
  EXPECT_EQ(read_of(first).width, AccessWidth::doubleword);
  EXPECT_EQ(read_of(first).reg, 31);
  EXPECT_EQ(vcpu.complete_mmio_write().error().code, Errc::no_access_pending);
  ASSERT_TRUE(vcpu.complete_mmio_read(0xAAAA));
  EXPECT_EQ(pc(), kCode);
  EXPECT_EQ(x(2), 0x22U) << "nothing is committed yet";
  const Exit second = run();
  EXPECT_EQ(read_of(second).addr, kDeviceIpa + 0x28);
  EXPECT_EQ(vcpu.exit_frame().far, kDevice + 0x28);
  EXPECT_EQ(vcpu.exit_frame().hpfar.get<Hpfar::FIPA>(), kDeviceIpa >> 12);
  ASSERT_TRUE(vcpu.complete_mmio_read(0xBBBB));
  EXPECT_EQ(x(2), 0xAAAAU);
  EXPECT_EQ(x(3), 0xBBBBU);
  EXPECT_EQ(x(1), kDevice + 0x30);
  EXPECT_EQ(pc(), kCode + 4);
  EXPECT_EQ(vcpu.complete_mmio_read(0).error().code, Errc::no_access_pending);
  expect_guest_runs();
}

TEST_F(EmulateTest, MemoryOnTheNextPageIsReadAndWrittenHere) {
  put(kStp);
  vcpu.trap_frame().gpr[1] = kMemory - 8;
  const Exit exit = run({abort_at(kMemory - 8, true)});
  ASSERT_TRUE(exit.is<Exit::MmioWrite>());
  EXPECT_EQ(exit.get_if<Exit::MmioWrite>()->addr, kDeviceIpa + 0xFF8);
  EXPECT_EQ(exit.get_if<Exit::MmioWrite>()->data, 0x22U);
  EXPECT_EQ(fake::cpu().bytes[kMemoryPa], 0U) << "in order";
  ASSERT_TRUE(vcpu.complete_mmio_write());
  expect_guest_runs();
  EXPECT_EQ(fake::cpu().bytes[kMemoryPa], 0x33U);
  EXPECT_EQ(pc(), kCode + 4);

  vcpu.trap_frame().set_exception_pc(kCode);
  put(kLdrX);
  vcpu.trap_frame().gpr[1] = kMemory - 3;
  for (unsigned i = 0; i < 3; ++i) {
    const Exit byte = run(i == 0 ? std::vector<std::function<void(VCpuContext&)>>{abort_at(kMemory - 3)}
                                 : std::vector<std::function<void(VCpuContext&)>>{});
    EXPECT_EQ(read_of(byte).addr, kDeviceIpa + 0xFFD + i);
    EXPECT_EQ(read_of(byte).width, AccessWidth::byte);
    ASSERT_TRUE(vcpu.complete_mmio_read(0xD0 + i));
  }
  expect_guest_runs();
  EXPECT_EQ(x(2), 0x0000'0000'33D2'D1D0U);  // the store above left 0x33 and zeroes
}

// FAR is where the device begins, and the syndrome, valid, says eight bytes: five of them are the device's.
TEST_F(EmulateTest, DescribedAccessThatBeganOnThePageBefore) {
  fake::cpu().pages[kDevice - 0x1000] = {.kind = Kind::memory, .cached = true, .address = kMemoryPa};
  put(kLdrX);
  vcpu.trap_frame().gpr[1] = kDevice - 3;
  const std::uint32_t isv = 1U << 24 | 3U << 22 | 2U << 16 | 1U << 15;
  const Exit exit = run({abort_at(kDevice, false, kTranslation, isv)});
  EXPECT_EQ(read_of(exit).addr, kDeviceIpa);
  EXPECT_EQ(read_of(exit).width, AccessWidth::byte);
}

TEST_F(EmulateTest, DescribedAccessAtTheStartOfAPage) {
  put(kLdrX);
  vcpu.trap_frame().gpr[1] = kDevice;
  const std::uint32_t isv = 1U << 24 | 3U << 22 | 2U << 16 | 1U << 15;
  const Exit exit = run({abort_at(kDevice, false, kTranslation, isv)});
  EXPECT_EQ(read_of(exit).width, AccessWidth::doubleword);
  EXPECT_EQ(read_of(exit).reg, 2);
  ASSERT_TRUE(vcpu.complete_mmio_read(77));
  EXPECT_EQ(x(2), 77U);
  EXPECT_EQ(pc(), kCode + 4);
}

TEST_F(EmulateTest, Stage1FaultOnTheSecondPageLeavesNothingHalfDone) {
  put(kStp);
  fake::cpu().pages[kMemory] = {.kind = Kind::fault, .fsc = Fsc::permission_l3};
  vcpu.trap_frame().gpr[1] = kMemory - 8;
  EXPECT_TRUE(run({abort_at(kMemory - 8, true), interrupt()}).is<Exit::ExternalInterrupt>());
  EXPECT_EQ(fake::cpu().entry_far, kMemory);
  EXPECT_EQ(fake::cpu().entry_esr.get<Esr::EC>(), Ec::data_abort_same);
  const auto iss = DataAbortIss::from(fake::cpu().entry_esr.get<Esr::ISS>());
  EXPECT_EQ(iss.get<DataAbortIss::DFSC>(), Fsc::permission_l3);
  EXPECT_TRUE(iss.get<DataAbortIss::WnR>());
  EXPECT_EQ(fake::cpu().entry->elr_el1, kCode);
}

TEST_F(EmulateTest, AccessRefusedInTheMiddle) {
  put(kLdpPost);
  run({abort_at(kDevice + 0x20)});
  ASSERT_TRUE(vcpu.complete_mmio_read(1));
  run();
  ASSERT_TRUE(vcpu.inject_data_abort(vcpu.exit_frame().far));
  EXPECT_EQ(fake::cpu().entry_far, kDevice + 0x28);
  EXPECT_EQ(fake::cpu().entry->elr_el1, kCode);
  EXPECT_EQ(x(1), kDevice + 0x20);
  EXPECT_EQ(x(2), 0x22U);
  EXPECT_EQ(vcpu.complete_mmio_read(0).error().code, Errc::no_access_pending);
  expect_guest_runs();
}

TEST_F(EmulateTest, UnansweredAccessIsExecutedAgain) {
  put(kLdp);
  run({abort_at(kDevice + 0x20)});
  expect_guest_runs();
  EXPECT_EQ(pc(), kCode);
  EXPECT_EQ(x(2), 0x22U);
}

TEST_F(EmulateTest, StackPointers) {
  put(kLdrSp);
  fake::cpu().live.sp_el1 = kDevice + 0x40;
  EXPECT_EQ(read_of(run({abort_at(kDevice + 0x40)})).addr, kDeviceIpa + 0x40);
  ASSERT_TRUE(vcpu.complete_mmio_read(5));
  EXPECT_EQ(fake::cpu().live.sp_el1, kDevice + 0x60);

  vcpu.trap_frame().set_exception_pc(kCode);
  vcpu.trap_frame().spsr = vcpu.trap_frame().spsr.with<Spsr::M>(kModeEl0t);
  fake::cpu().sp_el0 = vcpu.trap_frame().sp_el0 = kDevice + 0x80;
  EXPECT_EQ(read_of(run({abort_at(kDevice + 0x80)})).addr, kDeviceIpa + 0x80);
  ASSERT_TRUE(vcpu.complete_mmio_read(6));
  EXPECT_EQ(vcpu.trap_frame().sp_el0, kDevice + 0xA0) << "run() loads it";
  EXPECT_EQ(fake::cpu().live.sp_el1, kDevice + 0x60);
}

TEST_F(EmulateTest, StepAndBranchTypeAreThoseOfACompletedInstruction) {
  put(kLdrX);
  vcpu.trap_frame().gpr[1] = kDevice;
  vcpu.trap_frame().spsr = vcpu.trap_frame().spsr.with<Spsr::SS>(true).with<Spsr::BTYPE>(1).with<Spsr::NZCV>(9);
  run({abort_at(kDevice)});
  EXPECT_TRUE(vcpu.trap_frame().spsr.get<Spsr::SS>());
  ASSERT_TRUE(vcpu.complete_mmio_read(5));
  EXPECT_FALSE(vcpu.trap_frame().spsr.get<Spsr::SS>());
  EXPECT_EQ(vcpu.trap_frame().spsr.get<Spsr::BTYPE>(), 0);
  EXPECT_EQ(vcpu.trap_frame().spsr.get<Spsr::NZCV>(), 9);
}

TEST_F(EmulateTest, VectorsGoWhereTheyLiveNow) {
  use_vectors();
  put(kLdpQ);
  Exit exit = run({abort_at(kDevice + 0x20)});
  for (unsigned i = 0; i < 4; ++i) {
    EXPECT_EQ(read_of(exit).addr, kDeviceIpa + 0x20 + 8 * i);
    if (i == 3) break;
    ASSERT_TRUE(vcpu.complete_mmio_read(0x100 + i));
    exit = run();
  }
  // Meanwhile another vCPU takes the registers of this CPU, and gives them back.
  ASSERT_TRUE(vcpu.unbind());
  Aarch64VCpu second = *Aarch64VCpu::create({.mpidr_el1 = 1, .dtb_addr = 0});
  ASSERT_TRUE(second.setup({}));
  ASSERT_TRUE(second.set_ept_root({.vttbr_el2 = 0x1ULL << 48 | 0x8000'2000, .vtcr_el2 = 0x8002'3558}));
  ASSERT_TRUE(second.set_entry(kCode));
  ASSERT_TRUE(second.bind(per_cpu));
  fake::cpu().guest = {[](VCpuContext& context) {
                         context.kind = TrapKind::sync;
                         context.esr = Esr{}.with<Esr::EC>(Ec::fp_access);
                       },
                       interrupt()};
  ASSERT_TRUE(second.run());
  ASSERT_TRUE(second.unbind());
  ASSERT_TRUE(vcpu.complete_mmio_read(0x103));
  EXPECT_EQ(pc(), kCode) << "not bound: run() finishes it";
  ASSERT_TRUE(vcpu.bind(per_cpu));
  EXPECT_EQ(fake::cpu().fp.v[4], 0U) << "the other's registers are live";
  expect_guest_runs();
  EXPECT_EQ(pc(), kCode + 4);
  use_vectors();
  EXPECT_EQ(fake::cpu().fp.v[4], 0x100U);
  EXPECT_EQ(fake::cpu().fp.v[5], 0x101U);
  EXPECT_EQ(fake::cpu().fp.v[7], 0x103U);
}

TEST_F(EmulateTest, AtomicReadsThenWrites) {
  put(kSwp);
  EXPECT_EQ(read_of(run({abort_at(kDevice + 0x20, true)})).addr, kDeviceIpa + 0x20) << "whatever WnR says";
  ASSERT_TRUE(vcpu.complete_mmio_read(7));
  const Exit exit = run();
  ASSERT_TRUE(exit.is<Exit::MmioWrite>());
  EXPECT_EQ(exit.get_if<Exit::MmioWrite>()->data, 0x22U);
  ASSERT_TRUE(vcpu.complete_mmio_write());
  EXPECT_EQ(x(3), 7U);
  EXPECT_EQ(pc(), kCode + 4);
}

// Memory that stage 2 maps read-only: the atomic's read is memory's, its write is an exit.
TEST_F(EmulateTest, AtomicOnReadOnlyMemory) {
  put(kSwp);
  vcpu.trap_frame().gpr[1] = kMemory;
  fake::cpu().read_only = hw::GuestPlace{.kind = Kind::unmapped, .address = 0x5000'0000};
  fake::cpu().stage1_result = 0x5000'0000;
  const Exit exit = run({abort_at(kMemory, true, 0x0F)});
  ASSERT_TRUE(exit.is<Exit::MmioWrite>());
  EXPECT_EQ(exit.get_if<Exit::MmioWrite>()->addr, 0x5000'0000U);
  ASSERT_TRUE(vcpu.complete_mmio_write());
  EXPECT_EQ(x(3), 0x0706'0504'0302'0100U);
}

TEST_F(EmulateTest, MisalignedAtomicIsAnAlignmentFault) {
  put(kSwp);
  vcpu.trap_frame().gpr[1] = kDevice + 0x21;
  EXPECT_TRUE(run({abort_at(kDevice + 0x21, true), interrupt()}).is<Exit::ExternalInterrupt>());
  EXPECT_EQ(DataAbortIss::from(fake::cpu().entry_esr.get<Esr::ISS>()).get<DataAbortIss::DFSC>(), Fsc::alignment);
  EXPECT_EQ(fake::cpu().entry_far, kDevice + 0x21);
}

// A CPU that does not check the alignment of accesses to Device memory leaves it to us.
TEST_F(EmulateTest, MisalignedAccessToDeviceMemory) {
  put(kLdrX);
  const std::uint32_t isv = 1U << 24 | 3U << 22 | 2U << 16 | 1U << 15;
  vcpu.trap_frame().gpr[1] = kDevice + 0x21;
  EXPECT_EQ(read_of(run({abort_at(kDevice + 0x21, false, kTranslation, isv)})).width, AccessWidth::byte) << "Normal";
  fake::cpu().pages[kDevice].device = true;
  EXPECT_TRUE(run({abort_at(kDevice + 0x21, false, kTranslation, isv), interrupt()}).is<Exit::ExternalInterrupt>());
  EXPECT_EQ(DataAbortIss::from(fake::cpu().entry_esr.get<Esr::ISS>()).get<DataAbortIss::DFSC>(), Fsc::alignment);
  EXPECT_EQ(fake::cpu().entry_far, kDevice + 0x21);
  fake::cpu().entry.reset();
  vcpu.trap_frame().set_exception_pc(kCode);
  vcpu.trap_frame().gpr[1] = kDevice + 0x20;
  put(0xD50B'7421);  // dc zva, x1
  EXPECT_TRUE(run({abort_at(kDevice + 0x20, true), interrupt()}).is<Exit::ExternalInterrupt>());
  EXPECT_EQ(DataAbortIss::from(fake::cpu().entry_esr.get<Esr::ISS>()).get<DataAbortIss::DFSC>(), Fsc::alignment);
}

TEST_F(EmulateTest, StoreExclusiveFails) {
  put(kStxr);
  EXPECT_TRUE(run({abort_at(kDevice + 0x20, true), interrupt()}).is<Exit::ExternalInterrupt>());
  EXPECT_EQ(x(2), 1U);
  EXPECT_EQ(pc(), kCode + 4);
}

TEST_F(EmulateTest, PrefetchIsAHint) {
  put(kPrfm);
  EXPECT_TRUE(run({abort_at(kDevice + 0x20), interrupt()}).is<Exit::ExternalInterrupt>());
  EXPECT_EQ(pc(), kCode + 4);
}

TEST_F(EmulateTest, PermissionsOfEl0) {
  put(kLdtr);
  run({abort_at(kDevice + 0x28)});
  EXPECT_TRUE(fake::cpu().located.back().is_el0) << "LDTR at EL1";
  vcpu.trap_frame().spsr = vcpu.trap_frame().spsr.with<Spsr::UAO>(true).with<Spsr::PAN>(true);
  run({abort_at(kDevice + 0x28)});
  EXPECT_FALSE(fake::cpu().located.back().is_el0) << "PSTATE.UAO";
  EXPECT_TRUE(fake::cpu().located.back().pan);
  vcpu.trap_frame().spsr = vcpu.trap_frame().spsr.with<Spsr::UAO>(false);
  run({abort_at(kDevice + 0x28)});
  EXPECT_FALSE(fake::cpu().located.back().pan) << "PAN does not hold for EL0's accesses";
}

// --- answers in the exit
// ----------------------------------------------------------------------------------------------

// Registers that hold what was written last; 8 bytes at 0x20 + 8n each.
class Registers final : public fake::DeviceResponder {
 public:
  Reply read(std::uint64_t ipa, AccessWidth) noexcept override { return {answers(ipa), at(ipa)}; }
  bool write(std::uint64_t ipa, AccessWidth, std::uint64_t data) noexcept override {
    if (!answers(ipa)) return false;
    at(ipa) = data;
    return true;
  }
  std::uint64_t& at(std::uint64_t ipa) noexcept { return values[ipa % 0x40 / 8]; }

  std::array<std::uint64_t, 8> values{};
  std::uint64_t refused{};  // IPA
  unsigned asked{};

 private:
  bool answers(std::uint64_t ipa) noexcept {
    ++asked;
    return ipa != refused;
  }
};

TEST_F(EmulateTest, TheResponderAnswersEachAccessInTheExit) {
  Registers device;
  device.at(0x20) = 0xAAAA;
  device.at(0x28) = 0xBBBB;
  vcpu.set_exit_responder(&device);
  put(kLdpPost);
  EXPECT_TRUE(run({abort_at(kDevice + 0x20), interrupt()}).is<Exit::ExternalInterrupt>());
  EXPECT_EQ(x(2), 0xAAAAU);
  EXPECT_EQ(x(3), 0xBBBBU);
  EXPECT_EQ(x(1), kDevice + 0x30);
  EXPECT_EQ(pc(), kCode + 4);
  EXPECT_EQ(device.asked, 2U);
  EXPECT_EQ(vcpu.handled_exits(), 2U) << "each access is an exit that run() did not return";

  vcpu.trap_frame().set_exception_pc(kCode);
  vcpu.trap_frame().gpr[1] = kDevice + 0x20;
  vcpu.trap_frame().gpr[2] = 0x22;
  put(kSwp);
  EXPECT_TRUE(run({abort_at(kDevice + 0x20, true), interrupt()}).is<Exit::ExternalInterrupt>());
  EXPECT_EQ(x(3), 0xAAAAU);
  EXPECT_EQ(device.at(0x20), 0x22U);
  EXPECT_EQ(vcpu.handled_exits(), 4U);
}

TEST_F(EmulateTest, ThePageOfAnAccessIsLookedUpOnce) {
  Registers device;
  vcpu.set_exit_responder(&device);
  put(kLdrX);
  EXPECT_TRUE(run({abort_at(kDevice + 0x20), interrupt()}).is<Exit::ExternalInterrupt>());
  ASSERT_EQ(fake::cpu().located.size(), 2U) << "the instruction's, and the data's";
  EXPECT_EQ(fake::cpu().located[1].va, kDevice + 0x20);
}

// By then the device may have done anything, and so may the guest's other CPUs.
TEST_F(EmulateTest, BehindAnAnswerThePageIsLookedUpAgain) {
  class Unmapping final : public fake::DeviceResponder {
   public:
    Reply read(std::uint64_t, AccessWidth) noexcept override {
      fake::cpu().pages.erase(kDevice);
      return {true, 7};
    }
    bool write(std::uint64_t, AccessWidth, std::uint64_t) noexcept override { return false; }
  } device;
  vcpu.set_exit_responder(&device);
  put(kLdpPost);
  EXPECT_TRUE(run({abort_at(kDevice + 0x20), interrupt()}).is<Exit::ExternalInterrupt>());
  EXPECT_EQ(fake::cpu().entry_far, kDevice + 0x28) << "stage 1 refuses the second";
  EXPECT_EQ(fake::cpu().entry->elr_el1, kCode);
  EXPECT_EQ(x(2), 0x22U);
  EXPECT_EQ(x(1), kDevice + 0x20);
  EXPECT_EQ(vcpu.handled_exits(), 2U) << "the answer, and the abort";
}

TEST_F(EmulateTest, WhatTheResponderRefusesIsAnExitAndSoIsTheRest) {
  Registers device;
  device.at(0x20) = 0xAAAA;
  device.refused = kDeviceIpa + 0x28;
  vcpu.set_exit_responder(&device);
  put(kLdpQ);
  const Exit second = run({abort_at(kDevice + 0x20)});
  EXPECT_EQ(read_of(second).addr, kDeviceIpa + 0x28);
  EXPECT_EQ(vcpu.exit_frame().far, kDevice + 0x28);
  EXPECT_EQ(vcpu.handled_exits(), 1U);
  EXPECT_EQ(pc(), kCode);
  ASSERT_TRUE(vcpu.complete_mmio_read(0xBBBB));
  EXPECT_EQ(read_of(run()).addr, kDeviceIpa + 0x30);
  ASSERT_TRUE(vcpu.complete_mmio_read(0xCCCC));
  EXPECT_EQ(read_of(run()).addr, kDeviceIpa + 0x38);
  ASSERT_TRUE(vcpu.complete_mmio_read(0xDDDD));
  EXPECT_EQ(device.asked, 2U);
  EXPECT_EQ(pc(), kCode + 4);
  use_vectors();
  EXPECT_EQ(fake::cpu().fp.v[4], 0xAAAAU);
  EXPECT_EQ(fake::cpu().fp.v[7], 0xDDDDU);
}

TEST_F(EmulateTest, TheResponderAndMemoryInOneInstruction) {
  Registers device;
  vcpu.set_exit_responder(&device);
  put(kStp);
  vcpu.trap_frame().gpr[1] = kMemory - 8;
  EXPECT_TRUE(run({abort_at(kMemory - 8, true), interrupt()}).is<Exit::ExternalInterrupt>());
  EXPECT_EQ(device.at(0xFF8), 0x22U);
  EXPECT_EQ(fake::cpu().bytes[kMemoryPa], 0x33U);
  EXPECT_EQ(vcpu.handled_exits(), 1U);
}

// --- what is executed again, and what is refused --------------------------------------------------------------------

TEST_F(EmulateTest, ChangedInstructionIsExecutedAgain) {
  put(kStp);  // a store; the fault was a load's
  EXPECT_TRUE(run({abort_at(kDevice + 0x20, false), interrupt()}).is<Exit::ExternalInterrupt>());
  put(kNop);
  EXPECT_TRUE(run({abort_at(kDevice + 0x20, false), interrupt()}).is<Exit::ExternalInterrupt>());
  put(kLdp);
  vcpu.trap_frame().gpr[1] = kDevice + 0x100;  // another address
  EXPECT_TRUE(run({abort_at(kDevice + 0x20, false), interrupt()}).is<Exit::ExternalInterrupt>());
  EXPECT_EQ(pc(), kCode);
  EXPECT_FALSE(fake::cpu().entry) << "no exception either";
}

TEST_F(EmulateTest, InstructionThatNeverAgreesIsRefused) {
  put(kStp);
  std::vector<std::function<void(VCpuContext&)>> steps(17, abort_at(kDevice + 0x20, false));
  const Exit exit = run(steps);
  ASSERT_TRUE(exit.is<Exit::NestedPageFault>());
  EXPECT_EQ(exit.get_if<Exit::NestedPageFault>()->gva, kDevice + 0x20);
}

TEST_F(EmulateTest, CodeThatIsGoneIsFetchedAgainByTheGuest) {
  fake::cpu().pages.erase(kCode);
  EXPECT_TRUE(run({abort_at(kDevice + 0x20), interrupt()}).is<Exit::ExternalInterrupt>());
  EXPECT_EQ(pc(), kCode);
}

TEST_F(EmulateTest, MemoryThatIsThereByNowIsLeftToTheGuest) {
  put(kLdp);
  fake::cpu().pages[kDevice] = {.kind = Kind::memory, .cached = true, .address = kMemoryPa};
  EXPECT_TRUE(run({abort_at(kDevice + 0x20), interrupt()}).is<Exit::ExternalInterrupt>());
  EXPECT_EQ(pc(), kCode);
}

// A syndrome with ISV may still leave the access open: across a page, or in big-endian order.
TEST_F(EmulateTest, ARefusedAccessIsNoMmioExitWhateverTheSyndromeSays) {
  constexpr std::uint32_t kIsv = 1U << 24 | 3U << 22 | 2U << 16 | 1U << 15;  // 8 bytes, X2
  fake::cpu().pages[kDevice].kind = Kind::hidden;
  for (const bool write : {false, true}) {
    put(write ? kStp : kLdp);
    const Exit exit = run({abort_at(kDevice + 0x23, write, kTranslation, kIsv)});
    ASSERT_TRUE(exit.is<Exit::NestedPageFault>()) << exit.value.index();
    EXPECT_EQ(exit.get_if<Exit::NestedPageFault>()->is_write, write);
    EXPECT_EQ(exit.get_if<Exit::NestedPageFault>()->gva, kDevice + 0x23);
    EXPECT_FALSE(vcpu.complete_mmio_read(0));
    EXPECT_FALSE(vcpu.complete_mmio_write());
  }
}

// The code of X1 is that of whoever made it; the access has shown that it is right.
TEST_F(EmulateTest, AuthenticatedLoadWithWriteBack) {
  put(kLdraa);
  vcpu.trap_frame().gpr[1] = 0x0012'3480'0000'0000 | (kDevice + 0x20);
  const Exit exit = run({abort_at(kDevice + 0x28)});
  EXPECT_EQ(read_of(exit).addr, kDeviceIpa + 0x28);
  ASSERT_TRUE(vcpu.complete_mmio_read(0xAAAA));
  EXPECT_EQ(x(2), 0xAAAAU);
  EXPECT_EQ(x(1), kDevice + 0x28);
  vcpu.trap_frame().gpr[1] = kDevice + 0x40;
  run({abort_at(kDevice + 0x28), interrupt()});
  EXPECT_EQ(x(1), kDevice + 0x40) << "another address: it is executed again";
}

TEST_F(EmulateTest, TagsOfADeviceAreDroppedAndTagsOfMemoryAreNotOurs) {
  put(kSt2g);
  run({abort_at(kDevice + 0x20, true), interrupt()});
  EXPECT_EQ(pc(), kCode + 4);
  vcpu.trap_frame().elr = kCode;
  vcpu.trap_frame().gpr[1] = kMemory - 16;
  EXPECT_TRUE(run({abort_at(kMemory - 16, true)}).is<Exit::NestedPageFault>()) << "half of it is memory";
  EXPECT_EQ(pc(), kCode);
}

TEST_F(EmulateTest, WhatIsNotEmulatedIsRefused) {
  put(kLdrZ);
  EXPECT_TRUE(run({abort_at(kDevice + 0x20)}).is<Exit::NestedPageFault>());
  put(kLdp);
  fake::cpu().pages[kDevice].kind = Kind::hidden;
  EXPECT_TRUE(run({abort_at(kDevice + 0x20)}).is<Exit::NestedPageFault>());
  fake::cpu().pages[kDevice].kind = Kind::walk;
  EXPECT_TRUE(run({abort_at(kDevice + 0x20)}).is<Exit::NestedPageFault>());
  fake::cpu().pages[kDevice].kind = Kind::unmapped;
  vcpu.trap_frame().spsr = vcpu.trap_frame().spsr.with<Spsr::nRW>(true).with<Spsr::M>(0);
  EXPECT_TRUE(run({abort_at(kDevice + 0x20)}).is<Exit::NestedPageFault>()) << "AArch32 at EL0";
  EXPECT_EQ(pc(), kCode);
}

// The syndrome describes the access, but it crosses a page, and what is at the PC by now is not emulated: an exit that
// wants no answer.
TEST_F(EmulateTest, ADescribedAccessThatIsRefusedWantsNoAnswer) {
  constexpr std::uint32_t kDoubleword = 1U << 24 | 3U << 22;  // ISV, SAS
  put(kLdrZ);
  const Exit exit = run({abort_at(kDevice + 0xFFC, false, kTranslation, kDoubleword)});
  ASSERT_TRUE(exit.is<Exit::NestedPageFault>());
  EXPECT_FALSE(exit.get_if<Exit::NestedPageFault>()->isv);
  EXPECT_FALSE(vcpu.complete_mmio_read(0));
}

// The CPU would note in the guest's tables that the page was written.
TEST_F(EmulateTest, StoreToMemoryWhoseWritesAreTrackedIsRefused) {
  put(kStp);
  fake::cpu().tracks_writes = true;
  vcpu.trap_frame().gpr[1] = kMemory - 8;
  EXPECT_TRUE(run({abort_at(kMemory - 8, true)}).is<Exit::NestedPageFault>());
  vcpu.trap_frame().gpr[1] = kDevice;
  EXPECT_TRUE(run({abort_at(kDevice, true)}).is<Exit::MmioWrite>()) << "no memory in it";
}

TEST_F(EmulateTest, BigEndianDataOfADescribedAccess) {
  put(kLdrX);
  fake::cpu().el1.sctlr_el1 = fake::cpu().el1.sctlr_el1.with<SctlrEl1::EE>(true);
  const std::uint32_t isv = 1U << 24 | 3U << 22 | 2U << 16 | 1U << 15;
  run({abort_at(kDevice + 0x20, false, kTranslation, isv)});
  ASSERT_TRUE(vcpu.complete_mmio_read(0x0102'0304'0506'0708));
  EXPECT_EQ(x(2), 0x0807'0605'0403'0201U);
}

}  // namespace
}  // namespace arm_vcpu
