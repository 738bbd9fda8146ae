// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/vm/bundle.hpp"

#include <gtest/gtest.h>
#include <libfdt.h>

#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

namespace arm_vcpu {
namespace {

using namespace std::string_literals;

// A blob under construction. Nodes come into being when something is set in them.
class Source {
 public:
  Source() { EXPECT_EQ(fdt_create_empty_tree(fdt(), static_cast<int>(blob_.size() * 8)), 0); }

  Source& raw(const std::string& path, const char* property, const std::string& bytes) {
    EXPECT_EQ(fdt_setprop(fdt(), node(path), property, bytes.data(), static_cast<int>(bytes.size())), 0);
    return *this;
  }
  Source& text(const std::string& path, const char* property, const std::string& value) {
    return raw(path, property, value + '\0');
  }
  Source& cells(const std::string& path, const char* property, const std::vector<std::uint32_t>& values) {
    std::string bytes;
    for (const std::uint32_t value : values) {
      for (const unsigned shift : {24U, 16U, 8U, 0U}) {
        bytes.push_back(static_cast<char>(value >> shift));
      }
    }
    return raw(path, property, bytes);
  }
  Source& without(const std::string& path, const char* property) {
    EXPECT_EQ(fdt_delprop(fdt(), node(path), property), 0);
    return *this;
  }
  Source& without(const std::string& path) {
    EXPECT_EQ(fdt_del_node(fdt(), node(path)), 0);
    return *this;
  }
  int node(const std::string& path) {
    const int found = fdt_path_offset(fdt(), path.c_str());
    if (found >= 0) {
      return found;
    }
    const std::size_t slash = path.rfind('/');
    return fdt_add_subnode(fdt(), node(slash == 0 ? "/" : path.substr(0, slash)), path.c_str() + slash + 1);
  }

  std::span<std::byte> blob() { return std::as_writable_bytes(std::span{blob_}); }

 private:
  void* fdt() { return blob_.data(); }

  std::vector<std::uint64_t> blob_ = std::vector<std::uint64_t>(4096);  // aligned to 8 bytes
};

Source good() {
  Source source;
  // libfdt puts each new node before its siblings: the last one is the first in the tree.
  source.text("/hypervisor", "log-level", "debug");
  source.text("/vms/vm1", "compatible", "arm-vcpu,vm")
      .text("/vms/vm1", "firmware", "uboot")
      .text("/vms/vm1", "pmu", "off")
      .cells("/vms/vm1", "affinity", {4});
  source.text("/vms/vm0", "compatible", "arm-vcpu,vm")
      .text("/vms/vm0", "description", "Debian 12")
      .text("/vms/vm0", "kernel", "linux")
      .text("/vms/vm0", "ramdisk", "initrd")
      .text("/vms/vm0", "bootargs", "console=ttyAMA0")
      .cells("/vms/vm0", "cpus", {4})
      .cells("/vms/vm0", "memory-mib", {1024})
      .cells("/vms/vm0", "affinity", {0, 1, 2, 3})
      .cells("/vms/vm0", "gic-version", {3})
      .text("/vms/vm0", "scratch-device", "on");
  source.raw("/images/uboot", "data", "UUUUUUU").text("/images/uboot", "type", "firmware");
  source.raw("/images/initrd", "data", "\x1F\x8B initrd"s).text("/images/initrd", "type", "ramdisk");
  source.raw("/images/linux", "data", "KKKK")
      .text("/images/linux", "type", "kernel")
      .text("/images/linux", "arch", "arm64")
      .text("/images/linux", "compression", "none")
      .text("/images/linux", "description", "Linux 6.1");
  source.text("/", "compatible", "arm-vcpu,bundle").text("/", "description", "two guests");
  return source;
}

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string line(const BundleError& error) {
  char storage[512];
  TextBuffer out{storage};
  append(out, error);
  EXPECT_FALSE(out.truncated());
  return std::string{out.view()};
}

TEST(Bundle, ReadsEverything) {
  Source source = good();
  const auto bundle = Bundle::parse(source.blob());
  ASSERT_TRUE(bundle) << line(bundle.error());
  EXPECT_EQ(bundle->log_level(), BundleLogLevel::debug);
  ASSERT_EQ(bundle->vms().size(), 2U);

  const BundleVm& debian = bundle->vms()[0];
  EXPECT_EQ(debian.name, "Debian 12");
  ASSERT_TRUE(debian.kernel);
  EXPECT_EQ(debian.kernel->file_bytes, 4U);
  EXPECT_EQ(text_of(debian.boot_file), "KKKK");
  EXPECT_EQ(text_of(debian.ramdisk), "\x1F\x8B initrd");
  EXPECT_EQ(debian.bootargs, "console=ttyAMA0");
  EXPECT_EQ(debian.cpus, 4U);
  EXPECT_EQ(debian.memory_bytes, std::uint64_t{1024} << 20);
  EXPECT_TRUE(debian.pmu);
  ASSERT_TRUE(debian.has_affinity);
  EXPECT_EQ(debian.affinity[3], 3U);

  const BundleVm& uboot = bundle->vms()[1];
  EXPECT_EQ(uboot.name, "vm1");
  EXPECT_FALSE(uboot.kernel);
  EXPECT_EQ(text_of(uboot.boot_file), "UUUUUUU");
  EXPECT_TRUE(uboot.ramdisk.empty());
  EXPECT_TRUE(uboot.bootargs.empty());
  EXPECT_EQ(uboot.cpus, 1U);
  EXPECT_EQ(uboot.memory_bytes, std::uint64_t{512} << 20);
  EXPECT_EQ(uboot.affinity[0], 4U);
  EXPECT_FALSE(uboot.pmu);
}

TEST(Bundle, OptionalThingsMayBeAbsent) {
  Source source = good();
  source.cells("/vms/vm1", "sve-bits", {256});
  source.text("/vms/vm1", "mte", "on");
  source.cells("/vms/vm1", "smc-allow", {0x3200'0000, 0x3200'FFFF, 0xC200'0000, 0xC200'0000});
  source.without("/hypervisor").without("/vms/vm1", "affinity").without("/", "description");
  const auto bundle = Bundle::parse(source.blob());
  ASSERT_TRUE(bundle) << line(bundle.error());
  EXPECT_FALSE(bundle->log_level());
  EXPECT_FALSE(bundle->vms()[1].has_affinity);
  EXPECT_TRUE(bundle->vms()[0].smc_allowed().empty());
  EXPECT_EQ(bundle->vms()[0].sve_bits, 2048U);
  EXPECT_EQ(bundle->vms()[1].sve_bits, 256U);
  EXPECT_FALSE(bundle->vms()[0].mte);
  EXPECT_TRUE(bundle->vms()[1].mte);
  ASSERT_EQ(bundle->vms()[1].smc_allowed().size(), 2U);
  EXPECT_EQ(bundle->vms()[1].smc_allowed()[0], (FunctionRange{0x3200'0000, 0x3200'FFFF}));
}

TEST(Bundle, AVmGetsTheGicOfTheMachine) {
  Source source = good();  // asks for version 3
  EXPECT_TRUE(Bundle::parse(source.blob(), {.gic_version = 3}));
  const auto refused = Bundle::parse(source.blob(), {.gic_version = 2});
  ASSERT_FALSE(refused);
  EXPECT_EQ(line(refused.error()), "/vms/vm0: gic-version: is 3, the most is 2");
  source.cells("/vms/vm0", "gic-version", {2});
  EXPECT_TRUE(Bundle::parse(source.blob(), {.gic_version = 2}));
  EXPECT_TRUE(Bundle::parse(source.blob()));
  EXPECT_FALSE(Bundle::parse(source.blob(), {.gic_version = 3}));
}

TEST(Bundle, ViewsPointIntoTheBlob) {
  Source source = good();
  const auto bundle = Bundle::parse(source.blob());
  ASSERT_TRUE(bundle);
  const auto inside = [&](const void* at) {
    return at >= source.blob().data() && at < source.blob().data() + source.blob().size();
  };
  EXPECT_TRUE(inside(bundle->vms()[0].boot_file.data()));
  EXPECT_TRUE(inside(bundle->vms()[0].bootargs.data()));
  EXPECT_TRUE(inside(bundle->vms()[1].name.data()));
}

// What dtc makes of testdata/bundle.dts.
TEST(Bundle, VcpusMayShareCpusInAnyOrder) {
  Source source = good();
  source.cells("/vms/vm0", "affinity", {3, 1, 3, 0}).cells("/vms/vm1", "affinity", {3});
  const auto bundle = Bundle::parse(source.blob());
  ASSERT_TRUE(bundle) << line(bundle.error());
  const BundleVm& vm = bundle->vms()[0];
  EXPECT_EQ((std::vector<std::uint16_t>{vm.affinity.begin(), vm.affinity.begin() + 4}),
            (std::vector<std::uint16_t>{3, 1, 3, 0}));
}

TEST(Bundle, ReadsWhatDtcMakes) {
  std::ifstream file{ARM_VCPU_TEST_DATA "/bundle.dtb", std::ios::binary};
  const std::string dtb{std::istreambuf_iterator<char>{file}, {}};
  std::vector<std::uint64_t> blob((dtb.size() + 7) / 8);
  std::memcpy(blob.data(), dtb.data(), dtb.size());
  const auto bundle = Bundle::parse(std::as_bytes(std::span{blob}));
  ASSERT_TRUE(bundle) << line(bundle.error());
  ASSERT_EQ(bundle->vms().size(), 2U);
  EXPECT_EQ(bundle->vms()[0].name, "Debian");
  EXPECT_EQ(bundle->vms()[0].cpus, 4U);
  EXPECT_EQ(text_of(bundle->vms()[0].ramdisk), "SPDX-");
  EXPECT_EQ(bundle->vms()[1].name, "vm1");
  EXPECT_TRUE(text_of(bundle->vms()[1].boot_file).starts_with("// SPDX-License-Identifier"));
  EXPECT_EQ(bundle->log_level(), BundleLogLevel::info);
}

struct Bad {
  const char* name;
  std::function<void(Source&)> spoil;
  const char* line;
};

class BadBundle : public ::testing::TestWithParam<Bad> {};

TEST_P(BadBundle, IsRefusedWithNodeAndReason) {
  Source source = good();
  GetParam().spoil(source);
  const auto bundle = Bundle::parse(source.blob(), {.vcpus_per_vm = 8, .physical_cpus = 6});
  ASSERT_FALSE(bundle);
  EXPECT_EQ(line(bundle.error()), GetParam().line);
}

const Bad kBad[] = {
    {"NoCompatible", [](Source& s) { s.without("/", "compatible"); }, "/: compatible: is missing"},
    {"OtherCompatible", [](Source& s) { s.text("/", "compatible", "linux,dummy-virt"); },
     "/: compatible: does not name \"arm-vcpu,bundle\""},
    {"RootProperty", [](Source& s) { s.text("/", "timestamp", "now"); },
     "/: timestamp: is a property that this node does not have"},
    {"RootNode", [](Source& s) { s.text("/configurations", "default", "x"); },
     "/configurations: is a node that a bundle does not have there"},
    {"RootDescription", [](Source& s) { s.cells("/", "description", {1}); },
     "/: description: is not one string of text"},
    {"NoImages", [](Source& s) { s.without("/images"); }, "/: images: is missing"},
    {"ImagesProperty", [](Source& s) { s.cells("/images", "#address-cells", {1}); },
     "/images: #address-cells: is a property that this node does not have"},
    {"NoData", [](Source& s) { s.without("/images/linux", "data"); }, "/images/linux: data: is missing"},
    {"EmptyData", [](Source& s) { s.raw("/images/initrd", "data", ""); },
     "/images/initrd: data: has no bytes; does the file of its /incbin/ have any?"},
    {"NoType", [](Source& s) { s.without("/images/linux", "type"); }, "/images/linux: type: is missing"},
    {"UnknownType", [](Source& s) { s.text("/images/linux", "type", "Kernel"); },
     "/images/linux: type: has a value that is not supported: \"Kernel\""},
    {"UnknownArch", [](Source& s) { s.text("/images/linux", "arch", "arm"); },
     "/images/linux: arch: has a value that is not supported: \"arm\""},
    {"UnknownCompression", [](Source& s) { s.text("/images/linux", "compression", "gzip"); },
     "/images/linux: compression: has a value that is not supported: \"gzip\""},
    {"ImageProperty", [](Source& s) { s.cells("/images/linux", "load", {0x40000000}); },
     "/images/linux: load: is a property that this node does not have"},
    {"ImageNode", [](Source& s) { s.text("/images/linux/hash-1", "algo", "crc32"); },
     "/images/linux/hash-1: is a node that a bundle does not have there"},
    {"ElfKernel", [](Source& s) { s.raw("/images/linux", "data", "\x7F"s + "ELF"); },
     "/images/linux: data: cannot be booted: \"the kernel is an ELF file; give the raw image: objcopy -O binary "
     "vmlinux "
     "Image\""},
    {"HypervisorProperty", [](Source& s) { s.text("/hypervisor", "loglevel", "info"); },
     "/hypervisor: loglevel: is a property that this node does not have"},
    {"LogLevel", [](Source& s) { s.text("/hypervisor", "log-level", "verbose"); },
     "/hypervisor: log-level: has a value that is not supported: \"verbose\""},
    {"NoVmsNode", [](Source& s) { s.without("/vms"); }, "/: vms: is missing"},
    {"NoVms", [](Source& s) { s.without("/vms/vm0").without("/vms/vm1"); }, "/vms: holds no VM"},
    {"TooManyVms",
     [](Source& s) {
       for (char c = 'a'; c < 'h'; ++c) {
         s.text("/vms/"s + c, "compatible", "arm-vcpu,vm").text("/vms/"s + c, "kernel", "linux");
       }
     },
     "/vms: holds more VMs than the 8 that are possible"},
    {"VmCompatible", [](Source& s) { s.without("/vms/vm1", "compatible"); }, "/vms/vm1: compatible: is missing"},
    {"VmProperty", [](Source& s) { s.cells("/vms/vm0", "cpu", {4}); },
     "/vms/vm0: cpu: is a property that this node does not have"},
    {"VmNode", [](Source& s) { s.cells("/vms/vm0/devices", "x", {4}); },
     "/vms/vm0/devices: is a node that a bundle does not have there"},
    {"NothingToBoot", [](Source& s) { s.without("/vms/vm0", "kernel"); },
     "/vms/vm0: kernel: is missing; a VM has a kernel or a firmware"},
    {"TwoToBoot", [](Source& s) { s.text("/vms/vm0", "firmware", "uboot"); },
     "/vms/vm0: firmware: stands beside kernel; a VM has only one of them"},
    {"MissingKernel", [](Source& s) { s.text("/vms/vm0", "kernel", "linus"); },
     "/vms/vm0: kernel: names an image that is not in /images: \"linus\""},
    {"MissingRamdisk", [](Source& s) { s.text("/vms/vm0", "ramdisk", ""); },
     "/vms/vm0: ramdisk: names an image that is not in /images:"},
    {"WrongKernelType", [](Source& s) { s.text("/vms/vm0", "kernel", "uboot"); },
     "/vms/vm0: kernel: names an image whose type is not the one of this property: \"uboot\""},
    {"WrongRamdiskType", [](Source& s) { s.text("/vms/vm0", "ramdisk", "linux"); },
     "/vms/vm0: ramdisk: names an image whose type is not the one of this property: \"linux\""},
    {"KernelNotText", [](Source& s) { s.cells("/vms/vm0", "kernel", {1}); },
     "/vms/vm0: kernel: is not one string of text"},
    {"TwoBootargs", [](Source& s) { s.raw("/vms/vm0", "bootargs", "a\0b\0"s); },
     "/vms/vm0: bootargs: is not one string of text"},
    {"UnterminatedBootargs", [](Source& s) { s.raw("/vms/vm0", "bootargs", "abc"); },
     "/vms/vm0: bootargs: is not one string of text"},
    {"EmptyBootargs", [](Source& s) { s.raw("/vms/vm0", "bootargs", ""); },
     "/vms/vm0: bootargs: is not one string of text"},
    {"NoCpus", [](Source& s) { s.cells("/vms/vm0", "cpus", {0}); }, "/vms/vm0: cpus: is 0, the least is 1"},
    {"TooManyCpus", [](Source& s) { s.cells("/vms/vm0", "cpus", {9}); }, "/vms/vm0: cpus: is 9, the most is 8"},
    {"CpusAsText", [](Source& s) { s.text("/vms/vm0", "cpus", "4"); },
     "/vms/vm0: cpus: is 2 bytes long; a number is one cell of 4 bytes: <N>"},
    {"CpusAsTwoCells", [](Source& s) { s.cells("/vms/vm0", "cpus", {0, 4}); },
     "/vms/vm0: cpus: is 8 bytes long; a number is one cell of 4 bytes: <N>"},
    {"LittleMemory", [](Source& s) { s.cells("/vms/vm0", "memory-mib", {1}); },
     "/vms/vm0: memory-mib: is 1, the least is 2"},
    {"TooMuchMemory", [](Source& s) { s.cells("/vms/vm0", "memory-mib", {0xFFFFFFFF}); },
     "/vms/vm0: memory-mib: is 4294967295, the most is 261120"},
    {"MemoryAsText", [](Source& s) { s.text("/vms/vm0", "memory-mib", "512M"); },
     "/vms/vm0: memory-mib: is 5 bytes long; a number is one cell of 4 bytes: <N>"},
    {"GicVersion1", [](Source& s) { s.cells("/vms/vm0", "gic-version", {1}); },
     "/vms/vm0: gic-version: is 1, the least is 2"},
    {"GicVersion4", [](Source& s) { s.cells("/vms/vm0", "gic-version", {4}); },
     "/vms/vm0: gic-version: is 4, the most is 3"},
    {"Pmu", [](Source& s) { s.text("/vms/vm0", "pmu", "maybe"); },
     "/vms/vm0: pmu: has a value that is not supported: \"maybe\""},
    {"Mte", [](Source& s) { s.text("/vms/vm0", "mte", "async"); },
     "/vms/vm0: mte: has a value that is not supported: \"async\""},
    {"ScratchDevice", [](Source& s) { s.text("/vms/vm0", "scratch-device", "yes"); },
     "/vms/vm0: scratch-device: has a value that is not supported: \"yes\""},
    {"SveBits", [](Source& s) { s.cells("/vms/vm0", "sve-bits", {200}); },
     "/vms/vm0: sve-bits: is 200, which is not a multiple of 128"},
    {"SveBitsMany", [](Source& s) { s.cells("/vms/vm0", "sve-bits", {2176}); },
     "/vms/vm0: sve-bits: is 2176, the most is 2048"},
    {"SmcAllowOdd", [](Source& s) { s.cells("/vms/vm0", "smc-allow", {0xC200'0000}); },
     "/vms/vm0: smc-allow: is 4 bytes long; a list of ranges is pairs of numbers, 8 bytes each: <FIRST LAST ...>"},
    {"SmcAllowOrder", [](Source& s) { s.cells("/vms/vm0", "smc-allow", {0xC200'0001, 0xC200'0000}); },
     "/vms/vm0: smc-allow: has a range from 0xc2000001 to 0xc2000000; the first is not above the last"},
    {"SmcAllowPsci", [](Source& s) { s.cells("/vms/vm0", "smc-allow", {0, 1, 0x8400'0008, 0x8400'0008}); },
     "/vms/vm0: smc-allow: has a range from 0x84000008 to 0x84000008; PSCI and architecture calls are never forwarded"},
    {"SmcAllowMany", [](Source& s) { s.cells("/vms/vm0", "smc-allow", std::vector<std::uint32_t>(34, 1)); },
     "/vms/vm0: smc-allow: lists 17 ranges, the most is 16"},
    {"AffinityCount", [](Source& s) { s.cells("/vms/vm0", "affinity", {0, 1, 2}); },
     "/vms/vm0: affinity: lists 3 physical CPUs for 4 vCPUs"},
    {"AffinityBytes", [](Source& s) { s.raw("/vms/vm0", "affinity", "\0\1\2\3\4"s); },
     "/vms/vm0: affinity: is 5 bytes long; a list of numbers is cells of 4 bytes: <N N ...>"},
    {"RestartTooOften", [](Source& s) { s.cells("/vms/vm0", "restart", {1'000'001}); },
     "/vms/vm0: restart: is 1000001, the most is 1000000"},
    {"AffinityRange", [](Source& s) { s.cells("/vms/vm0", "affinity", {0, 1, 2, 6}); },
     "/vms/vm0: affinity: lists physical CPU 6, the last is 5"},
};

TEST(Bundle, TagsNeedACpuWithTags) {
  Source source = good();
  source.text("/vms/vm0", "mte", "on");
  EXPECT_TRUE(Bundle::parse(source.blob()));
  const auto bundle = Bundle::parse(source.blob(), {.mte = false});
  ASSERT_FALSE(bundle);
  EXPECT_EQ(
      line(bundle.error()),
      "/vms/vm0: mte: is on, and this CPU has no allocation tags (FEAT_MTE2), or its machine has no memory for them");
  source.text("/vms/vm0", "mte", "off");
  EXPECT_TRUE(Bundle::parse(source.blob(), {.mte = false}));
}

INSTANTIATE_TEST_SUITE_P(Bundle, BadBundle, ::testing::ValuesIn(kBad),
                         [](const ::testing::TestParamInfo<Bad>& bad) { return std::string{bad.param.name}; });

TEST(BundleBlob, IsCheckedBeforeItIsRead) {
  Source source = good();
  const auto blob = source.blob();
  const auto reason = [](std::span<const std::byte> bytes) { return Bundle::parse(bytes).error().reason; };

  EXPECT_EQ(reason({}), BundleReason::cut_off);
  EXPECT_EQ(reason(blob.first(39)), BundleReason::cut_off);
  EXPECT_EQ(reason(blob.first(fdt_totalsize(blob.data()) - 1)), BundleReason::cut_off);
  EXPECT_EQ(reason(blob.subspan(4)), BundleReason::unaligned);

  std::vector<std::uint64_t> cpio(64, 0x3130373037303730);  // an initrd in place of a bundle
  EXPECT_EQ(line(Bundle::parse(std::as_bytes(std::span{cpio})).error()),
            "/: is not a device-tree blob (it begins with 0x30373037, not 0xd00dfeed)");
}

TEST(BundleBlob, MayBeFollowedByPadding) {
  Source source = good();
  EXPECT_EQ(fdt_pack(source.blob().data()), 0);
  EXPECT_TRUE(Bundle::parse(source.blob()));
  EXPECT_TRUE(Bundle::parse(source.blob().first(fdt_totalsize(source.blob().data()))));
}

// No damage may lead outside the blob (the sanitizers watch) or be taken for a good bundle without cause.
TEST(BundleBlob, SurvivesEveryDamagedBit) {
  Source source = good();
  ASSERT_EQ(fdt_pack(source.blob().data()), 0);
  const std::size_t size = fdt_totalsize(source.blob().data());
  std::vector<std::uint64_t> copy((size + 7) / 8);
  const auto bytes = std::as_writable_bytes(std::span{copy}).first(size);
  unsigned refused = 0;
  for (std::size_t at = 0; at < size; ++at) {
    // Each bit by itself, then bytes that are limits of lengths and offsets.
    for (unsigned damage = 0; damage < 8 + 5; ++damage) {
      constexpr unsigned kLimits[] = {0x00, 0x01, 0x7F, 0x80, 0xFF};
      std::memcpy(copy.data(), source.blob().data(), size);
      bytes[at] = damage < 8 ? bytes[at] ^ std::byte(1U << damage) : std::byte(kLimits[damage - 8]);
      const auto bundle = Bundle::parse(bytes);
      if (!bundle) {
        ++refused;
        EXPECT_FALSE(line(bundle.error()).empty());
      }
    }
  }
  EXPECT_GT(refused, size);
}

TEST(BundleError, OutlivesTheBlobAndCutsLongText) {
  Source source = good();
  source.text("/vms/vm0", "kernel", std::string(300, 'k'));
  const BundleError error = Bundle::parse(source.blob()).error();
  std::memset(source.blob().data(), 0, source.blob().size());
  EXPECT_EQ(error.detail.view(), std::string(160, 'k'));
  EXPECT_EQ(error.node.view(), "/vms/vm0");
}

}  // namespace
}  // namespace arm_vcpu
