// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/vm/image.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace arm_vcpu {
namespace {

std::vector<std::byte> file_of(std::uint64_t text_offset, std::uint64_t image_size, std::uint64_t flags) {
  std::vector<std::byte> file(256);
  std::memcpy(&file[8], &text_offset, 8);
  std::memcpy(&file[16], &image_size, 8);
  std::memcpy(&file[24], &flags, 8);
  std::memcpy(&file[56], "ARM\x64", 4);
  return file;
}

TEST(Image, ReadsTheHeader) {
  const auto kernel = inspect_kernel(file_of(0, 0x2000000, 0xA));
  ASSERT_TRUE(kernel);
  ASSERT_TRUE(kernel->header);
  EXPECT_EQ(kernel->load_offset(), 0U);
  EXPECT_EQ(kernel->memory_bytes(), 0x2000000U);
  EXPECT_TRUE(kernel->size_is_known());
  EXPECT_FALSE(kernel->header->flags.get<ImageFlags::BigEndian>());
  EXPECT_EQ(kernel->header->flags.get<ImageFlags::Page>(), ImageFlags::PageSize::k4);
  EXPECT_TRUE(kernel->header->flags.get<ImageFlags::AnyPlacement>());
  EXPECT_EQ(inspect_kernel(file_of(0x80000, 1 << 20, 0))->load_offset(), 0x80000U);
  EXPECT_EQ(inspect_kernel(file_of(0x280000, 1 << 20, 0))->load_offset(), 0x280000U);
}

TEST(Image, AFileLargerThanItsImageSizeKeepsItsBytes) {
  EXPECT_EQ(inspect_kernel(file_of(0, 100, 0))->memory_bytes(), 256U);
}

TEST(Image, AKernelBeforeImageSizeIsAtTheOldOffset) {
  // Big-endian kernels stored the field big-endian then: it says nothing.
  const auto kernel = inspect_kernel(file_of(0x0000080000000000, 0, 0));
  ASSERT_TRUE(kernel);
  EXPECT_EQ(kernel->load_offset(), kBareBinaryOffset);
  EXPECT_EQ(kernel->memory_bytes(), 256U);
  EXPECT_FALSE(kernel->size_is_known());
}

TEST(Image, ABareBinaryHasNoHeader) {
  std::vector<std::byte> file(1000, std::byte{0x1F});
  const auto kernel = inspect_kernel(file);
  ASSERT_TRUE(kernel);
  EXPECT_FALSE(kernel->header);
  EXPECT_EQ(kernel->load_offset(), 0x80000U);
  EXPECT_EQ(kernel->memory_bytes(), 1000U);

  const std::byte four_bytes[4]{};  // one instruction is a program
  EXPECT_TRUE(inspect_kernel(four_bytes));
  auto cut = file_of(0, 4096, 0);
  cut.resize(63);
  EXPECT_FALSE(parse_image_header(cut));
  auto whole = file_of(0, 4096, 0);
  whole.resize(64);
  EXPECT_TRUE(parse_image_header(whole));
}

TEST(Image, RefusesWhatIsPlainlySomethingElse) {
  using namespace std::string_literals;
  const struct {
    std::string start;
    Errc code;
  } cases[] = {
      {"\x7F"s + "ELF\2\1\1", Errc::image_is_elf},
      {"\x1F\x8B\x08", Errc::image_is_compressed},
      {"\x28\xB5\x2F\xFD", Errc::image_is_compressed},
      {"\xFD"s + "7zXZ\0"s, Errc::image_is_compressed},
      {"BZh9", Errc::image_is_compressed},
      {"\x04\x22\x4D\x18", Errc::image_is_compressed},
      {"\x02\x21\x4C\x18", Errc::image_is_compressed},
      {"MZ\0\0zimg"s, Errc::image_is_compressed},
      {"\x27\x05\x19\x56", Errc::image_is_wrapped},
      {"\xD0\x0D\xFE\xED", Errc::image_is_wrapped},
      {"ANDROID!", Errc::image_is_wrapped},
  };
  for (const auto& c : cases) {
    std::vector<std::byte> file(256);
    std::memcpy(file.data(), c.start.data(), c.start.size());
    const auto kernel = inspect_kernel(file);
    ASSERT_FALSE(kernel) << c.start;
    EXPECT_EQ(kernel.error().code, c.code) << c.start;
    // Exactly the magic is enough, one byte less is a bare binary.
    file.resize(2);
    EXPECT_EQ(inspect_kernel(file).has_value(), c.start.substr(0, 2) != "\x1F\x8B") << c.start;
  }
}

TEST(Image, RefusesNothingAndNonsense) {
  EXPECT_EQ(inspect_kernel({}).error().code, Errc::bad_image);
  EXPECT_EQ(inspect_kernel(file_of(0x80001, 0x1000, 0)).error().code, Errc::bad_image);
}

}  // namespace
}  // namespace arm_vcpu
