// SPDX-License-Identifier: Apache-2.0
// The decoder against LLVM's disassembler: what was decoded is written as assembly again and compared with what LLVM
// writes, over the space of the loads and stores. Each combination of the bits that are no register number is tried
// with some pairs of registers; ARM_VCPU_EXHAUSTIVE=1 tries all 2^30 opcodes, which takes some ten minutes.
#include <gtest/gtest.h>
#include <llvm-c/Disassembler.h>
#include <llvm-c/Target.h>

#include <array>
#include <cstdlib>
#include <string>
#include <string_view>

#include "arm_vcpu/arch/load_store.hpp"

namespace arm_vcpu::a64 {
namespace {

// What the decoder claims to know: the loads and stores of Armv8.6 with FEAT_LOR.
constexpr const char* kFeatures = "+v8.6a,+lse,+rcpc,+rcpc-immo,+lor,+neon,+fp-armv8,+pauth,+mte";

// A line of assembly without a heap: there are millions.
class Line {
 public:
  Line& operator<<(std::string_view text) {
    for (const char c : text) text_[size_++] = c;
    return *this;
  }
  Line& operator<<(std::int64_t number) {
    if (number < 0) *this << "-";
    return *this << static_cast<std::uint64_t>(number < 0 ? -number : number);
  }
  Line& operator<<(std::uint64_t number) {
    char digits[20];
    std::size_t n = 0;
    do digits[n++] = static_cast<char>('0' + number % 10);
    while ((number /= 10) != 0);
    while (n != 0) text_[size_++] = digits[--n];
    return *this;
  }
  [[nodiscard]] std::string_view view() const { return {text_.data(), size_}; }

 private:
  std::array<char, 160> text_{};
  std::size_t size_ = 0;
};

void general(Line& out, unsigned n, bool wide) {
  if (n == 31) {
    out << (wide ? "xzr" : "wzr");
  } else {
    out << (wide ? "x" : "w") << std::uint64_t{n};
  }
}
void base(Line& out, unsigned n) {
  if (n == 31) {
    out << "sp";
  } else {
    general(out, n, true);
  }
}
void transfer(Line& out, const LoadStore& op, unsigned n) {
  constexpr std::string_view kScalars[] = {"b", "h", "s", "d", "q"};
  if (op.vector) {
    out << kScalars[op.size] << std::uint64_t{n};
  } else {
    general(out, n, op.wide);
  }
}

void memory(Line& out, const LoadStore& op) {
  if (op.form == Form::literal) {
    out << "#" << std::int64_t{op.offset};
    return;
  }
  out << "[";
  base(out, op.rn);
  switch (op.form) {
    case Form::literal:
    case Form::base: out << "]"; return;
    case Form::pre_index: out << ", #" << std::int64_t{op.offset} << "]!"; return;
    case Form::post_index: out << "], #" << std::int64_t{op.offset}; return;
    case Form::post_register:
      out << "], ";
      general(out, op.rm, true);
      return;
    default:
      if (op.offset != 0) out << ", #" << std::int64_t{op.offset};
      out << "]";
  }
}

// [Xn, Rm, extend #amount]; the amount of a byte access is there or not as the S bit says, which has no effect.
void register_memory(Line& out, const LoadStore& op, bool s_bit) {
  constexpr std::string_view kExtends[] = {"", "", "uxtw", "lsl", "", "", "sxtw", "sxtx"};
  out << "[";
  base(out, op.rn);
  out << ", ";
  general(out, op.rm, op.extend == Extend::lsl || op.extend == Extend::sxtx);
  if (op.extend != Extend::lsl || s_bit) out << ", " << kExtends[static_cast<unsigned>(op.extend)];
  if (s_bit) out << " #" << std::uint64_t{op.shift};
  out << "]";
}

void tags(Line& out, const LoadStore& op) {
  if (op.operation == Operation::load_tag) {
    out << "ldg ";
    general(out, op.rt, true);
  } else {
    out << (op.operation == Operation::zero_granules ? "stz" : "st") << (op.registers == 2 ? "2" : "") << "g ";
    base(out, op.rt);
  }
  out << ", ";
  memory(out, op);
}

std::string_view size_suffix(const LoadStore& op) {
  if (op.vector || op.size > 2) return "";
  if (op.sign_extend) return op.size == 0 ? "sb" : op.size == 1 ? "sh" : "sw";
  return op.size == 0 ? "b" : op.size == 1 ? "h" : "";
}

void structures(Line& out, const LoadStore& op) {
  constexpr std::string_view kElements[] = {"b", "h", "s", "d"};
  const unsigned number = op.shape == Shape::multiple ? op.selem : op.registers;
  out << (op.operation == Operation::load ? "ld" : "st") << std::uint64_t{number}
      << (op.shape == Shape::replicate ? "r" : "") << " { ";
  for (unsigned i = 0; i < op.registers; ++i) {
    out << (i != 0 ? ", v" : "v") << std::uint64_t{(op.rt + i) % 32} << ".";
    if (op.shape != Shape::lane) out << std::uint64_t{(op.full ? 16U : 8U) >> op.size};
    out << kElements[op.size];
  }
  out << " }";
  if (op.shape == Shape::lane) out << "[" << std::uint64_t{op.lane} << "]";
  out << ", ";
  memory(out, op);
}

void atomic(Line& out, const LoadStore& op) {
  constexpr std::string_view kNames[] = {"add", "clr", "eor", "set", "smax", "smin", "umax", "umin"};
  const std::string_view order = op.ordering.acquire && op.ordering.release ? "al"
                                 : op.ordering.acquire                      ? "a"
                                 : op.ordering.release                      ? "l"
                                                                            : "";
  const bool compares = op.operation == Operation::compare_and_swap;
  if (compares || op.operation == Operation::swap) {
    out << (compares ? op.registers == 2 ? "casp" : "cas" : "swp") << order << size_suffix(op) << " ";
    general(out, op.rs, op.wide);
    if (op.registers == 2) {
      out << ", ";
      general(out, op.rs + 1U, op.wide);
    }
    out << ", ";
    general(out, op.rt, op.wide);
    if (op.registers == 2) {
      out << ", ";
      general(out, op.rt2, op.wide);
    }
  } else {
    const bool is_store = op.rt == 31 && !op.ordering.acquire;  // an alias
    out << (is_store ? "st" : "ld")
        << kNames[static_cast<unsigned>(op.operation) - static_cast<unsigned>(Operation::add)] << order
        << size_suffix(op) << " ";
    general(out, op.rs, op.wide);
    if (!is_store) {
      out << ", ";
      general(out, op.rt, op.wide);
    }
  }
  out << ", ";
  memory(out, op);
}

void exclusive(Line& out, const LoadStore& op) {
  const bool load = op.operation == Operation::load_exclusive;
  out << (load ? "ld" : "st")
      << (op.ordering.acquire   ? "a"
          : op.ordering.release ? "l"
                                : "")
      << (op.registers == 2 ? "xp" : "xr") << size_suffix(op) << " ";
  if (!load) {
    general(out, op.rs, false);
    out << ", ";
  }
  general(out, op.rt, op.wide);
  if (op.registers == 2) {
    out << ", ";
    general(out, op.rt2, op.wide);
  }
  out << ", ";
  memory(out, op);
}

void simple(Line& out, const LoadStore& op, bool s_bit) {
  const bool load = op.operation == Operation::load;
  out << (load ? "ld" : "st");
  if (op.registers == 2) {
    out << (op.tags ? "gp" : op.form == Form::pair_no_allocate ? "np" : "p") << size_suffix(op) << " ";
    transfer(out, op, op.rt);
    out << ", ";
    transfer(out, op, op.rt2);
    out << ", ";
    memory(out, op);
    return;
  }
  const bool unscaled = op.form == Form::unscaled;
  if (op.key != DataKey::none) {
    out << (op.key == DataKey::a ? "raa" : "rab");
  } else if (op.ordering.acquire_pc) {
    out << (unscaled ? "apur" : "apr");
  } else if (op.ordering.acquire || op.ordering.release) {
    out << (op.ordering.limited ? "l" : "") << (load ? "ar" : unscaled ? "lur" : "lr");
  } else {
    out << (unscaled ? "ur" : op.form == Form::unprivileged ? "tr" : "r");
  }
  out << size_suffix(op) << " ";
  transfer(out, op, op.rt);
  out << ", ";
  op.form == Form::register_offset ? register_memory(out, op, s_bit) : memory(out, op);
}

Line assembly(const LoadStore& op, std::uint32_t opcode) {
  const bool s_bit = (opcode >> 12 & 1) != 0;
  Line out;
  if (op.operation == Operation::prefetch) {
    out << (op.form == Form::unscaled ? "prfum " : "prfm ");
    op.form == Form::register_offset ? register_memory(out, op, s_bit) : memory(out, op);
  } else if (op.operation == Operation::zero_block) {
    out << "dc zva, ";
    general(out, op.rn, true);
  } else if (op.operation == Operation::load_tag || op.operation == Operation::store_tag ||
             op.operation == Operation::zero_granules) {
    tags(out, op);
  } else if (op.shape != Shape::scalar) {
    structures(out, op);
  } else if (op.is_atomic()) {
    atomic(out, op);
  } else if (op.is_exclusive()) {
    exclusive(out, op);
  } else {
    simple(out, op, s_bit);
  }
  return out;
}

class Llvm {
 public:
  Llvm() {
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64Disassembler();
    context_ = LLVMCreateDisasmCPUFeatures("aarch64", "", kFeatures, nullptr, 0, nullptr, nullptr);
  }
  Llvm(const Llvm&) = delete;
  Llvm& operator=(const Llvm&) = delete;
  ~Llvm() { LLVMDisasmDispose(context_); }

  // Empty: not an instruction, or one that LLVM takes for unpredictable. Valid until the next call.
  std::string_view operator()(std::uint32_t opcode) {
    std::uint8_t bytes[4] = {static_cast<std::uint8_t>(opcode), static_cast<std::uint8_t>(opcode >> 8),
                             static_cast<std::uint8_t>(opcode >> 16), static_cast<std::uint8_t>(opcode >> 24)};
    if (LLVMDisasmInstruction(context_, bytes, 4, 0, text_, sizeof text_) == 0) return {};
    std::string_view all{text_};
    all = all.substr(0, all.find("//"));
    while (!all.empty() && (all.front() == '\t' || all.front() == ' ')) all.remove_prefix(1);
    while (!all.empty() && (all.back() == '\t' || all.back() == ' ')) all.remove_suffix(1);
    std::size_t out = 0;
    for (const char c : all) clean_[out++] = c == '\t' ? ' ' : c;
    std::string_view line{clean_, out};
    // What is prefetched where has no effect on registers.
    if (line.starts_with("prfm ") || line.starts_with("prfum ")) {
      const std::size_t from = line.find(' ') + 1;
      const std::size_t to = line.find(", ") + 2;
      for (std::size_t i = to; i < out; ++i) clean_[from + i - to] = clean_[i];
      line = line.substr(0, out - (to - from));
    }
    return line;
  }

 private:
  LLVMDisasmContextRef context_;
  char text_[256]{};
  char clean_[256]{};
};

// Instructions that LLVM knows and the decoder refuses, by the start of their name.
bool is_left_out(std::string_view line) {
  for (const std::string_view name : {"stgm", "stzgm", "ldgm"}) {
    if (line.starts_with(name)) return true;
  }
  return false;
}

// CONSTRAINED UNPREDICTABLE ones that LLVM has a text for, worked out from the bits.
bool is_unpredictable(std::uint32_t opcode) {
  const auto field = [opcode](unsigned lo) { return opcode >> lo & 31; };
  const auto bit = [opcode](unsigned n) { return (opcode >> n & 1) != 0; };
  const unsigned rt = field(0), rn = field(5), rt2 = field(10), rs = field(16);
  if ((opcode & 0x3F00'0000) == 0x0800'0000) {  // o2 23, L 22, o1 21
    const bool ordered = bit(23) && !bit(21);
    const bool exclusive = !bit(23) && (!bit(21) || bit(31));
    const bool pair = exclusive && bit(21);
    if (!pair && rt2 != 31) return true;  // should be one
    if ((ordered || (exclusive && bit(22))) && rs != 31) return true;
    return exclusive && !bit(22) && (rs == rt || (pair && rs == rt2) || (rs == rn && rn != 31));
  }
  if ((opcode & 0x3FE0'FC00) == 0x38A0'C000) return rs != 31;              // LDAPR
  if ((opcode & 0xFF20'0C00) == 0xF820'0C00) return rt == rn && rn != 31;  // LDRAA and LDRAB with write-back
  const bool indexed = (opcode & 0x3B20'0400) == 0x3800'0400;
  return indexed && !bit(26) && rt == rn && rn != 31;
}

// LDTR and its like with Rt == Rn: LLVM takes them for a write-back. [armarm] has no such restriction for them.
bool is_refused_by_llvm_alone(std::uint32_t opcode) {
  return (opcode & 0x3F20'0C00) == 0x3800'0800 && (opcode & 31) == (opcode >> 5 & 31);
}

struct Comparison {
  Llvm llvm;
  std::uint64_t tried = 0, decoded = 0, wrong = 0;

  void look(std::uint32_t opcode) {
    ++tried;
    const std::string_view theirs = llvm(opcode);
    const auto ours = decode_load_store(opcode);
    if (ours) ++decoded;
    if (theirs.empty() && !ours) return;
    if (!ours) {
      if (is_left_out(theirs) || is_unpredictable(opcode)) return;
      return report(opcode, "", theirs);
    }
    if (theirs.empty() && is_refused_by_llvm_alone(opcode)) return;
    if (theirs.starts_with("rprfm ") && ours->operation == Operation::prefetch) return;
    const Line line = assembly(*ours, opcode);
    if (line.view() != theirs || !may_access_memory(opcode)) report(opcode, line.view(), theirs);
  }

  void report(std::uint32_t opcode, std::string_view ours, std::string_view theirs) {
    if (++wrong <= 20) {
      ADD_FAILURE() << std::hex << opcode << ": decoded as '" << ours << "', LLVM says '" << theirs << "'";
    }
  }
};

TEST(LoadStoreLlvm, EveryCombinationOfTheOpcodeFields) {
  constexpr unsigned kRegisters[][2] = {{0, 1}, {1, 1}, {31, 31}, {30, 31}, {31, 0}, {7, 6}, {2, 29}};
  constexpr unsigned kTries = 4;  // 2048 * 4 and 7 are coprime: each class sees each pair
  Comparison compare;
  unsigned turn = 0;
  for (std::uint32_t high = 0; high < 2048; ++high) {  // bits 31:21
    if ((high >> 6 & 1) == 0 || (high >> 4 & 1) != 0) continue;
    for (std::uint32_t low = 0; low < 2048; ++low) {  // bits 20:10
      for (unsigned n = 0; n < kTries; ++n) {
        const auto& [rt, rn] = kRegisters[turn++ % 7];
        compare.look(high << 21 | low << 10 | rn << 5 | rt);
      }
    }
  }
  EXPECT_EQ(compare.wrong, 0U) << "of " << compare.tried;
  EXPECT_EQ(compare.tried, 512U * 2048 * kTries);
  EXPECT_GT(compare.decoded, compare.tried / 3);
}

// The equalities of registers on which allocation depends, for the classes that have them.
TEST(LoadStoreLlvm, EveryPairOfRegisters) {
  Comparison compare;
  for (const std::uint32_t form :
       {0x0800'7C00U, 0x4800'FC00U, 0x885F'7C00U, 0xC85F'FC00U,                   // exclusive
        0x8820'0400U, 0xC821'8800U, 0x887F'0400U, 0xC87F'A800U,                   // exclusive pair
        0x0820'7C00U, 0x4862'FC00U, 0x88A0'7C00U, 0xC8E3'FC00U,                   // compare and swap
        0x2880'0400U, 0xA8C0'0800U, 0x68C0'0C00U, 0xA9C0'7C00U, 0xACC0'0400U,     // pairs
        0xB840'0400U, 0xF800'0C00U, 0x3840'0C00U, 0xB880'0400U, 0x3CC0'0400U,     // write-back
        0xF820'0000U, 0xF8E1'8000U, 0xB8BF'C000U, 0x1900'0000U, 0x9940'0000U}) {  // atomics, LDAPR, STLUR
    for (std::uint32_t registers = 0; registers < 1024; ++registers) {
      compare.look(form | registers);
      compare.look((form & ~0x1F'0000U) | (registers & 31) << 16 | registers);
      compare.look((form & ~0x7C00U) | (registers & 31) << 10 | registers);
    }
  }
  EXPECT_EQ(compare.wrong, 0U) << "of " << compare.tried;
}

TEST(LoadStoreLlvm, SystemInstructionsButZvaAreNotDecoded) {
  Comparison compare;
  for (std::uint32_t low = 0; low < 1U << 19; ++low) {
    const std::uint32_t opcode = 0xD508'0000 | low;
    const bool zva = (opcode & ~31U) == 0xD50B'7420;
    ASSERT_EQ(decode_load_store(opcode).has_value(), zva) << std::hex << opcode;
    ASSERT_TRUE(may_access_memory(opcode));
    if (zva) compare.look(opcode);
  }
  EXPECT_EQ(compare.decoded, 32U);
}

TEST(LoadStoreLlvm, Exhaustive) {
  if (std::getenv("ARM_VCPU_EXHAUSTIVE") == nullptr) GTEST_SKIP() << "takes ten minutes: ARM_VCPU_EXHAUSTIVE=1";
  Comparison compare;
  for (std::uint64_t i = 0; i < std::uint64_t{1} << 30; ++i) {
    const auto low = static_cast<std::uint32_t>(i & 0x1FF'FFFF);
    const auto high = static_cast<std::uint32_t>(i >> 25);  // bits 31:28, 26
    compare.look((high >> 1) << 28 | 1U << 27 | (high & 1) << 26 | low);
  }
  EXPECT_EQ(compare.wrong, 0U) << "of " << compare.tried;
}

TEST(LoadStore, WhatNeverAccessesMemoryIsNotDecoded) {
  for (std::uint64_t opcode = 0; opcode < std::uint64_t{1} << 32; opcode += 0x2'0D3) {
    const auto word = static_cast<std::uint32_t>(opcode);
    if (!may_access_memory(word)) {
      ASSERT_FALSE(decode_load_store(word)) << std::hex << word;
    }
  }
  for (const std::uint32_t other : {0xD503'201FU, 0x1400'0000U, 0xD420'0000U, 0xD65F'03C0U, 0x9100'0000U, 0U,
                                    0xD518'1000U, 0xD503'3FDFU, 0xFFFF'FFFFU}) {
    EXPECT_FALSE(may_access_memory(other)) << std::hex << other;
  }
}

}  // namespace
}  // namespace arm_vcpu::a64
