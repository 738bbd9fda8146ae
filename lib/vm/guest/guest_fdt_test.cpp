// SPDX-License-Identifier: Apache-2.0
// The guest's device tree against those that QEMU wrote: testdata/*.dts, made by testdata/record.sh.
#include "arm_vcpu/vm/guest_fdt.hpp"

#include <gtest/gtest.h>
#include <libfdt.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace arm_vcpu {
namespace {

using Blob = std::vector<char>;

// One line per node and property, in order, values in hexadecimal.
std::string listing(const void* fdt) {
  std::string text;
  const auto append_bytes = [&](const char* data, int size) {
    for (int i = 0; i < size; ++i) {
      constexpr char kDigits[] = "0123456789abcdef";
      const auto byte = static_cast<unsigned char>(data[i]);
      text += {' ', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  };
  for (int node = 0; node >= 0; node = fdt_next_node(fdt, node, nullptr)) {
    char path[128];
    EXPECT_EQ(fdt_get_path(fdt, node, path, sizeof path), 0);
    text += std::string{path} + "\n";
    int property = 0;
    fdt_for_each_property_offset(property, fdt, node) {
      const char* name = nullptr;
      int size = 0;
      const auto* data = static_cast<const char*>(fdt_getprop_by_offset(fdt, property, &name, &size));
      text += std::string{path} + " " + name + " =";
      append_bytes(data, size);
      text += "\n";
    }
  }
  return text;
}

Blob recorded(const std::string& name) {
  std::ifstream file{std::string{ARM_VCPU_TEST_DATA} + "/" + name + ".dtb", std::ios::binary};
  EXPECT_TRUE(file) << name;
  return Blob{std::istreambuf_iterator<char>{file}, {}};
}

class GuestFdt : public ::testing::Test {
 protected:
  const void* write(const GuestFdtConfig& config) {
    const auto size = write_guest_fdt(buffer, config);
    EXPECT_TRUE(size);
    EXPECT_EQ(fdt_check_full(buffer.data(), *size), 0);
    EXPECT_EQ(fdt_totalsize(buffer.data()), *size);
    return buffer.data();
  }

  alignas(8) std::array<std::byte, kGuestFdtBytes> buffer{};
};

TEST_F(GuestFdt, OneCpuAsQemuWritesIt) {
  const void* fdt = write({.ram = {0x40000000, 256 << 20}, .cpus = 1, .cpu_compatible = "arm,cortex-a57", .pmu = true});
  EXPECT_EQ(listing(fdt), listing(recorded("virt_1").data()));
}

TEST_F(GuestFdt, FourCpusWithLinuxAsQemuWritesIt) {
  const void* fdt = write({.ram = {0x40000000, 512 << 20},
                           .cpus = 4,
                           .cpu_compatible = "arm,cortex-a57",
                           .bootargs = "console=ttyAMA0 quiet",
                           .pmu = true,
                           .ramdisk = {0x48000000, 300000}});
  EXPECT_EQ(listing(fdt), listing(recorded("virt_4_linux").data()));
}

TEST_F(GuestFdt, TwentyCpusWithTwoAff1ValuesAsQemuWritesIt) {
  const void* fdt = write(
      {.ram = {0x40000000, std::uint64_t{4096} << 20}, .cpus = 20, .cpu_compatible = "arm,cortex-a57", .pmu = true});
  EXPECT_EQ(listing(fdt), listing(recorded("virt_20").data()));
}

TEST_F(GuestFdt, AGicV2AsQemuWritesIt) {
  for (const unsigned cpus : {1U, 8U}) {
    const void* fdt = write({.ram = {0x40000000, (cpus == 1 ? 256ULL : 512ULL) << 20},
                             .cpus = cpus,
                             .gic_version = 2,
                             .cpu_compatible = "arm,cortex-a57",
                             .pmu = true});
    EXPECT_EQ(listing(fdt), listing(recorded("virt_" + std::to_string(cpus) + "_gicv2").data()));
  }
}

TEST_F(GuestFdt, ImpossibleGicsAreRefused) {
  for (const GuestFdtConfig& config : {GuestFdtConfig{.cpus = 9, .gic_version = 2}, GuestFdtConfig{.gic_version = 1},
                                       GuestFdtConfig{.gic_version = 4}}) {
    const auto written = write_guest_fdt(buffer, config);
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().code, Errc::conflicting_configuration);
  }
}

TEST_F(GuestFdt, WithoutPerformanceMonitorsThereIsNoNode) {
  EXPECT_LT(fdt_path_offset(write({.ram = {0x40000000, 256 << 20}}), "/pmu"), 0);
}

TEST_F(GuestFdt, EntropyIsWrittenOnlyWhenGiven) {
  const void* fdt = write({.ram = {0x40000000, 1 << 28}});
  const int chosen = fdt_path_offset(fdt, "/chosen");
  EXPECT_EQ(fdt_getprop(fdt, chosen, "kaslr-seed", nullptr), nullptr);
  EXPECT_EQ(fdt_getprop(fdt, chosen, "rng-seed", nullptr), nullptr);
  EXPECT_EQ(fdt_getprop(fdt, chosen, "bootargs", nullptr), nullptr);
  EXPECT_EQ(fdt_getprop(fdt, chosen, "linux,initrd-start", nullptr), nullptr);

  std::array<std::byte, 40> entropy{};
  entropy.fill(std::byte{0x5A});
  const std::span<const std::byte> seed{entropy};
  fdt = write({.ram = {0x40000000, 1 << 28}, .kaslr_seed = seed.first(8), .rng_seed = seed.last(32)});
  int size = 0;
  const auto* kaslr =
      static_cast<const unsigned char*>(fdt_getprop(fdt, fdt_path_offset(fdt, "/chosen"), "kaslr-seed", &size));
  ASSERT_EQ(size, 8);
  EXPECT_EQ(kaslr[7], 0x5A);
  EXPECT_NE(fdt_getprop(fdt, fdt_path_offset(fdt, "/chosen"), "rng-seed", &size), nullptr);
  EXPECT_EQ(size, 32);
}

TEST_F(GuestFdt, ARamdiskBeyond4GiBTakesTwoCells) {
  const void* fdt = write({.ram = {0x40000000, std::uint64_t{8} << 30}, .ramdisk = {0x1'0000'0000, 4096}});
  int size = 0;
  const auto* start =
      static_cast<const unsigned char*>(fdt_getprop(fdt, fdt_path_offset(fdt, "/chosen"), "linux,initrd-start", &size));
  ASSERT_EQ(size, 8);
  EXPECT_EQ(start[3], 1);
}

TEST_F(GuestFdt, FitsItsBufferWithAllCpusAndALongCommandLine) {
  const std::string bootargs(2047, 'x');  // the most that Linux keeps on arm64
  write({.ram = {0x40000000, 1 << 28}, .cpus = guest_machine::kMaxVcpus, .bootargs = bootargs});
}

TEST_F(GuestFdt, EveryBufferThatIsTooSmallIsRefused) {
  const GuestFdtConfig config{.ram = {0x40000000, 1 << 28}, .cpus = 2, .bootargs = "console=ttyAMA0"};
  const auto whole = write_guest_fdt(buffer, config);
  ASSERT_TRUE(whole);
  for (std::size_t bytes = 0; bytes < *whole; bytes += 4) {
    const auto size = write_guest_fdt(std::span{buffer}.first(bytes), config);
    ASSERT_FALSE(size) << bytes;
    EXPECT_EQ(size.error().code, Errc::guest_dtb_too_large) << bytes;
  }
}

TEST_F(GuestFdt, RefusesWhatCannotBe) {
  const std::array<std::byte, 7> seed{};
  const IpaRange ram{0x40000000, 1 << 28};
  EXPECT_EQ(write_guest_fdt(buffer, {.ram = ram, .cpus = 0}).error().code, Errc::conflicting_configuration);
  EXPECT_EQ(write_guest_fdt(buffer, {.ram = ram, .cpus = 124}).error().code, Errc::conflicting_configuration);
  EXPECT_EQ(write_guest_fdt(buffer, {.ram = ram, .kaslr_seed = seed}).error().code, Errc::conflicting_configuration);
}

TEST(CpuCompatible, ByMidr) {
  EXPECT_EQ(cpu_compatible_of(0x411FD070), "arm,cortex-a57");
  EXPECT_EQ(cpu_compatible_of(0x410FD083), "arm,cortex-a72");
  EXPECT_EQ(cpu_compatible_of(0x414FD0C1), "arm,neoverse-n1");
  EXPECT_EQ(cpu_compatible_of(0x000F0510), "arm,cortex-a57");
  EXPECT_EQ(cpu_compatible_of(0x511FD070), "arm,armv8");
}

}  // namespace
}  // namespace arm_vcpu
