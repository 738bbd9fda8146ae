// SPDX-License-Identifier: Apache-2.0
#include "text.hpp"

#include <unistd.h>

#include <cerrno>

#include "failure.hpp"

namespace arm_vcpu::scope {

void Text::json(std::string_view text) {
  put('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      put('\\');
      put(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      put(c);
    }
  }
  put('"');
}

void Text::flush() {
  write(buffer_.get(), used_);
  used_ = line_ = 0;
}

void Text::make_room(std::size_t bytes) {
  flush();
  if (bytes > kBytes) throw Failure("a line is longer than the output buffer");
}

void Text::write(const char* data, std::size_t size) {
  while (size != 0) {
    const ssize_t n = ::write(fd_, data, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw system_failure("cannot write", errno);
    data += n;
    size -= static_cast<std::size_t>(n);
  }
}

}  // namespace arm_vcpu::scope
