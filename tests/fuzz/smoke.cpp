// SPDX-License-Identifier: Apache-2.0
// fuzz_smoke list | TARGET SEED-FOLDER RUNS | TARGET FILE: the fuzz targets without a fuzzer. Replays the seeds, then
// RUNS inputs made from them, the same ones each time: bytes changed, pieces left out or repeated, or all random.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz.hpp"

namespace {

using Bytes = std::vector<std::uint8_t>;

// What is being run, for the signal handler.
const Bytes* current = nullptr;
std::string crash_file;

void on_crash(int signal) {
  if (current != nullptr) {
    if (std::FILE* file = std::fopen(crash_file.c_str(), "wb")) {  // we are lost anyway: what helps most is the input
      std::fwrite(current->data(), 1, current->size(), file);
      std::fclose(file);
      std::fprintf(stderr, "fuzz_smoke: the input is in %s\n", crash_file.c_str());
    }
  }
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

Bytes read_file(const std::filesystem::path& path) {
  std::ifstream file{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, {}};
}

Bytes mutated(const std::vector<Bytes>& seeds, std::mt19937_64& random) {
  const auto below = [&](std::size_t end) { return static_cast<std::size_t>(random() % end); };
  Bytes bytes;
  if (seeds.empty() || below(3) == 0) {
    bytes.resize(below(2048));
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    return bytes;
  }
  bytes = seeds[below(seeds.size())];
  for (std::size_t changes = 1 + below(8); changes != 0 && !bytes.empty(); --changes) {
    const std::size_t at = below(bytes.size());
    const auto where = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    const auto count = static_cast<std::ptrdiff_t>(1 + below(std::min<std::size_t>(bytes.size() - at, 64)));
    switch (below(5)) {
      case 0: *where = static_cast<std::uint8_t>(random()); break;
      case 1: *where ^= static_cast<std::uint8_t>(1U << below(8)); break;
      case 2: std::fill(where, where + count, static_cast<std::uint8_t>(below(2) ? 0 : 0xFF)); break;
      case 3: bytes.erase(where, where + count); break;
      default: {
        const Bytes piece(where, where + count);
        bytes.insert(where, piece.begin(), piece.end());
        break;
      }
    }
  }
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  using arm_vcpu::fuzz::first_target;
  GTEST_FLAG_SET(break_on_failure, true);
  const std::string_view name = argc > 1 ? argv[1] : "";
  const auto* target = arm_vcpu::fuzz::find_target(name);
  if (name == "list" && argc == 2) {
    for (target = first_target; target != nullptr; target = target->next)
      std::printf("%s\t%s\n", target->name, target->what);
    return 0;
  }
  if (target == nullptr || (argc != 3 && argc != 4)) {
    std::fputs("usage: fuzz_smoke list | TARGET FILE | TARGET SEED-FOLDER RUNS\n", stderr);
    return 2;
  }
  crash_file = "crash-" + std::string{name};
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}) std::signal(signal, on_crash);
  const auto run = [&](const Bytes& bytes) {
    current = &bytes;
    target->run(arm_vcpu::fuzz::Input{bytes});
    current = nullptr;
  };
  if (argc == 3) {
    run(read_file(argv[2]));
    return 0;
  }
  std::vector<std::filesystem::path> files;
  if (std::filesystem::exists(argv[2])) {
    for (const auto& entry : std::filesystem::directory_iterator{argv[2]}) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());  // the order of a folder is not the same everywhere
  std::vector<Bytes> seeds;
  for (const auto& file : files) run(seeds.emplace_back(read_file(file)));
  std::mt19937_64 random{1};  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same inputs each time
  const unsigned long runs = std::strtoul(argv[3], nullptr, 10);
  for (unsigned long i = 0; i < runs; ++i) run(mutated(seeds, random));
  std::printf("%s: %zu seeds and %lu inputs, no finding\n", target->name, seeds.size(), runs);
  return 0;
}
