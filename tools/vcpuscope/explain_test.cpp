// SPDX-License-Identifier: Apache-2.0
// The explain and backtrace commands, on dumps made here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "arm_vcpu/vm/stage2.hpp"
#include "command.hpp"
#include "explain_input.hpp"
#include "json.hpp"

namespace arm_vcpu::scope {
namespace {

using testing::HasSubstr;
using testing::Not;

class Explain : public testing::Test {
 protected:
  ~Explain() override {
    for (const std::string& path : files_) unlink(path.c_str());
  }

  // What the command prints. Throws what it throws.
  static std::string run(const std::string& line) {
    CommandLine command_line{"", ""};
    register_explain(command_line.root());
    register_backtrace(command_line.root());
    testing::internal::CaptureStdout();
    try {
      command_line.parse(line);
    } catch (...) {
      testing::internal::GetCapturedStdout();
      throw;
    }
    return testing::internal::GetCapturedStdout();
  }
  static std::string failure(const std::string& line) {
    try {
      run(line);
    } catch (const std::exception& error) {
      return error.what();
    }
    return "no failure";
  }

  std::string file(const std::string& name, const void* data, std::size_t bytes) {
    std::string path = testing::TempDir() + "explain_" + std::to_string(getpid()) + "_" + name;
    std::ofstream{path, std::ios::binary}.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
    files_.push_back(path);
    return path;
  }

  // 64 KiB of RAM at 0x8000'0000 with the recorder's header, stage-2 and stage-1 tables and a stack.
  std::string dump() {
    std::vector<std::uint64_t> ram(0x1'0000 / 8);
    const auto at = [&ram](std::uint64_t offset) -> std::uint64_t& { return ram[offset / 8]; };
    trace::Header header{};
    header.magic = trace::kFileMagic;
    header.version = trace::kVersion;
    header.header_bytes = sizeof header;
    header.vm_count = 1;
    trace::VmInfo& vm = header.vms[0];
    std::memcpy(vm.name.data(), "linux", 5);
    vm.vcpus = 1;
    const auto layout = stage2::make_layout({.ipa_bits = 32});
    vm.vtcr_el2 = layout->vtcr().raw;
    vm.vttbr_el2 = layout->vttbr(0x8000'2000, 1).raw;
    std::memcpy(&at(0x1000), &header, sizeof header);

    at(0x2000 + 8) = 0x8000'3003;  // IPA 1 GiB: level 2
    at(0x3000) = 0x8000'4003;      // level 3
    for (std::uint64_t page = 0; page < 4; ++page) at(0x4000 + page * 8) = (0x8000'8000 + page * 0x1000) | 0x7FF;
    at(0x8000) = 0x4000'1003;  // stage 1 at IPA 0x4000'0000: VA 0
    at(0x9000) = 0x4000'2003;
    at(0xA000) = 0x4000'3783 | std::uint64_t{1} << 54;  // VA 0: IPA 0x4000'3000, EL1 read only
    at(0xA008) = 0x0900'0703;                           // VA 0x1000: a device
    at(0xB000) = 0x40;                                  // frame records at VA 0 and 0x40
    at(0xB008) = 0x1234;
    at(0xB048) = 0xB55E'0000'0000'5678;
    return file("dump", ram.data(), ram.size() * 8);
  }
  static constexpr const char* kStage1 = " --tcr 0x200000019 --ttbr0 0x40000000 --mair 0xff04";

 private:
  std::vector<std::string> files_;
};

TEST_F(Explain, Values) {
  EXPECT_THAT(run("explain esr 0x93830046"), HasSubstr("a store of 4 bytes from W3"));
  EXPECT_THAT(run("explain ESR_EL2 0x93830046"), HasSubstr("a store of 4 bytes from W3"));
  EXPECT_THAT(run("explain HCR 0x8000_0001"), HasSubstr("VM[0] = 1"));
  EXPECT_THAT(run("explain hcr 1 --all"), HasSubstr("TWE[14] = 0"));
  EXPECT_THAT(run("explain sysreg S3_0_C12_C11_5"), HasSubstr("ICC_SGI1R_EL1"));
  EXPECT_THAT(run("explain sysreg 0x3a3016"), HasSubstr("ICC_SGI1R_EL1"));
  EXPECT_THAT(run("explain sysreg dc civac"), HasSubstr("DC CIVAC: system instruction"));
  EXPECT_THAT(run("explain psci 0x84000003"), HasSubstr("CPU_ON"));
  EXPECT_THAT(run("explain psci cpu_on 1 0x40080000 0"), HasSubstr("X2 entry_point_address = 0x40080000"));
  EXPECT_THAT(run("explain AV0003"), HasSubstr("MMIO access failure"));
}

TEST_F(Explain, Json) {
  const auto esr = nlohmann::json::parse(run("explain esr 0x93830046 --json"));
  EXPECT_EQ(esr["name"], "data_abort_lower");
  EXPECT_EQ(esr["iss"]["fields"][1]["meaning"], "access size: 4 bytes");
  EXPECT_EQ(nlohmann::json::parse(run("explain hcr 1 --json"))["register"], "HCR_EL2");
  EXPECT_EQ(nlohmann::json::parse(run("explain sysreg sctlr_el1 --json"))["encoding"], "S3_0_C1_C0_0");
  EXPECT_EQ(nlohmann::json::parse(run("explain psci 0x84000003 --json"))["arguments"][0]["name"], "target_cpu");
  EXPECT_EQ(nlohmann::json::parse(run("explain AV0003 --json"))["code"], "AV0003");
}

TEST_F(Explain, MistakesAreTold) {
  EXPECT_THAT(failure("explain nothing 1"), HasSubstr("no such register"));
  EXPECT_THAT(failure("explain hcr 12z"), HasSubstr("not a number"));
  EXPECT_THAT(failure("explain hcr 0x10000000000000000"), HasSubstr("up to 64 bits"));
  EXPECT_THAT(failure("explain sysreg NOT_EL1"), HasSubstr("no system register"));
  EXPECT_THAT(failure("explain hcr"), HasSubstr("a value is missing"));
  EXPECT_THAT(failure("explain walk --va 0"), HasSubstr("--dump"));
  EXPECT_THAT(failure("explain walk --dump " + dump() + " --base 0x80000000 --ipa 0 --vm other"),
              HasSubstr("0 (linux)"));
  EXPECT_THAT(failure("explain walk --dump " + dump() + " --base 0x80000000 --ipa 0"), HasSubstr("--vtcr"));
}

TEST_F(Explain, WalkTakesTheRegistersFromTheDump) {
  const std::string base = "explain walk --dump " + dump() + " --base 0x80000000 --vm linux";
  EXPECT_THAT(run(base + " --ipa 0x40001008"), HasSubstr("read at EL1: allowed, PA 0x80009008"));
  const std::string hole = run(base + " --ipa 0x9000000 --access write");
  EXPECT_THAT(hole, HasSubstr("refused by stage 2: stage 2 maps nothing there"));
  EXPECT_THAT(hole, HasSubstr("fault status 0x5, translation fault, level 1; IPA 0x9000000"));
  const std::string both = run(base + kStage1 + " --va 0x8");
  EXPECT_THAT(both, HasSubstr("L1 @0x40000000"));
  EXPECT_THAT(both, HasSubstr("read at EL1: allowed, PA 0x8000b008"));
  EXPECT_THAT(run(base + kStage1 + " --va 0x8 --access write"), HasSubstr("AP[2] is 1"));
  EXPECT_THAT(run(base + kStage1 + " --va 0x1010"), HasSubstr("refused by stage 2"));
  EXPECT_THAT(run(base + kStage1 + " --va 0x2000"), HasSubstr("exception to EL1: fault status 0x7"));
  const auto json = nlohmann::json::parse(run(base + kStage1 + " --va 0x8 --json"));
  EXPECT_EQ(json["pa"], "0x8000b008");
  EXPECT_EQ(json["stage1"]["steps"].size(), 3U);
}

TEST_F(Explain, Backtrace) {
  const std::string text =
      run("backtrace --dump " + dump() + " --base 0x80000000 --vm 0" + kStage1 + " --pc 0x1000 --x29 0");
  EXPECT_EQ(text, "#0   0x0000000000001000\n") << "a frame pointer of 0 ends the chain";
  const std::string chain = run("backtrace --dump " + dump() + " --base 0x80000000 --pc 0x1000 --x29 0x8000b000");
  EXPECT_THAT(chain, HasSubstr("#1   0x0000000000001234\n"));
  EXPECT_THAT(chain, HasSubstr("not above"));
  EXPECT_THAT(run("backtrace --dump " + dump() + " --base 0x80000000 --vm 0" + kStage1 + " --pc 0x1000 --x29 0x40"),
              HasSubstr("#1   0x0000000000005678\n"))
      << "the authentication code is off";
}

TEST_F(Explain, BacktraceOfAPanicReport) {
  const std::string log =
      "[hv] panic: EL2 took an exception on CPU 0 (MPIDR 0x80000000): synchronous exception\n"
      "[hv]   ELR_EL2 0000000040201234 (image+0x1234)  SPSR_EL2 0x3c9\n"
      "[hv]   x27 0000000000000000  x28 0000000000000000  x29 000000008000b000\n"
      "[hv]   x30 0000000040201238\n"
      "[hv]   backtrace (addr2line -f -e arm-vcpu.elf, addresses without image+):\n"
      "[hv]     image+0x1234\n"
      "[hv]     image+0x5678\n"
      "[hv] end\n"
      "image+0x9999\n";
  const std::string path = file("log", log.data(), log.size());
  EXPECT_EQ(run("backtrace " + path), "#0   image+0x1234\n#1   image+0x5678\n");
  const std::string walked = run("backtrace " + path + " --dump " + dump() + " --base 0x80000000");
  EXPECT_THAT(walked, HasSubstr("#0   0x0000000040201234\n#1   0x0000000040201238\n#2   0x0000000000001234\n"));
  const std::string empty = "nothing";
  EXPECT_THAT(failure("backtrace " + file("empty", empty.data(), empty.size())), HasSubstr("no report of a panic"));
}

TEST(RamDumps, ReadsStayInside) {
  const std::string path = testing::TempDir() + "explain_ram_" + std::to_string(getpid());
  std::ofstream{path, std::ios::binary}.write("0123456789abcdefg", 17);
  const RamDump dump{path, 0x1000};
  EXPECT_TRUE(dump(0x1000));
  EXPECT_TRUE(dump(0x1009));
  EXPECT_FALSE(dump(0x100A));
  EXPECT_FALSE(dump(0xFFF));
  EXPECT_FALSE(dump(~std::uint64_t{0}));
  EXPECT_FALSE(dump.find_header());
  unlink(path.c_str());
}

}  // namespace
}  // namespace arm_vcpu::scope
