// SPDX-License-Identifier: Apache-2.0
#include "mapped_file.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <vector>

#include "failure.hpp"

namespace arm_vcpu::scope {
namespace {

constexpr std::align_val_t kAlignment{64};  // of a record

struct Descriptor {
  int fd{-1};
  ~Descriptor() {
    if (fd > 2) ::close(fd);
  }
};

std::vector<char> read_all(int fd, const std::string& path) {
  std::vector<char> all;
  char block[65536];
  for (;;) {
    const ssize_t n = ::read(fd, block, sizeof block);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw system_failure(path, errno);
    if (n == 0) return all;
    all.insert(all.end(), block, block + n);
  }
}

}  // namespace

void MappedFile::Unmap::operator()(const std::byte* data) const noexcept {
  auto* memory = const_cast<std::byte*>(data);
  if (mapped != 0) {
    ::munmap(memory, mapped);
  } else {
    ::operator delete[](memory, kAlignment);
  }
}

MappedFile::MappedFile(const std::string& path) {
  const Descriptor file{path == "-" ? 0 : ::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat status{};
  if (file.fd < 0 || ::fstat(file.fd, &status) != 0) throw system_failure(path, errno);
  if (S_ISDIR(status.st_mode)) throw Failure(fmt::format("{}: is a directory", path));
  if (S_ISREG(status.st_mode) && status.st_size > 0) {
    const auto bytes = static_cast<std::size_t>(status.st_size);
    void* memory = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file.fd, 0);
    if (memory != MAP_FAILED) {
      ::madvise(memory, bytes, MADV_SEQUENTIAL);
      ::madvise(memory, bytes, MADV_WILLNEED);
      size_ = bytes;
      data_ = {static_cast<const std::byte*>(memory), Unmap{bytes}};
      return;
    }
  }
  const std::vector<char> all = read_all(file.fd, path);
  auto* memory = static_cast<std::byte*>(::operator new[](all.size() + 1, kAlignment));
  data_ = {memory, Unmap{0}};
  size_ = all.size();
  if (!all.empty()) std::memcpy(memory, all.data(), all.size());
}

}  // namespace arm_vcpu::scope
