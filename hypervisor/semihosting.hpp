// SPDX-License-Identifier: Apache-2.0
// Files on the debugger's side. [semihosting] "Semihosting for AArch32 and AArch64". Only where a bundle asks for it:
// without a debugger or an emulator that answers, HLT is an exception.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace arm_vcpu::hv {

class SemihostingFile {
 public:
  // Creates or truncates. False: the other side refuses.
  [[nodiscard]] bool open(std::string_view path) noexcept {
    std::array<char, 512> name{};
    if (path.size() >= name.size()) return false;
    for (std::size_t i = 0; i < path.size(); ++i) name[i] = path[i];
    const std::uint64_t block[] = {address(name.data()), kWriteBinary, path.size()};
    handle_ = static_cast<std::int64_t>(call(kSysOpen, block));
    return is_open();
  }

  [[nodiscard]] bool is_open() const noexcept { return handle_ >= 0; }

  // False: not all of it was written.
  bool write(const void* data, std::size_t bytes) noexcept {
    const std::uint64_t block[] = {static_cast<std::uint64_t>(handle_), address(data), bytes};
    return call(kSysWrite, block) == 0;
  }

  bool seek(std::uint64_t offset) noexcept {
    const std::uint64_t block[] = {static_cast<std::uint64_t>(handle_), offset};
    return call(kSysSeek, block) == 0;
  }

  void close() noexcept {
    const std::uint64_t block[] = {static_cast<std::uint64_t>(handle_)};
    if (is_open()) (void)call(kSysClose, block);
    handle_ = -1;
  }

 private:
  static constexpr std::uint64_t kSysOpen = 0x01;
  static constexpr std::uint64_t kSysClose = 0x02;
  static constexpr std::uint64_t kSysWrite = 0x05;
  static constexpr std::uint64_t kSysSeek = 0x0A;
  static constexpr std::uint64_t kWriteBinary = 5;  // "wb"

  static std::uint64_t address(const void* pointer) noexcept { return reinterpret_cast<std::uintptr_t>(pointer); }

  static std::uint64_t call(std::uint64_t operation, const std::uint64_t* block) noexcept {
    register std::uint64_t x0 __asm__("x0") = operation;
    register std::uint64_t x1 __asm__("x1") = address(block);
    __asm__ volatile("hlt #0xF000" : "+r"(x0), "+r"(x1) : : "memory");
    return x0;
  }

  std::int64_t handle_{-1};
};

}  // namespace arm_vcpu::hv
