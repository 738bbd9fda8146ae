// SPDX-License-Identifier: Apache-2.0
#include "board.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "device_tree.hpp"

namespace arm_vcpu::hv {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A board that is not QEMU's: devices behind two buses with ranges, two banks, two redistributor regions.
constexpr const char* kSoc = R"(/dts-v1/;
/memreserve/ 0x80000000 0x10000;
/ {
  #address-cells = <2>; #size-cells = <2>; interrupt-parent = <&gic>; model = "Test board";
  aliases { serial0 = &uart; };
  chosen {
    stdout-path = "serial0:115200n8"; bootargs = "log=debug";
    linux,initrd-start = <0x0 0x90000000>; linux,initrd-end = <0x90001234>;
  };
  memory@80000000 { device_type = "memory"; reg = <0x0 0x80000000 0x0 0x40000000>, <0x8 0x0 0x1 0x0>; };
  memory@900000000 { device_type = "memory"; status = "disabled"; reg = <0x9 0x0 0x1 0x0>; };
  reserved-memory {
    #address-cells = <2>; #size-cells = <2>; ranges;
    secure@a0000000 { reg = <0x0 0xa0000000 0x0 0x100800>; no-map; };
    shared@a1000000 { reg = <0x0 0xa1000000 0x0 0x1000>; };
    anywhere { size = <0x0 0x1000>; };
  };
  psci { compatible = "arm,psci-1.0", "arm,psci-0.2"; method = "smc"; };
  timer {
    compatible = "arm,armv8-timer"; interrupt-names = "virt", "phys", "hyp-phys";
    interrupts = <1 11 4 0>, <1 14 4 0>, <1 10 4 0>;
  };
  pmu { compatible = "arm,cortex-a72-pmu"; interrupts = <1 7 4 0>; };
  cpus {
    #address-cells = <2>; #size-cells = <0>;
    cpu@0 { device_type = "cpu"; compatible = "arm,cortex-a72"; reg = <0x0 0x0>; enable-method = "psci"; };
    cpu@100 { device_type = "cpu"; compatible = "arm,cortex-a72"; reg = <0x1 0x100>; enable-method = "psci"; };
    cpu@200 { device_type = "cpu"; compatible = "arm,cortex-a72"; reg = <0x0 0x200>; status = "fail"; };
    cpu-map { };
  };
  soc {
    compatible = "simple-bus"; #address-cells = <1>; #size-cells = <1>;
    ranges = <0x0 0x10 0x0 0x10000000>, <0x40000000 0x0 0x4000000 0x1000000>;
    gic: interrupt-controller@40000000 {
      compatible = "arm,gic-v3"; #interrupt-cells = <4>; interrupt-controller;
      #redistributor-regions = <2>; redistributor-stride = <0x0 0x40000>;
      reg = <0x40000000 0x10000>, <0x40100000 0x80000>, <0x40200000 0x40000>;
      interrupts = <1 9 4 0>;
    };
    apb {
      compatible = "simple-bus"; #address-cells = <1>; #size-cells = <1>; ranges = <0x0 0x1000000 0x100000>;
      dead: serial@0 { compatible = "arm,pl011"; status = "disabled"; reg = <0x0 0x1000>; };
      other: serial@1000 { compatible = "arm,pl011"; reg = <0x1000 0x1000>; };
      uart: serial@9000 {
        compatible = "arm,pl011", "arm,primecell"; reg = <0x9000 0x1000>;
        interrupts-extended = <&gic 0 33 4 0>;
      };
    };
  };
};
)";

class Tree {
 public:
  explicit Tree(std::string source) {
    const std::string base = ::testing::TempDir() + "arm_vcpu_board_" + std::to_string(::getpid());
    std::ofstream{base + ".dts"} << source;
    const std::string command = std::string{ARM_VCPU_DTC} + " -q -I dts -O dtb -o " + base + ".dtb " + base + ".dts";
    if (std::system(command.c_str()) == 0) {
      std::ifstream file{base + ".dtb", std::ios::binary};
      const std::string bytes{std::istreambuf_iterator<char>{file}, {}};
      words_.resize(bytes.size() / 8 + 1);
      bytes.copy(reinterpret_cast<char*>(words_.data()), bytes.size());
    }
    std::remove((base + ".dts").c_str());
    std::remove((base + ".dtb").c_str());
  }
  [[nodiscard]] const void* get() const { return words_.data(); }
  [[nodiscard]] bool compiled() const { return !words_.empty(); }

 private:
  std::vector<std::uint64_t> words_;  // for the alignment
};

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const std::size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), with);
}

TEST(Board, ReadsAMachineThatIsNotQemu) {
  const Tree tree{kSoc};
  ASSERT_TRUE(tree.compiled());
  const BoardResult<UartInfo> uart = find_uart(tree.get());
  ASSERT_TRUE(uart) << uart.error().what;
  EXPECT_EQ(uart->registers, (Range{0x10'0100'9000, 0x1000}));
  ASSERT_TRUE(uart->interrupt);
  EXPECT_EQ(uart->interrupt->intid, 65U);
  EXPECT_FALSE(uart->interrupt->edge);
  EXPECT_EQ(find_psci(tree.get()), PsciConduit::smc);

  Board board;
  const BoardResult<void> read = read_board(tree.get(), board);
  ASSERT_TRUE(read) << read.error().what;
  EXPECT_THAT(board.ram.view(), ElementsAre(Range{0x8000'0000, 0x4000'0000}, Range{0x8'0000'0000, 0x1'0000'0000}));
  EXPECT_THAT(board.reserved.view(),
              ElementsAre(Range{0x8000'0000, 0x1'0000}, Range{0xA000'0000, 0x10'0800}, Range{0xA100'0000, 0x1000}));
  EXPECT_THAT(board.never_map.view(), ElementsAre(Range{0xA000'0000, 0x10'1000}));
  EXPECT_EQ(board.bundle, (Range{0x9000'0000, 0x1234}));
  EXPECT_EQ(board.bootargs, "log=debug");
  EXPECT_EQ(board.model, "Test board");
  EXPECT_EQ(board.gic.distributor, (Range{0x400'0000, 0x1'0000}));
  ASSERT_EQ(board.gic.redistributor_count, 2U);
  EXPECT_EQ(board.gic.redistributors[1], (Range{0x420'0000, 0x4'0000}));
  EXPECT_EQ(board.gic.redistributor_stride, 0x4'0000U);
  EXPECT_EQ(board.gic.maintenance_intid, 25U);
  EXPECT_EQ(board.timer.physical_intid, 30U);
  EXPECT_EQ(board.timer.virtual_intid, 27U);
  EXPECT_EQ(board.timer.hypervisor_intid, 26U);
  EXPECT_EQ(board.pmu_intid, 23U);
  ASSERT_EQ(board.cpus.count, 2U);
  EXPECT_EQ(board.cpus.mpidr[1], 0x1'0000'0100U);
  EXPECT_EQ(board.cpus.unusable, 1U);
}

TEST(Board, WithoutStdoutPathTheFirstEnabledPl011Is) {
  const Tree tree{replaced(kSoc, "stdout-path = \"serial0:115200n8\";", "")};
  const BoardResult<UartInfo> uart = find_uart(tree.get());
  ASSERT_TRUE(uart);
  EXPECT_EQ(uart->registers.base, 0x10'0100'1000U);
  EXPECT_FALSE(uart->interrupt);  // none in the tree: polled
}

TEST(Board, APmuWithoutAPrivateInterruptIsNotUsed) {
  for (const char* interrupts : {"interrupts = <0 7 4 0>;", ""}) {
    const Tree tree{replaced(kSoc, "interrupts = <1 7 4 0>;", interrupts)};
    Board board;
    ASSERT_TRUE(read_board(tree.get(), board));
    EXPECT_EQ(board.pmu_intid, 0U);
  }
}

TEST(Board, ABusWithoutRangesCannotBeReached) {
  const Tree tree{replaced(kSoc, "ranges = <0x0 0x1000000 0x100000>;", "")};
  const BoardResult<UartInfo> uart = find_uart(tree.get());
  ASSERT_FALSE(uart);
  EXPECT_THAT(std::string{uart.error().what}, HasSubstr("reg"));
}

// GICD, GICC, GICH, GICV of the board, which then has a GICv2.
std::string with_gic_v2(const std::string& frames, const char* compatible = "arm,gic-400") {
  return replaced(replaced(kSoc, "\"arm,gic-v3\"", std::string{"\""} + compatible + "\""),
                  "reg = <0x40000000 0x10000>, <0x40100000 0x80000>, <0x40200000 0x40000>;", "reg = " + frames + ";");
}
constexpr const char* kFrames = "<0x40001000 0x1000>, <0x40002000 0x2000>, <0x40004000 0x2000>, <0x40006000 0x2000>";

TEST(Board, AGicV2WithVirtualizationExtensions) {
  for (const char* compatible : {"arm,gic-400", "arm,cortex-a15-gic", "arm,cortex-a7-gic"}) {
    const Tree tree{with_gic_v2(kFrames, compatible)};
    ASSERT_TRUE(tree.compiled());
    Board board;
    ASSERT_TRUE(read_board(tree.get(), board));
    EXPECT_EQ(board.gic.version, 2U);
    EXPECT_EQ(board.gic.distributor, (Range{0x400'1000, 0x1000}));
    EXPECT_EQ(board.gic.cpu_interface, (Range{0x400'2000, 0x2000}));
    EXPECT_EQ(board.gic.interface_control, (Range{0x400'4000, 0x2000}));
    EXPECT_EQ(board.gic.virtual_cpu_interface, (Range{0x400'6000, 0x2000}));
    EXPECT_EQ(board.gic.maintenance_intid, 25U);
    EXPECT_EQ(board.timer.virtual_intid, 27U);
    const BoardResult<UartInfo> uart = find_uart(tree.get());
    ASSERT_TRUE(uart && uart->interrupt);
    EXPECT_EQ(uart->interrupt->intid, 65U);
  }
}

TEST(Board, AGicV2WhoseFramesDoNotServe) {
  for (const char* frames :
       {"<0x40001000 0x1000>, <0x40002000 0x2000>",                                               // no GICH, no GICV
        "<0x40001000 0x1000>, <0x40002000 0x2000>, <0x40004000 0x2000>",                          // no GICV
        "<0x40001000 0x1000>, <0x40002000 0x1000>, <0x40004000 0x2000>, <0x40006000 0x2000>",     // no GICC_DIR
        "<0x40001000 0x1000>, <0x40002000 0x2000>, <0x40004000 0x2000>, <0x40006000 0x800>",      // GICV shares a page
        "<0x40001000 0x1000>, <0x40002000 0x2000>, <0x40004000 0x2000>, <0x40006800 0x2000>"}) {  // and so does this
    const Tree tree{with_gic_v2(frames)};
    ASSERT_TRUE(tree.compiled());
    const BoardResult<GicInfo> gic = find_gic(tree.get());
    ASSERT_FALSE(gic) << frames;
    EXPECT_THAT(std::string{gic.error().what}, HasSubstr("GICv2")) << frames;
    EXPECT_FALSE(gic.error().fix.empty());
  }
  const Tree tree{replaced(with_gic_v2(kFrames), "interrupts = <1 9 4 0>;", "")};
  const BoardResult<GicInfo> gic = find_gic(tree.get());
  ASSERT_FALSE(gic);
  EXPECT_THAT(std::string{gic.error().what}, HasSubstr("maintenance"));
}

struct Broken {
  const char* what;
  const char* with;
  const char* message;
};
class BrokenBoard : public ::testing::TestWithParam<Broken> {};

TEST_P(BrokenBoard, SaysWhatIsMissing) {
  const Tree tree{replaced(kSoc, GetParam().what, GetParam().with)};
  ASSERT_TRUE(tree.compiled());
  Board board;
  const BoardResult<void> read = read_board(tree.get(), board);
  ASSERT_FALSE(read);
  EXPECT_THAT(std::string{read.error().what}, HasSubstr(GetParam().message));
  EXPECT_FALSE(read.error().fix.empty());
}

INSTANTIATE_TEST_SUITE_P(All, BrokenBoard,
                         ::testing::Values(Broken{"\"arm,gic-v3\"", "\"arm,cortex-a15-gic\"", "no virtualization"},
                                           Broken{"\"arm,gic-v3\"", "\"acme,pic\"", "no interrupt controller"},
                                           Broken{"interrupts = <1 9 4 0>;", "", "maintenance"},
                                           Broken{"#redistributor-regions = <2>", "#redistributor-regions = <3>",
                                                  "redistributor"},
                                           Broken{"\"arm,armv8-timer\"", "\"acme,timer\"", "armv8-timer"},
                                           Broken{"\"hyp-phys\"", "\"other\"", "timer"},
                                           Broken{"device_type = \"memory\"; reg", "reg", "no memory"}));

}  // namespace
}  // namespace arm_vcpu::hv
