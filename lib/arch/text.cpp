// SPDX-License-Identifier: Apache-2.0
#include "arm_vcpu/text.hpp"

#include "arm_vcpu/result.hpp"

namespace arm_vcpu {

void TextBuffer::put(char c) noexcept {
  if (used_ == storage_.size()) {
    truncated_ = true;
    return;
  }
  storage_[used_++] = c;
}

void TextBuffer::put(std::string_view text) noexcept {
  for (const char c : text) {
    put(c);
  }
}

void TextBuffer::put_unsigned(std::uint64_t value, unsigned base, unsigned min_digits) noexcept {
  char digits[64];
  unsigned count = 0;
  do {
    digits[count++] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value != 0 && count < sizeof digits);
  for (; min_digits > count; --min_digits) {
    put('0');
  }
  while (count != 0) {
    put(digits[--count]);
  }
}

namespace detail {
namespace {

// What stands between the braces: "", ":x" or ":0<digits>x".
struct Spec {
  bool hex{};
  unsigned digits{};
};

Spec parse_spec(std::string_view text) noexcept {
  Spec spec{};
  for (const char c : text) {
    if (c == 'x') {
      spec.hex = true;
    } else if (c >= '0' && c <= '9') {
      spec.digits = spec.digits * 10 + static_cast<unsigned>(c - '0');
    }
  }
  return spec;
}

void put_arg(TextBuffer& out, const TextArg& arg, Spec spec) noexcept {
  switch (arg.kind) {
    case TextArg::Kind::text: out.put(arg.text); return;
    case TextArg::Kind::boolean: out.put(arg.number != 0 ? "true" : "false"); return;
    case TextArg::Kind::character: out.put(static_cast<char>(arg.number)); return;
    case TextArg::Kind::is_signed:
    case TextArg::Kind::is_unsigned: break;
  }
  if (spec.hex) {
    if (spec.digits == 0) {
      out.put("0x");
    }
    out.put_unsigned(arg.number, 16, spec.digits);
    return;
  }
  const bool negative = arg.kind == TextArg::Kind::is_signed && static_cast<std::int64_t>(arg.number) < 0;
  if (negative) {
    out.put('-');
  }
  out.put_unsigned(negative ? std::uint64_t{0} - arg.number : arg.number, 10, spec.digits);
}

}  // namespace

void format_args(TextBuffer& out, std::string_view pattern, std::span<const TextArg> args) noexcept {
  std::size_t next = 0;
  while (!pattern.empty()) {
    const std::size_t open = pattern.find('{');
    const std::size_t close = pattern.find('}', open == std::string_view::npos ? pattern.size() : open);
    if (open == std::string_view::npos || close == std::string_view::npos) {
      out.put(pattern);
      return;
    }
    out.put(pattern.substr(0, open));
    if (next < args.size()) {
      put_arg(out, args[next++], parse_spec(pattern.substr(open + 1, close - open - 1)));
    }
    pattern.remove_prefix(close + 1);
  }
}

}  // namespace detail

ErrorText describe(Errc code) noexcept {
  switch (code) {
#define VCPU_ERRC(name, what, asked, has, fix) \
  case Errc::name: return {#name, what, asked, has, fix};
#include "arm_vcpu/errors.def"
#undef VCPU_ERRC
  }
  return {"unknown", "unknown error code", "code", "", "report this as a bug"};
}

void append(TextBuffer& out, const Error& error) noexcept {
  const ErrorText text = describe(error.code);
  format_to(out, "{}: {}", text.name, text.what);
  if (!text.asked.empty() || !text.has.empty()) {
    out.put(" (");
    if (!text.asked.empty()) {
      format_to(out, "{} {} = {:x}", text.asked, error.asked, error.asked);
    }
    if (!text.has.empty()) {
      format_to(out, "{}{} {} = {:x}", text.asked.empty() ? "" : ", ", text.has, error.has, error.has);
    }
    out.put(")");
  }
  format_to(out, "; {}", text.fix);
}

}  // namespace arm_vcpu
