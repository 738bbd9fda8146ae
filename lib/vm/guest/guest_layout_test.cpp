// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/vm/guest_layout.hpp"

#include <gtest/gtest.h>

#include <tuple>

namespace arm_vcpu {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kGiB = 1024 * kMiB;
constexpr std::uint64_t kRam = guest_machine::kRamBase;

KernelImage image(std::uint64_t file_bytes, std::uint64_t image_size, std::uint64_t text_offset = 0) {
  return {.file_bytes = file_bytes, .header = ImageHeader{text_offset, image_size, {}}};
}
KernelImage bare(std::uint64_t bytes) {
  return {.file_bytes = bytes, .header = std::nullopt};
}

TEST(GuestLayout, ADebianKernelIn512MiB) {
  const auto layout = plan_guest({kRam, 512 * kMiB}, image(32 * kMiB, 33 * kMiB), {30 * kMiB, 0x10000});
  ASSERT_TRUE(layout);
  EXPECT_EQ(layout->entry, 0x40000000U);
  EXPECT_EQ(layout->kernel, (IpaRange{0x40000000, 33 * kMiB}));
  EXPECT_EQ(layout->ramdisk, (IpaRange{0x48000000, 30 * kMiB}));
  EXPECT_EQ(layout->dtb, (IpaRange{0x49E00000, 0x10000}));
}

TEST(GuestLayout, WithoutARamdiskTheDtbIsWellAbove) {
  const auto layout = plan_guest({kRam, 64 * kMiB}, bare(4096), {0, 0x10000});
  ASSERT_TRUE(layout);
  EXPECT_EQ(layout->entry, 0x40080000U);
  EXPECT_EQ(layout->ramdisk, IpaRange{});
  EXPECT_EQ(layout->dtb.base, 0x42000000U);
}

TEST(GuestLayout, TextOffsetCountsFromTheStartOfRam) {
  EXPECT_EQ(plan_guest({kRam, 64 * kMiB}, image(4096, 8192, 0x80000), {0, 4096})->entry, 0x40080000U);
  EXPECT_EQ(plan_guest({kRam, 64 * kMiB}, image(4096, 8192, 0x200000), {0, 4096})->entry, 0x40200000U);
  EXPECT_EQ(plan_guest({0x80200000, 64 * kMiB}, image(4096, 8192, 0x80000), {0, 4096})->entry, 0x80280000U);
  // Kernels without image_size: the field is not to be believed.
  EXPECT_EQ(plan_guest({kRam, 64 * kMiB}, image(4096, 0, 0x123456789), {0, 4096})->entry, 0x40080000U);
}

TEST(GuestLayout, TightMemoryPacksBehindTheKernel) {
  // Half of RAM is taken by the kernel, 2 MiB steps do not fit any more.
  const auto layout = plan_guest({kRam, 8 * kMiB}, image(4 * kMiB + 5, 4 * kMiB + 5), {3 * kMiB, 0x8000});
  ASSERT_TRUE(layout);
  EXPECT_EQ(layout->ramdisk, (IpaRange{kRam + 4 * kMiB + 0x1000, 3 * kMiB}));
  EXPECT_EQ(layout->dtb.base, kRam + 7 * kMiB + 0x1000);
}

TEST(GuestLayout, EveryPlanObeysTheBootProtocol) {
  constexpr std::uint64_t kKernels[] = {4096, kMiB, 2 * kMiB, 33 * kMiB + 123, 200 * kMiB};
  constexpr std::uint64_t kRamdisks[] = {0, 1, 4097, 5 * kMiB + 3, 100 * kMiB};
  constexpr std::uint64_t kDtbs[] = {64, 0x10000, kMiB + 8, 2 * kMiB};
  constexpr std::uint64_t kRams[] = {2 * kMiB, 4 * kMiB, 8 * kMiB, 64 * kMiB, 256 * kMiB, 400 * kMiB, 64 * kGiB};
  unsigned planned = 0;
  for (const std::uint64_t kernel_bytes : kKernels) {
    for (const KernelImage& kernel : {bare(kernel_bytes), image(kernel_bytes, kernel_bytes + 77),
                                      image(kernel_bytes, kernel_bytes, 0x80000), image(kernel_bytes, 0)}) {
      for (const std::uint64_t ramdisk_bytes : kRamdisks) {
        for (const std::uint64_t dtb_bytes : kDtbs) {
          for (const std::uint64_t ram_bytes : kRams) {
            const auto plan = plan_guest({kRam, ram_bytes}, kernel, {ramdisk_bytes, dtb_bytes});
            // What surely fits is planned: all of it with a block to spare at each end.
            if (kernel.load_offset() + kernel.memory_bytes() + ramdisk_bytes + dtb_bytes + 6 * kMiB <= ram_bytes) {
              ASSERT_TRUE(plan);
            }
            if (!plan) {
              continue;
            }
            ++planned;
            EXPECT_EQ(plan->entry % (2 * kMiB), kernel.load_offset() % (2 * kMiB));
            EXPECT_GE(plan->kernel.bytes, kernel_bytes);
            EXPECT_EQ(plan->dtb.bytes, dtb_bytes);
            EXPECT_EQ(plan->dtb.base % 8, 0U);
            EXPECT_EQ(plan->dtb.base / (2 * kMiB), (plan->dtb.end() - 1) / (2 * kMiB));
            EXPECT_LE(plan->dtb.end(), kRam + ram_bytes);
            EXPECT_GE(plan->dtb.base, plan->kernel.end());
            if (ramdisk_bytes != 0) {
              EXPECT_EQ(plan->ramdisk.bytes, ramdisk_bytes);
              EXPECT_EQ(plan->ramdisk.base % 4096, 0U);
              EXPECT_GE(plan->ramdisk.base, plan->kernel.end());
              EXPECT_LE(plan->ramdisk.end(), plan->dtb.base);
              EXPECT_LE(plan->ramdisk.end(), kRam + 32 * kGiB);
            }
          }
        }
      }
    }
  }
  EXPECT_GT(planned, 1000U);
}

TEST(GuestLayout, SaysWhatDoesNotFit) {
  const IpaRange ram{kRam, 64 * kMiB};
  const auto code = [](const auto& plan) { return plan ? Errc{} : plan.error().code; };
  EXPECT_EQ(code(plan_guest(ram, image(65 * kMiB, 65 * kMiB), {0, 4096})), Errc::kernel_does_not_fit);
  EXPECT_EQ(code(plan_guest(ram, image(4096, ~std::uint64_t{0}), {0, 4096})), Errc::kernel_does_not_fit);
  EXPECT_EQ(code(plan_guest(ram, image(4096, 4096, ~std::uint64_t{0}), {0, 4096})), Errc::kernel_does_not_fit);
  EXPECT_EQ(code(plan_guest(ram, image(40 * kMiB, 40 * kMiB), {30 * kMiB, 4096})), Errc::ramdisk_does_not_fit);
  EXPECT_EQ(code(plan_guest(ram, bare(4096), {~std::uint64_t{0}, 4096})), Errc::ramdisk_does_not_fit);
  EXPECT_EQ(code(plan_guest(ram, image(64 * kMiB, 64 * kMiB), {0, 4096})), Errc::guest_dtb_does_not_fit);
  EXPECT_EQ(code(plan_guest(ram, image(32 * kMiB, 32 * kMiB), {32 * kMiB, 4096})), Errc::guest_dtb_does_not_fit);
  EXPECT_EQ(code(plan_guest(ram, bare(4096), {0, 2 * kMiB + 1})), Errc::guest_dtb_too_large);
  EXPECT_EQ(code(plan_guest({kRam + kMiB, 64 * kMiB}, bare(4096), {0, 4096})), Errc::unaligned_ram);
  EXPECT_EQ(plan_guest(ram, image(40 * kMiB, 40 * kMiB), {30 * kMiB, 4096}).error(),
            (Error{Errc::ramdisk_does_not_fit, 30 * kMiB, 24 * kMiB}));
  // Beyond the window that must hold the kernel and the RAM disk.
  EXPECT_EQ(code(plan_guest({kRam, 64 * kGiB}, image(4096, 33 * kGiB), {kMiB, 4096})), Errc::ramdisk_does_not_fit);
}

TEST(GuestLayout, FirmwareIsFlashAtZeroWithTheDtbAtTheStartOfRam) {
  const auto layout = plan_firmware({kRam, 256 * kMiB}, 700000, {0, 0x10000});
  ASSERT_TRUE(layout);
  EXPECT_EQ(layout->entry, 0U);
  EXPECT_EQ(layout->kernel, (IpaRange{0, 700000}));
  EXPECT_EQ(layout->dtb, (IpaRange{kRam, 0x10000}));
  EXPECT_EQ(plan_firmware({kRam, 256 * kMiB}, 700000, {kMiB, 0x10000})->ramdisk, (IpaRange{0x48000000, kMiB}));
  EXPECT_TRUE(plan_firmware({kRam, 256 * kMiB}, 64 * kMiB, {0, 0x10000}));
  EXPECT_EQ(plan_firmware({kRam, 256 * kMiB}, 64 * kMiB + 1, {0, 0x10000}).error().code, Errc::firmware_too_large);
  EXPECT_EQ(plan_firmware({kRam, 256 * kMiB}, 0, {0, 0x10000}).error().code, Errc::bad_image);
  EXPECT_EQ(plan_firmware({kRam, 0}, 700000, {0, 0x10000}).error().code, Errc::guest_dtb_does_not_fit);
}

TEST(GuestMachine, AffinityFillsAff0Upto15) {
  EXPECT_EQ(guest_machine::affinity_of(0), 0U);
  EXPECT_EQ(guest_machine::affinity_of(15), 0x0FU);
  EXPECT_EQ(guest_machine::affinity_of(16), 0x100U);
  EXPECT_EQ(guest_machine::affinity_of(122), 0x70AU);
}

}  // namespace
}  // namespace arm_vcpu
