// SPDX-License-Identifier: Apache-2.0
#include "command_line.hpp"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <utility>

#include "failure.hpp"

namespace arm_vcpu::scope {

const Option& Option::required() const {
  option_->required();
  return *this;
}

const Option& Option::one_of(std::vector<std::string> values) const {
  option_->check(CLI::IsMember(std::move(values)));
  return *this;
}

const Option& Option::between(unsigned low, unsigned high) const {
  option_->check(CLI::Range(low, high));
  return *this;
}

const Option& Option::positive() const {
  option_->check(CLI::PositiveNumber);
  return *this;
}

const Option& Option::show_default() const {
  option_->capture_default_str();
  return *this;
}

const Option& Option::environment(const std::string& variable) const {
  option_->envname(variable);
  return *this;
}

const Option& Option::group(const std::string& title) const {
  option_->group(title);
  return *this;
}

Command Command::subcommand(const std::string& name, const std::string& text) const {
  return Command{app_->add_subcommand(name, text)};
}

template <typename T>
Option Command::option(const std::string& name, T& value, const std::string& text) const {
  return Option{app_->add_option(name, value, text)};
}

template Option Command::option(const std::string&, std::string&, const std::string&) const;
template Option Command::option(const std::string&, std::vector<std::string>&, const std::string&) const;
template Option Command::option(const std::string&, unsigned&, const std::string&) const;
template Option Command::option(const std::string&, std::uint64_t&, const std::string&) const;

Option Command::flag(const std::string& name, bool& value, const std::string& text) const {
  return Option{app_->add_flag(name, value, text)};
}

void Command::on_parsed(std::function<void()> run) const {
  app_->callback(std::move(run));
}

void Command::hide() const {
  app_->group("");
}

bool Command::has_subcommand() const {
  return !app_->get_subcommands().empty();
}

CommandLine::CommandLine(const std::string& text, const std::string& footer)
    : app_{std::make_unique<CLI::App>(text, "vcpuscope")} {
  app_->require_subcommand(1);
  app_->footer(footer);
}

CommandLine::~CommandLine() = default;

int CommandLine::run(int argc, const char* const* argv) {
  try {
    app_->parse(argc, argv);
    return 0;
  } catch (const ExitStatus& exit) {
    return exit.status;
  } catch (const CLI::ParseError& error) {
    return app_->exit(error);
  } catch (const std::exception& error) {
    warn(error.what());
    return 1;
  }
}

void CommandLine::parse(const std::string& line) {
  app_->parse(line);
}

}  // namespace arm_vcpu::scope
