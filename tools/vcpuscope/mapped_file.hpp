// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace arm_vcpu::scope {

// A file's bytes, mapped; what cannot be mapped (a pipe) is read. Throws Failure.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {data_.get(), size_}; }

 private:
  struct Unmap {
    std::size_t mapped;  // 0: the bytes came from new[]
    void operator()(const std::byte* data) const noexcept;
  };
  std::size_t size_{};
  std::unique_ptr<const std::byte, Unmap> data_{nullptr, Unmap{0}};
};

}  // namespace arm_vcpu::scope
