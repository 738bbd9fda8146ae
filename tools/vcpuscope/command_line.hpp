// SPDX-License-Identifier: Apache-2.0
// The command line. CLI11 does the work; its headers, which cost a source file seconds, are in command_line.cpp alone.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace CLI {  // NOLINT(readability-identifier-naming): the library's
class App;
class Option;
}  // namespace CLI

namespace arm_vcpu::scope {

// Thrown by a command that has done its work and ends the program with this status.
struct ExitStatus {
  int status;
};

class Option {
 public:
  explicit Option(CLI::Option* option) noexcept : option_{option} {}

  const Option& required() const;
  const Option& one_of(std::vector<std::string> values) const;
  const Option& between(unsigned low, unsigned high) const;
  const Option& positive() const;
  const Option& show_default() const;
  const Option& environment(const std::string& variable) const;  // which has the value when the option is not given
  const Option& group(const std::string& title) const;           // under which the help lists it

 private:
  CLI::Option* option_;
};

class Command {
 public:
  explicit Command(CLI::App* app) noexcept : app_{app} {}

  [[nodiscard]] Command subcommand(const std::string& name, const std::string& text) const;
  // T is std::string, std::vector<std::string>, unsigned or std::uint64_t. `value` must outlive the parse.
  template <typename T>
  Option option(const std::string& name, T& value, const std::string& text = "") const;
  Option flag(const std::string& name, bool& value, const std::string& text) const;
  void on_parsed(std::function<void()> run) const;
  void hide() const;
  // One of its subcommands was on the command line.
  [[nodiscard]] bool has_subcommand() const;

 private:
  CLI::App* app_;
};

class CommandLine {
 public:
  CommandLine(const std::string& text, const std::string& footer);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  [[nodiscard]] Command root() const noexcept { return Command{app_.get()}; }
  // Parses, runs the command, says on stderr what is wrong. Returns the program's exit status.
  [[nodiscard]] int run(int argc, const char* const* argv);
  // Parses one line and runs the command. Throws what the command throws, and std::exception for a line that is wrong.
  void parse(const std::string& line);

 private:
  std::unique_ptr<CLI::App> app_;
};

}  // namespace arm_vcpu::scope
