// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/vm/image.hpp"

#include <algorithm>

namespace arm_vcpu {
namespace {

constexpr std::size_t kHeaderBytes = 64;
constexpr std::size_t kTextOffsetAt = 8;
constexpr std::size_t kImageSizeAt = 16;
constexpr std::size_t kFlagsAt = 24;
constexpr std::size_t kMagicAt = 56;
constexpr std::uint64_t kMagic = 0x644D5241;  // "ARM\x64"

std::uint64_t load_little_endian(std::span<const std::byte> file, std::size_t at, std::size_t bytes) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = bytes; i-- != 0;) {
    value = value << 8 | static_cast<std::uint64_t>(file[at + i]);
  }
  return value;
}

// Files that people take for a kernel. The magic is what stands at `at`, read as little-endian.
struct Format {
  std::size_t at;
  std::size_t bytes;
  std::uint64_t magic;
  Errc refusal;
};

constexpr Format kFormats[] = {
    {0, 4, 0x464C457F, Errc::image_is_elf},              // "\x7FELF"
    {0, 2, 0x8B1F, Errc::image_is_compressed},           // gzip
    {0, 4, 0xFD2FB528, Errc::image_is_compressed},       // zstd
    {0, 5, 0x5A587A37FD, Errc::image_is_compressed},     // xz
    {0, 3, 0x685A42, Errc::image_is_compressed},         // "BZh"
    {0, 4, 0x184D2204, Errc::image_is_compressed},       // LZ4 frame
    {0, 4, 0x184C2102, Errc::image_is_compressed},       // LZ4, the format of the Linux kernel
    {4, 4, 0x676D697A, Errc::image_is_compressed},       // "zimg" after "MZ\0\0": EFI zboot
    {0, 4, 0x56190527, Errc::image_is_wrapped},          // U-Boot's uImage
    {0, 4, 0xEDFE0DD0, Errc::image_is_wrapped},          // a device tree, or U-Boot's FIT
    {0, 8, 0x2144494F52444E41, Errc::image_is_wrapped},  // "ANDROID!"
};

}  // namespace

std::optional<ImageHeader> parse_image_header(std::span<const std::byte> file) noexcept {
  if (file.size() < kHeaderBytes || load_little_endian(file, kMagicAt, 4) != kMagic) {
    return std::nullopt;
  }
  return ImageHeader{.text_offset = load_little_endian(file, kTextOffsetAt, 8),
                     .image_size = load_little_endian(file, kImageSizeAt, 8),
                     .flags = ImageFlags::from(load_little_endian(file, kFlagsAt, 8))};
}

Result<KernelImage> inspect_kernel(std::span<const std::byte> file) noexcept {
  if (file.empty()) {
    return fail(Errc::bad_image);
  }
  if (const auto header = parse_image_header(file)) {
    if (header->image_size != 0 && header->text_offset % 4 != 0) {
      return fail(Errc::bad_image);  // its first instruction could not be fetched
    }
    return KernelImage{.file_bytes = file.size(), .header = header};
  }
  for (const Format& format : kFormats) {
    if (file.size() >= format.at + format.bytes && load_little_endian(file, format.at, format.bytes) == format.magic) {
      return fail(format.refusal, format.magic);
    }
  }
  return KernelImage{.file_bytes = file.size(), .header = std::nullopt};
}

std::uint64_t KernelImage::load_offset() const noexcept {
  // [linux]: where image_size is zero, text_offset is 0x80000, whatever the field holds (its endianness was not
  // specified then).
  return size_is_known() ? header->text_offset : kBareBinaryOffset;
}

std::uint64_t KernelImage::memory_bytes() const noexcept {
  return size_is_known() ? std::max<std::uint64_t>(header->image_size, file_bytes) : file_bytes;
}

}  // namespace arm_vcpu
