// SPDX-License-Identifier: Apache-2.0
#include "symbols.hpp"

#include <gtest/gtest.h>

#include "failure.hpp"
#include "temporary_trace.hpp"

namespace arm_vcpu::scope {
namespace {

constexpr std::string_view kMap =
    "ffff800008000000 T _text\n"
    "ffff800008000040 t do_idle\n"
    "ffff800008000040 t $x\n"
    "ffff800008000100 T arch_cpu_idle\t[module]\n"
    "ffff800009000000 D not_code\n"
    "nonsense\n";

TEST(Symbols, OfASystemMap) {
  const TemporaryFile map{kMap};
  Symbols symbols;
  symbols.add(map.path());
  EXPECT_EQ(symbols.at(0xFFFF'8000'0800'0040), "do_idle");
  EXPECT_EQ(symbols.at(0xFFFF'8000'0800'005C), "do_idle+0x1c");
  EXPECT_EQ(symbols.at(0xFFFF'8000'0800'0100), "arch_cpu_idle");
  EXPECT_EQ(symbols.at(0xFFFF'8000'07FF'FFFF), "");
  EXPECT_EQ(symbols.at(0xFFFF'8000'0900'0000), "") << "a symbol without a size covers 1 MiB at most";
}

TEST(Symbols, AreMovedByAnOffset) {
  const TemporaryFile map{kMap};
  Symbols symbols;
  symbols.add(map.path() + "@-0xffff7fffc8000000");
  EXPECT_EQ(symbols.at(0x4000'0044), "do_idle+0x4");
  EXPECT_THROW(symbols.add(map.path() + "@x"), Failure);
}

// The test's own ELF file has a function with a known name, and is somewhere else in memory: libelf gives the address.
TEST(Symbols, OfAnElfFile) {
  Symbols symbols;
  symbols.add("/proc/self/exe");
  EXPECT_FALSE(symbols.empty());
}

TEST(Symbols, AFileWithoutSymbolsIsRefused) {
  Symbols symbols;
  EXPECT_THROW(symbols.add(TemporaryFile{std::string_view{"nothing\n"}}.path()), Failure);
  EXPECT_THROW(symbols.add("/nonexistent"), Failure);
}

TEST(Symbols, AnotherBuildIsNoticed) {
  trace::Header header{};
  header.build_id.fill(1);
  Symbols symbols;
  std::string complaint;
  symbols.add_hypervisor("/proc/self/exe", header, complaint);
  EXPECT_NE(complaint.find("build ID"), std::string::npos);
}

}  // namespace
}  // namespace arm_vcpu::scope
