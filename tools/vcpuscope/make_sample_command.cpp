// SPDX-License-Identifier: Apache-2.0
// `vcpuscope make-sample`, not in the help: a trace to test and measure with.
#include <fmt/core.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "command.hpp"
#include "sample.hpp"

namespace arm_vcpu::scope {
namespace {

struct Options : SampleOptions {
  std::string file;
  std::string form{"stream"};
  std::uint64_t capacity{4096};
};

void run(const Options& options) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{std::fopen(options.file.c_str(), "wb"), std::fclose};
  if (!file) throw Failure(fmt::format("{}: {}", options.file, std::strerror(errno)));
  const Sink sink = [&](std::span<const std::byte> bytes) {
    if (std::fwrite(bytes.data(), 1, bytes.size(), file.get()) != bytes.size()) {
      throw Failure(fmt::format("{}: {}", options.file, std::strerror(errno)));
    }
  };
  if (options.form == "memory") {
    write_sample_memory(options, options.capacity, sink);
  } else if (options.form == "console") {
    write_sample_console(options, sink);
  } else {
    write_sample_stream(options, sink);
  }
}

}  // namespace

void register_make_sample(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("make-sample", "A made-up trace, the same for the same options");
  command->group("");  // hidden
  command->add_option("OUT", options->file)->required();
  command->add_option("--records", options->records);
  command->add_option("--cpus", options->cpus)->check(CLI::Range(1, 64));
  command->add_option("--seed", options->seed);
  command->add_option("--form", options->form)->check(CLI::IsMember({"stream", "memory", "console"}));
  command->add_option("--capacity", options->capacity, "records of a ring, a power of two");
  command->callback([options] { run(*options); });
}

}  // namespace arm_vcpu::scope
