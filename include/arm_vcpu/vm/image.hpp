// SPDX-License-Identifier: Apache-2.0
// What a guest's kernel file is: an arm64 Image with its header, or a bare binary.
// [linux] "Booting AArch64 Linux" (Documentation/arm64/booting.rst).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "arm_vcpu/arch/bits.hpp"
#include "arm_vcpu/result.hpp"

namespace arm_vcpu {

// The flags of an arm64 Image header.
struct ImageFlags : bits::Image<ImageFlags> {
  enum class PageSize : std::uint8_t { unspecified, k4, k16, k64 };

  using BigEndian = Flag<0>;
  using Page = Field<2, 1, PageSize>;
  using AnyPlacement = Flag<3>;  // 0: as close to the start of RAM as can be; 1: anywhere
};

struct ImageHeader {
  std::uint64_t text_offset{};  // bytes from a 2 MiB boundary to the load address
  std::uint64_t image_size{};   // bytes of memory from the load address, .bss too; 0: not known
  ImageFlags flags{};
};

struct KernelImage {
  std::size_t file_bytes{};
  std::optional<ImageHeader> header;  // empty for a bare binary

  // Where the file goes, in bytes from a 2 MiB boundary.
  [[nodiscard]] std::uint64_t load_offset() const noexcept;
  // Bytes of memory from the load address that must be free. At least the file; for a bare binary, and a kernel
  // older than Linux 3.17, the .bss behind it is not known.
  [[nodiscard]] std::uint64_t memory_bytes() const noexcept;
  // Whether memory_bytes() is all that the kernel uses before it reads its memory map.
  [[nodiscard]] bool size_is_known() const noexcept { return header && header->image_size != 0; }
};

// Where a bare binary is loaded, in bytes from the start of RAM. QEMU and kvmtool do the same: it was the text_offset
// of all kernels when the convention began.
inline constexpr std::uint64_t kBareBinaryOffset = 0x80000;

// The header at the start of `file`; empty when it has none.
[[nodiscard]] std::optional<ImageHeader> parse_image_header(std::span<const std::byte> file) noexcept;

// Says what `file` is. A file that would be loaded as a bare binary but is plainly something else is refused with
// its fix: image_is_elf, image_is_compressed, image_is_wrapped. bad_image: the file is empty, or its header asks for
// an entry point that is not 4-byte aligned.
[[nodiscard]] Result<KernelImage> inspect_kernel(std::span<const std::byte> file) noexcept;

}  // namespace arm_vcpu
