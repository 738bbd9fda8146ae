// SPDX-License-Identifier: Apache-2.0
// vcpuscope: what a vCPU has been doing, from the exit recorder's files and dumps.
#include <csignal>

#include "command.hpp"

int main(int argc, char** argv) {
  using namespace arm_vcpu::scope;
  std::signal(SIGPIPE, SIG_DFL);  // `vcpuscope trace FILE | head` ends quietly
  CommandLine command_line{
      "Looks into the traces, dumps and logs of arm_vcpu.",
      "FILE is a streamed trace (./x run --trace FILE), a dump of memory that holds the recorder's area, or a\n"
      "console log with a dump in it. `vcpuscope SUBCOMMAND --help` tells the rest."};
#define VCPU_SUBCOMMAND(name) register_##name(command_line.root());
#include "subcommands.def"
#undef VCPU_SUBCOMMAND
  return command_line.run(argc, argv);
}
