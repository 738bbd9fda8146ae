// SPDX-License-Identifier: Apache-2.0
// `vcpuscope make-sample`, not in the help: a trace to test and measure with.
#include <cerrno>
#include <cstdio>
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
  if (!file) throw system_failure(options.file, errno);
  const Sink sink = [&](std::span<const std::byte> bytes) {
    if (std::fwrite(bytes.data(), 1, bytes.size(), file.get()) != bytes.size()) {
      throw system_failure(options.file, errno);
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

void register_make_sample(const Command& root) {
  auto options = std::make_shared<Options>();
  const Command command = root.subcommand("make-sample", "A made-up trace, the same for the same options");
  command.hide();  // hidden
  command.option("OUT", options->file).required();
  command.option("--records", options->records);
  command.option("--cpus", options->cpus).between(1, 64);
  command.option("--seed", options->seed);
  command.option("--form", options->form).one_of({"stream", "memory", "console"});
  command.option("--capacity", options->capacity, "records of a ring, a power of two");
  command.on_parsed([options] { run(*options); });
}

}  // namespace arm_vcpu::scope
