// SPDX-License-Identifier: Apache-2.0
// vcpuscope: what a vCPU has been doing, from the exit recorder's files and dumps.
#include <csignal>
#include <exception>

#include "command.hpp"

int main(int argc, char** argv) {
  using namespace arm_vcpu::scope;
  std::signal(SIGPIPE, SIG_DFL);  // `vcpuscope trace FILE | head` ends quietly
  CLI::App app{"Looks into the traces, dumps and logs of arm_vcpu.", "vcpuscope"};
  app.require_subcommand(1);
  app.footer("FILE is a streamed trace (./x run --trace FILE), a dump of memory that holds the recorder's area, or a\n"
             "console log with a dump in it. `vcpuscope SUBCOMMAND --help` tells the rest.");
  try {
#define VCPU_SUBCOMMAND(name) register_##name(app);
#include "subcommands.def"
#undef VCPU_SUBCOMMAND
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  } catch (const std::exception& error) {
    warn(error.what());
    return 1;
  }
}
