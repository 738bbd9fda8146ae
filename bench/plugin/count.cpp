// SPDX-License-Identifier: Apache-2.0
// A QEMU plugin that counts the instructions of all CPUs between two marks that the guest executes, at every Exception
// level. A mark is a HINT that no architecture gives a meaning (bench/guest/marks.h), so the guest runs without the
// plugin too, and on every hypervisor: none of them sees a hint.
//
// Arguments: out=FILE      the samples of each row, "row <n> <instructions> ...", and "skip <n> <why>"
//            wait=LOW-HIGH offsets in the guest's image whose instructions do not count: where a CPU waits for another;
//            may
//                          be repeated
//            trace=N       writes each instruction of row N's last sample, behind it: "insn <cpu> <address> <text>"
//            trace=all     of every row
//            boot=1        writes how often each instruction was executed before the guest's first: "at <address>
//            <count>"
//
// Counters are not atomic: QEMU has to run with thread=single, as -icount makes it.
#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "../guest/marks.h"
#include "qemu_plugin_abi.hpp"

extern "C" {
[[gnu::visibility("default")]] int qemu_plugin_version = 1;
[[gnu::visibility("default")]] int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int argc,
                                                       char** argv);
}

namespace {

constexpr std::uint32_t kHint = 0xD503'201F;  // HINT #imm7: imm7 is bits 11:5. [armarm] "HINT"
constexpr std::uint32_t kHintMask = 0xFFFF'F01F;
constexpr unsigned kUnallocatedHints = 0x60;

struct Traced {
  std::uint64_t address;
  std::string text;
  std::uint64_t executed{};  // only counted for boot=1
};
struct Step {
  unsigned cpu;
  const Traced* instruction;
};

std::uint64_t g_count = 0;
std::uint64_t g_begin = 0;
bool g_measuring = false;
long g_row = -1;
long g_traced_row = -1;
bool g_trace_all = false;
bool g_count_boot = false;
std::uint64_t g_image = ~std::uint64_t{0};  // the guest's: its first instruction is a mark
std::vector<std::pair<std::uint64_t, std::uint64_t>> g_waits;
std::FILE* g_out = nullptr;
std::vector<std::uint64_t> g_samples;
std::vector<Step> g_steps;
std::vector<Step> g_last_steps;

// One object for each instruction, however often QEMU translates it.
std::map<std::pair<std::uint64_t, std::string>, Traced*> g_traced;

void write_boot() {
  if (!g_count_boot) return;
  for (const auto& [key, one] : g_traced) {
    if (one->executed != 0) std::fprintf(g_out, "at %" PRIx64 " %" PRIu64 "\n", one->address, one->executed);
  }
}

bool traces_row() {
  return g_trace_all || (g_traced_row >= 0 && g_row == g_traced_row);
}

void finish_row() {
  if (g_samples.empty()) return;
  std::fprintf(g_out, "row %ld", g_row);
  for (const auto sample : g_samples) std::fprintf(g_out, " %" PRIu64, sample);
  std::fputc('\n', g_out);
  if (traces_row()) {
    for (const auto& step : g_last_steps) {
      std::fprintf(g_out, "insn %u %" PRIx64 " %s\n", step.cpu, step.instruction->address,
                   step.instruction->text.c_str());
    }
  }
  std::fflush(g_out);
  g_samples.clear();
  g_last_steps.clear();
}

void on_mark(unsigned /*cpu*/, void* data) {
  const auto mark = static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(data));
  switch (mark) {
    case BENCH_MARK_START:
      std::fprintf(g_out, "start %" PRIu64 " %" PRIx64 "\n", g_count, g_image);
      write_boot();
      std::fflush(g_out);
      break;
    case BENCH_MARK_ROW:
      finish_row();
      ++g_row;
      g_measuring = false;
      break;
    case BENCH_MARK_BEGIN:
      g_steps.clear();
      g_begin = g_count;
      g_measuring = true;
      break;
    case BENCH_MARK_END:
      if (!g_measuring) break;
      g_measuring = false;
      g_samples.push_back(g_count - g_begin);
      g_last_steps = g_steps;
      break;
    case BENCH_MARK_DONE:
      finish_row();
      std::fputs("done\n", g_out);
      std::fflush(g_out);
      break;
    default:
      std::fprintf(g_out, "skip %ld %u\n", g_row, mark);
      std::fflush(g_out);
      g_samples.clear();
      break;
  }
}

void on_instruction(unsigned cpu, void* data) {
  if (g_measuring && traces_row()) g_steps.push_back({cpu, static_cast<const Traced*>(data)});
}

bool is_wait(std::uint64_t address) {
  const std::uint64_t offset = address - g_image;
  return std::ranges::any_of(g_waits, [=](const auto& wait) { return offset >= wait.first && offset < wait.second; });
}

Traced* traced(std::uint64_t address, qemu_plugin_insn* insn) {
  char* const text = qemu_plugin_insn_disas(insn);
  auto& place = g_traced[{address, text}];
  if (place == nullptr) place = new Traced{address, text};
  std::free(text);
  return place;
}

void on_translation(qemu_plugin_id_t, qemu_plugin_tb* tb) {
  const std::size_t count = qemu_plugin_tb_n_insns(tb);
  for (std::size_t i = 0; i < count; ++i) {
    qemu_plugin_insn* const insn = qemu_plugin_tb_get_insn(tb, i);
    std::uint32_t opcode = 0;
    std::memcpy(&opcode, qemu_plugin_insn_data(insn), sizeof(opcode));
    const std::uint64_t address = qemu_plugin_insn_vaddr(insn);
    const unsigned hint = opcode >> 5 & 0x7F;
    if ((opcode & kHintMask) == kHint && hint >= kUnallocatedHints) {
      qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, QEMU_PLUGIN_CB_NO_REGS,
                                             reinterpret_cast<void*>(std::uintptr_t{hint}));
      if (hint == BENCH_MARK_START) g_image = address;
      continue;
    }
    if (is_wait(address)) continue;
    qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64, &g_count, 1);
    if (g_count_boot) {
      qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64, &traced(address, insn)->executed, 1);
    }
    if (g_trace_all || g_traced_row >= 0) {
      qemu_plugin_register_vcpu_insn_exec_cb(insn, on_instruction, QEMU_PLUGIN_CB_NO_REGS, traced(address, insn));
    }
  }
}

void at_exit(qemu_plugin_id_t, void*) {
  finish_row();
  std::fprintf(g_out, "end %" PRIu64 "\n", g_count);
  std::fclose(g_out);
}

bool take_argument(const char* word) {
  if (std::strncmp(word, "out=", 4) == 0) {
    g_out = std::fopen(word + 4, "w");
    return g_out != nullptr;
  }
  if (std::strncmp(word, "trace=", 6) == 0) {
    g_trace_all = std::strcmp(word + 6, "all") == 0;
    g_traced_row = g_trace_all ? -1 : std::strtol(word + 6, nullptr, 10);
    return true;
  }
  if (std::strcmp(word, "boot=1") == 0) {
    g_count_boot = true;
    return true;
  }
  if (std::strncmp(word, "wait=", 5) != 0) return false;
  char* end = nullptr;
  const std::uint64_t low = std::strtoull(word + 5, &end, 16);
  if (*end != '-') return false;
  g_waits.emplace_back(low, std::strtoull(end + 1, &end, 16));
  return *end == '\0';
}

}  // namespace

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t*, int argc, char** argv) {
  for (int i = 0; i < argc; ++i) {
    if (!take_argument(argv[i])) {
      std::fprintf(stderr, "bench plugin: argument '%s' is not known\n", argv[i]);
      return 1;
    }
  }
  if (g_out == nullptr) return 1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
  qemu_plugin_register_atexit_cb(id, at_exit, nullptr);
  return 0;
}
